"""rdae decompress: .rdae files to pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import click

from rdae.clock import Clock
from rdae.codec.container import parse
from rdae.errors import NotRdaeError, PictureError, StreamError
from rdae.files import stream_in
from rdae.quality import from_index

from .files import SUFFIX, Request, many_files
from .opening import LazyModel
from .places import place
from .work import Facts, Job


@dataclass
class Task:
    """What is done with each .rdae file; suffix: of the picture format, None: what the output's name ends in."""

    weights: str | None
    device: str | None
    threads: int | None
    force: bool
    exact: bool
    max_pixels: int
    suffix: str | None
    region: tuple[int, int, int, int] | None
    scale: int
    name: ClassVar[str] = "decompress"

    def __post_init__(self) -> None:
        self._models = LazyModel(self.weights, self.threads, self.device)

    def __call__(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        """Decompress one file."""
        from rdae.pictures import format_of, picture_bytes, picture_parts

        target = place(job.target)
        with clock.stage("read"):
            with place(job.source).open(NotRdaeError, StreamError) as file:
                data = stream_in(file)
            header = parse(data, self.max_pixels).header  # what is no .rdae file need not wait for a model
            job.check()
            form = format_of(f"picture{self.suffix}" if self.suffix else target.name)
        with clock.stage("model"):
            model = self._models.for_file(data)
        with clock.stage("decode"):
            try:
                bands = model.unfold(
                    data,
                    exact=self.exact,
                    max_pixels=self.max_pixels,
                    region=self.region,
                    scale=self.scale,
                    clock=clock,
                )
            except ValueError as error:  # the region is not inside of this picture
                raise PictureError(str(error)) from error
            image = None if bands.flow_as(form) else bands.image()
        with clock.stage("write"):
            picture = picture_parts(bands, form, note) if image is None else picture_bytes(image, form, note)
            written = target.write(picture, force=self.force)
        return Facts(
            rdae_bytes=len(data),
            input_bytes=len(data),
            output_bytes=written,
            width=bands.width,
            height=bands.height,
            pixels=header.width * header.height,
            model=model.name,
            quality=from_index(header.quality_index),
        )

    def line(self, facts: Facts) -> str:
        """The size of the picture."""
        return f"{facts.width} x {facts.height}"


def max_pixels_option(command: Callable[..., None]) -> Callable[..., None]:
    """The option of all that decode."""
    return click.option(
        "--max-pixels",
        type=click.IntRange(1),
        default=100_000_000,
        show_default=True,
        help="Refuse files that announce more, before anything is allocated.",
    )(command)


@click.command()
@many_files(outputs=True)
@click.option(
    "--format",
    "picture_format",
    metavar="SUFFIX",
    help="png, jpg, webp, avif, tif, ppm, …: what Pillow writes.  [default: what -o ends in, else png]",
)
@click.option(
    "--exact",
    is_flag=True,
    help="Pixels that are the same on every machine; else they may differ by one level.",
)
@max_pixels_option
@click.option(
    "--region",
    metavar="X,Y,W,H",
    callback=lambda _context, _option, value: _region(value),
    help="Only a part of the picture, in pixels from the left upper corner; of large pictures only what it needs is "
    "decoded.",
)
@click.option(
    "--scale",
    type=click.Choice(["1/1", "1/2", "1/4", "1/8"]),
    default="1/1",
    show_default=True,
    help="Make the picture smaller: means of 2 x 2, 4 x 4 or 8 x 8 pixels, for less memory than all of them take.",
)
def decompress(
    *,
    request: Request,
    weights: str | None,
    device: str | None,
    picture_format: str | None,
    exact: bool,
    max_pixels: int,
    region: tuple[int, int, int, int] | None,
    scale: str,
) -> None:
    """Decompress .rdae files, each to a PNG beside it.

    An INPUT is an .rdae file, a folder (with -r), a pattern in quotes such as 'photos/**/*.rdae', a URL that fsspec
    knows, or - for standard input, which goes to standard output. With -o the suffix of the output chooses its format.
    """
    suffix = None if picture_format is None else _checked(picture_format)
    if suffix is None and request.to_standard_output:
        suffix = ".png"
    task = Task(
        weights,
        device,
        request.threads,
        force=request.force,
        exact=exact,
        max_pixels=max_pixels,
        suffix=suffix,
        region=region,
        scale=int(scale[2:]),
    )
    request.run(task, {SUFFIX}, suffix or ".png")


def _region(text: str | None) -> tuple[int, int, int, int] | None:
    if text is None:
        return None
    numbers = text.split(",")
    if len(numbers) != 4 or not all(number.strip().isdecimal() for number in numbers):
        raise click.BadParameter(f"{text!r}, expected four whole numbers: x,y,width,height.")
    x, y, width, height = map(int, numbers)
    return x, y, width, height


def _checked(picture_format: str) -> str:
    """The suffix that --format means; wrong usage if Pillow writes none such."""
    from rdae.pictures import format_of

    suffix = f".{picture_format.lower().lstrip('.')}"
    try:
        format_of(f"picture{suffix}")
    except PictureError as error:
        raise click.BadParameter(f"{error}.", param_hint="--format") from error
    return suffix
