"""What a model was trained to keep small beside the bits: its distortion, a weighted sum of errors.

distortion = w_squares * (mean squared error of levels) + w_luma * (that of luma alone)
    + w_seen * (SSIMULACRA2's error, `rdae.ssimulacra2`)
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
"""Quality index up to which the MSE's share changes, and luma's of it.  Its score is about 60; SSIMULACRA2 follows
people's votes down to some 40, quality 30, and by what serves above, edges got ghosts beside them below."""


class Weights(NamedTuple):
    """Of the mean squared error of levels, of that of luma alone, and of SSIMULACRA2's error."""

    squares: float = 1.0
    luma: float = 0.0
    seen: float = 0.0


@dataclasses.dataclass(frozen=True)
class Objective:
    """A training's distortion: "mse", "ms-ssim" or "ssimulacra2".

    mse_share: of the last, the share that the MSE has at quality 0, and from quality 50 on, with a line between.
    luma_share: of that MSE, the share of luma alone, in the same way.
    """

    name: str = "mse"
    mse_share: tuple[float, float] = (1.0, 1.0)
    luma_share: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> Objective:
        """Return that of a weights file's manifest; ValueError if what it says is none."""
        training = manifest.get("training")
        if not isinstance(training, dict):
            return cls()
        name = str(training.get("objective", "mse"))
        if name != "ssimulacra2":
            return cls(name)
        none = {"luma_share": (0.0, 0.0)}  # in manifests from before there was such a share
        return cls(name, *(_ends(none | training, share) for share in ("mse_share", "luma_share")))

    def weights(self, index: int) -> Weights:
        """Return what an encoder weighs errors by at a quality index 0..800.

        What was trained by MS-SSIM counts squared errors here, and a share that it had counts as SSIMULACRA2's.
        """
        if self.name != "ssimulacra2":
            return Weights()
        share, luma = (_between(ends, index) for ends in (self.mse_share, self.luma_share))
        low, high = SSIMULACRA2_SCALES
        scale = low + (high - low) * (index / MAX_INDEX) ** 2
        return Weights(share * (1 - luma), share * luma, (1 - share) * scale)


def _ends(training: Mapping[str, Any], name: str) -> tuple[float, float]:
    low, high = (float(share) for share in training[name])
    if not (0 <= low <= 1 and 0 <= high <= 1):
        raise ValueError(f"{name} is {low}, {high}, expected two numbers in 0..1")
    return low, high


def _between(ends: tuple[float, float], index: int) -> float:
    """Return a share at a quality index: the first at quality 0, the second from MSE_SHARE_UNTIL on."""
    first, last = ends
    return first + (last - first) * min(1.0, index / MSE_SHARE_UNTIL)
