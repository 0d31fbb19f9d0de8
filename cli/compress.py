"""rdae compress: pictures to .rdae files."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import click
from click.core import ParameterSource

from rdae.clock import Clock
from rdae.codec.container import HEADER_BYTES, peek
from rdae.effort import DEFAULT_EFFORT
from rdae.quality import from_index
from rdae.targets import Kind

from .effort import Interruption, Watch, effort_option, finishing
from .files import SUFFIX, Request, finite, many_files
from .opening import LazyModel
from .places import place
from .work import Facts, Job

POSITIVE = click.FloatRange(0, min_open=True, max=1e12)

UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "kib": 2**10, "mib": 2**20}


def in_bytes(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    """A callback that turns "40KB" into 40000."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+|\d*\.\d+)\s*([a-z]*)", value.strip().lower())
    if found is None or found[2] not in UNITS or float(found[1]) == 0:
        raise click.BadParameter(f"{value!r} is no size such as 40KB, 1.5MB, 32KiB or 1000.")
    return float(found[1]) * UNITS[found[2]]


@dataclass
class Task:
    """What is done with each picture; target: kind and value, None: quality counts."""

    weights: str | None
    device: str | None
    threads: int | None
    force: bool
    quality: float
    target: tuple[Kind, float] | None
    verify: bool
    metadata: bool
    effort: int
    draw: bool
    name: ClassVar[str] = "compress"

    def __post_init__(self) -> None:
        self._model = LazyModel(self.weights, self.threads, self.device)
        self.interruption: Interruption | None = None

    def __call__(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        """Compress one picture."""
        if self.interruption is not None and self.interruption.asked:
            raise KeyboardInterrupt
        from rdae.errors import PictureError
        from rdae.pictures import raster_in
        from rdae.targets import Target

        source = place(job.source)
        with clock.stage("read"), source.open(PictureError, PictureError) as file:
            picture = raster_in(file, note, metadata=self.metadata)
            job.check()
        with clock.stage("model"):
            model = self._model.opened
        with clock.stage("encode"):
            target = None if self.target is None else Target(*self.target)
            with contextlib.closing(Watch(source.name, self.interruption, draw=self.draw)) as watch:
                data = model.compress(
                    picture,
                    self.quality,
                    target=target,
                    effort=self.effort,
                    listener=watch if self.effort > DEFAULT_EFFORT else None,
                    verify=self.verify,
                    clock=clock,
                )
        with clock.stage("write"):
            place(job.target).write(data, force=self.force)
        header, _, _ = peek(data[:HEADER_BYTES])
        return Facts(
            rdae_bytes=len(data),
            input_bytes=source.size(),
            output_bytes=len(data),
            width=picture.width,
            height=picture.height,
            model=model.name,
            quality=from_index(header.quality_index),
        )

    def line(self, facts: Facts) -> str:
        """Size and rate."""
        return f"{facts.rdae_bytes:,} bytes  {facts.bpp:.3f} bpp"


@click.command()
@many_files(outputs=True)
@click.option(
    "--keep-suffix", is_flag=True, help="Make a.png.rdae of a.png, not a.rdae: for folders with an a.jpg too."
)
@click.option(
    "-q",
    "--quality",
    type=click.FloatRange(0, 100),
    default=50.0,
    show_default=True,
    callback=finite,
    help="0: smallest file; 100: best picture.",
)
@click.option("--bpp", type=POSITIVE, help="Instead of a quality: at most so many bits per pixel.")
@click.option(
    "--size",
    metavar="BYTES",
    callback=in_bytes,
    help="Instead of a quality: at most so much; 40KB, 1.5MB, 32KiB.",
)
@click.option("--psnr", type=POSITIVE, help="Instead of a quality: at least so many dB.")
@click.option(
    "--ms-ssim",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    callback=finite,
    help="Instead of a quality: at least so much, 0.98 for example.",
)
@effort_option("0: fastest; 9: smallest files, for minutes a picture. Decoding takes as long as ever.")
@click.option(
    "--on-interrupt",
    type=click.Choice(["discard", "finish"]),
    default="discard",
    show_default=True,
    help="What Ctrl-C does amid a picture: leave nothing of it, or write the best that was found so far.",
)
@click.option("--strip", is_flag=True, help="Leave out colour profile, EXIF and XMP.")
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Decode what was encoded, up to the latents, and compare, before it is written.",
)
@click.pass_context
def compress(
    context: click.Context,
    /,
    *,
    request: Request,
    weights: str | None,
    device: str | None,
    quality: float,
    bpp: float | None,
    size: float | None,
    psnr: float | None,
    ms_ssim: float | None,
    effort: int,
    on_interrupt: str,
    strip: bool,
    verify: bool,
) -> None:
    """Compress pictures, each to an .rdae file beside it.

    An INPUT is a picture in any format that Pillow reads, a folder (with -r), a pattern in quotes such as
    'photos/**/*.jpg', a URL that fsspec knows, or - for standard input, which goes to standard output.
    """
    from rdae.pictures import SUFFIXES

    wanted: dict[Kind, float | None] = {"bpp": bpp, "size": size, "psnr": psnr, "ms-ssim": ms_ssim}
    targets = [(kind, value) for kind, value in wanted.items() if value is not None]
    chosen = context.get_parameter_source("quality") is ParameterSource.COMMANDLINE
    if len(targets) + chosen > 1:
        raise click.UsageError("--quality, --bpp, --size, --psnr and --ms-ssim exclude each other.")
    task = Task(
        weights,
        device,
        request.threads,
        force=request.force,
        quality=quality,
        target=targets[0] if targets else None,
        verify=verify,
        metadata=not strip,
        effort=effort,
        draw=not (request.quiet or request.as_json) and request.alone,
    )
    if on_interrupt == "discard":
        request.run(task, SUFFIXES, SUFFIX)
        return
    if not request.alone:
        raise click.UsageError("--on-interrupt finish needs this process to do the work: leave -j out.")
    task.interruption = Interruption()
    with finishing(task.interruption):
        request.run(task, SUFFIXES, SUFFIX)
