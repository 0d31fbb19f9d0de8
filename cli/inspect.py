"""rdae inspect: where the bits of a file went and what its latents are, as pictures."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rdae.batch.models import ModelOpener
from rdae.errors import BatchError, RdaeError, describe

from .messages import Failure, complain, one_line
from .options import one_of_model_and_tune, threads_option, tune_option

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rdae.api import Model

    Levels = npt.NDArray[np.uint8]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for the maps.",
)
@click.option(
    "-q", "--quality", type=click.FloatRange(0, 100), help="Quality to compress an IMAGE at.  [default: 50]"
)
@click.option(
    "--original",
    type=click.Path(path_type=Path),
    help="The picture that a FILE was made of, for the residual.",
)
@click.option("--gain", type=click.FloatRange(1, 64), default=4, show_default=True, help="Of the residual.")
@click.option(
    "--channels", type=click.IntRange(1), default=64, show_default=True, help="How many latents are drawn."
)
@click.option("--arrays", is_flag=True, help="Write maps.npz too: all numbers, by channel and position.")
@click.option("--model", help="Weights to use: a name or a file; default: those that FILE names.")
@tune_option
@threads_option()
@click.option("-f", "--force", is_flag=True, help="Replace maps that are already there.")
def inspect(
    *,
    file: Path,
    output: Path,
    quality: float | None,
    original: Path | None,
    gain: float,
    channels: int,
    arrays: bool,
    model: str | None,
    tune: str | None,
    threads: int | None,
    force: bool,
) -> None:
    """Draw where the bits of FILE went: an .rdae file, or an IMAGE, which is compressed for it.

    DIR gets reconstruction.png; residual.png, what was lost, times the gain, about mid-grey; bits.png, bits by
    position, dark is few, and of ŷ and of ẑ alone bits-y.png and bits-z.png; scales.png, the standard deviation that
    the prior expected; latents.png, the channels of most energy, blue below zero, red above; and maps.json, which
    says what the colours mean, and has bits and energy by channel.
    """
    from rdae.reporting import inspection
    from rdae.reporting.maps import maps_of
    from rdae.storage.files import check_output, identities, write_atomically

    one_of_model_and_tune(model, tune)
    inputs = identities([file, *([original] if original else [])])
    for name in inspection.NAMES:
        check_output(output / name, force=force, inputs=inputs)
    opener = ModelOpener(model, tune=tune, threads=threads)
    try:
        data, opened, picture = _read(file, original, quality, tune, opener)
        maps = maps_of(data, opened.loaded)
    except BatchError:
        raise
    except (RdaeError, OSError) as error:
        raise Failure(f"{file}: {describe(error, file)}") from error
    if picture is not None and picture.shape != maps.picture.shape:
        sizes = [f"{shape[1]} x {shape[0]}" for shape in (picture.shape, maps.picture.shape)]
        raise Failure(f"{original}: {sizes[0]} pixels, but {file} has {sizes[1]}")

    about = {"file": file.name, "model": opened.name, "model_id": opened.model_id.hex()}
    found = inspection.inspect(maps, about, original=picture, gain=gain, channels=channels, arrays=arrays)
    output.mkdir(parents=True, exist_ok=True)
    for name, content in found.files.items():
        write_atomically(output / name, content, force=force)
    size = f"{maps.header.width} x {maps.header.height}"
    model_words = one_line(f"{opened.name} ({opened.model_id.hex()})")
    quality_words = f"quality {found.facts['quality']:g}"
    click.echo(f"file      {one_line(file.name)}, {size}, {quality_words}, model {model_words}")
    for line in inspection.summary(maps):
        click.echo(line)


def _read(
    file: Path, original: Path | None, quality: float | None, tune: str | None, opener: ModelOpener
) -> tuple[bytes, Model, Levels | None]:
    """The bytes of an .rdae file, the model that reads them, and the picture they were made of, if it is known."""
    from rdae.codec.container import MAGIC, parse
    from rdae.codec.reading import read_container
    from rdae.errors import NotRdaeError, StreamError
    from rdae.pictures import raster_in
    from rdae.storage.files import open_input

    with open_input(file, NotRdaeError, StreamError) as opened:
        if opened.seekable():
            is_rdae = opened.read(len(MAGIC)) == MAGIC
            opened.seek(0)
        else:
            is_rdae = True
        if is_rdae:
            if quality is not None:
                raise click.UsageError("-q is for a picture; an .rdae file has its quality.")
            if tune is not None:
                raise click.UsageError("--tune is for a picture; an .rdae file names its model.")
            data = read_container(opened)
            parsed = parse(data)
            if not parsed.needs_model:
                raise StreamError("all of it is stored as pixels: there are no latents to look into")
            picture = None if original is None else _original(original)
            return data, opener.for_file(parsed.header), picture
        if original is not None:
            raise click.UsageError("--original is for an .rdae file; a picture is its own original.")
        raster = raster_in(opened, functools.partial(_note, file), metadata=False)
    data = opener.chosen.compress(raster, 50.0 if quality is None else quality, exact=False)
    return data, opener.chosen, _shown(raster)


def _original(path: Path) -> Levels:
    """The levels of the picture that an .rdae file was made of; a Failure that names it if it cannot be read."""
    from rdae.pictures import read_raster

    try:
        return _shown(read_raster(path, functools.partial(_note, path)))
    except (RdaeError, OSError) as error:
        raise Failure(f"{path}: {describe(error, path)}") from error


def _note(path: Path, line: str) -> None:
    """Tell what of a picture was left out or changed, but nothing of its metadata, which is not looked at here."""
    from rdae.pictures import NOT_KEPT, SRGB_LEFT_OUT

    if line != SRGB_LEFT_OUT and not line.startswith(NOT_KEPT):
        complain(str(path), line)


def _shown(raster: Any) -> Levels:
    """The levels that the codec is given: where nothing is to be seen, what costs least."""
    from rdae.codec.sections.alpha import fill

    levels: Levels = raster.levels if raster.alpha is None else fill(raster.levels, raster.alpha)
    return levels
