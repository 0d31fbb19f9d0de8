"""MS-SSIM with gradients: the measure of `rdae.metrics.ms_ssim` for batches, in float32, as a training objective."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from rdae.metrics import MS_SSIM_WEIGHTS, WINDOW, WINDOW_SIGMA
from rdae.training.config import K2

MIN_SIDE = (WINDOW - 1) * 2 ** (len(MS_SSIM_WEIGHTS) - 1) + 1
"""Pixels of the shorter side, below which the window does not fit into the coarsest scale."""

_LEAST = 1e-3
"""Smallest term of a scale: below it the power's slope grows without bound."""


def ms_ssim(first: Tensor, second: Tensor, k2: float = K2) -> Tensor:
    """MS-SSIM of pictures in 0..1, float32 (B, C, H, W) twice -> (B,); the mean over the channels.

    Wang, Simoncelli and Bovik 2003, with the windows and weights of `rdae.metrics`.  ValueError below MIN_SIDE.
    k2: the paper's K2; a smaller one sees fainter texture.
    """
    if min(first.shape[2:]) < MIN_SIDE:
        raise ValueError(
            f"pictures of {first.shape[2]}x{first.shape[3]}, expected sides of at least {MIN_SIDE}"
        )
    with torch.autocast(first.device.type, enabled=False):
        x, y = first.float(), second.float()
        product = torch.ones(x.shape[:2], device=x.device)
        last = len(MS_SSIM_WEIGHTS) - 1
        for scale, weight in enumerate(MS_SSIM_WEIGHTS):
            luminance, structure = _similarity(x, y, k2)
            term = (luminance * structure if scale == last else structure).mean(dim=(2, 3))
            product = product * term.clamp(min=_LEAST) ** weight
            if scale != last:
                odd = [side % 2 for side in x.shape[2:]]
                x, y = (F.avg_pool2d(t, 2, padding=odd) for t in (x, y))
        return product.mean(dim=1)


def _similarity(x: Tensor, y: Tensor, k2: float) -> tuple[Tensor, Tensor]:
    """Luminance and contrast-structure terms of SSIM where the window fits: (B, C, H - 10, W - 10) each."""
    c1, c2 = 0.01**2, k2**2
    # Variances of numbers around zero lose less to rounding: a bright flat area would have little but errors.
    middle = x.mean(dim=(2, 3), keepdim=True).detach()
    p, q = x - middle, y - middle
    mean_p, mean_q, square_p, square_q, cross = _blur(torch.cat([p, q, p * p, q * q, p * q])).chunk(5)
    variances = square_p - mean_p**2 + square_q - mean_q**2
    structure = (2 * (cross - mean_p * mean_q) + c2) / (variances + c2)
    mean_x, mean_y = mean_p + middle, mean_q + middle
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, structure


def _blur(maps: Tensor) -> Tensor:
    """Gaussian window without padding, as two products with banded matrices: quick on any device."""
    return _bands(maps.shape[2], maps.device) @ maps @ _bands(maps.shape[3], maps.device).T


@functools.lru_cache(maxsize=32)
def _bands(side: int, device: torch.device) -> Tensor:
    """Return the window at each place where it fits: (side - 10, side)."""
    window = [math.exp(-((i - WINDOW // 2) ** 2) / (2 * WINDOW_SIGMA**2)) for i in range(WINDOW)]
    bands = torch.zeros(side - WINDOW + 1, side)
    for i in range(WINDOW):
        bands.diagonal(i).fill_(window[i] / sum(window))
    return bands.to(device)
