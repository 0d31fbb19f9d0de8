"""Tiles: the squares of latents that are coded each by itself, so that memory and regions do not ask for the whole.

Tiles bound only what the prior sees.  The transforms read across their borders, so tiles make no seams.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rdae.networks.architecture import PATCH
from rdae.networks.transforms import Span

AUTOMATIC_PIXELS = 1 << 22
"""Larger pictures are tiled unless told otherwise."""

AUTOMATIC_TILE = 6
"""Log2 of their tiles' side in latents: 1024 pixels.  On 4.7 megapixels of photographs that cost 0.16 % of the
bits at quality 20 and 0.03 % at quality 80."""


class Region(NamedTuple):
    """A rectangle of pixels: its left upper corner and size."""

    x: int
    y: int
    width: int
    height: int

    def inside(self, width: int, height: int) -> bool:
        """Tell if it has pixels and all of them lie in a picture of width x height."""
        across = 0 <= self.x < self.x + self.width <= width
        return across and 0 <= self.y < self.y + self.height <= height

    def boxes(self, scale: int) -> Region:
        """Return what it touches of boxes of scale x scale pixels: a rectangle counted in boxes."""
        left, top = self.x // scale, self.y // scale
        right, bottom = -(-(self.x + self.width) // scale), -(-(self.y + self.height) // scale)
        return Region(left, top, right - left, bottom - top)

    def of(self, plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the rectangle of a picture's plane, (h, w) or (h, w, channels)."""
        return plane[self.y : self.y + self.height, self.x : self.x + self.width]


@dataclass(frozen=True)
class Grid:
    """The tiles of a picture whose latents are height x width; tile: log2 of their side, None for one tile."""

    height: int
    width: int
    tile: int | None = None

    @classmethod
    def of(cls, height: int, width: int, tile: int | None) -> Grid:
        """Return the grid of a picture of height x width pixels."""
        return cls(-(-height // PATCH), -(-width // PATCH), tile)

    def rows(self) -> list[Span]:
        """The rows of latents of each row of tiles."""
        return list(self._spans(self.height))

    def columns(self) -> list[Span]:
        """The columns of latents of each column of tiles."""
        return list(self._spans(self.width))

    def __len__(self) -> int:
        return len(self.rows()) * len(self.columns())

    def _spans(self, length: int) -> Iterator[Span]:
        side = length if self.tile is None else 1 << self.tile
        for start in range(0, length, side):
            yield start, min(start + side, length)


def automatic(height: int, width: int) -> int | None:
    """Return the tile that a picture of height x width pixels gets if its owner does not care."""
    return AUTOMATIC_TILE if height * width > AUTOMATIC_PIXELS else None


def window(start: int, length: int, limit: int, reach: int) -> Span:
    """Return the latents, of `limit`, that pixels start..start + length depend on if each reaches so many latents."""
    return max(0, start // PATCH - reach), min(limit, math.ceil((start + length) / PATCH) + reach)


def cut_rows(
    bands: Iterable[npt.NDArray[np.float32]], heights: Iterable[int]
) -> Iterator[npt.NDArray[np.float32]]:
    """Cut bands of rows, (C, k, w) from top to bottom, into others of such heights, which are as many rows in all."""
    coming = iter(bands)
    held: list[npt.NDArray[np.float32]] = []
    for height in heights:
        while sum(band.shape[1] for band in held) < height:
            held.append(next(coming))
        whole = held[0] if len(held) == 1 else np.concatenate(held, axis=1)
        held = [whole[:, height:]] if whole.shape[1] > height else []
        yield whole[:, :height]
