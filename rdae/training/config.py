"""Everything that decides how a training goes, in one frozen dataclass that is saved with the run."""

from __future__ import annotations

import dataclasses
from typing import Any

from rdae.architecture import Architecture
from rdae.quality import MAX_INDEX


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings of one run.

    data: folders of pictures and tar shards of pictures. validation: the same, held out.
    steps, hours: the budget; exactly one is set. `hours` counts time spent training, over all resumptions.
    batch, crop: pictures a step and their side in pixels, a multiple of 64.
    quality_low, quality_high: quality indices are drawn evenly from this range (0..800); equal for one trade-off.
    loss_power: each picture's loss is weighted by β to the power of minus this, so that high rates don't drown low.
    matrix_rate: learning rate of Muon, for the matrices of blocks and prior; projection_rate: of Adam, for the linear
        maps that start as a DCT; rate: of Adam, for all else.
    matrix_decay: decoupled weight decay of the matrices; without it they grow until features explode.
    warmup_steps: of linear rise, after each start; decay: share of the budget, at its end, of linear fall to zero.
    average: decay of the exponential moving average of the weights, which is what gets validated and exported.
    clip: largest norm of the gradient.
    exact_phase: share of the budget, at its end, in which the prior's layers round as they will when exported.
    """

    data: tuple[str, ...]
    validation: tuple[str, ...] = ()
    architecture: Architecture = dataclasses.field(default_factory=Architecture)
    steps: int | None = None
    hours: float | None = None
    batch: int = 16
    crop: int = 256
    quality_low: int = 0
    quality_high: int = MAX_INDEX
    loss_power: float = 0.4
    matrix_rate: float = 2.5e-3
    matrix_decay: float = 0.2
    rate: float = 1e-3
    projection_rate: float = 1e-4
    warmup_steps: int = 200
    decay: float = 0.3
    average: float = 0.999
    clip: float = 1.0
    exact_phase: float = 0.1
    seed: int = 0
    precision: str = "float32"
    log_every: int = 20
    checkpoint_every: int = 500
    validate_every: int = 2000

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.hours is None):
            raise ValueError("set exactly one of steps and hours")
        if not self.data:
            raise ValueError("no training data given")
        if self.crop < 64 or self.crop % 64:
            raise ValueError(f"crop is {self.crop}, expected a multiple of 64")
        if self.batch < 1:
            raise ValueError(f"batch is {self.batch}, expected at least 1")
        if not 0 <= self.quality_low <= self.quality_high <= MAX_INDEX:
            raise ValueError(
                f"quality range {self.quality_low}..{self.quality_high} is not within 0..{MAX_INDEX}"
            )
        if self.precision not in ("float32", "bf16"):
            raise ValueError(f"precision is {self.precision!r}, expected float32 or bf16")
        if not (0 <= self.decay <= 1 and 0 <= self.exact_phase <= 1 and 0 <= self.average < 1):
            raise ValueError("decay, exact_phase and average must lie in 0..1")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON and checkpoints."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> TrainingConfig:
        """Rebuild from `to_dict`'s result."""
        values = dict(fields)
        values["architecture"] = Architecture.from_dict(values["architecture"])
        values["data"] = tuple(values["data"])
        values["validation"] = tuple(values["validation"])
        return cls(**values)
