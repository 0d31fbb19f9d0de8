"""How far decoded levels are from the original by what the model was trained for, and which way is nearer.

The descent knows one error whose gradient the networks' graph computes: the squared error from a target.  If squares
are all that counts, the target is the original.  Else it is a picture beside what is decoded now, in the direction in
which the distortion falls most: the squared error from there has the distortion's gradient.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rdae.metrics import LUMA
from rdae.networks.gradient import SquaredError
from rdae.objective import Weights
from rdae.ssimulacra2 import MIN_SIDE, Original

Floats = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]

_SHARES: Floats = np.array(LUMA, np.float32) / np.float32(sum(LUMA))


class Judge:
    """Judges what is decoded in the place of a part of a picture."""

    def __init__(self, levels: Levels, weights: Weights) -> None:
        """Take uint8 (H, W, 3) and what errors weigh.  Parts too small for SSIMULACRA2 are judged by squares alone."""
        self._levels: Levels = levels
        seen = weights.seen > 0 and min(levels.shape[:2]) >= MIN_SIDE
        self.weights = weights if seen else Weights()
        self._original = Original(levels) if seen else None
        # Levels, and the gradient of what SSIMULACRA2 sees in them.
        self._ahead: tuple[Levels, Floats] | None = None

    @property
    def squares_alone(self) -> bool:
        """Tell if nothing but squared errors counts."""
        return self._original is None

    def distortion(self, made: Levels, *, ahead: bool = False) -> float:
        """Return the distortion of levels of the same shape, times the number of pixels.

        ahead: the target will be asked for at the same levels, so find what that takes too, as both begin alike.
        """
        error = made.astype(np.int32)
        error -= self._levels
        luma = np.square(_luma(error)).sum(dtype=np.float64) if self.weights.luma else 0.0
        squares = int(np.square(error, out=error).sum(dtype=np.int64)) / 3
        if self._original is None:
            return squares
        if ahead:
            error_seen, gradient = self._original.gradient(made)
            self._ahead = made, gradient
        else:
            error_seen = self._original.error(made)
        seen = self._pixels * error_seen
        return float(self.weights.squares * squares + self.weights.luma * luma + self.weights.seen * seen)

    def target(self, made: Levels) -> Levels | Floats:
        """Return levels (H, W, 3), the squared error from which has at `made` three times the distortion's gradient.

        Three times, as the squared error is a sum over a pixel's three levels, and the distortion their mean.
        """
        if self._original is None:
            return self._levels
        before, self._ahead = self._ahead, None
        if before is not None and np.array_equal(before[0], made):
            gradient = before[1]
        else:
            _, gradient = self._original.gradient(made)
        gradient *= -1.5 * self.weights.seen * self._pixels
        gradient += made
        error: Floats = made.astype(np.float32)
        error -= self._levels
        if self.weights.luma:
            gradient -= (_luma(error) * np.float32(3 * self.weights.luma))[..., None] * _SHARES
        error *= np.float32(self.weights.squares)
        gradient -= error
        return gradient

    @property
    def _pixels(self) -> int:
        return self._levels.size // 3


def _luma(error: npt.NDArray[np.int32] | Floats) -> Floats:
    """Return the error of luma (H, W) of errors of levels (H, W, 3), by no matrix product, as in `rdae.ssimulacra2`."""
    real: Floats = error.astype(np.float32, copy=False)
    found: Floats = real[..., 0] * _SHARES[0]
    for channel in (1, 2):
        found += real[..., channel] * _SHARES[channel]
    return found


class Pursuit:
    """The squared error of latents from a target that moves on as they do."""

    def __init__(self, error: SquaredError, judge: Judge, made: Levels) -> None:
        """Take what is decoded of the latents that the descent begins with."""
        self._error, self._judge = error, judge
        self._error.aim_at(judge.target(made))
        self._patches: Floats | None = None  # what the last call has decoded

    def gradient(self, y_hat: Floats) -> Floats:
        """Return the gradient for ŷ, in steps (latents, h, w), of three times the distortion.

        What SSIMULACRA2 sees is taken from the call before, where the target was found, so that the networks are gone
        through once: steps are short.
        """
        if self._patches is not None and not self._judge.squares_alone:
            self._error.aim_at(self._judge.target(self._error.levels(self._patches)))
        _, gradient, self._patches = self._error.measure(y_hat)
        return gradient
