"""SSIMULACRA2 with gradients: the measure of `rdae.ssimulacra2` for batches, in float32, as an objective.

Both pictures are taken to linear light, halved five times, and compared at each scale in XYB, colours that are even
for the eye: by the error of SSIM, by edges that only the second has (artefacts) and by those that it lost (blur).
The weighted sum of these maps' means and 4-norms is the error; a curve makes the score of it.  Weights, constants and
borders are those of the package `ssimulacra2`, which has them from libjxl's program.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from rdae.metrics import WINDOW, WINDOW_SIGMA
from rdae.ssimulacra2 import BIAS, C2, LEAST, OPSIN, TOTAL, WEIGHTS

MIN_SIDE = 8 * 2**5 - 31
"""Pixels of the shorter side, below which the package leaves the coarsest scale out and the weights shift."""


def error(first: Tensor, second: Tensor) -> Tensor:
    """Error of the second picture against the first, before the curve: (B, 3, H, W) in 0..1 twice -> (B,).

    0 if both are equal, about 1.3 at a score of 80, 5.9 at 50, 10.6 at 30.  Values beyond 0..1 count as its ends, as
    in a file.  ValueError below MIN_SIDE.
    """
    if min(first.shape[2:]) < MIN_SIDE:
        raise ValueError(
            f"pictures of {first.shape[2]}x{first.shape[3]}, expected sides of at least {MIN_SIDE}"
        )
    with torch.autocast(first.device.type, enabled=False):
        x, y = _linear(first.float()), _linear(second.float())
        total = torch.zeros(x.shape[0], device=x.device)
        for scale, weights in enumerate(WEIGHTS):
            if scale:
                x, y = (F.avg_pool2d(t, 2, ceil_mode=True, count_include_pad=False) for t in (x, y))
            channels = sorted(weights)
            maps = _maps(_xyb(x)[:, channels], _xyb(y)[:, channels])
            rows = torch.tensor([weights[channel] for channel in channels], device=x.device)
            total = total + _weigh(maps, rows)
        return total * TOTAL


def score(error: Tensor) -> Tensor:
    """SSIMULACRA2 of an error: 100 if there is none, 90 hardly seen, 30 bad, below 0 worse."""
    bent = error * (2.326765642916932 + error * (-0.020884521182843837 + error * 6.248496625763138e-05))
    return 100 - 10 * bent.clamp(min=0) ** 0.6276336467831387


def _linear(x: Tensor) -> Tensor:
    """SRGB in 0..1 -> linear light."""
    x = x.clamp(0, 1).contiguous()
    return torch.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _xyb(linear: Tensor) -> Tensor:
    """Linear light -> X, Y, B, all made positive: (B, 3, H, W) -> the same."""
    matrix = torch.tensor(OPSIN, device=linear.device)[:, :, None, None]
    l, m, s = ((F.conv2d(linear, matrix) + BIAS) ** (1 / 3) - BIAS ** (1 / 3)).unbind(1)
    y = 0.5 * (l + m)
    return torch.stack([7 * (l - m) + 0.42, y + 0.01, s - y + 0.55], dim=1)


def _maps(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM's error, and the edges' relative difference, above 0 where y has more of them: (B, C, H, W) each."""
    mean_x, mean_y = _blur(x), _blur(y)
    covariance = _blur(x * y) - mean_x * mean_y
    variances = _blur(x * x) - mean_x**2 + _blur(y * y) - mean_y**2
    similarity = (1 - (mean_x - mean_y) ** 2) * (2 * covariance + C2) / (variances + C2)
    edges = (1 + (y - mean_y).abs()) / (1 + (x - mean_x).abs()) - 1
    return F.relu(1 - similarity), edges


def _weigh(maps: tuple[Tensor, Tensor], weights: Tensor) -> Tensor:
    """Weighted sum of means and 4-norms; maps as of `_maps`, weights (C, 6) -> (B,)."""
    ssim, edges = maps
    total = torch.zeros(ssim.shape[0], device=ssim.device)
    for place, found in enumerate((ssim, edges, -edges)):
        for power, row in ((1, weights[:, place]), (4, weights[:, place + 3])):
            used = [channel for channel, weight in enumerate(row.tolist()) if weight]
            if used:
                total = total + _norm(F.relu(found[:, used]), power) @ row[used]
    return total


def _norm(found: Tensor, power: int) -> Tensor:
    """Mean, or 4-norm, of each channel: (B, C, H, W), 0 or more -> (B, C)."""
    if power == 1:
        return found.mean(dim=(2, 3))
    return ((found * found) ** 2).mean(dim=(2, 3)).add(LEAST) ** 0.25


def _blur(maps: Tensor) -> Tensor:
    """Gaussian window, as two products with banded matrices: quick on any device, and they hold the borders too.

    As in the package, pictures go on mirrored above and below, and with zeros to the left and the right.
    """
    height, width = maps.shape[2:]
    return _bands(height, maps.device, mirrored=True) @ maps @ _bands(width, maps.device, mirrored=False).T


@functools.lru_cache(maxsize=64)
def _bands(side: int, device: torch.device, *, mirrored: bool) -> Tensor:
    """Return the window around each place: (side, side)."""
    radius = WINDOW // 2
    window = [math.exp(-(i**2) / (2 * WINDOW_SIGMA**2)) for i in range(-radius, radius + 1)]
    bands = torch.zeros(side, side)
    for row in range(side):
        for offset, value in enumerate(window, -radius):
            column = row + offset
            if mirrored:
                column = -1 - column if column < 0 else min(column, 2 * side - 1 - column)
            if 0 <= column < side:
                bands[row, column] += value / sum(window)
    return bands.to(device)
