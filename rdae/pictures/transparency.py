"""Pictures with less transparency than they came with: fewer levels of it, or none, over a background."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageColor

from rdae.pictures import profiles
from rdae.pictures.raster import Raster
from rdae.pictures.spool import Collector, release

if TYPE_CHECKING:
    import numpy.typing as npt

    Levels = npt.NDArray[np.uint8]

EXACT = 100
BAND_PIXELS = 1 << 21  # that are composed at once

Colour = tuple[int, int, int]


def colour_of(colour: str | Colour) -> Colour:
    """Red, green and blue, 0 to 255, of a colour as CSS has it: white, #fff, rgb(0, 128, 255); ValueError."""
    found = ImageColor.getrgb(colour) if isinstance(colour, str) else tuple(colour)
    if len(found) != 3 or not all(0 <= part <= 255 for part in found):
        raise ValueError(f"the colour is {colour!r}, expected red, green and blue of 0 to 255, and no alpha")
    red, green, blue = found
    return red, green, blue


def levels_for(quality: float) -> npt.NDArray[np.uint8]:
    """The levels of alpha that a quality of 0 to 100 leaves, rising: multiples of a whole step, and 255.

    The step is 1 at quality 100, 16 at 50 and 255 at 0, log-linear between. It is whole as equal differences take
    fewer bytes than those of levels that are spread more evenly.
    """
    step = round(255 ** (1 - quality / EXACT))
    return np.append(np.arange(0, 255 - step // 2, step), 255).astype(np.uint8)


def quantised(raster: Raster, quality: float) -> Raster:
    """The picture with as many levels of alpha as a quality of 0 to 100 leaves: fewer take fewer bytes.

    0 and 255 are among them: what was transparent or opaque stays so. ValueError for another quality.
    """
    if not 0 <= quality <= EXACT:
        raise ValueError(f"alpha quality is {quality}, expected 0 to {EXACT}")
    if raster.alpha is None or quality == EXACT:
        return raster
    levels = levels_for(quality)
    far = np.abs(np.arange(256)[:, None] - levels[None].astype(np.int64))
    alpha = levels[far.argmin(axis=1)][raster.alpha]
    return dataclasses.replace(raster, alpha=None if bool((alpha == 255).all()) else alpha)


def composed(raster: Raster, background: Colour) -> Raster:
    """The picture over a background, without alpha. What is grey stays grey over grey.

    background: red, green and blue in the picture's own colours; of a grey picture with a profile, if it is not grey,
    in sRGB, to which the picture is converted.
    """
    if raster.alpha is None:
        return raster
    levels, icc = raster.levels, raster.icc
    grey = raster.grey and len(set(background)) == 1
    if raster.grey and not grey and icc is not None:
        levels, icc = np.asarray(profiles.to_srgb(Image.fromarray(levels[:, :, 0]), icc)), None
    under = np.array(background, np.uint16)
    collector = Collector(raster.height, raster.width)
    for top in range(0, raster.height, rows := max(1, BAND_PIXELS // raster.width)):
        band = _over(levels[top : top + rows], raster.alpha[top : top + rows], under)
        collector.add(band[:, :, 0] if grey else band)
        release(raster.levels)
    return dataclasses.replace(raster, levels=collector.levels(), grey=grey, alpha=None, icc=icc)


def _over(levels: Levels, alpha: Levels, under: npt.NDArray[np.uint16]) -> Levels:
    """Levels (k, w, 3) over a colour (3,), by alpha (k, w), to the nearest."""
    opacity = alpha[:, :, None].astype(np.uint16)
    # Largest: 255 * 255 + 127, which 16 bits hold.
    mixed = levels * opacity + under * (255 - opacity)
    found: Levels = ((mixed + 127) // 255).astype(np.uint8)
    return found
