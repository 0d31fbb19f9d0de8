"""The options that compress, decompress and verify share, and what they do with many files: run, tell, exit status."""

from __future__ import annotations

import contextlib
import functools
import re
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import click

from rdae.batch import Facts, Task, Watch, find_inputs, plan_jobs, run, shard
from rdae.processors import available_processors
from rdae.storage.locations import STANDARD
from rdae.storage.names import names_folder

from .options import MODEL_HELP, THREADS_DEFAULT, LocationType, device_option, threads_option
from .outcomes import OutcomePrinter
from .progress import JobLine, PassingLine
from .signals import Interruption

ONE_FILE_AFTER_S, OF_MANY_AFTER_S = 1.0, 5.0

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


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
    processes: int | None
    threads: int | None
    as_json: bool
    quiet: bool
    verbose: bool
    output: str | None = None
    directory: str | None = None
    force: bool = False
    skip_existing: bool = False
    keep_suffix: bool = False
    keep_time: bool = False

    @property
    def threads_each(self) -> int | None:
        """How many threads compute in each process; None: as many as it may have processors."""
        if self.threads is None and self.processes is not None:
            return 1
        return self.threads

    @property
    def alone(self) -> bool:
        """Whether this process does the work."""
        return (self.processes or 1) == 1

    @property
    def to_standard_output(self) -> bool:
        """Whether the output goes there, as it does without -o when the input is standard input."""
        return self._places()[0] == STANDARD

    @property
    def names_output(self) -> bool:
        """Whether the output has a name of its own, whose end says what it is."""
        return self._places()[0] is not None

    def watch(self, interruption: Interruption | None = None) -> Watch | None:
        """What shows on a terminal how far the work on a file is, and ends a search after an interruption.

        Of several files, which have a bar that counts them, it does so for those that take long.
        """
        draw = PassingLine().terminal and not (self.quiet or self.as_json)
        if not self.alone or not (draw or interruption):
            return None
        one = len(self.inputs) == 1 and not self.recursive
        after_s = ONE_FILE_AFTER_S if one else OF_MANY_AFTER_S
        return functools.partial(JobLine, interruption=interruption, draw=draw, after_s=after_s)

    def run(
        self,
        task: Task,
        suffixes: Collection[str],
        output_suffix: str | None,
        words: Callable[[Facts], str],
        epilogue: Callable[[Sequence[str]], str] = lambda _left_out: "",
    ) -> None:
        """Do the task with all inputs of this shard and tell of it; exit status 1 if any failed.

        suffixes: what is taken from folders; output_suffix: of outputs that are not named, None if there are none.
        words: what is printed of a file that was done. epilogue: makes a last line, or none, of the files in these
        folders that were not taken.
        """
        self._check(outputs=output_suffix is not None)
        left_out: list[str] = []
        inputs = find_inputs(self.inputs, suffixes, recursive=self.recursive, left_out=left_out.append)
        output, directory = self._places()
        if output is not None and len(inputs) > 1:
            raise click.UsageError("-o names one file, but there are several inputs; -d names a folder.")
        try:
            jobs = plan_jobs(
                inputs,
                output_suffix,
                output=None if output_suffix is None else output,
                directory=directory,
                keep_suffix=self.keep_suffix,
                force=self.force,
            )
        except ValueError as error:
            raise click.UsageError(f"{error}.") from error
        if self.shard is not None:
            jobs = shard(jobs, *self.shard)
        printer = OutcomePrinter(
            words, len(jobs), as_json=self.as_json, quiet=self.quiet, verbose=self.verbose
        )
        outcomes = run(
            task,
            jobs,
            processes=self.processes or 1,
            skip_existing=self.skip_existing,
            inputs=[each.location for each in inputs],
            idle=printer.tick,
        )
        try:
            # Closed here, not when it is collected: processes end before anything else is said.
            with contextlib.closing(outcomes):
                for outcome in outcomes:
                    printer.show(outcome)
        except KeyboardInterrupt:
            if printer.interrupted(outputs=output_suffix is not None, force=self.force):
                sys.exit(128 + signal.SIGINT)  # all is said
            raise
        finally:
            printer.close()
        printer.summary(epilogue(left_out))
        if printer.failed:
            sys.exit(1)

    def _check(self, *, outputs: bool) -> None:
        """Wrong usage if options contradict each other; outputs: some are made."""
        if STANDARD in self.inputs and (len(self.inputs) > 1 or self.recursive):
            raise click.UsageError("- stands for standard input, and has to be the only input.")
        if self.inputs == (STANDARD,) and sys.stdin is not None and sys.stdin.isatty():
            raise click.UsageError("standard input is a terminal: redirect a file to it.")
        if self.output is not None and self.directory is not None:
            raise click.UsageError("-o names a file and -d a folder: give one of them.")
        if self.force and self.skip_existing:
            raise click.UsageError("--force replaces what --skip-existing keeps: give one of them.")
        if outputs and self.to_standard_output:
            if self.as_json:
                raise click.UsageError("--json and the output cannot both go to standard output.")
            if sys.stdout is not None and sys.stdout.isatty() and not self.force:
                raise click.UsageError("standard output is a terminal: give -o FILE, or --force.")

    def _places(self) -> tuple[str | None, str | None]:
        """The output, if it is named, and the folder for outputs, if one is: -o names either."""
        if self.output is not None and names_folder(self.output):
            return None, self.output
        if self.output is None and self.directory is None and self.inputs == (STANDARD,):
            return STANDARD, None
        return self.output, self.directory


def many_files(*, outputs: bool) -> Callable[[Decorated], Callable[..., Any]]:
    """Give a command what it takes to make a Request, which it gets as `request`, and `model` and `device`."""

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
    click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=LocationType()),
    click.option("-r", "--recursive", is_flag=True, help="Take what is in the folders among the inputs."),
)
_OUTPUTS = (
    click.option(
        "-o",
        "--output",
        type=LocationType(),
        help="The output, of a single input, in a folder that is there; - is standard output.  A folder, or a name "
        "that ends in /, means the same as with -d.",
    ),
    click.option(
        "-d",
        "--directory",
        type=LocationType(),
        help="A folder for the outputs, made if need be; what was found in a folder or by a pattern goes as deep in "
        "this one.  [default: beside each input]",
    ),
    click.option(
        "-f",
        "--force",
        is_flag=True,
        help="Replace outputs that exist.  A decoded picture that -o does not name replaces only what rdae wrote: what "
        "is there may be the original.",
    ),
    click.option("--skip-existing", is_flag=True, help="Leave out inputs whose outputs exist."),
    click.option("--keep-time", is_flag=True, help="Give outputs the times of their inputs."),
)
_MANNER = (
    click.option(
        "-j",
        "--jobs",
        "processes",
        type=click.IntRange(0),
        callback=lambda _context, _option, value: available_processors() if value == 0 else value,
        help="Work in this many processes of one thread each; 0: one for each processor.  [default: in this one]",
    ),
    threads_option(f"Threads that compute, of each process.  {THREADS_DEFAULT}, one with -j"),
    click.option(
        "--shard",
        type=ShardType(),
        help="Do only part I of N of the inputs, I from 1 to N, as one of N machines would.",
    ),
    click.option(
        "--model",
        metavar="NAME|PATH",
        type=click.Path(),
        help=f"{MODEL_HELP}  [default: as --tune says to compress, else the one that the file names]",
    ),
    device_option,
    click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each file, a line each."),
    click.option(
        "-v", "--verbose", is_flag=True, help="Print model, quality and the seconds of each stage too."
    ),
    click.option("--quiet", is_flag=True, help="Print errors only."),
)
