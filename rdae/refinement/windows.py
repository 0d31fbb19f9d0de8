"""The part of a picture that is refined at a time, so that memory does not grow with the picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

WHOLE = 48 * 48
"""Latents of a tile that is refined at once, 0.6 megapixels; larger ones are cut."""

CORE = 32
"""Rows and columns of latents of the parts of larger tiles."""

HALO = 6
"""Latents beside a part that it is computed with, as they are: what a latent changes in pixels and in the prior reaches
hardly further."""


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

    def seen_from(self, other: Box) -> Box:
        """Return the box in coordinates that begin at another one's first row and column."""
        return Box(
            self.top - other.top, self.left - other.left, self.bottom - other.top, self.right - other.left
        )

    def of(self, planes: Tensor) -> Tensor:
        """Return the box's part of planes (..., h, w), a view."""
        return planes[..., self.top : self.bottom, self.left : self.right]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left


class Window(NamedTuple):
    """What is refined (core), what the prior sees with it (sight) and what the synthesis does (view)."""

    core: Box
    sight: Box
    view: Box


def windows(tile: Box, picture: Box) -> Iterator[Window]:
    """Cut a tile into windows, whose sight begins at even rows and columns of the tile, as its 2x2 cells do."""
    height, width = tile.size
    if height * width <= WHOLE:
        yield Window(tile, tile, tile.grown(HALO, picture))
        return
    for top in range(tile.top, tile.bottom, CORE):
        for left in range(tile.left, tile.right, CORE):
            core = Box(top, left, min(top + CORE, tile.bottom), min(left + CORE, tile.right))
            yield Window(core, core.grown(HALO, tile), core.grown(HALO, picture))
