"""rdae inspect: where the bits of a file went and what its latents are, as pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .opening import LazyModel
from .report import Failure, describe, one_line

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rdae.api import Model
    from rdae.reporting.maps import Maps

    Levels = npt.NDArray[np.uint8]

PICTURES = ("reconstruction", "residual", "bits", "bits-y", "bits-z", "scales", "latents")
NAMES = (*(f"{name}.png" for name in PICTURES), "maps.json", "maps.npz")


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
    force: bool,
) -> None:
    """Draw where the bits of FILE went: an .rdae file, or an IMAGE, which is compressed for it.

    DIR gets reconstruction.png; residual.png, what was lost, times the gain, about mid-grey; bits.png, bits by
    position, dark is few, and of ŷ and of ẑ alone bits-y.png and bits-z.png; scales.png, the standard deviation that
    the prior expected; latents.png, the channels of most energy, blue below zero, red above; and maps.json, which
    says what the colours mean, and has bits and energy by channel.
    """
    from rdae.errors import RdaeError
    from rdae.files import check_output, identities, write_atomically
    from rdae.pictures import picture_bytes

    inputs = identities([file, *([original] if original else [])])
    for name in NAMES:
        check_output(output / name, force=force, inputs=inputs)
    opener = LazyModel(model)
    try:
        data, opened, picture = _read(file, original, quality, opener)
        from rdae.reporting.maps import maps_of

        maps = maps_of(data, opened.loaded)
    except (RdaeError, OSError) as error:
        raise Failure(f"{file}: {describe(error, file)}") from error
    if picture is not None and picture.shape != maps.picture.shape:
        sizes = [f"{shape[1]} x {shape[0]}" for shape in (picture.shape, maps.picture.shape)]
        raise Failure(f"{original}: {sizes[0]} pixels, but {file} has {sizes[1]}")

    drawn, facts = _draw(maps, picture, gain, channels)
    facts = {"file": file.name, "model": opened.name, "model_id": opened.model_id.hex(), **facts}
    files = {f"{name}.png": picture_bytes(levels, "PNG") for name, levels in drawn.items()}
    files["maps.json"] = (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode()
    if arrays:
        files["maps.npz"] = _arrays(maps)
    output.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_atomically(output / name, content, force=force)
    for line in _summary(maps, facts):
        click.echo(line)


def _read(
    file: Path, original: Path | None, quality: float | None, opener: LazyModel
) -> tuple[bytes, Model, Levels | None]:
    """The bytes of an .rdae file, the model that reads them, and the picture they were made of, if it is known."""
    from rdae.codec.container import MAGIC
    from rdae.errors import NotRdaeError, StreamError
    from rdae.files import open_input, stream_in
    from rdae.pictures import raster_in, read_raster

    with open_input(file, NotRdaeError, StreamError) as opened:
        if opened.seekable():
            is_rdae = opened.read(len(MAGIC)) == MAGIC
            opened.seek(0)
        else:
            is_rdae = True
        if is_rdae:
            if quality is not None:
                raise click.UsageError("-q is for a picture; an .rdae file has its quality.")
            data = stream_in(opened)
            picture = None if original is None else _shown(read_raster(original))
            return data, opener.for_file(data), picture
        if original is not None:
            raise click.UsageError("--original is for an .rdae file; a picture is its own original.")
        raster = raster_in(opened, metadata=False)
    return opener.opened.compress(raster, 50.0 if quality is None else quality), opener.opened, _shown(raster)


def _shown(raster: Any) -> Levels:
    """The levels that the codec is given: where nothing is to be seen, what costs least."""
    from rdae.codec.sections.alpha import fill

    levels: Levels = raster.levels if raster.alpha is None else fill(raster.levels, raster.alpha)
    return levels


def _draw(
    maps: Maps, picture: Levels | None, gain: float, channels: int
) -> tuple[dict[str, Levels], dict[str, Any]]:
    """The pictures by name, and what maps.json says of them."""
    import numpy as np

    from rdae.networks.architecture import HYPER_STRIDE, PATCH
    from rdae.quality import from_index
    from rdae.reporting import maps as drawing

    header = maps.header
    size = (header.height, header.width)
    planes = {
        "bits": (maps.by_position(), PATCH, "bits of both by position of the latents"),
        "bits-y": (maps.y_by_position(), PATCH, "bits of the latents by position"),
        "bits-z": (
            maps.z_by_position(),
            PATCH * HYPER_STRIDE,
            "bits of the hyper-latents by their positions",
        ),
        "scales": (
            np.exp(np.log(maps.scales).mean(axis=0)),
            PATCH,
            "expected standard deviation in quantisation steps, geometric mean over the channels",
        ),
    }
    drawn = {"reconstruction": maps.picture}
    legend: dict[str, Any] = {}
    if picture is not None:
        drawn["residual"] = drawing.residual(picture, maps.picture, gain)
        legend["residual"] = {"what": "128 + gain * (original - decoded)", "gain": gain}
    for name, (values, side, what) in planes.items():
        low, high = (
            (float(values.min()), float(values.max())) if name == "scales" else (0.0, float(values.max()))
        )
        drawn[name] = drawing.over_pixels(drawing.coloured(values, low, high, drawing.INFERNO), size, side)
        legend[name] = {"what": what, "dark": low, "bright": high, "pixels_a_position": side}
    energies = maps.energies()
    order = [int(i) for i in np.argsort(-energies, kind="stable")[:channels]]
    sheet = drawing.mosaic(maps.y, order)
    drawn["latents"] = drawing.over_pixels(sheet, (10**9, 10**9), max(1, round(1200 / sheet.shape[1])))
    legend["latents"] = {
        "what": "latents by channel, the signed square root of each, to its own largest magnitude",
        "channels": order,
    }
    y_bits, z_bits = maps.y_by_channel(), maps.z_by_channel()
    facts = {
        "width": header.width,
        "height": header.height,
        "quality": from_index(header.quality_index),
        "bytes": maps.file_bytes,
        "bits": {"y": maps.y_total, "z": maps.z_total, "rest": maps.rest},
        "maps": legend,
        "channels": {
            "y_bits": [round(float(v), 3) for v in y_bits],
            "y_energy": [round(float(v), 6) for v in energies],
            "z_bits": [round(float(v), 3) for v in z_bits],
        },
    }
    return drawn, facts


def _arrays(maps: Maps) -> bytes:
    import io

    import numpy as np

    buffer = io.BytesIO()
    np.savez_compressed(buffer, y_bits=maps.y_bits, z_bits=maps.z_bits, y=maps.y, scales=maps.scales)
    return buffer.getvalue()


def _summary(maps: Maps, facts: dict[str, Any]) -> list[str]:
    import numpy as np

    total = 8 * maps.file_bytes
    pixels = maps.header.width * maps.header.height
    places = maps.by_position()
    channels = np.sort(maps.y_by_channel())[::-1]
    half = int(np.searchsorted(channels.cumsum(), channels.sum() / 2)) + 1
    size = f"{maps.header.width} x {maps.header.height}"
    model = f"{facts['model']} ({facts['model_id']})"
    lines = [
        f"file      {one_line(facts['file'])}, {size}, quality {facts['quality']:g}, model {one_line(model)}",
        f"size      {maps.file_bytes:,} bytes, {total / pixels:.4f} bpp",
    ]
    for name, bits in (("ŷ", maps.y_total), ("ẑ", maps.z_total), ("rest", maps.rest)):
        lines.append(f"{name:9} {bits / 8:,.1f} bytes, {100 * bits / total:.2f} %")
    lines.append(
        f"position  {places.min():.2f} to {places.max():.2f} bits, mean {places.mean():.2f}, "
        f"median {np.median(places):.2f}"
    )
    lines.append(
        f"channels  {int((channels > 0).sum())} of {len(channels)} have bits, {half} have half of them"
    )
    return lines
