"""What each level of effort does."""

from __future__ import annotations

import dataclasses

from rdae.effort import MAX_EFFORT
from rdae.refinement.rounding import Rounding


@dataclasses.dataclass(frozen=True)
class Stage:
    """Some steps of descent, which begin where the stage before ended.

    rate: the first step's length, in quantisation steps, of a latent with the usual gradient of its channel; it falls
    linearly to `rest` of that.  memory, spread_memory: decay of the averages of the gradient and of its square.
    """

    steps: int
    rounding: Rounding
    rate: float
    rest: float
    memory: float
    spread_memory: float


_SURE = Rounding(steepness=3.0, temperature=0.8, noise=False)
_DRAWN = Rounding(steepness=4.0, temperature=0.9, noise=True)

_STAGES = (
    Stage(1, _SURE, 0.03, 1.0, 0.6, 0.95),
    Stage(4, _SURE, 0.03, 0.3, 0.6, 0.95),
    Stage(20, _DRAWN, 0.04, 0.15, 0.8, 0.99),
    Stage(40, _DRAWN, 0.04, 0.15, 0.8, 0.99),
    Stage(70, _DRAWN, 0.04, 0.15, 0.8, 0.99),
    Stage(110, _DRAWN, 0.03, 0.1, 0.9, 0.999),
    Stage(160, _DRAWN, 0.03, 0.1, 0.9, 0.999),
    Stage(220, _DRAWN, 0.03, 0.1, 0.9, 0.999),
    Stage(275, _DRAWN, 0.03, 0.1, 0.9, 0.999),
)
"""Few steps do best without noise; more of them find their way only with it."""

assert len(_STAGES) == MAX_EFFORT


def stages(effort: int) -> tuple[Stage, ...]:
    """Return what a level 0..9 does: what the level below does, and one stage more.  ValueError for another level.

    As the levels share their beginning and each keeps the best that it has seen, none is worse than the one below.
    """
    if not 0 <= effort <= MAX_EFFORT:
        raise ValueError(f"effort {effort}, expected 0 to {MAX_EFFORT}")
    return _STAGES[:effort]
