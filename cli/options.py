"""Options that several commands have, and callbacks of click's that check numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rdae.effort import DEFAULT_EFFORT, MAX_EFFORT
from rdae.networks import devices, registry
from rdae.processors import MAX_THREADS

MODEL_HELP = "An installed model's name (see rdae models) or a weights file."
MODEL_DEFAULT = "[default: as --tune says]"
FARTHEST = 1e9
"""Ends of an axis lie within: a figure does not get further, and nothing that is drawn here comes near."""
THREADS_DEFAULT = "[default: as many as this process may have processors]"


class LocationType(click.ParamType):  # type: ignore[type-arg]
    """A path, a URL, or - : text, which shells complete as a file."""

    name = "path"

    def convert(self, value: str, param: click.Parameter | None, context: click.Context | None) -> str:
        """Refuse an empty text, which would mean the current folder: most likely it is a variable that was not set."""
        if not value:
            self.fail("an empty name, expected that of a file or a folder.", param, context)
        return value

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> Any:
        """Leave it to the shell."""
        return click.Path().shell_complete(context, param, incomplete)


def tune_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option of all that choose a model to compress with: `tune`, one of registry.TUNES or None."""
    return click.option(
        "--tune",
        type=click.Choice(list(registry.TUNES)),
        help="Which of the published models: the one best in PSNR, or best for the eye. Without --model.  "
        f"[default: {registry.DEFAULT_TUNE}]",
    )(command)


def one_of_model_and_tune(model: object, tune: object) -> None:
    """Wrong usage if both are given."""
    if model is not None and tune is not None:
        raise click.UsageError("Give only one of --model and --tune.")


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that run one model: `model`, a name or the path of weights, or None, by --tune too."""

    @functools.wraps(command)
    def with_model(*, model: Path | None, tune: str | None, **values: Any) -> Any:
        one_of_model_and_tune(model, tune)
        return command(model=model if tune is None else registry.tuned_path(tune), **values)

    option = click.option(
        "--model", metavar="NAME|PATH", type=click.Path(path_type=Path), help=f"{MODEL_HELP}  {MODEL_DEFAULT}"
    )
    return option(tune_option(with_model))


def device_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option of all that run a model: `device`."""
    return click.option(
        "--device",
        metavar="NAME",
        envvar=devices.VARIABLE,
        show_envvar=True,
        callback=_device_name,
        help="cpu, cuda, or cuda:1 and so on: where the networks run. Files decode to the same latents on each.  "
        "[default: cpu]",
    )(command)


def _device_name(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not devices.NAMES.fullmatch(value):
        raise click.BadParameter(f"{value!r}, expected cpu, cuda, or cuda:1 and so on.")
    return value


def threads_option(
    text: str = f"Threads that compute.  {THREADS_DEFAULT}",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option of all that compute: `threads`, a number or None.  text: its help."""
    return click.option("--threads", type=click.IntRange(1, MAX_THREADS), help=text)


def effort_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option of commands that make files: `effort`, from 0 to 9.  text: its help."""
    return click.option(
        "-e",
        "--effort",
        type=click.IntRange(0, MAX_EFFORT),
        default=DEFAULT_EFFORT,
        show_default=True,
        help=text,
    )


def finite(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    """A callback that refuses "nan"."""
    if value is not None and math.isnan(value):  # no comparison holds for it, so the range lets it through
        raise click.BadParameter("not a number.")
    return value


def limits(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> tuple[float, float] | None:
    """A callback for two finite numbers, the lower one first: "0.1,2"; None stays None."""
    if value is None:
        return None
    try:
        low, high = map(float, value.split(","))
    except ValueError:
        low = high = math.nan
    if not (-FARTHEST < low < high < FARTHEST):
        raise click.BadParameter(f"{value!r}, expected two rising numbers such as 0.1,2")
    return low, high


def qualities(_context: click.Context, _option: click.Parameter, value: str) -> list[float]:
    """A callback for numbers from 0 to 100, each once, rising: "20,50,80"."""
    try:
        values = sorted({float(part) for part in value.split(",") if part.strip()})
    except ValueError:
        values = []
    if not values or not all(0 <= number <= 100 for number in values):
        raise click.BadParameter(f"{value!r}, expected numbers from 0 to 100 such as 20,50,80")
    return values
