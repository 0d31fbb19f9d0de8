"""Hyper-analysis: latents y -> hyper-latents z at 1/64 of the picture's resolution.  Only the encoder runs it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from rdae.networks.architecture import HYPER_STRIDE, Architecture
from rdae.training.modules.blocks import Block, Pointwise


class HyperAnalysis(nn.Module):
    """Normalised latents -> z, of which the encoder codes the rounded values."""

    def __init__(self, architecture: Architecture) -> None:
        """Build the network for the given widths."""
        super().__init__()
        width = max(1, architecture.hyper_width * 3 // 4)
        self.enter = Pointwise(architecture.latents, width)
        self.coarse = Block(width)
        self.to_32 = Pointwise(4 * width, width)
        self.coarser = Block(width)
        self.to_64 = Pointwise(4 * width, architecture.hyper_latents)

    def forward(self, y: Tensor) -> Tensor:
        """Transform latents.

        y: float (B, latents, h, w), multiplied by their gains and divided by their reference scale.
        Returns z: (B, hyper_latents, ceil(h/4), ceil(w/4)), not rounded.
        """
        height, width = y.shape[2:]
        # Replication costs fewer bits at the border than zeros would.
        y = F.pad(y, (0, -width % HYPER_STRIDE, 0, -height % HYPER_STRIDE), mode="replicate")
        h = self.coarse(self.enter(y))
        h = self.coarser(self.to_32(F.pixel_unshuffle(h, 2)))
        z: Tensor = self.to_64(F.pixel_unshuffle(h, 2))
        return z
