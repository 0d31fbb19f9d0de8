"""rdae train: from pictures to a trained run, which `rdae export` freezes."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import signal
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from rdae.errors import TrainingError
from rdae.networks.architecture import Architecture
from rdae.training import settings as from_text
from rdae.training.config import OBJECTIVES, PARTS, TrainingConfig
from rdae.training.numbers import three_digits

from .options import threads_option
from .progress import PassingLine

if TYPE_CHECKING:
    from rdae.training.trainer import Trainer

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

WORKERS = "Processes that decode pictures; 0 for threads."

DEFAULT = {field.name: field.default for field in dataclasses.fields(TrainingConfig)}

# Options that change nothing but where and how long a run is trained: these may be given when one is resumed.
WITH_RESUME = {"data", "run", "validation", "hours", "steps", "device", "threads", "resume", "quiet"}
WITH_RESUME |= {"workers", "compiled", "tensorboard"}

# Options that choose what counts in the distortion of one objective.
OF_SSIMULACRA2 = ("mse_share", "luma_share", "ms_ssim_share", "ms_ssim_k2")

LAST, AUTO, CONSTANT = "last", "auto", "constant"


def setting(flag: str, help_text: str, kind: Any = float) -> Callable[[Decorated], Decorated]:
    """An option that sets the field of the same name of TrainingConfig."""
    name = flag.removeprefix("--").replace("-", "_")
    return click.option(flag, name, type=kind, default=DEFAULT[name], show_default=True, help=help_text)


def shares(flag: str, help_text: str) -> Callable[[Decorated], Decorated]:
    """A setting that is a share at quality 0, another at 50 to 80, and one at 100."""
    default = DEFAULT[flag.strip("-").replace("-", "_")]
    kind = click.FloatRange(0, 1)
    return click.option(
        flag, type=kind, nargs=3, default=default, show_default=True, metavar="LOW HIGH TOP", help=help_text
    )


@click.command()
@click.argument("data", nargs=-1)
# torchrun takes --run for an abbreviation of its own --run-path, wherever it stands: hence -o.
@click.option("-o", "--run", type=click.Path(path_type=Path, file_okay=False), help="Folder of the run.")
@click.option("--validation", multiple=True, metavar="DATA", help="Held-out pictures, like DATA.")
@click.option(
    "--hours", type=click.FloatRange(0, min_open=True), help="Train until this much time was spent."
)
@click.option("--steps", type=click.IntRange(1), help="Train until this many steps were made.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, …")
@click.option("--compile", "compiled", is_flag=True, help="Let torch.compile make the passes; pays on GPUs.")
@click.option("--workers", type=click.IntRange(0), default=0, show_default=True, help=WORKERS)
@setting("--precision", "Of the networks; the rest is float32.", click.Choice(["float32", "bf16"]))
@click.option("--quality", type=float, nargs=2, metavar="LOW HIGH", help="Train for these qualities only.")
@click.option("--beta", type=float, help="Train for one trade-off only: bpp + BETA * MSE, 0.0004 to 0.4.")
@setting("--objective", "The distortion in the loss.", click.Choice(list(OBJECTIVES)))
@shares("--mse-share", "Of the distortion by ssimulacra2, the MSE's share at quality 0, 50 to 80, and 100.")
@shares("--luma-share", "Of that MSE, the share of luma alone, at the same qualities.")
@setting(
    "--ms-ssim-share",
    "Of the rest, MS-SSIM's share from quality 60 on; none up to 40.",
    click.FloatRange(0, 1),
)
@setting("--ms-ssim-k2", "K2 of that MS-SSIM: with less, fainter texture counts.", click.FloatRange(0.001, 1))
@click.option("--only", metavar="PART,…", help=f"Train these alone, of {', '.join(PARTS)}; the rest stays.")
@click.option("--rounded", is_flag=True, help="Train on truly rounded latents, without noise.")
@click.option(
    "--init",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="WEIGHTS",
    help="Start from an exported weights file; given several times, from the mean of the files.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value=LAST,
    type=click.Choice([LAST, AUTO, CONSTANT]),
    help="Go on from the run's last sound checkpoint, with its settings. auto: begin if there is none. "
    "constant: from where the learning rate began to fall.  [without a value: last]",
)
@click.option("-f", "--force", is_flag=True, help="Begin anew in a folder that holds a run.")
@click.option(
    "--architecture",
    metavar="NAME=N,…",
    help="Sizes that differ from the default's, or from those of --init: latents=320,synthesis_fine=4.",
)
@setting("--batch", "Crops a step.", int)
@click.option(
    "--crop",
    default=str(DEFAULT["crop"]),
    show_default=True,
    metavar="SIDE",
    help="Their side in pixels, a multiple of 64; 128:0.3,192:0.6,256 to use 128 until 0.3 of the budget, and so on.",
)
@click.option(
    "--weight",
    "weight",
    multiple=True,
    metavar="PATTERN=W",
    help="Draw pictures whose name matches W times as often; the first that matches counts.",
)
@setting("--reduce", "Share of the crops that are cut from pictures halved in size.")
@click.option(
    "--stream",
    type=click.FloatRange(0, min_open=True),
    metavar="MPX",
    help="Hold so many megapixels at a time, of more pictures than fit into memory.  [default: hold all]",
)
@setting("--reuse", "Times its own pixels that a streamed picture gives in crops.")
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
@threads_option("CPU threads.  [default: as many as the process may use]")
@click.option("--tensorboard", is_flag=True, help="Log for TensorBoard too, in the run's folder.")
@click.option("--profile", is_flag=True, help="Measure the speed of some steps instead of training.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def train(
    context: click.Context,
    /,
    *,
    data: tuple[str, ...],
    run: Path | None,
    validation: tuple[str, ...],
    hours: float | None,
    steps: int | None,
    device: str,
    compiled: bool,
    workers: int,
    quality: tuple[float, float] | None,
    beta: float | None,
    only: str | None,
    init: tuple[Path, ...],
    resume: str | None,
    force: bool,
    architecture: str | None,
    crop: str,
    weight: tuple[str, ...],
    threads: int | None,
    tensorboard: bool,
    profile: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Train a model on DATA: folders of pictures, tar shards of them, URLs of shards, or @LIST, a file with these.

    The run's folder gets a checkpoint, from which --resume goes on after a kill at any moment, and metrics.jsonl.
    With --resume, --hours or --steps set a new budget for the whole run, what was spent included, and DATA says
    where the pictures are now.  Ctrl-C writes a checkpoint first.

    On several devices: torchrun --nproc-per-node=N -m rdae.training, with the same arguments, but -o for --run.
    """
    if hours is not None and steps is not None:
        raise click.UsageError("--hours and --steps both set the budget: give one of them.")
    if profile:
        steps, hours, run = None, 1.0, run or Path()
    if run is None:
        raise click.UsageError("Missing option '--run'.")
    if resume in (LAST, CONSTANT):
        _refuse_new_settings(context)
    else:
        if hours is None and steps is None:
            raise click.UsageError("Give a budget: --hours or --steps.")
        if not data:
            raise click.UsageError("Missing argument 'DATA...'.")
        if quality is not None and beta is not None:
            raise click.UsageError("--quality and --beta both choose the trade-off: give one of them.")

    from rdae.processors import spin_briefly
    from rdae.training import need_packages

    spin_briefly()
    need_packages("rdae train")
    from rdae.training import checkpoint

    there = checkpoint.exists(run) and not profile
    if resume == AUTO and not there:
        resume = None
    if resume is None:
        _refuse_idle_shares(context)
        if there and not force:
            raise TrainingError(f"{run}: holds a run already; --resume goes on with it, --force begins anew")

    from rdae.training import distributed, weight_averaging
    from rdae.training.precision import use_threads
    from rdae.training.trainer import Trainer

    use_threads(threads)
    start = weight_averaging.read(init) if init else None
    config: TrainingConfig | None = None
    if resume in (None, AUTO):
        with _wrong("--quality" if beta is None else "--beta"):
            low, high = from_text.quality_range(quality, beta)
        with _wrong("--weight"):
            settings["weights"] = from_text.weights(weight)
        with _wrong("--crop"):
            settings |= from_text.crops(crop)
        with _wrong("--architecture"):
            sizes = from_text.sizes(architecture, start.architecture if start else Architecture())
        settings |= {"quality_low": low, "quality_high": high, "only": from_text.parts(only)}
        settings["init"] = start.names if start else ()
        with _wrong():
            settings["architecture"] = Architecture(**sizes)
            config = TrainingConfig(data=data, steps=steps, hours=hours, **settings)
            if resume is None:
                from_text.check_warm_up(config)
    group = distributed.join(device)
    lines = Lines(quiet=quiet or not group.leads)
    state = None
    if resume is not None:
        constant = run / checkpoint.CONSTANT
        state = checkpoint.read(constant) if resume == CONSTANT else checkpoint.load(run, lines)
        saved = checkpoint.config(run, state)
        if config is not None:
            with _wrong():
                from_text.check_same(config, saved)
        config = saved
    assert config is not None
    where = {"data": data, "validation": validation}
    changed: dict[str, Any] = {name: paths for name, paths in where.items() if paths}
    if hours is not None or steps is not None:
        changed |= {"hours": hours, "steps": steps}
    with _wrong():
        config = dataclasses.replace(config, **changed)
    to_tensorboard = _tensorboard(run) if tensorboard and group.leads and not profile else None

    trainer = Trainer(
        config,
        run,
        device,
        report=lines if group.leads else Lines(quiet=quiet),  # each process tells of the shards that it reads
        group=group,
        workers=workers,
        compiled=compiled,
        fresh=state is None,
    )
    if state is not None:
        trainer.resume(state)
        if trainer.progress() >= 1:
            if resume == CONSTANT:
                raise TrainingError(f"{run / checkpoint.CONSTANT}: has spent more than this budget")
            lines(f"{run}: the budget is used up; --hours or --steps with --resume sets a larger one", False)
        if resume == CONSTANT and group.leads:
            trainer.log.keep(trainer.step)
    elif start is not None:
        trainer.start_from(start.state, start.pixels)
    if to_tensorboard is not None:
        trainer.listeners.append(to_tensorboard)
    if force and group.leads and not profile:
        checkpoint.clear(run)
    for pattern in trainer.pictures.unmatched if config.stream is None else ():
        lines(f"--weight {pattern}: matches no picture", False)
    lines(_greeting(trainer), False)
    status = 0
    try:
        if profile:
            _profile(trainer, lines)
        else:
            status = _train(trainer, lines)
    finally:
        trainer.close()
        group.close()
    group.end(status)
    if status:
        sys.exit(status)


