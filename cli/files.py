"""What compress and decompress share: which file goes where, and going on past those that fail."""

import math
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rdae import container, registry
from rdae.errors import RdaeError, WeightsError

from .report import Failure, complain, describe, one_line

if TYPE_CHECKING:
    from rdae.api import Model

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def finite(_context: click.Context, _option: click.Parameter, value: float) -> float:
    """A callback that refuses "nan"."""
    if math.isnan(value):  # no comparison holds for it, so the range lets it through
        raise click.BadParameter("not a number.")
    return value


def file_options(command: Decorated) -> Decorated:
    """The arguments and options that both commands have."""
    for decorate in reversed(
        (
            click.argument(
                "inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path)
            ),
            click.option(
                "-o", "--output", type=click.Path(path_type=Path), help="The output file, of a single input."
            ),
            click.option(
                "-d",
                "--directory",
                type=click.Path(path_type=Path, file_okay=False),
                help="A folder for the outputs, made if need be.  [default: beside each input]",
            ),
            click.option("-f", "--force", is_flag=True, help="Replace outputs that exist."),
            click.option(
                "--model",
                "weights",
                metavar="NAME|PATH",
                type=click.Path(path_type=Path),
                help="An installed model's name (see rdae models) or a weights file.  [default: compress: rdae-base; "
                "decompress: the one that the file names]",
            ),
            click.option("--quiet", is_flag=True, help="Print errors only."),
        )
    ):
        command = decorate(command)
    return command


def plan(
    inputs: tuple[Path, ...], output: Path | None, directory: Path | None, suffix: str
) -> list[tuple[Path, Path]]:
    """Each input with its output. Wrong usage if two would go to one file, or -o is given for several."""
    if output is not None and directory is not None:
        raise click.UsageError("-o names a file and -d a folder: give one of them.")
    if output is not None:
        if len(inputs) > 1:
            raise click.UsageError("-o names one file, but there are several inputs; -d names a folder.")
        return [(inputs[0], output)]
    pairs: dict[Path, Path] = {}
    for source in inputs:
        target = (directory or source.parent) / (source.stem + suffix)
        if target in pairs:
            raise click.UsageError(f"{pairs[target]} and {source} would both go to {target}.")
        pairs[target] = source
    return [(source, target) for target, source in pairs.items()]


def run(pairs: list[tuple[Path, Path]], work: Callable[[Path, Path], str], *, quiet: bool) -> None:
    """Call work(source, target) for each pair and print the line it returns; exit status 1 if any failed."""
    failed = False
    for source, target in pairs:
        try:
            line = work(source, target)
        except (RdaeError, OSError) as error:  # noqa: PERF203 - one bad file must not stop the others
            complain(str(source), describe(error, source))
            failed = True
        else:
            if not quiet:
                click.echo(f"{one_line(f'{source} -> {target}')}  {line}", err=True)
    if failed:
        sys.exit(1)


class LazyModel:
    """The models of a command, each opened with the first file that needs it: errors that need none come first."""

    def __init__(self, weights: Path | None) -> None:
        self._weights = weights
        self._by_id: dict[bytes, Model] = {}

    @cached_property
    def opened(self) -> "Model":
        """The model that was asked for, or the default; Failure, which ends the command, if it cannot be had."""
        import rdae

        try:
            return rdae.open_model(self._weights)
        except (RdaeError, OSError) as error:
            message = describe(error, self._weights)
            if self._weights is not None and str(self._weights) not in message:
                message = f"{self._weights}: {message}"
            raise Failure(message) from error

    def for_file(self, data: bytes) -> "Model":
        """The model that the bytes of an .rdae file name, of all that are installed, unless one was asked for.

        WeightsError if there is none, or if the one that was asked for is another.
        """
        import rdae

        needed = container.parse(data, max_pixels=None).header.model
        if self._weights is None:
            if needed not in self._by_id:
                self._by_id[needed] = rdae.open_model(registry.find_by_id(needed))
            return self._by_id[needed]
        if self.opened.model_id != needed:
            known = registry.name_of(needed)
            hint = f" ({known}, which is installed)" if known else ""
            raise WeightsError(
                f"needs model {needed.hex()}{hint}, but {self.opened.name} is {self.opened.model_id.hex()}"
            )
        return self.opened
