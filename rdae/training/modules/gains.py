"""Gains: the per-channel multipliers that make one network serve every quality.

Each gain vector has a value at every anchor quality and is interpolated between anchors in the log domain.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rdae.networks.architecture import Architecture
from rdae.quality import ANCHOR_SPACING, ANCHORS, MAX_INDEX, high_rate_gain


class Gains(nn.Module):
    """The four gain vectors of a model, as functions of the quality index.

    quantise (latents): y * quantise is what gets rounded.
    restore (latents): ŷ * restore / quantise enters the synthesis; starts at 1.
    analysis, synthesis (fine): feature gains inside the two transforms; start at 1.
    """

    def __init__(self, architecture: Architecture) -> None:
        """Start at the gains that are optimal for the start's orthonormal transform at high rate."""
        super().__init__()
        start = torch.tensor([math.log(high_rate_gain(i * ANCHOR_SPACING)) for i in range(ANCHORS)])[:, None]
        self.log_quantise = nn.Parameter(start.repeat(1, architecture.latents))
        self.log_restore = nn.Parameter(torch.zeros(ANCHORS, architecture.latents))
        self.log_analysis = nn.Parameter(torch.zeros(ANCHORS, architecture.fine))
        self.log_synthesis = nn.Parameter(torch.zeros(ANCHORS, architecture.fine))

    @staticmethod
    def at(log_gain: Tensor, index: Tensor) -> Tensor:
        """Interpolate one of the vectors: log_gain (ANCHORS, C), index (B,) in 0..800 -> gains (B, C, 1, 1)."""
        position = index.to(log_gain.dtype).clamp(0, MAX_INDEX) / ANCHOR_SPACING
        lower = position.floor().clamp(max=ANCHORS - 2).long()
        weight = (position - lower)[:, None]
        mixed = torch.lerp(log_gain[lower], log_gain[lower + 1], weight)
        return mixed.exp()[:, :, None, None]
