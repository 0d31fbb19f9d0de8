"""Hyper-synthesis: ẑ at 1/64 -> features at 1/16 that tell the context model what to expect where."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdae.networks.architecture import Architecture
from rdae.networks.layers import hyper_layers
from rdae.training.modules.layers import RelaxedLayer


class HyperSynthesis(nn.Module):
    """ẑ and the quality -> features (B, hyper_width, h, w), by the layers of `rdae.networks.layers.hyper_layers`."""

    def __init__(self, architecture: Architecture) -> None:
        """Start at random weights."""
        super().__init__()
        made = (RelaxedLayer(spec) for spec in hyper_layers(architecture))
        self.widen, self.spread_64, self.to_32, self.spread_32, self.to_16, self.spread_16, self.mix = made

    def forward(self, z: Tensor, anchors: Tensor, size: tuple[int, int]) -> Tensor:
        """Compute the features of all positions of y.

        z: (B, hyper_latents, ceil(h/4), ceil(w/4)), integers; anchors: (B, ANCHORS, 1, 1), the weights of
        `rdae.quality.anchor_weights` as real values; size: (h, w), the positions of y.
        Returns (B, hyper_width, h, w).
        """
        a = self.spread_64(self.widen(z))  # (B, width, h/4, w/4)
        a = F.pixel_shuffle(self.to_32(a), 2)  # (B, half, h/2, w/2)
        a = F.pixel_shuffle(self.to_16(self.spread_32(a)), 2)  # (B, width, h, w)
        a = self.spread_16(a)[:, :, : size[0], : size[1]]
        quality = anchors.expand(-1, -1, size[0], size[1])
        features: Tensor = self.mix(torch.cat([a, quality], dim=1))
        return features
