"""What a model was trained to keep small beside the bits: its distortion, a weighted sum of errors.

distortion = w_squares * (mean squared error of levels) + w_seen * (SSIMULACRA2's error, `rdae.ssimulacra2`)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from rdae.quality import MAX_INDEX

SSIMULACRA2_SCALES = (6.0, 12.0)
"""SSIMULACRA2's error counts so many times as much as the MSE, at quality 0 and at 100, rising with the square, so that
a β means about the same quality for both.  With weights trained by MSE the ratio is 5.9 at quality 0, 6.9 at 50, 8.7 at
75 and 12 at 100 (ten photographs, 256x256 each)."""

MSE_SHARE_UNTIL = MAX_INDEX // 2
"""Quality index up to which the MSE's share changes.  Its score is about 60; SSIMULACRA2 follows people's votes down to
some 40, quality 30, and by what serves above, edges got ghosts beside them below."""


class Weights(NamedTuple):
    """Of the mean squared error of levels, and of SSIMULACRA2's error."""

    squares: float
    seen: float


@dataclasses.dataclass(frozen=True)
class Objective:
    """A training's distortion: "mse", "ms-ssim" or "ssimulacra2".

    mse_share: of the last, the share that the MSE has at quality 0, and from quality 50 on, with a line between.
    """

    name: str = "mse"
    mse_share: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> Objective:
        """Return that of a weights file's manifest; ValueError if what it says is none."""
        training = manifest.get("training")
        if not isinstance(training, dict):
            return cls()
        name = str(training.get("objective", "mse"))
        if name != "ssimulacra2":
            return cls(name)
        low, high = (float(share) for share in training["mse_share"])
        if not (0 <= low <= 1 and 0 <= high <= 1):
            raise ValueError(f"mse_share is {low}, {high}, expected two numbers in 0..1")
        return cls(name, (low, high))

    def weights(self, index: int) -> Weights:
        """Return what an encoder weighs errors by at a quality index 0..800.

        What was trained by MS-SSIM counts squared errors here.
        """
        if self.name != "ssimulacra2":
            return Weights(1.0, 0.0)
        first, last = self.mse_share
        share = first + (last - first) * min(1.0, index / MSE_SHARE_UNTIL)
        low, high = SSIMULACRA2_SCALES
        return Weights(share, (1 - share) * (low + (high - low) * (index / MAX_INDEX) ** 2))
