"""Which files a command works on, and what goes where: the options that compress, decompress and verify share.

Folders, patterns and lists become jobs here, in one order that each machine finds, so that shards of it fit together.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import glob
import math
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, fields
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, TypeVar

import click

from rdae.errors import OutputExistsError, RdaeError
from rdae.files import Identity

from .opening import MODEL_HELP, device_option
from .places import STANDARD, File, below, is_folder, is_url, matching, place, without_scheme
from .progress import Report
from .report import describe
from .work import Done, Job, Task, orderly_termination, processors, results

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

SUFFIX = ".rdae"


@dataclass(frozen=True)
class Found:
    """An input, its path below the folder that was given, or its name; problem: why it is none."""

    source: str
    relative: PurePath
    problem: str = ""


class PlaceType(click.ParamType):  # type: ignore[type-arg]
    """A path, a URL, or - : text, which shells complete as a file."""

    name = "path"

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> Any:
        """Leave it to the shell."""
        return click.Path().shell_complete(context, param, incomplete)


class ShardType(click.ParamType):  # type: ignore[type-arg]
    """I/N, with I from 1 to N."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        """Read the two numbers."""
        if isinstance(value, tuple):
            return value
        numbers = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", value)
        if numbers is None or not 1 <= int(numbers[1]) <= int(numbers[2]):
            self.fail(f"{value!r}, expected I/N with I from 1 to N, such as 3/10.", param, context)
        return int(numbers[1]), int(numbers[2])


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user said about files, and how to work on them."""

    inputs: tuple[str, ...]
    recursive: bool
    shard: tuple[int, int] | None
    workers: int | None
    as_json: bool
    quiet: bool
    verbose: bool
    output: str | None = None
    directory: str | None = None
    force: bool = False
    skip_existing: bool = False
    keep_suffix: bool = False

    @property
    def threads(self) -> int | None:
        """How many threads torch has in each process; None: as it likes."""
        return None if self.workers is None else 1

    @property
    def alone(self) -> bool:
        """Whether this process does the work."""
        return (self.workers or 1) == 1

    @property
    def to_standard_output(self) -> bool:
        """Whether the output goes there, as it does without -o when the input is standard input."""
        return self._output() == STANDARD

    def run(self, task: Task, suffixes: Collection[str], target_suffix: str | None) -> None:
        """Do the task with all inputs of this shard and tell of it; exit status 1 if any failed.

        suffixes: what is taken from folders; target_suffix: of outputs that are not named, None if there are none.
        """
        self._check()
        found = list(dict.fromkeys(each for text in self.inputs for each in self._expand(text, suffixes)))
        jobs = self._jobs(found, target_suffix)
        report = Report(task, len(jobs), as_json=self.as_json, quiet=self.quiet, verbose=self.verbose)
        before = functools.partial(self._before, Sources([each.source for each in found]))
        try:
            workers = min(self.workers or 1, len(jobs))
            # Closed here, not when it is collected: workers end before anything else is said.
            with orderly_termination(), contextlib.closing(results(task, jobs, workers, before)) as ends:
                for done in ends:
                    if done is None:
                        report.tick()
                    else:
                        report.show(done)
        finally:
            report.close()
        report.summary()
        if report.failed:
            sys.exit(1)

    def _jobs(self, found: list[Found], target_suffix: str | None) -> list[Job]:
        """The jobs of this shard, in order; wrong usage if any two, of all shards, would go to one output."""
        if self.output is not None and len(found) > 1:
            raise click.UsageError("-o names one file, but there are several inputs; -d names a folder.")
        jobs, sources = [], dict[str, str]()
        for each in found:
            target = "" if target_suffix is None else self._target(each, target_suffix)
            if target and not each.problem and sources.setdefault(target, each.source) != each.source:
                raise click.UsageError(f"{sources[target]} and {each.source} would both go to {target}.")
            jobs.append(Job(each.source, target, each.problem))
        if self.shard is None:
            return jobs
        index, count = self.shard
        return sorted(jobs, key=lambda job: job.source)[index - 1 :: count]

    def _check(self) -> None:
        """Wrong usage if options contradict each other."""
        if STANDARD in self.inputs and (len(self.inputs) > 1 or self.recursive):
            raise click.UsageError("- stands for standard input, and has to be the only input.")
        if self.inputs == (STANDARD,) and sys.stdin is not None and sys.stdin.isatty():
            raise click.UsageError("standard input is a terminal: redirect a file to it.")
        if self.output is not None and self.directory is not None:
            raise click.UsageError("-o names a file and -d a folder: give one of them.")
        if self.force and self.skip_existing:
            raise click.UsageError("--force replaces what --skip-existing keeps: give one of them.")
        if self.to_standard_output:
            if self.as_json:
                raise click.UsageError("--json and the output cannot both go to standard output.")
            if sys.stdout is not None and sys.stdout.isatty() and not self.force:
                raise click.UsageError("standard output is a terminal: give -o FILE, or --force.")

    def _output(self) -> str | None:
        """The output, if it is named."""
        if self.output is None and self.directory is None and self.inputs == (STANDARD,):
            return STANDARD
        return self.output

    def _target(self, found: Found, suffix: str) -> str:
        """Where the output of an input goes, as text."""
        if (output := self._output()) is not None:
            return str(place(output))
        name = found.relative.name
        kept = name if self.keep_suffix else PurePath(name).stem
        # a.png.rdae, as --keep-suffix calls it, becomes a.png again.
        named = kept if name == f"{kept}{SUFFIX}" and kept.endswith(suffix) else kept + suffix
        if found.source == STANDARD:
            named = "stdin" + suffix
        if self.directory is None:
            source = place(found.source)
            if isinstance(source, File):
                return str(File(source.path.parent / named))
            return f"{found.source.rpartition('/')[0]}/{named}"
        if is_url(self.directory):
            return f"{self.directory.rstrip('/')}/{PurePosixPath(*found.relative.parts[:-1], named)}"
        return str(File(Path(without_scheme(self.directory)) / found.relative.parent / named))

    def _expand(self, text: str, suffixes: Collection[str]) -> Iterator[Found]:
        """The inputs that an argument means."""
        if text == STANDARD:
            yield Found(text, PurePath(text))
            return
        try:
            found = list((self._from_url if is_url(text) else self._from_path)(text, suffixes))
        except (RdaeError, OSError) as error:
            found = [Found(text, PurePath(text), describe(error, text))]
        yield from found

    def _from_path(self, text: str, suffixes: Collection[str]) -> Iterator[Found]:
        path = Path(without_scheme(text))
        if path.is_dir():
            if not self.recursive:
                yield Found(str(path), PurePath(path.name), "Is a directory; -r takes what is in it")
                return
            inside = list(_below(path, suffixes))
            yield from inside or [Found(str(path), PurePath(path.name), _nothing_in(suffixes))]
        elif glob.has_magic(text) and not os.path.lexists(path):
            hits = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - patterns may be absolute
            if not hits:
                yield Found(text, PurePath(text), "no file has such a name")
            for hit in hits:
                if self.recursive or not Path(hit).is_dir():
                    yield from self._from_path(hit, suffixes)
        else:
            yield Found(str(File(path)), PurePath(path.name))

    def _from_url(self, url: str, suffixes: Collection[str]) -> Iterator[Found]:
        if self.recursive and is_folder(url):
            inside = [(each, path) for each, path in below(url) if _is_wanted(path, suffixes)]
            if not inside:
                yield Found(url, PurePosixPath(url), _nothing_in(suffixes))
            yield from (Found(each, path) for each, path in inside)
        elif re.search(r"[*[]", url):  # a question mark begins the query of a URL
            hits = matching(url)
            if not hits:
                yield Found(url, PurePosixPath(url), "no object has such a name")
            yield from (Found(hit, PurePosixPath(PurePosixPath(hit).name)) for hit in hits)
        else:
            yield Found(url, PurePosixPath(PurePosixPath(url).name))

    def _before(self, sources: Sources, job: Job) -> Done | Job:
        """How a job ends without any work, if it does, else the job."""
        if job.problem:
            return Done(job, error=job.problem)
        if not job.target:
            return job
        try:
            target = place(job.target)
            if self.skip_existing and target.is_there():
                return Done(job, skipped=True)
            # Only what is there can be an input too, so that most runs need not look at all their inputs first.
            known = sources.identities if target.is_there() else frozenset[Identity | str]()
            target.check(force=self.force, sources=known)
        except OutputExistsError as error:
            if job.source == job.target:  # then it is not the kind of file that is expected, most likely
                return dataclasses.replace(job, blocked=str(error))
            return Done(job, error=str(error))
        except (RdaeError, OSError) as error:
            return Done(job, error=describe(error, job.source))
        return job


