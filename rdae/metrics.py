"""How far a decoded picture is from its original: MSE, PSNR, PSNR-Y, MS-SSIM.

All take two uint8 RGB pictures of the same shape, (height, width, 3). PSNR is of the three channels together
(one MSE over all samples), as CompressAI, and so most published learned codecs, report it. PSNR-Y is of the
luma alone, which the eye sees sharpest and chroma subsampling leaves as it is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Picture = NDArray[np.uint8]

PEAK = 255.0
# ITU-R BT.601's luma, in thousandths: what JPEG, WebP and AVIF code as Y, and most papers' PSNR-Y is of.
LUMA = (299, 587, 114)
# Wang, Simoncelli and Bovik 2003, "Multiscale structural similarity for image quality assessment".
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = 11
WINDOW_SIGMA = 1.5
STRIP = 64  # rows that are blurred together
# The window must fit into the picture at the coarsest of the five scales.
MS_SSIM_MIN_SIDE = (WINDOW - 1) * 2 ** (len(MS_SSIM_WEIGHTS) - 1) + 1


def mse(first: Picture, second: Picture) -> float:
    """Mean squared error over all samples, on the scale 0 to 255."""
    _check(first, second)
    difference = first.astype(np.int32) - second.astype(np.int32)
    # Integer until the division: the same number whatever the order of summation.
    return int(np.sum(difference * difference, dtype=np.int64)) / difference.size


def psnr(first: Picture, second: Picture) -> float:
    """Peak signal-to-noise ratio in dB, peak 255; infinite for equal pictures."""
    error = mse(first, second)
    return math.inf if error == 0 else 10 * math.log10(PEAK**2 / error)


def psnr_y(first: Picture, second: Picture) -> float:
    """PSNR in dB, peak 255, of BT.601 luma at full range, not rounded; infinite if no luma differs."""
    _check(first, second)
    # In thousandths of a level and so in integers, like mse.
    difference = sum(
        weight * (first[..., channel].astype(np.int32) - second[..., channel])
        for channel, weight in enumerate(LUMA)
    )
    squares = int(np.sum(np.square(difference, dtype=np.int64), dtype=np.int64))
    pixels = first.shape[0] * first.shape[1]
    return math.inf if squares == 0 else 10 * math.log10((1000 * PEAK) ** 2 * pixels / squares)


def ms_ssim(first: Picture, second: Picture) -> float | None:
    """MS-SSIM, 0 to 1, mean over the RGB channels; None where a side is below 161 pixels.

    Five scales with the weights of the paper, an 11-tap Gaussian window without padding, negative terms set
    to 0: the definition of the pytorch-msssim package, which CompressAI uses. Computed in float64, because in
    float32 the local variances of bright flat regions are mostly rounding error.
    """
    _check(first, second)
    if min(first.shape[:2]) < MS_SSIM_MIN_SIDE:
        return None
    import torch  # not at the top: MSE and PSNR need none of it
    from torch.nn import functional

    x, y = (_to_tensor(picture) for picture in (first, second))  # (3, 1, H, W): channels as a batch
    product = torch.ones(3, dtype=torch.float64)
    last = len(MS_SSIM_WEIGHTS) - 1
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        luminance, structure = _similarity(x, y)
        term = luminance * structure if scale == last else structure  # (3, 1, h, w)
        product = product * term.mean(dim=(1, 2, 3)).clamp_min(0) ** weight
        if scale != last:
            # The package pads odd sides with zeros, which count in the average; so do we.
            odd = [side % 2 for side in x.shape[2:]]
            x, y = (functional.avg_pool2d(t, 2, padding=odd) for t in (x, y))
    return float(product.mean())


def _similarity(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Luminance term and contrast-structure term of SSIM at each place where the window fits."""
    import torch

    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    mean_x, mean_y, squares, cross = _blur(torch.cat([x, y, x * x + y * y, x * y])).chunk(4)
    variances = squares - mean_x**2 - mean_y**2  # of x and of y together: SSIM asks for no more
    structure = (2 * (cross - mean_x * mean_y) + c2) / (variances + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, structure


def _blur(maps: torch.Tensor) -> torch.Tensor:
    """Gaussian window over (n, 1, h, w), both directions, without padding: (n, 1, h - 10, w - 10)."""
    import torch

    place = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    window = torch.exp(-(place**2) / (2 * WINDOW_SIGMA**2))
    taps = (window / window.sum()).tolist()
    height, width = maps.shape[2] - WINDOW + 1, maps.shape[3] - WINDOW + 1
    blurred = maps.new_empty(len(maps), 1, height, width)
    # Eleven shifted sums: several times faster than a float64 convolution of one channel; and in strips that stay in
    # a processor's cache, which halves the time of the whole metric.
    for source, target in zip(maps[:, 0], blurred[:, 0], strict=True):
        for top in range(0, height, STRIP):
            strip = source[top : top + STRIP + WINDOW - 1]
            lines = target[top : top + STRIP]
            rows = strip[: len(lines)] * taps[0]
            for i in range(1, WINDOW):
                rows.add_(strip[i : i + len(lines)], alpha=taps[i])
            torch.mul(rows[:, :width], taps[0], out=lines)
            for i in range(1, WINDOW):
                lines.add_(rows[:, i : i + width], alpha=taps[i])
    return blurred


def _to_tensor(picture: Picture) -> torch.Tensor:
    import torch

    samples: NDArray[Any] = np.ascontiguousarray(picture.transpose(2, 0, 1)[:, None], dtype=np.float64)
    return torch.from_numpy(samples)


def _check(first: Picture, second: Picture) -> None:
    for picture in (first, second):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(f"expected uint8 (h, w, 3), got {picture.dtype} {picture.shape}")
    if first.shape != second.shape:
        raise ValueError(f"pictures of different size: {first.shape} and {second.shape}")