@contextlib.contextmanager
def _wrong(option: str | None = None) -> Iterator[None]:
    """Turn what settings say of values that make no sense into wrong usage, of an option if it is one's."""
    try:
        yield
    except ValueError as error:
        if option is None:
            raise click.UsageError(f"{error}.") from error
        raise click.BadParameter(str(error), param_hint=option) from error


def _tensorboard(run: Path) -> Callable[[dict[str, Any]], None]:
    from rdae.training.tensorboard import TensorBoardLog

    return TensorBoardLog(run).write


def _profile(trainer: Trainer, lines: Lines) -> None:
    """Measure and print, one quantity a line."""
    from rdae.training.profile import profile

    found = profile(trainer)
    if trainer.group.leads:
        for line in found.lines():
            click.echo(line)
    lines.close()


def _train(trainer: Trainer, lines: Lines) -> int:
    """Train; return the exit status: after a first Ctrl-C or SIGTERM, which writes a checkpoint, 130 or 143.

    A second one ends at once.  But of several processes each gets the signal of its launcher after that of the terminal
    or the scheduler: they take no second one, as the launcher kills what does not end.
    """
    received: list[int] = []
    begun = trainer.step
    second = signal.SIG_DFL if trainer.group.world == 1 else signal.SIG_IGN

    def ask_to_stop(number: int, _frame: types.FrameType | None) -> None:
        received.append(number)
        trainer.stop()
        for each in before:
            signal.signal(each, second)

    before = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        trainer.train()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        lines.close()
    if received:
        lines(f"stopped at step {trainer.step}; --resume goes on from here", False)
        return 128 + received[0]
    if trainer.warm_up_left and trainer.step > begun:
        lines(
            f"the learning rates were still rising at the end, {trainer.warm_up_left} steps from their height: "
            "a longer run, or a smaller --warmup-steps, trains better",
            False,
        )
    run = shlex.quote(str(trainer.run))
    lines(
        f"{trainer.step} step{'s' if trainer.step > 1 else ''} in {trainer.elapsed_s / 3600:.2f} h; "
        f"rdae export {run} -o weights.safetensors",
        False,
    )
    return 0


def _refuse_new_settings(context: click.Context) -> None:
    """Wrong usage if an option is given that a resumed run cannot change."""
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in WITH_RESUME and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[-1]} cannot be changed when a run is resumed.")


def _refuse_idle_shares(context: click.Context) -> None:
    """Wrong usage if an option is given that the objective has no use for."""
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if name in OF_SSIMULACRA2 and given and context.params["objective"] != "ssimulacra2":
            raise click.UsageError(f"{parameter.opts[-1]} is for --objective ssimulacra2.")


def _greeting(trainer: Trainer) -> str:
    pictures = trainer.pictures
    millions = sum(parameter.numel() for parameter in trainer.model.parameters()) / 1e6
    skipped = f", {len(pictures.skipped)} skipped, such as {pictures.skipped[0]}" if pictures.skipped else ""
    many = f" in each of {trainer.group.world} processes" if trainer.group.world > 1 else ""
    count = len(set(pictures.names))
    return (
        f"{count} picture{'' if count == 1 else 's'}, {three_digits(pictures.pixels / 1e6)} Mpx{skipped}; "
        f"{millions:.2f} M weights on {trainer.device}{many}; from step {trainer.step}"
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
