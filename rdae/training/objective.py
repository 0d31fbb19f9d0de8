"""The loss: rate + β·distortion, the negative ELBO of the autoencoder, weighted over qualities."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from rdae.metrics import LUMA
from rdae.objective import SHARES_FROM, SHARES_UNTIL, SSIMULACRA2_SCALES, Ends
from rdae.quality import BETA_DECADES, BETA_MIN, MAX_INDEX, to_index
from rdae.training import ssimulacra2
from rdae.training.autoencoder import Output, distortion
from rdae.training.config import K2, Shares
from rdae.training.ms_ssim import ms_ssim

MS_SSIM_SCALE = 1280.0
"""1 - MS-SSIM counts this many times as much as the MSE, so that a β means about the same quality for both.  The
pairs of weights that CompressAI trains its eight qualities with have ratios of 1222 to 1333 on this scale."""

MS_SSIM_FROM, MS_SSIM_FULLY = to_index(40), to_index(60)
"""Between these quality indices MS-SSIM's share rises from nothing to all of what was asked for.  Below, where bits are
few, it costs more by SSIMULACRA2 than it gains by other measures; above it gains as much, and squared errors fall as
well (docs/experiments.md)."""


@dataclasses.dataclass(frozen=True)
class Terms:
    """Per picture, (B,): `bpp` bits per pixel, `mse` of pixels in 0..255, weighted `loss`.

    `score`: MS-SSIM, or SSIMULACRA2's score, if that is the objective.
    """

    bpp: Tensor
    mse: Tensor
    loss: Tensor
    score: Tensor | None = None


def betas(index: Tensor) -> Tensor:
    """`rdae.quality.beta` of a tensor of quality indices."""
    return BETA_MIN * torch.pow(10.0, BETA_DECADES * index.float() / MAX_INDEX)


def share_at(index: Tensor, ends: Ends) -> Tensor:
    """`rdae.objective.share_at` of a tensor of quality indices (B,)."""
    first, middle, last = ends
    rising = (index.float() / SHARES_UNTIL).clamp(max=1)
    top = ((index.float() - SHARES_FROM) / (MAX_INDEX - SHARES_FROM)).clamp(min=0)
    return first + (middle - first) * rising + (last - middle) * top


def ms_ssim_shares(index: Tensor, most: float) -> Tensor:
    """MS-SSIM's share of what is not the MSE's at quality indices (B,): nothing, then rising to `most`."""
    return most * ((index.float() - MS_SSIM_FROM) / (MS_SSIM_FULLY - MS_SSIM_FROM)).clamp(0, 1)


def ms_ssim_scale(k2: float) -> float:
    """MS_SSIM_SCALE for another K2, so that the error counts about as much at qualities from 60 on.

    With 0.01 instead of 0.03 it is 2.3, 2.6 and 2.9 times as large at qualities 60, 80 and 100, and with 0.02 1.4, 1.5
    and 1.6 times (eight photographs, 384x384 each).
    """
    scale: float = MS_SSIM_SCALE * (k2 / K2) ** 0.85
    return scale


def ssimulacra2_scales(index: Tensor) -> Tensor:
    """What SSIMULACRA2's error is multiplied by at quality indices (B,)."""
    low, high = SSIMULACRA2_SCALES
    return low + (high - low) * (index.float() / MAX_INDEX) ** 2


def terms(
    x: Tensor,
    output: Output,
    index: Tensor,
    loss_power: float,
    objective: str = "mse",
    shares: Shares = Shares(),  # noqa: B008 - it cannot be changed
) -> Terms:
    """Compute the objective of pictures x (B, 3, H, W) in 0..1 at quality indices (B,).

    objective: "mse"; "ms-ssim" for a distortion of MS_SSIM_SCALE * (1 - MS-SSIM); or "ssimulacra2" for the MSE and
    the error before that measure's curve, scaled like it.  shares: what counts how much in the last.  The MSE sees what
    the measure is blind to, such as lines beside edges.  A part of it is that of luma alone, as the MSE of RGB asks for
    more of chroma than the eye does.  And MS-SSIM of luma has a share of SSIMULACRA2's at high qualities, scaled as by
    its own objective, so that no single measure's habits are learned.
    Rate grows about as sqrt(β); a weight of β^-loss_power (1 at the middle quality) lets every quality count.
    """
    beta = betas(index)
    bpp = (output.bits_y + output.bits_z) / (x.shape[2] * x.shape[3])
    mse = distortion(x, output.x_hat)
    score = None
    if objective == "ms-ssim":
        score = ms_ssim(x, output.x_hat)
        error = MS_SSIM_SCALE * (1 - score)
    elif objective == "ssimulacra2":
        seen = ssimulacra2.error(x, output.x_hat)
        score = ssimulacra2.score(seen.detach())
        error = _for_the_eye(x, output.x_hat, index, (mse, seen), shares)
    else:
        error = mse
    middle = BETA_MIN * 10.0 ** (BETA_DECADES / 2)
    return Terms(bpp, mse, (beta / middle) ** -loss_power * (bpp + beta * error), score)


def _for_the_eye(
    x: Tensor, x_hat: Tensor, index: Tensor, errors: tuple[Tensor, Tensor], shares: Shares
) -> Tensor:
    """The distortion (B,) of "ssimulacra2", as `terms` says; errors: the MSE and SSIMULACRA2's."""
    squares, seen = errors
    if any(shares.luma) or shares.ms_ssim:
        luma, luma_hat = luma_of(x), luma_of(x_hat)
    if any(shares.luma):
        squares = squares.lerp(distortion(luma, luma_hat), share_at(index, shares.luma))
    others = ssimulacra2_scales(index) * seen
    if shares.ms_ssim:
        structure = ms_ssim_scale(shares.k2) * (1 - ms_ssim(luma, luma_hat, shares.k2))
        others = others.lerp(structure, ms_ssim_shares(index, shares.ms_ssim))
    return others.lerp(squares, share_at(index, shares.mse))


def luma_of(x: Tensor) -> Tensor:
    """BT.601's luma, as `rdae.metrics.psnr_y` has it: (B, 3, H, W) -> (B, 1, H, W)."""
    weights = torch.tensor(LUMA, dtype=x.dtype, device=x.device) / sum(LUMA)
    return (x * weights[:, None, None]).sum(dim=1, keepdim=True)
