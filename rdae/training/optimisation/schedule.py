"""What changes in the course of a run: the learning rate's phases and the side of the crops.

A run warms up, holds its rates, and lets them fall to zero towards the end of its budget.  All of it follows from the
share of the budget that is used, so that a larger budget puts the end off and nothing has to start again.
"""

from __future__ import annotations

import dataclasses

from rdae.training.config import TrainingConfig

WARM_UP, CONSTANT, DECAY = "warm-up", "constant", "decay"


@dataclasses.dataclass(frozen=True)
class Pace:
    """What a step is made with: the phase's name, the factor of the learning rates, and the crops' side in pixels."""

    phase: str
    factor: float
    crop: int


def phase(progress: float, steps_since_start: int, config: TrainingConfig) -> str:
    """Name the phase of the learning rate.  progress: share of the budget used, 0..1."""
    if config.decay > 0 and progress > 1 - config.decay:
        return DECAY
    return WARM_UP if steps_since_start + 1 < config.warmup_steps else CONSTANT


def rate_factor(progress: float, steps_since_start: int, config: TrainingConfig, floor: float = 0.0) -> float:
    """Return the learning-rate factor, 0..1: linear warm-up after each start, constant, linear decay at the end.

    progress: share of the budget used, 0..1.  Extending the budget moves the decay, so a run can be continued.
    floor: where the warm-up begins; a run that goes on with a larger budget begins at the factor that it had.
    """
    rise = min(1.0, (steps_since_start + 1) / max(1, config.warmup_steps))
    warm = floor + (1.0 - floor) * rise
    cool = min(1.0, (1.0 - progress) / config.decay) if config.decay > 0 else 1.0
    return warm * max(0.0, cool)


def crop_side(progress: float, config: TrainingConfig) -> int:
    """Return the side of the crops in pixels: those of `config.crops` one after the other, then `config.crop`."""
    for side, until in config.crops:
        if progress < until:
            return side
    return config.crop
