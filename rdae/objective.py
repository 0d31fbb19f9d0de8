"""What a model was trained to keep small beside the bits: its distortion, a weighted sum of errors.

distortion = w_squares * (mean squared error of levels) + w_luma * (that of luma alone)
    + w_seen * (SSIMULACRA2's error, `rdae.ssimulacra2`)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rdae.quality import MAX_INDEX, to_index

SSIMULACRA2_SCALES = (6.0, 12.0)
"""SSIMULACRA2's error counts so many times as much as the MSE, at quality 0 and at 100, rising with the square, so that
a β means about the same quality for both.  With weights trained by MSE the ratio is 5.9 at quality 0, 6.9 at 50, 8.7 at
75 and 12 at 100 (ten photographs, 256x256 each)."""

SHARES_UNTIL, SHARES_FROM = to_index(50), to_index(80)
"""Quality indices between which the MSE's share, and luma's of it, do not change.  The lower one's score is about 60;
SSIMULACRA2 follows people's votes down to some 40, quality 30, and by what serves above, edges got ghosts beside them
below.  Above the upper one nobody sees what is gained, and colours should be right to the level."""

Ends = tuple[float, float, float]
"""A share at quality 0, at 50 to 80, and at 100."""


class Weights(NamedTuple):
    """Of the mean squared error of levels, of that of luma alone, and of SSIMULACRA2's error."""

    squares: float = 1.0
    luma: float = 0.0
    seen: float = 0.0


@dataclasses.dataclass(frozen=True)
class Objective:
    """A training's distortion: "mse", "ms-ssim" or "ssimulacra2".

    mse_share: of the last, the share that the MSE has at quality 0, at 50 to 80, and at 100, with lines between.
    luma_share: of that MSE, the share of luma alone, in the same way.
    """

    name: str = "mse"
    mse_share: Ends = (1.0, 1.0, 1.0)
    luma_share: Ends = (0.0, 0.0, 0.0)

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> Objective:
        """Return that of a weights file's manifest; ValueError if what it says is none."""
        training = manifest.get("training")
        if not isinstance(training, dict):
            return cls()
        name = str(training.get("objective", "mse"))
        if name != "ssimulacra2":
            return cls(name)
        none = (0.0, 0.0)  # in manifests from before there was such a share
        return cls(name, ends(training["mse_share"]), ends(training.get("luma_share", none)))

    def weights(self, index: int) -> Weights:
        """Return what an encoder weighs errors by at a quality index 0..800.

        What was trained by MS-SSIM counts squared errors here, and a share that it had counts as SSIMULACRA2's.
        """
        if self.name != "ssimulacra2":
            return Weights()
        share, luma = (share_at(shares, index) for shares in (self.mse_share, self.luma_share))
        low, high = SSIMULACRA2_SCALES
        scale = low + (high - low) * (index / MAX_INDEX) ** 2
        return Weights(share * (1 - luma), share * luma, (1 - share) * scale)


def ends(shares: Sequence[float]) -> Ends:
    """Return three shares in 0..1; of two, as older files have them, the second holds at quality 100 too.

    ValueError if they are none.
    """
    first, middle, last = map(float, shares if len(shares) != 2 else (*shares, shares[1]))
    if not all(0 <= share <= 1 for share in (first, middle, last)):
        raise ValueError(f"{first}, {middle}, {last}: expected numbers in 0..1")
    return first, middle, last


def share_at(shares: Ends, index: int) -> float:
    """Return a share at a quality index 0..800."""
    first, middle, last = shares
    if index < SHARES_FROM:
        return first + (middle - first) * min(1.0, index / SHARES_UNTIL)
    return middle + (last - middle) * (index - SHARES_FROM) / (MAX_INDEX - SHARES_FROM)
