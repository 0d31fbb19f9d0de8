"""The reference scale of `rdae.networks.normaliser`, with gradients."""

from __future__ import annotations

from torch import Tensor

from rdae.networks.normaliser import ROWS
from rdae.quality import BETA_DECADES, STEPS_PER_QUALITY


def reference_scale(spread: Tensor, index: Tensor) -> Tensor:
    """Return sqrt((σ·g)² + 1): spread σ (C,), quality indices (B,) -> steps, float (B, C, 1, 1)."""
    whole = ((index + STEPS_PER_QUALITY // 2) // STEPS_PER_QUALITY).to(spread.dtype)
    # The gain grows with sqrt(β).
    gain = 10.0 ** (BETA_DECADES / 2 * whole / (ROWS - 1))
    return ((gain[:, None] * spread[None, :]) ** 2 + 1).sqrt()[:, :, None, None]
