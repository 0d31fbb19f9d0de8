"""The part of a picture that is refined at a time, so that memory does not grow with the picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rdae.codec.tiles import Grid
from rdae.networks.architecture import PATCH

WHOLE = 48 * 48
"""Latents of a tile that is refined at once, 0.6 megapixels; larger ones are cut."""

CORE = 32
"""Rows and columns of latents of the windows of larger tiles."""

HALO = 6
"""Latents beside a window that it is computed with, as they are: what a latent changes in pixels and in the prior
reaches hardly further.  Even, as windows begin at even rows and columns."""


class Box(NamedTuple):
    """A rectangle of latents: its first row and column, and one past the last."""

    top: int
    left: int
    bottom: int
    right: int

    def grown(self, by: int, within: Box) -> Box:
        """Return the box with so many more latents on each side, as far as another one has them."""
        return Box(
            max(self.top - by, within.top),
            max(self.left - by, within.left),
            min(self.bottom + by, within.bottom),
            min(self.right + by, within.right),
        )

    def relative_to(self, other: Box) -> Box:
        """Return the box in coordinates that begin at another one's first row and column."""
        return Box(
            self.top - other.top, self.left - other.left, self.bottom - other.top, self.right - other.left
        )

    def scaled(self, factor: int) -> Box:
        """Return the box in units that many times as small: of pixels, by PATCH."""
        return Box(*(factor * edge for edge in self))

    def cut(self, planes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the box's part of planes (..., h, w), a view."""
        return planes[..., self.top : self.bottom, self.left : self.right]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left


class Window(NamedTuple):
    """What is refined at a time (core), with what the prior sees of the tile and the synthesis of the picture."""

    core: Box
    prior: Box
    synthesis: Box


def windows(tile: Box, picture: Box) -> list[Window]:
    """Cut a tile into windows; what the prior sees begins at even rows and columns of the tile, as its 2x2 cells do."""
    height, width = tile.size
    if height * width <= WHOLE:
        return [Window(tile, tile, tile.grown(HALO, picture))]
    cores = (
        Box(top, left, min(top + CORE, tile.bottom), min(left + CORE, tile.right))
        for top in range(tile.top, tile.bottom, CORE)
        for left in range(tile.left, tile.right, CORE)
    )
    return [Window(core, core.grown(HALO, tile), core.grown(HALO, picture)) for core in cores]


class Neighbourhood(NamedTuple):
    """A tile with what is beside it: levels, uint8 (16 h, 16 w, 3) or less at an edge; y, (latents, h, w)."""

    levels: npt.NDArray[np.uint8]
    y: npt.NDArray[np.float32]
    tile: Box


def tiles_with_neighbours(
    levels: npt.NDArray[np.uint8],
    y: Iterable[npt.NDArray[np.float32]],
    grid: Grid,
) -> Iterator[Neighbourhood]:
    """Cut a picture into its tiles, row by row, with HALO latents on all sides of each.

    levels: uint8 (H, W, 3).  y: of each row of tiles, (latents, k, w), of which three are held at a time.
    """
    coming = iter(y)
    above: list[npt.NDArray[np.float32]] = []
    row = next(coming)
    for top, bottom in grid.rows():
        below = next(coming, None)
        beside = [] if below is None else [below[:, :HALO]]
        around = np.concatenate([*above, row, *beside], axis=1) if above or beside else row
        first = top - sum(each.shape[1] for each in above)
        above = [row[:, -HALO:].copy()]
        known = Box(0, 0, *around.shape[1:])
        for left, right in grid.columns():
            tile = Box(top - first, left, bottom - first, right)
            seen = tile.grown(HALO, known)
            pixels = seen.scaled(PATCH)
            offset = PATCH * first
            part = levels[offset + pixels.top : offset + pixels.bottom, pixels.left : pixels.right]
            yield Neighbourhood(part, seen.cut(around), tile.relative_to(seen))
        if below is not None:
            row = below
