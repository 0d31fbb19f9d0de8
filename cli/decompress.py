"""rdae decompress: .rdae files to pictures."""

from __future__ import annotations

import re
from collections.abc import Callable

import click

from rdae.batch import Decompress, Facts
from rdae.errors import PictureError
from rdae.limits import MAX_PIXELS
from rdae.storage.names import SUFFIX

from .batch import Request, many_files


def words_of(facts: Facts) -> str:
    """The size of the picture."""
    return f"{facts.width} x {facts.height}"


def max_pixels_option(command: Callable[..., None]) -> Callable[..., None]:
    """The option of all that decode."""
    return click.option(
        "--max-pixels",
        type=click.IntRange(1),
        default=MAX_PIXELS,
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
    "-q",
    "--quality",
    type=click.IntRange(1, 100),
    help="Of a picture in a lossy format, 1 (smallest) to 100: jpg, webp, avif, jxl, heic.  [default: lossless where "
    "the format can be, else 95]",
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
    model: str | None,
    device: str | None,
    picture_format: str | None,
    quality: int | None,
    exact: bool,
    max_pixels: int,
    region: tuple[int, int, int, int] | None,
    scale: str,
) -> None:
    """Decompress .rdae files, each to a PNG beside it.

    An INPUT is an .rdae file, a folder (with -r), a pattern in quotes such as 'photos/**/*.rdae', a URL that fsspec
    knows, or - for standard input, which goes to standard output. With -o the suffix of the output chooses its format.
    A picture that is there may be the original: unless rdae wrote it, only -o NAME --force replaces it.
    """
    suffix = None if picture_format is None else _checked(picture_format)
    if suffix is None and (request.to_standard_output or not request.names_output):
        suffix = ".png"
    if quality is not None and suffix is not None:
        _check_quality(suffix, quality)
    task = Decompress(
        exact=exact,
        max_pixels=max_pixels,
        region=region,
        scale=int(scale[2:]),
        suffix=suffix,
        quality=quality,
        keep_time=request.keep_time,
        model=model,
        device=device,
        threads=request.threads_each,
        watch=request.watch(),
    )
    request.run(task, {SUFFIX}, suffix or ".png", words_of)


def _check_quality(suffix: str, quality: int) -> None:
    """Wrong usage if pictures of a format have no quality."""
    from rdae.pictures import check_quality, format_of

    try:
        check_quality(format_of(f"picture{suffix}"), quality)
    except PictureError as error:
        raise click.BadParameter(f"{error}.", param_hint="--quality") from error


def _region(text: str | None) -> tuple[int, int, int, int] | None:
    if text is None:
        return None
    numbers = text.split(",")
    # No picture has sides of more digits, and thousands of them Python does not read.
    if len(numbers) != 4 or not all(re.fullmatch(r"\s*\d{1,9}\s*", number) for number in numbers):
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
