"""The loss: rate + β·distortion, the negative ELBO of the autoencoder, weighted over qualities."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from rdae.quality import BETA_DECADES, BETA_MIN, MAX_INDEX
from rdae.training.autoencoder import Output, distortion


@dataclasses.dataclass(frozen=True)
class Terms:
    """Per picture, (B,): `bpp` bits per pixel, `mse` of pixels in 0..255, `loss` their weighted sum."""

    bpp: Tensor
    mse: Tensor
    loss: Tensor


def betas(index: Tensor) -> Tensor:
    """`rdae.quality.beta` of a tensor of quality indices."""
    return BETA_MIN * torch.pow(10.0, BETA_DECADES * index.float() / MAX_INDEX)


def terms(x: Tensor, output: Output, index: Tensor, loss_power: float) -> Terms:
    """Compute the objective of pictures x (B, 3, H, W) in 0..1 at quality indices (B,).

    Rate grows about as sqrt(β); a weight of β^-loss_power (1 at the middle quality) lets every quality count.
    """
    beta = betas(index)
    bpp = (output.bits_y + output.bits_z) / (x.shape[2] * x.shape[3])
    mse = distortion(x, output.x_hat)
    middle = BETA_MIN * 10.0 ** (BETA_DECADES / 2)
    return Terms(bpp, mse, (beta / middle) ** -loss_power * (bpp + beta * mse))
