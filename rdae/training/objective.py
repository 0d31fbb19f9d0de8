"""The loss: rate + β·distortion, the negative ELBO of the autoencoder, weighted over qualities."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from rdae.quality import BETA_DECADES, BETA_MIN, MAX_INDEX
from rdae.training.autoencoder import Output, distortion
from rdae.training.ms_ssim import ms_ssim

MS_SSIM_SCALE = 1280.0
"""1 - MS-SSIM counts this many times as much as the MSE, so that a β means about the same quality for both.  The
pairs of weights that CompressAI trains its eight qualities with have ratios of 1222 to 1333 on this scale."""


@dataclasses.dataclass(frozen=True)
class Terms:
    """Per picture, (B,): `bpp` bits per pixel, `mse` of pixels in 0..255, `ms_ssim` if asked for, weighted `loss`."""

    bpp: Tensor
    mse: Tensor
    loss: Tensor
    ms_ssim: Tensor | None = None


def betas(index: Tensor) -> Tensor:
    """`rdae.quality.beta` of a tensor of quality indices."""
    return BETA_MIN * torch.pow(10.0, BETA_DECADES * index.float() / MAX_INDEX)


def terms(x: Tensor, output: Output, index: Tensor, loss_power: float, objective: str = "mse") -> Terms:
    """Compute the objective of pictures x (B, 3, H, W) in 0..1 at quality indices (B,).

    objective: "mse", or "ms-ssim" for a distortion of MS_SSIM_SCALE * (1 - MS-SSIM).
    Rate grows about as sqrt(β); a weight of β^-loss_power (1 at the middle quality) lets every quality count.
    """
    beta = betas(index)
    bpp = (output.bits_y + output.bits_z) / (x.shape[2] * x.shape[3])
    mse = distortion(x, output.x_hat)
    similarity = ms_ssim(x, output.x_hat) if objective == "ms-ssim" else None
    error = mse if similarity is None else MS_SSIM_SCALE * (1 - similarity)
    middle = BETA_MIN * 10.0 ** (BETA_DECADES / 2)
    return Terms(bpp, mse, (beta / middle) ** -loss_power * (bpp + beta * error), similarity)
