"""rdae compare: the same pictures by several codecs at equal bytes or an equal score, as one picture or a page."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rdae.errors import BatchError

from .compress import POSITIVE, in_bytes
from .messages import complain, one_line
from .options import device_option, effort_option, finite, model_options, threads_option
from .progress import PassingLine

if TYPE_CHECKING:
    from rdae.codec.tiles import Region
    from rdae.evaluation.codecs import Codec
    from rdae.reporting.comparison.versions import BetterOf, Compared
    from rdae.targets import Kind, Target

CODECS = "jpeg,webp,avif"
WINDOW = (256, 192)
"""Width and height of a crop that nobody chose."""
SUFFIXES = (".png", ".webp", ".html")
LARGEST_ZOOM = 16


def _crop(
    _context: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> list[tuple[int, ...]]:
    """A callback for windows, "160,120", and places, "40,60,160,120"."""
    found = []
    for value in values:
        try:
            numbers = tuple(int(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        # The corner may be 0, the size not.
        if len(numbers) not in (2, 4) or min(numbers) < 0 or 0 in numbers[-2:]:
            raise click.BadParameter(f"{value!r}, expected x,y,width,height or width,height.")
        found.append(numbers)
    return found


def _output(_context: click.Context, _option: click.Parameter, value: Path) -> Path:
    """A callback that takes names of the kinds that can be written."""
    if value.suffix.lower() not in SUFFIXES:
        raise click.BadParameter(f"{value.name}, expected a name ending in .png, .webp or .html.")
    return value


@click.command()
@click.argument("pictures", metavar="PICTURE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    callback=_output,
    type=click.Path(path_type=Path),
    help="What to write: a picture of all, .png or .webp, or a page to flick from codec to codec on, .html.",
)
@click.option(
    "--codecs",
    default=CODECS,
    show_default=True,
    help="What to show beside the original and rdae, with commas between: jpeg, which is jpeg420 or jpeg444, whichever "
    "is better for the picture by SSIMULACRA2, jpeg420, jpeg444, jpeg2000, webp, avif, avif420, avif-iq, "
    "avif-ssimulacra2, avif-psnr, jxl and the other peers of rdae eval.",
)
@click.option(
    "--bytes",
    "size",
    metavar="BYTES",
    callback=in_bytes,
    help="Show the largest file of each codec that has at most so many bytes: 20KB, 1.5MB, 32KiB.",
)
@click.option("--bpp", type=POSITIVE, callback=finite, help="Or that has at most so many bits per pixel.")
@click.option(
    "--ssimulacra2",
    type=click.FloatRange(0, 100, min_open=True, max_open=True),
    callback=finite,
    help="Or the file of each codec that just reaches such a score.",
)
@click.option(
    "--crop",
    "crops",
    multiple=True,
    metavar="[X,Y,]W,H",
    callback=_crop,
    help="What to show of a picture: W x H pixels with X,Y as their left upper corner, or W x H pixels where the "
    "codecs differ most.  Given once it is for all pictures, else once for each.  [default: "
    f"{WINDOW[0]},{WINDOW[1]}]",
)
@click.option(
    "--zoom",
    type=click.IntRange(1, LARGEST_ZOOM),
    default=1,
    show_default=True,
    help="How many times as wide to draw each pixel.",
)
@click.option(
    "--columns",
    type=click.IntRange(1),
    help="Of a picture of all: how many crops stand side by side.  [default: all]",
)
@click.option("--title", default="", help="Of a page: the heading.")
@click.option(
    "--max-mb",
    type=click.FloatRange(0.1, 1000),
    default=10.0,
    show_default=True,
    help="Of a page: the most megabytes that it may have; pictures are cut to keep to it.",
)
@effort_option("What rdae's files are made with, as in `rdae compress`.")
@model_options
@device_option
@threads_option()
@click.option("-f", "--force", is_flag=True, help="Replace an output that is already there.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def compare(
    *,
    pictures: tuple[Path, ...],
    output: Path,
    codecs: str,
    size: float | None,
    bpp: float | None,
    ssimulacra2: float | None,
    crops: list[tuple[int, ...]],
    zoom: int,
    columns: int | None,
    title: str,
    max_mb: float,
    effort: int,
    model: Path | None,
    device: str | None,
    threads: int | None,
    force: bool,
    quiet: bool,
) -> None:
    """Show each PICTURE as it was and by several codecs, at equal bytes or at an equal score.

    Below each version stand the codec's name, and bytes, bits per pixel, SSIMULACRA2 and PSNR of the whole picture. A
    codec has only so many qualities: where its file is above the limit, or more than 5 % below, a note says so.
    Without --crop what is shown is the window in which the codecs' pictures differ most: the median over all pairs of
    codecs of the distance between their colours. The same numbers go to standard output.
    """
    target = _target(size, bpp, ssimulacra2)
    if len(crops) > 1 and len(crops) != len(pictures):
        raise click.UsageError(f"--crop is given {len(crops)} times for {len(pictures)} pictures.")
    wanted = [name.strip() for name in codecs.split(",") if name.strip()]
    if not wanted:
        raise click.UsageError("--codecs names none.")

    from rdae.evaluation.codecs import Rdae
    from rdae.evaluation.run import labels
    from rdae.reporting.comparison import page, strip
    from rdae.reporting.comparison.versions import compared
    from rdae.storage.files import check_output, identities, write_atomically

    # Everything that can be wrong with the request is found before the minutes of work.
    check_output(output, force=force, inputs=identities(pictures))
    if not output.parent.is_dir():
        raise BatchError(f"{output}: there is no folder {output.parent}")
    others = _codecs(wanted)
    from rdae import open_model

    own = Rdae(open_model(model, device=device, threads=threads), effort, model)
    progress = PassingLine()

    def complain_of(path: Path, line: str) -> None:
        progress.clear()
        complain(str(path), line)

    found = []
    places = []
    for i, (path, name) in enumerate(zip(pictures, labels(pictures), strict=True)):
        each = compared(
            path,
            name,
            [own, *others],
            target,
            tell=(lambda _line: None) if quiet else progress.passing,
            note=(lambda _line: None) if quiet else functools.partial(complain_of, path),
        )
        found.append(each)
        places.append(_place(each, crops[min(i, len(crops) - 1)] if crops else WINDOW))
    if output.suffix.lower() == ".html":
        data = page.page_bytes(found, places, target, zoom=zoom, title=title, max_bytes=round(max_mb * 1e6))
    else:
        drawn = strip.strip(found, places, zoom=zoom, columns=columns)
        data = strip.strip_bytes(drawn, output.suffix.lower())
    write_atomically(output, data, force=force)
    progress.clear()
    for each, place in zip(found, places, strict=True):
        click.echo("\n".join(_table(each, place)))
    if not quiet:
        click.echo(f"{one_line(str(output))}  {len(data):,} bytes", err=True)


def _target(size: float | None, bpp: float | None, ssimulacra2: float | None) -> Target:
    """The one of them that is given."""
    from rdae.targets import Target

    wanted: dict[Kind, float | None] = {"size": size, "bpp": bpp, "ssimulacra2": ssimulacra2}
    given = [(kind, value) for kind, value in wanted.items() if value is not None]
    if len(given) != 1:
        raise click.UsageError("Give one of --bytes, --bpp and --ssimulacra2.")
    return Target(*given[0])


def _codecs(names: Sequence[str]) -> list[Codec | BetterOf]:
    """What is shown beside rdae, prepared: `find_codecs`, but jpeg is JPEG as whoever looks at its pictures sets it."""
    from rdae.evaluation.codecs import ALIASES, PILLOW_CODECS, find_codecs
    from rdae.reporting.comparison.versions import BetterOf

    full, halved = PILLOW_CODECS["jpeg"], PILLOW_CODECS["jpeg420"]
    asked = iter([name for name in dict.fromkeys(names) if ALIASES.get(name, name) == full.name])
    better = BetterOf("JPEG", (halved, full))
    return [better if each is full and next(asked) == full.name else each for each in find_codecs(names)]


def _place(compared: Compared, crop: Sequence[int]) -> Region:
    """The rectangle that is shown. crop: width and height, perhaps after the left upper corner."""
    from rdae.codec.tiles import Region
    from rdae.reporting.comparison.crops import checked, most_different

    if len(crop) == 4:
        return checked(Region(*crop), compared.original, compared.name)
    return most_different([each.picture for each in compared.versions], (crop[0], crop[1]))


def _table(compared: Compared, place: Region) -> list[str]:
    """Lines with the numbers of all versions."""
    from rdae.reporting.comparison.versions import bits_per_pixel, numbers

    height, width = compared.original.shape[:2]
    where = f"crop {place.x},{place.y},{place.width},{place.height}"
    rows = []
    if compared.file_bytes is not None:
        rate = bits_per_pixel(compared.file_bytes, compared.original)
        rows.append(["original", f"{compared.file_bytes:,} bytes", f"{rate:.3f} bpp"])
    for each in compared.versions:
        quality = "as pixels" if each.quality is None else f"quality {each.quality:g}"
        rows.append([each.title, *numbers(each), quality, *([each.note] if each.note else [])])
    widths = [max(len(row[i]) if i < len(row) else 0 for row in rows) for i in range(max(map(len, rows)))]
    lines = [f"{one_line(compared.name)}  {width} x {height}  {where}"]
    for row in rows:
        cells = [
            cell.rjust(widths[i]) if i in (1, 2, 3, 4) else cell.ljust(widths[i])
            for i, cell in enumerate(row)
        ]
        lines.append(f"  {'  '.join(cells)}".rstrip())
    return lines
