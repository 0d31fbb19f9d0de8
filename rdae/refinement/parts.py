"""A picture tile by tile, each searched by itself: a large picture needs little more memory than a small one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdae.codec.tiles import Grid
from rdae.latents import Coded
from rdae.model import Model
from rdae.networks.architecture import PATCH
from rdae.refinement.effort import Aim, Plan, Stage
from rdae.refinement.search import Listener, Progress, Refinement, better
from rdae.refinement.windows import HALO, Box, windows


def parts(
    model: Model,
    levels: npt.NDArray[np.uint8],
    rows: Iterable[Tensor],
    grid: Grid,
    aim: Aim,
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
            yield Refinement(model, part, seen.of(y), tile.seen_from(seen), aim)


class Tally:
    """Runs the searches of all tiles of a picture, and tells a listener how far all of them together are."""

    def __init__(self, grid: Grid, plans: Sequence[Plan], listener: Listener | None) -> None:
        """Take the picture's tiles, the plans that each of them is searched by, and who is to be told."""
        self._listener = listener
        whole = Box(0, 0, grid.height, grid.width)
        tiles = (
            Box(top, left, bottom, right) for top, bottom in grid.rows() for left, right in grid.columns()
        )
        self._windows = [sum(1 for _ in windows(tile, whole)) for tile in tiles]
        self._steps = sum(self._windows) * sum(stage.steps for plan in plans for stage in plan.stages)
        self._done = 0
        self._plain_bits, self._plain_cost = 0.0, 0.0
        self._costs: list[list[float]] = []  # by plan and tile
        self.stopped = False

    def begin(self) -> None:
        """Begin with the next plan, and the first tile."""
        self._costs.append([])

    @property
    def last_is_best(self) -> bool:
        """Tell if what the last plan has found, for all tiles together, is the best so far."""
        *before, cost = map(sum, self._costs)
        return all(better(cost, other, self._plain_bits) for other in before)

    def run(self, search: Refinement, stages: Sequence[Stage]) -> Coded:
        """Run the next tile's search, which ends at once when an earlier one was ended; return what is coded."""
        places = self._windows[len(self._costs[-1])]
        found = search.run(() if self.stopped else stages, lambda progress: self._told(search, progress))
        if len(self._costs) == 1:
            self._plain_bits += search.plain.bits
            self._plain_cost += search.plain.cost
        self._costs[-1].append(search.best.cost)
        self._done += places * sum(stage.steps for stage in stages)
        return found

    def _told(self, search: Refinement, progress: Progress) -> bool:
        if self._listener is not None:
            bits, saved = self._plain_bits, self._plain_cost - sum(self._costs[0])
            if len(self._costs) == 1:
                bits += progress.plain_bits
                saved += progress.saved_bits
            else:
                saved += max(0.0, self._gained(search.best.cost))
            if self._listener(Progress(self._done + progress.step, self._steps, bits, saved)):
                self.stopped = True
        return self.stopped

    def _gained(self, cost: float) -> float:
        """What a later plan has saved beyond the first, of the tiles so far and of one more, that costs so much."""
        first, now = self._costs[0], self._costs[-1]
        return sum(first[: len(now)]) - sum(now) + max(0.0, first[len(now)] - cost)
