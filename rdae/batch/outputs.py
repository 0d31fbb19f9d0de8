"""What becomes of each input: where its output goes, whether it is there already, and whether it may be written."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path, PurePath

from rdae.batch.inputs import Input
from rdae.batch.tasks import Job, Outcome, failure
from rdae.errors import OutputExistsError
from rdae.storage.files import Identity
from rdae.storage.locations import LocalFile, locate
from rdae.storage.names import SUFFIX, output_name


def plan_jobs(
    inputs: Sequence[Input],
    suffix: str | None,
    *,
    output: str | None = None,
    directory: str | None = None,
    keep_suffix: bool = False,
    force: bool = False,
) -> list[Job]:
    """A job for each input, in their order.

    suffix: of outputs, such as ".rdae", in the place of the input's, or with `keep_suffix` behind it; None: there are
    no outputs. output: where that of a single input goes, in a folder that is there. directory: the folder, or URL, for
    all outputs, in which each goes as deep as its input was found; None: beside the inputs. force: replace outputs that
    exist, but pictures that are not named by `output` only if rdae wrote them: they may be what was compressed.
    Inputs that would go to one output have a problem, each of them, and an .rdae file that is to be called like a
    picture is blocked. ValueError for one output of several inputs.
    """
    if output is not None and len(inputs) > 1:
        raise ValueError(f"one output, {output}, for {len(inputs)} inputs")
    blocked = "" if output is None or suffix != SUFFIX else _misnomer(output)
    only_own = output is None and suffix not in (None, SUFFIX)

    def goes_to(each: Input) -> str:
        if suffix is None:
            return ""
        if output is not None:
            return str(locate(output))
        return output_name(each.location, each.relative, suffix, directory=directory, keep_suffix=keep_suffix)

    planned = [(each, goes_to(each)) for each in inputs]
    sharing: dict[str, list[str]] = {}
    place_of = cache(_place)  # a folder's many files ask for it
    places = [_named_in(goes, place_of) for _, goes in planned]
    for (each, goes), place in zip(planned, places, strict=True):
        if goes and not each.problem:
            sharing.setdefault(place, []).append(each.location)
    hint = "" if keep_suffix or suffix != SUFFIX else "; --keep-suffix keeps them apart"
    return [
        Job(
            each.location,
            goes,
            force=force,
            only_own=only_own,
            parents=output is None,
            blocked=blocked,
            problem=each.problem or _collision(sharing.get(place, []), goes, hint),
        )
        for (each, goes), place in zip(planned, places, strict=True)
    ]


def _named_in(output: str, place_of: Callable[[Path], str]) -> str:
    """An output by a name that it has alone: a folder may be called in several ways, such as by a link."""
    location = locate(output) if output else None
    if not isinstance(location, LocalFile):
        return output
    return os.path.join(place_of(location.path.parent), location.path.name)  # noqa: PTH118 - it is text


def _place(folder: Path) -> str:
    return os.path.realpath(folder)


def _collision(sharing: Sequence[str], goes_to: str, hint: str) -> str:
    """What is wrong with inputs that share an output, if they do."""
    if len(sharing) < 2:
        return ""
    named = list(sharing) if len(sharing) <= 3 else [*sharing[:2], f"{len(sharing) - 2} others"]
    together = "both" if len(sharing) == 2 else "all"
    return f"{', '.join(named[:-1])} and {named[-1]} would {together} go to {goes_to}{hint}"


def _misnomer(output: str) -> str:
    """What is wrong with the name of an .rdae file, if it is to be called like a picture."""
    from rdae.pictures.formats import PICTURE_SUFFIXES

    if PurePath(locate(output).name).suffix.lower() not in PICTURE_SUFFIXES:
        return ""
    return f"the output {output} has a picture's suffix, but would be an .rdae file: end its name in {SUFFIX}"


def unfinished(jobs: Iterable[Job]) -> list[Job]:
    """The jobs whose outputs are not there yet; those that have a problem are among them. OSError of a store."""
    return [job for job in jobs if job.problem or not is_finished(job)]


def is_finished(job: Job) -> bool:
    """Whether a job has an output, and it is there."""
    return bool(job.output) and locate(job.output).is_there()


class OutputCheck:
    """Says before any work on a job whether its output may be written.

    inputs: the locations of all inputs, also of other shards, none of which an output replaces, with force or without.
    skip_existing: jobs whose outputs are there are left out.
    """

    def __init__(self, inputs: Iterable[str], *, skip_existing: bool = False) -> None:
        self._inputs = inputs
        self._skip_existing = skip_existing

    def __call__(self, job: Job) -> Outcome | Job:
        """How a job ends without any work, if it does, else the job."""
        if job.problem:
            return Outcome(job, error=job.problem)
        if not job.output:
            return job
        try:
            output = locate(job.output)
            there = output.is_there()
            if there and self._skip_existing:
                return Outcome(job, skipped=True)
            # Only what is there can be an input too, so that most runs need not look at all their inputs first.
            inputs = self._identities if there else frozenset()
            output.check(force=job.force, inputs=inputs, terms=job.terms)
        except OutputExistsError as error:
            if job.input == job.output:  # then it is not the kind of file that is expected, most likely
                return dataclasses.replace(job, blocked=str(error))
            return Outcome(job, error=str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other files go on
            return Outcome(job, error=failure(error, job.input))
        return job

    @cached_property
    def _identities(self) -> frozenset[Identity | str]:
        """What tells the inputs apart from all other locations."""
        return frozenset().union(*(locate(text).identity() for text in self._inputs))
