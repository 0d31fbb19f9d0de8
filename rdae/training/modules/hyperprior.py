"""Hyper-synthesis: ẑ at 1/64 -> features at 1/16 that tell the context model what to expect where."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdae.networks.architecture import Architecture
from rdae.quality import ANCHORS, HAT_UNIT
from rdae.training.modules.layers import HIDDEN_MAX, UNIT, LayerFactory, LayerSpec

Z_MAX = 127
"""Hyper-latents are clamped to -127..127 by the encoder; a decoder refuses a file with larger ones.  (The exact
prior clamps once more: its bounds hold whoever calls it.)"""


class HyperSynthesis(nn.Module):
    """ẑ and the quality -> features (B, hyper_width, h, w).

    Upsampling is a 1x1 convolution to four times the channels, then a pixel shuffle: a permutation, so exact.
    """

    def __init__(self, architecture: Architecture, layer: LayerFactory) -> None:
        """Wire the network out of layers made by `layer`."""
        super().__init__()
        z, width = architecture.hyper_latents, architecture.hyper_width
        half = max(1, width * 3 // 4)
        self.widen = layer(
            LayerSpec(name="hyper.widen", channels_in=z, channels_out=width, unit_in=1, max_in=Z_MAX),
        )
        self.spread_64 = layer(
            LayerSpec(name="hyper.spread_64", channels_in=width, channels_out=width, kernel=3)
        )
        self.to_32 = layer(LayerSpec(name="hyper.to_32", channels_in=width, channels_out=4 * half))
        self.spread_32 = layer(
            LayerSpec(name="hyper.spread_32", channels_in=half, channels_out=half, kernel=3)
        )
        self.to_16 = layer(LayerSpec(name="hyper.to_16", channels_in=half, channels_out=4 * width))
        self.spread_16 = layer(
            LayerSpec(name="hyper.spread_16", channels_in=width, channels_out=width, kernel=3)
        )
        # The quality joins here, as the weights of its two neighbouring anchors in constant channels.
        self.mix = layer(
            LayerSpec(
                name="hyper.mix",
                channels_in=width + ANCHORS,
                channels_out=width,
                max_in=max(HIDDEN_MAX, HAT_UNIT),
            ),
        )

    def forward(self, z: Tensor, hats: Tensor, size: tuple[int, int]) -> Tensor:
        """Compute the features of all positions of y.

        z: (B, hyper_latents, ceil(h/4), ceil(w/4)), integers; hats: (B, ANCHORS, 1, 1), `rdae.quality.hats`
        in this arithmetic's numbers (integers of 1/128, or real values); size: (h, w), the positions of y.
        Returns (B, hyper_width, h, w).
        """
        a = self.spread_64(self.widen(z))  # (B, width, h/4, w/4)
        a = F.pixel_shuffle(self.to_32(a), 2)  # (B, half, h/2, w/2)
        a = F.pixel_shuffle(self.to_16(self.spread_32(a)), 2)  # (B, width, h, w)
        a = self.spread_16(a)[:, :, : size[0], : size[1]]
        quality = hats.expand(-1, -1, size[0], size[1])
        features: Tensor = self.mix(torch.cat([a, quality], dim=1))
        return features


assert UNIT == HAT_UNIT
