"""Analysis: a picture x -> latents y at 1/16 of its resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdae.networks.architecture import GROUPS, Architecture
from rdae.training.modules.blocks import Block, Pointwise
from rdae.training.modules.dct import haar, patch_dct


class Analysis(nn.Module):
    """x -> y: 8x8 patches, blocks at 1/8, 2x2 patches of those, blocks at 1/16.

    Starts as the DCT and Haar transform of `rdae.training.modules.dct`.
    """

    def __init__(self, architecture: Architecture) -> None:
        """Build the network for the given widths and depths, with the weights that training starts from."""
        super().__init__()
        fine, latents = architecture.fine, architecture.latents
        self.from_pixels = Pointwise(192, fine)
        self.fine = nn.Sequential(*(Block(fine) for _ in range(architecture.analysis_fine)))
        self.to_coarse = Pointwise(4 * fine, latents)
        self.coarse = nn.Sequential(*(Block(latents) for _ in range(architecture.analysis_coarse)))
        self.from_pixels.weight.data.copy_(torch.from_numpy(patch_dct(fine)))
        self.to_coarse.weight.data.copy_(torch.from_numpy(haar(fine, latents, GROUPS)))

    def forward(self, x: Tensor, fine_gain: Tensor) -> Tensor:
        """Transform pictures.

        x: float (B, 3, H, W), RGB in 0..1, H and W multiples of 16.
        fine_gain: (B, fine, 1, 1), the feature gains of the wanted quality.
        Returns y: (B, latents, H/16, W/16), not yet multiplied by the latents' gains.
        """
        h = F.pixel_unshuffle(x - 0.5, 8)  # (B, 192, H/8, W/8)
        h = self.from_pixels(h)  # (B, fine, H/8, W/8)
        h = self.fine(h) * fine_gain
        h = F.pixel_unshuffle(h, 2)  # (B, 4 * fine, H/16, W/16)
        h = self.to_coarse(h)
        y: Tensor = self.coarse(h)  # (B, latents, H/16, W/16)
        return y
