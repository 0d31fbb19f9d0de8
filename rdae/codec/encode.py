"""Pictures to the bytes of files.

prepare -> encode with latents -> [graphics as pixels, where that costs less] -> container
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rdae.clock import Clock
from rdae.codec import container, decode, graphics, latents
from rdae.codec.encoding import (
    Encoding,
    Prepared,
    Tile,
    container_of,
    prepare,
    reconstruct,
    searched_encoding,
)
from rdae.codec.graphics import Choice
from rdae.codec.latents import Digest, Quantised
from rdae.codec.refinement import Listener
from rdae.codec.sections.pixels import pixel_sections
from rdae.effort import check_effort
from rdae.errors import PictureError, StreamError, VerifyError
from rdae.networks.model import Model
from rdae.pictures.raster import Raster

Levels = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A compressed picture, with what the encoder knows about it.

    data: the whole file. reconstruction: what it decodes to, uint8 (h, w, 3), without alpha.
    rate_bits: the ideal code length -log2 P(ẑ, ŷ) of its integers under the model's tables, and the bits of
    pixels that are stored as such.
    latents_sha256: of ẑ and ŷ as integers. seconds: by stage.
    """

    data: bytes
    reconstruction: Levels
    rate_bits: float
    latents_sha256: str
    seconds: dict[str, float]


def compress(
    picture: Levels | Raster,
    model: Model,
    quality_index: int,
    *,
    verify: bool = False,
    tile: Tile = "auto",
    effort: int = 0,
    choose: bool = False,
    listener: Listener | None = None,
    clock: Clock | None = None,
) -> bytes:
    """Compress a picture at a quality index 0..800 to a file's bytes.

    picture: a raster, or uint8 (h, w, 3), of any size from 1x1.
    verify: decode all but the pixels again and compare; VerifyError if it differs, which only a machine that computes
    wrongly can bring about.
    tile: log2 of the tiles' side in latents, 4..16; None: one tile; "auto": as `rdae.codec.tiles.automatic` says.
    effort: 0..9, how long to look for better latents (`rdae.codec.refinement`); listener: is told of each step of that.
    choose: store graphics as pixels where that costs less (`rdae.codec.graphics`).
    clock: gets the seconds by stage.
    """
    clock = clock or Clock()
    raster = picture if isinstance(picture, Raster) else Raster(picture)
    try:
        prepared = prepare(raster, model, tile=tile)

        def search(wanted: Prepared, spent: int) -> Encoding:
            return searched_encoding(wanted, quality_index, spent, listener=listener, clock=clock)

        data = container.pack(_chosen(prepared, search, effort, choose=choose).container)
    except MemoryError as error:
        raise PictureError(f"not enough memory for {raster.width} x {raster.height} pixels") from error
    if verify:
        check(data, raster, model, clock)
    return data


def compress_lossless(
    picture: Levels | Raster, *, effort: int = 0, verify: bool = False, clock: Clock | None = None
) -> bytes:
    """Compress a picture exactly, colours under alpha 0 included; it needs no model.  picture, verify: as `compress`.

    effort: from `rdae.codec.graphics.BEST_EFFORT` on, large pictures get as much time as small ones.
    ValueError if it is not 0..9.
    """
    check_effort(effort)
    clock = clock or Clock()
    raster = picture if isinstance(picture, Raster) else Raster(picture)
    try:
        with clock.stage("pixels"):
            data = container.pack(graphics.lossless(raster, effort))
    except MemoryError as error:
        raise PictureError(f"not enough memory for {raster.width} x {raster.height} pixels") from error
    if verify:
        check(data, raster, None, clock)
    return data


def encode(
    picture: Levels | Raster,
    model: Model,
    quality_index: int,
    *,
    tile: Tile = "auto",
    effort: int = 0,
    choose: bool = False,
) -> Encoded:
    """Compress like `compress`, and say all that the encoder knows: its reconstruction, ideal rate and times."""
    clock = Clock()
    prepared = prepare(picture, model, tile=tile)

    def search(wanted: Prepared, spent: int) -> Encoding:
        return searched_encoding(wanted, quality_index, spent, account=True, keep=True, clock=clock)

    made = _chosen(prepared, search, effort, choose=choose)
    pixels_bits = 8.0 * sum(len(section.payload) for section in pixel_sections(made.container))
    with clock.stage("synthesis"):
        if made.encoding is None:
            reconstruction, latents_sha256 = decode.decode(made.container, None).picture, Digest().sha256
            rate_bits = pixels_bits
        else:
            reconstruction, latents_sha256 = reconstruct(made.encoding), made.encoding.latents_sha256
            rate_bits = made.encoding.rate_bits + pixels_bits
    return Encoded(container.pack(made.container), reconstruction, rate_bits, latents_sha256, clock.seconds)


def _chosen(
    prepared: Prepared, search: Callable[[Prepared, int], Encoding], effort: int, *, choose: bool
) -> Choice:
    """Return the file of a picture by latents, or as pixels where that costs less, if there is to be a choice.

    search: encodes what is prepared with an effort.
    """
    check_effort(effort)
    if choose and effort and graphics.is_graphics(prepared.raster):
        # Effort saves a tenth of the bits at most, pixels often half of them: then nobody need wait for the effort.
        quick = graphics.best(search(prepared, 0), lambda wanted: search(wanted, 0))
        if quick.encoding is None:
            return quick
    encoding = search(prepared, effort)
    if not choose:
        return Choice(container_of(encoding), encoding)
    return graphics.best(encoding, lambda wanted: search(wanted, effort))


def quantise(picture: Levels | Raster, model: Model, quality_index: int) -> Quantised:
    """Analyse and round a picture at a quality index 0..800, as one tile."""
    prepared = prepare(picture, model, tile=None)
    (y,) = prepared.rows_of_tiles(quality_index)
    return latents.quantise(y, model.hyper_analyse(y, quality_index), model.prior, quality_index)


def check(data: bytes, raster: Raster, model: Model | None, clock: Clock | None = None) -> None:
    """Decode all but the pixels of what was just encoded of `raster`, and compare; VerifyError if it differs.

    clock: gets the seconds, as one stage "verify".
    """
    clock = clock or Clock()
    inner = Clock(clock.listener)  # whose stages are no others than this one
    try:
        with clock.stage("verify"):
            found = decode.verify(data, model, max_pixels=None, clock=inner)
    except StreamError as error:
        raise VerifyError(f"what was encoded does not decode here to what was meant: {error}") from error
    if not found.are_of(raster):
        raise VerifyError("alpha or metadata do not decode here to what was meant")
