"""rdae train: from pictures to a trained run, which `rdae export` freezes."""

from __future__ import annotations

import dataclasses
import math
import signal
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from rdae.architecture import Architecture
from rdae.errors import TrainingError
from rdae.quality import BETA_DECADES, BETA_MIN, MAX_INDEX, from_index, to_index
from rdae.training.config import TrainingConfig

from .progress import PassingLine

if TYPE_CHECKING:
    from rdae.training.trainer import Trainer

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

DEFAULT = {field.name: field.default for field in dataclasses.fields(TrainingConfig)}

# Options that change nothing but where and how long a run is trained: these may be given when one is resumed.
WITH_RESUME = {"data", "run", "validation", "hours", "steps", "device", "threads", "resume", "quiet"}


def setting(flag: str, help_text: str, kind: Any = float) -> Callable[[Decorated], Decorated]:
    """An option that sets the field of the same name of TrainingConfig."""
    name = flag.removeprefix("--").replace("-", "_")
    return click.option(flag, name, type=kind, default=DEFAULT[name], show_default=True, help=help_text)


@click.command()
@click.argument("data", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--run", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the run."
)
@click.option("--validation", multiple=True, type=click.Path(path_type=Path), help="Held-out pictures, like DATA.")
@click.option("--hours", type=click.FloatRange(0, min_open=True), help="Train until this much time was spent.")
@click.option("--steps", type=click.IntRange(1), help="Train until this many steps were made.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, …")
@setting("--precision", "Of the networks; the rest is float32.", click.Choice(["float32", "bf16"]))
@click.option("--quality", type=float, nargs=2, metavar="LOW HIGH", help="Train for these qualities only.")
@click.option("--beta", type=float, help="Train for one trade-off only: bpp + BETA * MSE, 0.0004 to 0.4.")
@click.option(
    "--init", type=click.Path(path_type=Path), metavar="WEIGHTS", help="Start from an exported weights file."
)
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint, with its settings.")
@click.option("-f", "--force", is_flag=True, help="Begin anew in a folder that holds a run.")
@click.option(
    "--architecture",
    metavar="NAME=N,…",
    help="Sizes that differ from the default's, or from those of --init: latents=320,synthesis_fine=4.",
)
@setting("--batch", "Crops a step.", int)
@setting("--crop", "Their side in pixels, a multiple of 64.", int)
@setting("--matrix-rate", "Learning rate of Muon, for the matrices.")
@setting("--matrix-decay", "Weight decay of the matrices.")
@setting("--rate", "Learning rate of Adam, for most else.")
@setting("--projection-rate", "Learning rate of Adam, for the maps that start as a DCT.")
@setting("--warmup-steps", "Steps in which the learning rates rise.", int)
@setting("--decay", "Share of the budget, at its end, in which they fall.")
@setting("--average", "Decay of the moving average of the weights.")
@setting("--clip", "Largest norm of the gradient.")
@setting("--loss-power", "A crop's loss counts β to the power of minus this.")
@setting("--exact-phase", "Share of the budget, at its end, with the prior rounded as in files.")
@setting("--seed", "Of crops, qualities and noise.", int)
@setting("--log-every", "Steps.", click.IntRange(1))
@setting("--checkpoint-every", "Steps.", click.IntRange(1))
@setting("--validate-every", "Steps.", click.IntRange(1))
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: torch's choice]")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def train(
    context: click.Context,
    /,
    *,
    data: tuple[Path, ...],
    run: Path,
    validation: tuple[Path, ...],
    hours: float | None,
    steps: int | None,
    device: str,
    quality: tuple[float, float] | None,
    beta: float | None,
    init: Path | None,
    resume: bool,
    force: bool,
    architecture: str | None,
    threads: int | None,
    quiet: bool,
    **settings: Any,
) -> None:
    """Train a model on DATA: folders of pictures, or tar shards of them.

    The run's folder gets a checkpoint, from which --resume goes on after a kill at any moment, and metrics.jsonl.
    With --resume, --hours or --steps set a new budget for the whole run, what was spent included, and DATA says
    where the pictures are now.  Ctrl-C writes a checkpoint first.
    """
    if hours is not None and steps is not None:
        raise click.UsageError("--hours and --steps both set the budget: give one of them.")
    if resume:
        _refuse_new_settings(context)
    else:
        if hours is None and steps is None:
            raise click.UsageError("Give a budget: --hours or --steps.")
        if not data:
            raise click.UsageError("Missing argument 'DATA...'.")
        if quality is not None and beta is not None:
            raise click.UsageError("--quality and --beta both choose the trade-off: give one of them.")

    from rdae.training import checkpoint

    if not resume and not force and (run / checkpoint.NAME).exists():
        raise TrainingError(f"{run}: holds a run already; --resume goes on with it, --force begins anew")

    import torch

    from rdae.training import compressai_models, imports
    from rdae.training.trainer import Trainer

    compressai_models.entropy_models()  # one line at once if it is missing, not after minutes of decoding
    if threads is not None:
        torch.set_num_threads(threads)
    start = None
    if resume:
        config = checkpoint.config(run, checkpoint.load(run))
    else:
        if init is not None:
            start = imports.read(init)
        low, high = _range(quality, beta)
        settings |= {"quality_low": low, "quality_high": high}
        settings["architecture"] = _architecture(architecture, start.architecture if start else Architecture())
        config = _checked(TrainingConfig, data=tuple(map(str, data)), steps=steps, hours=hours, **settings)
    where = {"data": data, "validation": validation}
    changed: dict[str, Any] = {name: tuple(map(str, paths)) for name, paths in where.items() if paths}
    if hours is not None or steps is not None:
        changed |= {"hours": hours, "steps": steps}
    config = _checked(dataclasses.replace, config, **changed)

    lines = Lines(quiet=quiet)
    trainer = Trainer(config, run, device, report=lines)
    if resume:
        trainer.resume()
        if trainer.progress() >= 1:
            lines(f"{run}: the budget is used up; --hours or --steps with --resume sets a larger one", False)
    elif start is not None:
        trainer.start_from(start.state, start.pixels)
    if force:
        checkpoint.clear(run)
    lines(_greeting(trainer), False)
    _train(trainer, lines)


