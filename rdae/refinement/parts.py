"""A picture tile by tile, each searched by itself: a large picture needs little more memory than a small one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdae.architecture import PATCH
from rdae.latents import Coded
from rdae.model import Model
from rdae.refinement.effort import Stage
from rdae.refinement.search import Listener, Progress, Refinement
from rdae.refinement.windows import HALO, Box, windows
from rdae.tiles import Grid


def parts(
    model: Model, levels: npt.NDArray[np.uint8], rows: Iterable[Tensor], grid: Grid, index: int
) -> Iterator[Refinement]:
    """Yield the search of each tile, row by row.

    levels: uint8 (h, w, 3), of the picture.  rows: y of each row of tiles, (latents, k, width), in steps.  For the
    synthesis a tile has some latents on all sides of it, as the analysis gave them.
    """
    coming = iter(rows)
    above: list[Tensor] = []
    row = next(coming, None)
    for top, bottom in grid.rows():
        assert row is not None
        below = next(coming, None)
        beside = [] if below is None else [below[:, :HALO]]
        y = torch.cat([*above, row, *beside], dim=1) if above or beside else row
        first = top - sum(each.shape[1] for each in above)
        above, row = [row[:, -HALO:].clone()], below
        known = Box(0, 0, *y.shape[1:])
        for left, right in grid.columns():
            tile = Box(top - first, left, bottom - first, right)
            seen = tile.grown(HALO, known)
            part = levels[
                PATCH * (first + seen.top) : PATCH * (first + seen.bottom),
                PATCH * seen.left : PATCH * seen.right,
            ]
            yield Refinement(model, part, seen.of(y), tile.seen_from(seen), index)


class Tally:
    """Runs the searches of all tiles of a picture, and tells a listener how far all of them together are."""

    def __init__(self, grid: Grid, plan: Sequence[Stage], listener: Listener | None) -> None:
        """Take the picture's tiles, the stages and who is to be told."""
        self._plan, self._listener = plan, listener
        whole = Box(0, 0, grid.height, grid.width)
        tiles = (
            Box(top, left, bottom, right) for top, bottom in grid.rows() for left, right in grid.columns()
        )
        count = sum(1 for tile in tiles for _ in windows(tile, whole))
        self._steps = count * sum(stage.steps for stage in plan)
        self._before = Progress(0, self._steps, 0.0, 0.0)
        self._last = self._before
        self._stopped = False

    def run(self, search: Refinement) -> Coded:
        """Run the next tile's search, which ends at once when an earlier one was ended; return what is coded."""
        found = search.run(() if self._stopped else self._plan, self._told)
        self._before = self._last
        return found

    def _told(self, progress: Progress) -> bool:
        before = self._before
        self._last = Progress(
            before.step + progress.step,
            self._steps,
            before.plain_bits + progress.plain_bits,
            before.saved_bits + progress.saved_bits,
        )
        if self._listener is not None and self._listener(self._last):
            self._stopped = True
        return self._stopped
