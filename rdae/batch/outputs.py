"""What becomes of each input: where its output goes, whether it is there already, and whether it may be written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from functools import cached_property

from rdae.batch.inputs import Input
from rdae.batch.tasks import Job, Outcome, failure
from rdae.errors import OutputExistsError
from rdae.storage.files import Identity
from rdae.storage.locations import locate
from rdae.storage.names import output_name


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
    no outputs. output: where that of a single input goes. directory: the folder, or URL, for all outputs, in which each
    goes as deep as its input was found; None: beside the inputs. force: replace outputs that exist.
    ValueError if two inputs would go to one output.
    """
    if output is not None and len(inputs) > 1:
        raise ValueError(f"one output, {output}, for {len(inputs)} inputs")
    jobs, inputs_by_output = [], dict[str, str]()
    for each in inputs:
        if suffix is None:
            goes_to = ""
        elif output is not None:
            goes_to = str(locate(output))
        else:
            goes_to = output_name(
                each.location, each.relative, suffix, directory=directory, keep_suffix=keep_suffix
            )
        if goes_to and not each.problem:
            other = inputs_by_output.setdefault(goes_to, each.location)
            if other != each.location:
                raise ValueError(f"{other} and {each.location} would both go to {goes_to}")
        jobs.append(Job(each.location, goes_to, force=force, problem=each.problem))
    return jobs


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
            output.check(force=job.force, inputs=self._identities if there else frozenset())
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
