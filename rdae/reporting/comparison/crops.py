"""Which part of a picture is shown: one chosen by hand, or where the codecs differ most.

How far apart the pictures of two codecs are at a pixel is their distance in XYB, SSIMULACRA2's colours
(`rdae.ssimulacra2.xyb`). The distances are summed over each window, for each pair of codecs, and the window is shown in
which the median over the pairs is largest. The median, because by the mean the worst codec would decide alone: one
would see where an old JPEG falls to pieces, not what the others do differently. The distance, and not each codec's
error by SSIMULACRA2, because that is large wherever grain is lost, and one would see plain sky.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rdae.codec.tiles import Region
from rdae.errors import PictureError
from rdae.metrics import Picture
from rdae.ssimulacra2 import xyb

STEP = 8
"""Windows begin at multiples of so many pixels, or end where the picture does."""

BAND = 128
"""So many rows are compared at a time: a picture in XYB has twelve bytes a pixel."""

Window = tuple[int, int]
"""Width and height."""
Edges = npt.NDArray[np.int_]
Sums = npt.NDArray[np.float64]


def checked(region: Region, original: Picture, name: str) -> Region:
    """Return a region that was chosen by hand; PictureError if it is not inside of the picture, (h, w, 3)."""
    height, width = original.shape[:2]
    if not region.inside(width, height):
        what = f"{region.width} x {region.height} pixels at {region.x},{region.y}"
        raise PictureError(f"{name}: a crop of {what} is not inside of its {width} x {height} pixels")
    return region


def most_different(pictures: Sequence[Picture], window: Window) -> Region:
    """Return the window in which two or more pictures of one size, uint8 (h, w, 3), differ most, as this module says.

    In a direction in which they are not larger than the window it is all of them.
    """
    height, width = pictures[0].shape[:2]
    columns, rows = min(window[0], width), min(window[1], height)
    if (columns, rows) == (width, height):
        return Region(0, 0, width, height)
    tops, lefts = _starts(height, rows), _starts(width, columns)
    ys = np.unique([*tops, *(tops + rows), *range(0, height, BAND)])
    xs = np.unique([*lefts, *(lefts + columns)])
    before = _summed(pictures, ys, xs)
    wide = before[:, :, np.searchsorted(xs, lefts + columns)] - before[:, :, np.searchsorted(xs, lefts)]
    sums = wide[:, np.searchsorted(ys, tops + rows)] - wide[:, np.searchsorted(ys, tops)]
    apart = np.median(sums, axis=0)
    i, j = np.unravel_index(int(apart.argmax()), apart.shape)
    return Region(int(lefts[j]), int(tops[i]), columns, rows)


def _starts(length: int, part: int) -> Edges:
    """Where windows begin: at multiples of STEP, and so that the last one ends where the picture does."""
    return np.unique([*range(0, length - part + 1, STEP), length - part])


def _summed(pictures: Sequence[Picture], ys: Edges, xs: Edges) -> Sums:
    """Sums of the distances of each pair above and to the left of edges, (pairs, ys, xs).

    ys: among them the multiples of BAND; both begin with 0 and end where the picture does.
    """
    height = pictures[0].shape[0]
    bands = []
    for top in range(0, height, BAND):
        planes = [xyb(picture[top : top + BAND]) for picture in pictures]
        inside = ys[(ys >= top) & (ys < min(top + BAND, height))] - top
        pairs = []
        for one, other in itertools.combinations(planes, 2):
            distance = np.sqrt(np.square(one - other).sum(axis=0), dtype=np.float64)
            pairs.append(np.add.reduceat(np.add.reduceat(distance, inside, axis=0), xs[:-1], axis=1))
        bands.append(np.stack(pairs))
    found: Sums = np.pad(np.concatenate(bands, axis=1), ((0, 0), (1, 0), (1, 0))).cumsum(1).cumsum(2)
    return found
