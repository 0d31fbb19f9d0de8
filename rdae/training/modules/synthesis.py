"""Synthesis: latents ŷ -> the decoded picture x̂.  The mirror image of the analysis."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdae.networks.architecture import GROUPS, Architecture
from rdae.training.modules.blocks import Block, Pointwise
from rdae.training.modules.dct import haar, patch_dct


class Synthesis(nn.Module):
    """ŷ -> x̂: blocks at 1/16, 2x2 patches, blocks at 1/8, 8x8 patches of pixels.

    Starts as the transpose of the analysis' start.
    """

    def __init__(self, architecture: Architecture) -> None:
        """Build the network for the given widths and depths, with the weights that training starts from."""
        super().__init__()
        fine, latents = architecture.fine, architecture.latents
        self.coarse = nn.Sequential(*(Block(latents) for _ in range(architecture.synthesis_coarse)))
        self.to_fine = Pointwise(latents, 4 * fine)
        self.fine = nn.Sequential(*(Block(fine) for _ in range(architecture.synthesis_fine)))
        self.to_pixels = Pointwise(fine, 192)
        self.to_fine.weight.data.copy_(torch.from_numpy(haar(fine, latents, GROUPS).T))
        self.to_pixels.weight.data.copy_(torch.from_numpy(patch_dct(fine).T))

    def forward(self, y: Tensor, fine_gain: Tensor) -> Tensor:
        """Transform latents back to pictures.

        y: float (B, latents, h, w), already divided by the latents' gains.
        fine_gain: (B, fine, 1, 1), the feature gains of the quality.
        Returns x̂: (B, 3, 16 h, 16 w), RGB around 0..1, not clamped.
        """
        h = self.coarse(y)  # (B, latents, h, w)
        h = self.to_fine(h)  # (B, 4 * fine, h, w)
        h = F.pixel_shuffle(h, 2)  # (B, fine, 2h, 2w)
        h = self.fine(h * fine_gain)
        h = self.to_pixels(h)  # (B, 192, 2h, 2w)
        return F.pixel_shuffle(h, 8) + 0.5  # (B, 3, 16h, 16w)
