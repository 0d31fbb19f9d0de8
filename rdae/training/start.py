"""The data-dependent part of a model's start: the magnitudes of its features, measured once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rdae.quality import high_rate_gain
from rdae.training.autoencoder import Autoencoder
from rdae.training.modules.blocks import Block

_FLOOR = 0.05
"""Smallest magnitude a feature is taken to have: channels of less are rare events, not small signals."""


def _rms(features: Tensor) -> Tensor:
    return features.square().mean(dim=(0, 2, 3)).sqrt().clamp_min(_FLOOR)


@torch.no_grad()
def set_scales(model: Autoencoder, x: Tensor) -> None:
    """Set the blocks' feature scales and the prior's reference spread from pictures x (B, 3, H, W) in 0..1.

    Call it on a model fresh from its constructor, whose transforms are still the linear start.
    """
    h = model.analysis.from_pixels(F.pixel_unshuffle(x - 0.5, 8))
    fine = _rms(h)
    coarse = _rms(model.analysis.to_coarse(F.pixel_unshuffle(h, 2)))
    for blocks, scale in (
        (model.analysis.fine, fine),
        (model.synthesis.fine, fine),
        (model.analysis.coarse, coarse),
        (model.synthesis.coarse, coarse),
    ):
        for block in blocks:
            if isinstance(block, Block):
                block.scale.copy_(scale)
    model.spread.copy_(coarse * high_rate_gain(0))