def _train(trainer: Trainer, lines: Lines) -> None:
    """Train; a first Ctrl-C or SIGTERM writes a checkpoint and ends with status 130 or 143, a second one ends."""
    received: list[int] = []

    def ask_to_stop(number: int, _frame: types.FrameType | None) -> None:
        received.append(number)
        trainer.stop()
        for each in before:
            signal.signal(each, signal.SIG_DFL)

    before = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        trainer.train()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        lines.close()
    if received:
        lines(f"stopped at step {trainer.step}; --resume goes on from here", False)
        sys.exit(128 + received[0])


def _refuse_new_settings(context: click.Context) -> None:
    """Wrong usage if an option is given that a resumed run cannot change."""
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in WITH_RESUME and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[-1]} cannot be changed when a run is resumed.")


def _range(quality: tuple[float, float] | None, beta: float | None) -> tuple[int, int]:
    """The quality indices to train for, both ends included."""
    if beta is not None:
        if not (math.isfinite(beta) and beta > 0):
            raise click.BadParameter(f"{beta}, expected 0.0004 to 0.4", param_hint="--beta")
        index = round(MAX_INDEX * math.log10(beta / BETA_MIN) / BETA_DECADES)
        if not 0 <= index <= MAX_INDEX:
            raise click.BadParameter(f"{beta}, expected 0.0004 to 0.4", param_hint="--beta")
        return index, index
    try:
        low, high = (to_index(value) for value in quality or (0.0, 100.0))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--quality") from error
    if low > high:
        raise click.BadParameter(f"{from_index(low)} is above {from_index(high)}", param_hint="--quality")
    return low, high


def _architecture(text: str | None, base: Architecture) -> Architecture:
    """`base` with the sizes that `text` names."""
    sizes = base.to_dict()
    for part in (text or "").replace(" ", "").split(","):
        name, _, value = part.partition("=")
        if part and (name not in sizes or not value.isdecimal()):
            raise click.BadParameter(
                f"{part!r}, expected NAME=NUMBER with a name of {', '.join(sizes)}", param_hint="--architecture"
            )
        if part:
            sizes[name] = int(value)
    checked: Architecture = _checked(Architecture, **sizes)
    return checked


def _checked(make: Any, *positional: Any, **values: Any) -> Any:
    """Build a dataclass that checks its fields; what it finds wrong is wrong usage."""
    try:
        return make(*positional, **values)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def _greeting(trainer: Trainer) -> str:
    pictures = trainer.pictures
    millions = sum(parameter.numel() for parameter in trainer.model.parameters()) / 1e6
    skipped = f", {len(pictures.skipped)} skipped, such as {pictures.skipped[0]}" if pictures.skipped else ""
    return (
        f"{len(pictures.names)} pictures, {pictures.pixels / 1e6:.1f} Mpx{skipped}; "
        f"{millions:.2f} M weights on {trainer.device}; from step {trainer.step}"
    )


class Lines:
    """Reports on stderr; in a log few of the passing ones appear, as metrics.jsonl has all."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._line = PassingLine()

    def __call__(self, line: str, passing: bool) -> None:
        """Show a line; `passing`: the next one may overwrite it."""
        if self._quiet:
            return
        if passing:
            self._line.passing(line)
        else:
            self._line.lasting(line)

    def close(self) -> None:
        """End a passing line."""
        self._line.close()
