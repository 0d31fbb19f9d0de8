"""Pictures made smaller: each pixel is the mean of a box of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Levels = npt.NDArray[np.uint8]

SCALES = (1, 2, 4, 8)
"""How many pixels to a side one pixel of a reduced picture stands for."""


def means(levels: Levels, scale: int) -> Levels:
    """Return uint8 (h, w), (h, w, 1) or (h, w, 3) at 1/scale: the mean of each box of scale x scale pixels.

    Boxes begin at the left upper corner; those at the other borders are of the pixels that there are.  Whole ones are
    rounded halves up, the others within a level: Pillow counts in integers, by reciprocals.
    """
    if scale == 1:
        return levels
    if levels.ndim == 3 and levels.shape[2] == 1:
        return means(levels[:, :, 0], scale)[:, :, None]
    return np.asarray(Image.fromarray(np.ascontiguousarray(levels)).reduce(scale))
