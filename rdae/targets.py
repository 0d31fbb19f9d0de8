"""The quality that meets a target: a size, a rate, or a distortion.

Each trial is a real encoding, so what is promised is what is written.  Size, rate and distortion grow with quality,
nearly smoothly, so that regula falsi on a scale where they are nearly straight needs few trials.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, get_args

from rdae.errors import TargetError
from rdae.quality import MAX_INDEX, from_index

Kind = Literal["size", "bpp", "psnr", "ms-ssim", "ssimulacra2"]
Made = TypeVar("Made")

MAX_TRIALS = 8
TOLERANCE = 0.01
"""Of size and rate, below the target; a distortion is met by the lowest quality that is found to meet it."""

FIRST_INDEX = 400
"""What a search begins with that knows nothing."""

_EQUAL = {"ms-ssim": 1.0, "ssimulacra2": 100.0}
"""What a similarity is of equal pictures."""

_USUAL_SLOPE = {"size": 0.0048, "bpp": 0.0048, "psnr": 0.022, "ms-ssim": 0.0046, "ssimulacra2": 0.003}
"""How much a measure, on its straight scale, grows from one quality index to the next on average pictures."""


@dataclass(frozen=True)
class Target:
    """What is wanted: at most a size in bytes or a rate in bits per pixel, or at least a PSNR in dB or a similarity."""

    kind: Kind
    value: float

    def __post_init__(self) -> None:
        """ValueError for another kind, or a value that none of this kind can have."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"target {self.kind!r}, expected one of {', '.join(get_args(Kind))}")
        most = _EQUAL.get(self.kind, math.inf)
        if not 0 < self.value < most:
            bounds = f"more than 0 and less than {most:g}" if self.kind in _EQUAL else "more than 0"
            raise ValueError(f"{self.kind} {self.value}, expected {bounds}")

    @property
    def at_most(self) -> bool:
        """True of sizes and rates, False of what says how good a picture is."""
        return self.kind in {"size", "bpp"}

    def straight(self, measure: float) -> float:
        """Bring a measure to a scale on which it grows nearly linearly with quality."""
        if self.at_most:
            return math.log(measure)
        if self.kind in _EQUAL:
            return -math.log(max(_EQUAL[self.kind] - measure, 1e-12))
        return measure

    def words(self, measure: float, digits: int = 0) -> str:
        """Name a measure of this kind, with its unit: "36.00 dB"; digits: more of them."""
        places, form = {
            "size": (0, "{:,.{}f} byte" if measure == 1 else "{:,.{}f} bytes"),
            "bpp": (4, "{:.{}f} bpp"),
            "psnr": (2, "{:.{}f} dB"),
            "ms-ssim": (5, "MS-SSIM {:.{}f}"),
            "ssimulacra2": (2, "SSIMULACRA2 {:.{}f}"),
        }[self.kind]
        return form.format(measure, places + digits)

    def meets(self, measure: float) -> bool:
        """Tell if a measure is on the right side of the target."""
        return measure <= self.value if self.at_most else measure >= self.value

    def close(self, measure: float) -> bool:
        """Tell if a measure meets the target and is so close that no more trials are worth it."""
        if self.at_most:
            return (1 - TOLERANCE / 2) * self.value <= measure <= self.value
        # A tenth of what the tolerance is of 36 dB; of a similarity, of what is missing to that of equal pictures.
        step = 2 * _USUAL_SLOPE[self.kind] if self.kind in _EQUAL else 0.036
        return 0 <= self.straight(measure) - self.straight(self.value) <= step


@dataclass(frozen=True)
class Met(Generic[Made]):
    """The best trial: what it made, its quality index and measure, and how many trials there were."""

    made: Made
    index: int
    measure: float
    trials: int


class _Search:
    """What the trials so far say about where the target is met: between the indices low and high."""

    def __init__(self, target: Target) -> None:
        # Aim a little at the right side, on which the result must be.
        slope = _USUAL_SLOPE[target.kind]
        self._aim = target.straight(target.value) + (-0.6 if target.at_most else 0.6) * slope
        self._slope = slope
        self._at: dict[int, float] = {}
        self.low, self.high = -1, MAX_INDEX + 1

    def add(self, index: int, straight: float) -> None:
        self._at[index] = straight
        if straight <= self._aim:
            self.low = max(self.low, index)
        else:
            self.high = min(self.high, index)

    def next(self) -> int:
        """Choose an index strictly between low and high: where a straight line through what is known meets the aim."""
        at, low, high = self._at, self.low, self.high
        if math.isinf(at.get(high, 0.0)):  # the PSNR of equal pictures, to which no line leads
            guess = (low + high) / 2 if low in at else 0.0
        elif low in at and high in at:
            guess = low + (self._aim - at[low]) / (at[high] - at[low]) * (high - low)
            # A curve that bends leaves one end where it is: a step towards the middle moves it.
            guess += (0.5 - (guess - low) / (high - low)) * min(4.0, 0.1 * (high - low))
        else:
            slope = self._slope
            if len(at) > 1:
                known = sorted(at)
                one, other = known[-2:] if low in at else known[:2]  # the nearest, as the curve may bend
                slope = max(slope / 4, (at[other] - at[one]) / (other - one))
            start = low if low in at else high
            guess = start + (self._aim - at[start]) / slope
        return min(max(round(guess), low + 1), high - 1)


def meet(target: Target, trial: Callable[[int], tuple[Made, float]], first: int = FIRST_INDEX) -> Met[Made]:
    """Find the quality index, 0..800, that comes closest to a target on its right side, in at most MAX_TRIALS trials.

    trial(index) -> what was made of it and its measure, which grows with the index.  first: the index of the first.
    A rate that no quality reaches gives the highest one; TargetError for a size that is too small for the lowest, and
    for a distortion that the highest does not reach.
    """
    search = _Search(target)
    best: Met[Made] | None = None
    index, trials = first, 0
    while True:
        made, measure = trial(index)
        trials += 1
        nearer = best is None or (measure > best.measure if target.at_most else index < best.index)
        if target.meets(measure) and nearer:
            best = Met(made, index, measure, trials)
        search.add(index, target.straight(measure))
        if target.close(measure) or search.high - search.low <= 1 or trials == MAX_TRIALS:
            break
        index = search.next()
        if best is None and trials == MAX_TRIALS - 1:
            index = (
                search.low + 1 if target.at_most else search.high - 1
            )  # the last that can be on the right side
    if best is None:
        raise TargetError(_unreachable(target, measure, index))
    return Met(best.made, best.index, best.measure, trials)


def _unreachable(target: Target, measure: float, index: int) -> str:
    best = "the smallest file" if target.at_most else "the best picture"
    # As many digits as tell them apart.
    for digits in range(0, 8, 2):
        wanted, found = target.words(target.value, digits), target.words(measure, digits)
        if wanted != found:
            break
    return f"{wanted} is not possible: {best}, at quality {from_index(index):g}, has {found}"
