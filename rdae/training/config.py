"""Everything that decides how a training goes, in one frozen dataclass that is saved with the run."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any, NamedTuple

from rdae.networks.architecture import Architecture
from rdae.objective import Ends, ends
from rdae.quality import MAX_INDEX

PARTS: dict[str, tuple[str, ...]] = {
    "analysis": ("analysis.", "gains.log_analysis", "gains.log_quantise"),
    "synthesis": ("synthesis.", "gains.log_synthesis", "gains.log_restore"),
    "prior": ("hyper_analysis.", "hyper_synthesis.", "context.", "bottleneck."),
}
"""Parts of a model that can be trained alone: beginnings of the names of their parameters."""

OBJECTIVES = {"mse": 64, "ms-ssim": 192, "ssimulacra2": 256}
"""The distortions that a loss can have, and the smallest crop that each can measure."""


K2 = 0.03
"""Of MS-SSIM, as its authors have it: contrasts far below this share of white's level count as none."""


class Shares(NamedTuple):
    """What counts in a distortion by SSIMULACRA2, as in `TrainingConfig`: the three shares, and `ms_ssim_k2`."""

    mse: Ends = (0.0, 0.0, 0.0)
    luma: Ends = (0.0, 0.0, 0.0)
    ms_ssim: float = 0.0
    k2: float = K2


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings of one run.

    data: folders of pictures, tar shards of pictures, and lists of these. validation: the same, held out.
    init: names and ids of the weights that the run starts from, for the record.
    weights: (pattern, weight) pairs: pictures whose name matches are drawn so many times as often; the first counts.
    stream: megapixels held at a time, of more than fit into memory; None holds all.
    reuse: how many times its own pixels in crops a picture gives before a stream replaces it.
    reduce: share of the crops that are cut from pictures halved in size, where these are large enough.
    steps, hours: the budget; exactly one is set. `hours` counts time spent training, over all resumptions.
    batch, crop: pictures a step, of all processes together, and their side in pixels, a multiple of 64.
    crops: (side, share of the budget until which it is used) of smaller crops that come before.
    objective: the distortion in the loss (OBJECTIVES).
    mse_share: of a distortion by SSIMULACRA2, the share that the MSE has: at quality 0, at 50 to 80, and at 100.
    luma_share: of that MSE, the share of luma alone, at the same qualities.
    ms_ssim_share: of the rest of it, the share that MS-SSIM of luma has from quality 60 on, rising from none at 40.
    ms_ssim_k2: of that MS-SSIM, the paper's K2: a smaller one sees fainter texture.
    only: parts that are trained, the others being frozen (PARTS); none means all.
    rounded: rate and distortion of truly rounded latents, with noise only for gradients that rounding lacks, and the
        prior rounded from the start.
    quality_low, quality_high: quality indices are drawn evenly from this range (0..800); equal for one trade-off.
    loss_power: each picture's loss is weighted by β to the power of minus this, so that high rates don't drown low.
    matrix_rate: learning rate of Muon, for the matrices of blocks and prior; projection_rate: of Adam, for the linear
        maps that start as a DCT, which stay one at 0; rate: of Adam, for all else.
    matrix_decay: decoupled weight decay of the matrices; without it they grow until features explode.
    warmup_steps: of linear rise, after each start; decay: share of the budget, at its end, of linear fall to zero.
    average: decay of the exponential moving average of the weights, which is what gets validated and exported.
    clip: largest norm of the gradient.
    exact_phase: share of the budget, at its end, in which the prior's layers round as they will when exported.
    """

    data: tuple[str, ...]
    validation: tuple[str, ...] = ()
    init: tuple[str, ...] = ()
    architecture: Architecture = dataclasses.field(default_factory=Architecture)
    steps: int | None = None
    hours: float | None = None
    batch: int = 16
    crop: int = 256
    crops: tuple[tuple[int, float], ...] = ()
    objective: str = "mse"
    mse_share: Ends = (0.8, 0.3, 0.3)
    luma_share: Ends = (0.0, 0.0, 0.0)
    ms_ssim_share: float = 0.0
    ms_ssim_k2: float = K2
    only: tuple[str, ...] = ()
    rounded: bool = False
    weights: tuple[tuple[str, float], ...] = ()
    stream: float | None = None
    reuse: float = 4.0
    reduce: float = 0.0
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
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective is {self.objective!r}, expected one of {', '.join(OBJECTIVES)}")
        for side in (self.crop, *(side for side, _ in self.crops)):
            if side < 64 or side % 64:
                raise ValueError(f"crop is {side}, expected a multiple of 64")
            if side < OBJECTIVES[self.objective]:
                least = OBJECTIVES[self.objective]
                raise ValueError(f"crop is {side}, expected at least {least} for {self.objective}")
        for name in ("mse_share", "luma_share"):
            shares = getattr(self, name)
            if len(shares) != 3 or not all(0 <= share <= 1 for share in shares):
                raise ValueError(f"{name} is {shares}, expected three numbers in 0..1")
        if not 0 <= self.ms_ssim_share <= 1:
            raise ValueError(f"ms_ssim_share is {self.ms_ssim_share}, expected 0..1")
        if not 0.001 <= self.ms_ssim_k2 <= 1:
            raise ValueError(f"ms_ssim_k2 is {self.ms_ssim_k2}, expected 0.001..1")
        if self.crops and not all(
            a < b for a, b in itertools.pairwise((0, *(until for _, until in self.crops), 1))
        ):
            raise ValueError("the shares of the crops' sides must rise from 0 to 1")
        if self.batch < 1:
            raise ValueError(f"batch is {self.batch}, expected at least 1")
        if not 0 <= self.quality_low <= self.quality_high <= MAX_INDEX:
            raise ValueError(
                f"quality range {self.quality_low}..{self.quality_high} is not within 0..{MAX_INDEX}"
            )
        if not set(self.only) <= set(PARTS):
            raise ValueError(f"only is {', '.join(self.only)}, expected some of {', '.join(PARTS)}")
        if not all(math.isfinite(weight) and weight >= 0 for _, weight in self.weights):
            raise ValueError("weights of pictures must be 0 or more")
        if self.precision not in ("float32", "bf16"):
            raise ValueError(f"precision is {self.precision!r}, expected float32 or bf16")
        self._check_numbers()

    def _check_numbers(self) -> None:
        """ValueError for a number out of its range; no comparison holds for NaN, so none of these lets it through."""
        for name in ("hours", "stream", "reuse", "matrix_rate", "rate", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} is {value}, expected a finite number above 0")
        for name in ("projection_rate", "matrix_decay", "warmup_steps"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} is {value}, expected a finite number of 0 or more")
        for name in ("reduce", "decay", "exact_phase"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}, expected 0..1")
        if not 0 <= self.average < 1:
            raise ValueError(f"average is {self.average}, expected 0 or more, and less than 1")
        if not math.isfinite(self.loss_power):
            raise ValueError(f"loss_power is {self.loss_power}, expected a finite number")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON and checkpoints."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> TrainingConfig:
        """Rebuild from `to_dict`'s result."""
        values = dict(fields)
        values["architecture"] = Architecture.from_dict(values["architecture"])
        for name in ("data", "validation", "init", "only"):
            values[name] = tuple(values.get(name, ()))
        for name in ("crops", "weights"):
            values[name] = tuple((first, second) for first, second in values.get(name, ()))
        for name in ("mse_share", "luma_share"):
            if name in values:
                values[name] = ends(values[name])
        return cls(**values)

    @property
    def shares(self) -> Shares:
        """What errors count in the distortion of the objective "ssimulacra2"."""
        return Shares(self.mse_share, self.luma_share, self.ms_ssim_share, self.ms_ssim_k2)

    @property
    def largest_crop(self) -> int:
        """The largest side that crops will have: pictures must be as large."""
        return max(self.crop, *(side for side, _ in self.crops), 0)
