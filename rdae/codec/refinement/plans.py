"""What each level of effort does."""

from __future__ import annotations

import dataclasses

from rdae.codec.refinement.rounding import Rounding
from rdae.effort import MAX_EFFORT, check_effort
from rdae.quality import beta


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
_COOLER = Rounding(steepness=4.0, temperature=0.6, noise=True)

COARSER = 24
"""By how many quality indices the steps of the longer searches are coarser than those of the quality asked for.

The descent finds latents that suit the synthesis so well that fewer, larger steps do for the same picture: of the
curves of rate and distortion that searches reach at the same β, this one is lowest (docs/experiments.md).
"""


@dataclasses.dataclass(frozen=True)
class Aim:
    """The quality index of the quantisation steps, and that which was asked for, 0..800."""

    index: int
    asked: int

    @property
    def beta(self) -> float:
        """The weight of the distortion."""
        return beta(self.asked)


@dataclasses.dataclass(frozen=True)
class Plan:
    """One search: its stages, and by how many quality indices its steps are coarser than those asked for."""

    stages: tuple[Stage, ...]
    coarser: int = 0

    def aim(self, quality_index: int) -> Aim:
        """Return what it aims at when asked for a quality index 0..800."""
        return Aim(max(0, quality_index - self.coarser), quality_index)

    @property
    def steps(self) -> int:
        """How many steps it makes in all."""
        return sum(stage.steps for stage in self.stages)


_SHORT = (Stage(1, _SURE, 0.03, 1.0, 0.6, 0.95),)
_LONG = (
    Stage(5, _SURE, 0.03, 0.3, 0.6, 0.95),
    Stage(18, _DRAWN, 0.04, 0.15, 0.8, 0.99),
    Stage(40, _DRAWN, 0.04, 0.15, 0.8, 0.99),
    Stage(50, _DRAWN, 0.04, 0.15, 0.8, 0.99),
    Stage(60, _COOLER, 0.02, 0.1, 0.9, 0.999),
    Stage(70, _COOLER, 0.02, 0.1, 0.9, 0.999),
    Stage(80, _COOLER, 0.02, 0.1, 0.9, 0.999),
    Stage(100, _COOLER, 0.02, 0.1, 0.9, 0.999),
)
"""Few steps do best without noise; more of them find their way only with it."""

assert len(_SHORT) + len(_LONG) == MAX_EFFORT


def plans(effort: int) -> tuple[Plan, ...]:
    """Return the searches of a level 0..9, of which the best result counts.  ValueError for another level.

    A level does what the level below does, and one stage more.  As each search keeps the best that it has seen, none
    is worse than the one below.
    """
    check_effort(effort)
    searches = Plan(_SHORT[:effort]), Plan(_LONG[: max(0, effort - len(_SHORT))], COARSER)
    return tuple(plan for plan in searches if plan.stages)


def steps(effort: int) -> int:
    """Return how many steps a level 0..9 makes in all."""
    return sum(plan.steps for plan in plans(effort))
