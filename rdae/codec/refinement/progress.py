"""How far the searches of all tiles of a picture are, taken together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from rdae.codec.refinement.plans import Plan
from rdae.codec.refinement.results import Found, Refined
from rdae.codec.refinement.windows import Box, windows
from rdae.codec.tiles import Grid


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a search is: steps done, of how many; bits of the plain encoding, and what the best one saves.

    saved_bits: of bits + β·distortion.
    """

    step: int
    steps: int
    plain_bits: float
    saved_bits: float


Listener = Callable[[Progress], bool | None]
"""Told after each step; True ends the search, with the best so far."""


class Report:
    """Tells a listener how far the searches of all tiles by all plans are, and remembers if it ended them."""

    def __init__(self, listener: Listener | None, grid: Grid, plans: Sequence[Plan]) -> None:
        """Take the picture's tiles, the plans that all of them are searched by, and who is to be told."""
        self._listener = listener
        picture = Box(0, 0, grid.height, grid.width)
        self._windows = [
            len(windows(Box(top, left, bottom, right), picture))
            for top, bottom in grid.rows()
            for left, right in grid.columns()
        ]
        self._steps = sum(self._windows) * sum(plan.steps for plan in plans)
        self._begun: list[tuple[Plan, list[float]]] = []  # with the best cost of each tile
        self._plain_cost = 0.0
        self.plain_bits = 0.0
        """Of the tiles so far that were searched by the first plan, as they are without a search."""
        self.stopped = False
        """The listener has ended the searches."""

    def begin(self, plan: Plan) -> None:
        """From now on tiles are searched by this plan, from the first tile on."""
        self._begun.append((plan, []))

    def tell(self, step: int, plain: Found, best: Found) -> bool:
        """Tell of a step, 1 or more, of the next tile's search, with what it found so far; return if it has to end."""
        if self._listener is not None:
            *whole, (plan, costs) = self._begun
            done = sum(each.steps for each, _ in whole) * sum(self._windows)
            done += plan.steps * sum(self._windows[: len(costs)])
            bits, saved = self.plain_bits, self._plain_cost - sum(self._begun[0][1])
            if whole:
                first = whole[0][1]
                gained = sum(first[: len(costs)]) - sum(costs) + max(0.0, first[len(costs)] - best.cost)
                saved += max(0.0, gained)
            else:
                bits += plain.bits
                saved += plain.cost - best.cost
            if self._listener(Progress(done + step, self._steps, bits, saved)):
                self.stopped = True
        return self.stopped

    def add(self, refined: Refined) -> None:
        """Count in what the next tile's search has found."""
        if len(self._begun) == 1:
            self.plain_bits += refined.plain.bits
            self._plain_cost += refined.plain.cost
        self._begun[-1][1].append(refined.best.cost)
