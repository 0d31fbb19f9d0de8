"""The bytes of files to pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from rdae.clock import Clock
from rdae.codec import container
from rdae.codec.bands import Picture, gathered, memory_for, timed
from rdae.codec.decoder import Decoder, View
from rdae.codec.tiles import Region
from rdae.model import Model
from rdae.pictures.bands import Bands
from rdae.pictures.raster import Raster, info_of, mode_of
from rdae.training.modules.layers import exact_float32


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A decompressed picture, with the hash of ẑ and ŷ and the seconds by stage."""

    raster: Raster
    latents_sha256: str
    seconds: dict[str, float]

    @property
    def picture(self) -> Picture:
        """Its levels, uint8 (h, w, 3)."""
        return self.raster.levels


@torch.inference_mode()
@exact_float32()
def decode(
    data: bytes,
    model: Model,
    max_pixels: int | None = container.MAX_PIXELS,
    *,
    exact: bool = False,
    region: Region | None = None,
    scale: int = 1,
    clock: Clock | None = None,
) -> Decoded:
    """Decompress the bytes of a file; a StreamError or WeightsError if that cannot be done soundly.

    exact: synthesise in exact arithmetic, so that pixels are the same on every machine, at a few times the work.
    max_pixels: larger pictures are refused before anything is allocated; None: take any size.
    region: the part of the picture that is wanted, for which only the tiles that it needs are decoded; ValueError if it
    does not lie in the picture.
    scale: 1, or 2, 4 or 8 for the means of boxes of so many by so many pixels, counted from the picture's left upper
    corner, as far as they have pixels in the region.  At the other edges what the synthesis makes beyond counts too.
    clock: gets the seconds by stage.
    """
    clock = clock or Clock()
    view = View(Decoder(data, model, max_pixels, clock), region, scale)
    header = view.decoder.header
    with memory_for(header.height, header.width):
        picture = gathered(view.levels(exact=exact), (view.height, view.width), clock)
    found = view.extras
    raster = Raster(picture, header.grey, view.alpha, found.icc, found.exif, found.xmp)
    return Decoded(raster, view.decoder.digest.sha256, clock.seconds)


def unfold(
    data: bytes,
    model: Model,
    max_pixels: int | None = container.MAX_PIXELS,
    *,
    exact: bool = False,
    region: Region | None = None,
    scale: int = 1,
    clock: Clock | None = None,
) -> Bands:
    """Begin to do what `decode` does: the rows of what is returned are decoded as they are taken."""
    clock = clock or Clock()
    view = View(Decoder(data, model, max_pixels, clock), region, scale)
    header, found = view.decoder.header, view.extras
    mode = mode_of(grey=header.grey, alpha=view.alpha is not None)
    info = info_of(found.icc, found.exif, found.xmp)
    return Bands(view.width, view.height, mode, info, _unfolded(view, clock, exact=exact))


def _unfolded(view: View, clock: Clock, *, exact: bool) -> Iterator[npt.NDArray[np.uint8]]:
    """The rows of a view, uint8 (k, w, channels), with alpha beside the levels if there is any."""
    header = view.decoder.header
    levels = iter(view.levels(exact=exact))
    top = 0
    while True:
        # Not around a yield: what the caller does in between is none of this.
        with torch.inference_mode(), exact_float32(), memory_for(header.height, header.width):
            rows = next(timed(levels, clock), None)
        if rows is None:
            return
        if view.alpha is not None:
            rows = np.concatenate([rows, view.alpha[top : top + len(rows), :, None]], axis=2)
        top += len(rows)
        yield rows


@torch.inference_mode()
@exact_float32()
def verify(
    data: bytes, model: Model, max_pixels: int | None = container.MAX_PIXELS, clock: Clock | None = None
) -> None:
    """Decode all of a file but its pixels, compare the latents with their checksum; the errors of `decode`.

    clock: gets the seconds by stage.
    """
    decoder = Decoder(data, model, max_pixels, clock or Clock())
    decoder.skim()
    with memory_for(decoder.header.height, decoder.header.width):
        decoder.extras()
