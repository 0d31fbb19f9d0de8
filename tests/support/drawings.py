"""Graphics for tests: plots in all modes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from tiny_model import noise

from rdae.pictures.raster import Raster

Levels = npt.NDArray[np.uint8]


def drawing(height: int, width: int, seed: int = 0) -> Levels:
    """A plot: white, with a grid, bars of flat colours and a curve."""
    rng = np.random.default_rng(seed)
    found = np.full((height, width, 3), 255, np.uint8)
    found[::24], found[:, ::32] = 220, 220
    for left in range(8, width - 16, 40):
        found[height - int(rng.integers(8, max(9, height - 8))) :, left : left + 20] = rng.integers(0, 256, 3)
    xs = np.arange(width)
    found[np.clip((np.sin(xs / 20) + 1) * height / 2.2, 0, height - 1).astype(int), xs] = (200, 0, 0)
    return found


def grey_of(levels: Levels) -> Levels:
    return np.repeat(levels[:, :, :1], 3, axis=2)


def modes(height: int, width: int) -> dict[str, Raster]:
    alpha = noise(5, height, width)[:, :, 0]
    levels = drawing(height, width)
    return {
        "L": Raster(grey_of(levels), grey=True),
        "LA": Raster(grey_of(levels), grey=True, alpha=alpha),
        "RGB": Raster(levels, xmp=b"<x/>"),
        "RGBA": Raster(levels, alpha=alpha),
    }