class Sources:
    """All inputs, which no output may replace."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts

    @functools.cached_property
    def identities(self) -> frozenset[Identity | str]:
        """What tells them apart from all other places."""
        return frozenset().union(*(place(text).identity() for text in self._texts))


def _is_wanted(path: PurePath, suffixes: Collection[str]) -> bool:
    return path.suffix.lower() in suffixes and not any(part.startswith(".") for part in path.parts)


def _below(folder: Path, suffixes: Collection[str]) -> Iterator[Found]:
    """Files with one of the suffixes, in order; hidden ones, pipes, and folders by a link are left out."""
    unreadable: list[OSError] = []
    found = []
    for at, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(at, name) for name in names if _is_wanted(PurePath(name), suffixes)]
    yield from (Found(str(path), path.relative_to(folder)) for path in sorted(found) if path.is_file())
    for error in unreadable:
        yield Found(str(error.filename), PurePath(str(error.filename)), describe(error, error.filename))


def _nothing_in(suffixes: Collection[str]) -> str:
    return f"nothing in it ends in {', '.join(sorted(suffixes))}"


def many_files(*, outputs: bool) -> Callable[[Decorated], Callable[..., Any]]:
    """Give a command what it takes to make a Request, which it gets as `request`, and `weights` and `device`."""

    def decorate(command: Decorated) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_request(**values: Any) -> Any:
            own = {each.name: values.pop(each.name) for each in fields(Request) if each.name in values}
            return command(request=Request(**own), **values)

        decorated: Callable[..., Any] = with_request
        for option in reversed([*_INPUTS, *(_OUTPUTS if outputs else ()), *_MANNER]):
            decorated = option(decorated)
        return decorated

    return decorate


_INPUTS = (
    click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=PlaceType()),
    click.option("-r", "--recursive", is_flag=True, help="Take what is in the folders among the inputs."),
)
_OUTPUTS = (
    click.option(
        "-o", "--output", type=PlaceType(), help="The output, of a single input; - is standard output."
    ),
    click.option(
        "-d",
        "--directory",
        type=PlaceType(),
        help="A folder for the outputs, made if need be; what was found in a folder goes as deep in this one.  "
        "[default: beside each input]",
    ),
    click.option("-f", "--force", is_flag=True, help="Replace outputs that exist."),
    click.option("--skip-existing", is_flag=True, help="Leave out inputs whose outputs exist."),
)
_MANNER = (
    click.option(
        "-j",
        "--jobs",
        "workers",
        type=click.IntRange(0),
        callback=lambda _context, _option, value: processors() if value == 0 else value,
        help="Work in this many processes of one thread each; 0: one for each processor.  "
        "[default: in this one, with as many threads as torch likes]",
    ),
    click.option(
        "--shard",
        type=ShardType(),
        help="Do only part I of N of the inputs, I from 1 to N, as one of N machines would.",
    ),
    click.option(
        "--model",
        "weights",
        metavar="NAME|PATH",
        type=click.Path(),
        help=f"{MODEL_HELP}  [default: rdae-base to compress, else the one that the file names]",
    ),
    device_option,
    click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each file, a line each."),
    click.option(
        "-v", "--verbose", is_flag=True, help="Print model, quality and the seconds of each stage too."
    ),
    click.option("--quiet", is_flag=True, help="Print errors only."),
)


def finite(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    """A callback that refuses "nan"."""
    if value is not None and math.isnan(value):  # no comparison holds for it, so the range lets it through
        raise click.BadParameter("not a number.")
    return value
