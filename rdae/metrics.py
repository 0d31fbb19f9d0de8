"""How far a decoded picture is from its original: MSE, PSNR, PSNR-Y, MS-SSIM.

All take two uint8 RGB pictures of the same shape, (height, width, 3). PSNR is of the three channels together
(one MSE over all samples), as CompressAI, and so most published learned codecs, report it. PSNR-Y is of the
luma alone, which the eye sees sharpest and chroma subsampling leaves as it is.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Plane = NDArray[np.float64]
Real = TypeVar("Real", np.float32, np.float64)

PEAK = 255.0
# ITU-R BT.601's luma, in thousandths: what JPEG, WebP and AVIF code as Y, and most papers' PSNR-Y is of.
LUMA = (299, 587, 114)
# Wang, Simoncelli and Bovik 2003, "Multiscale structural similarity for image quality assessment".
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = 11
WINDOW_SIGMA = 1.5
STRIP = 32  # rows that are blurred together: all that comes of them stays in a processor's cache
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
    to 0: the definition that CompressAI uses. Computed in float64, because in
    float32 the local variances of bright flat regions are mostly rounding error.
    """
    _check(first, second)
    if min(first.shape[:2]) < MS_SSIM_MIN_SIDE:
        return None
    return sum(_ms_ssim_of_channel(first[..., channel], second[..., channel]) for channel in range(3)) / 3


def _ms_ssim_of_channel(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """MS-SSIM, 0 to 1, of two planes, uint8 (h, w)."""
    x, y = first.astype(np.float64), second.astype(np.float64)
    product = 1.0
    last = len(MS_SSIM_WEIGHTS) - 1
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        similarity = _mean_similarity(x, y, with_luminance=scale == last)
        product *= math.pow(max(0.0, similarity), weight)
        if scale != last:
            x, y = _half(x), _half(y)
    return product


def _mean_similarity(x: Plane, y: Plane, *, with_luminance: bool) -> float:
    """Mean of SSIM's contrast-structure term, or of its product with the luminance term, wherever the window fits.

    x, y: (h, w), 0 to 255.
    """
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    height, width = (side - WINDOW + 1 for side in x.shape)
    total = 0.0
    for top in range(0, height, STRIP):
        rows = slice(top, min(height, top + STRIP) + WINDOW - 1)
        u, v = x[rows], y[rows]
        mean_x, mean_y = blur(u), blur(v)
        squares = u * u
        squares += v * v
        # variances of x and of y together: SSIM asks for no more
        means = mean_x * mean_x
        means += mean_y * mean_y
        variances = blur(squares)
        variances -= means
        variances += c2
        product = np.multiply(mean_x, mean_y, out=mean_x)
        structure = blur(np.multiply(u, v, out=squares))
        structure -= product
        structure *= 2
        structure += c2
        structure /= variances
        if with_luminance:
            product *= 2
            product += c1
            means += c1
            product /= means
            structure *= product
        total += float(structure.sum())
    mean: float = total / (height * width)
    return mean


def blur(plane: NDArray[Real]) -> NDArray[Real]:
    """Gaussian window over (h, w), both directions, without padding: (h - 10, w - 10)."""
    place = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-(place**2) / (2 * WINDOW_SIGMA**2))
    taps = (window / window.sum()).tolist()
    for axis in (0, 1):
        length = plane.shape[axis] - WINDOW + 1
        shifted = [plane[i : i + length] if axis == 0 else plane[:, i : i + length] for i in range(WINDOW)]
        middle = WINDOW // 2
        blurred = shifted[middle] * taps[middle]
        pair = np.empty_like(blurred)
        # Shifted sums, of which the window weighs two alike.
        for i in range(middle):
            np.add(shifted[i], shifted[-1 - i], out=pair)
            pair *= taps[i]
            blurred += pair
        plane = blurred
    return plane


def _half(plane: Plane) -> Plane:
    """Average 2x2: (h, w) -> (h / 2, w / 2), rounded up.

    CompressAI pads odd sides with zeros, above and on the left, which count in the average; so do we.
    """
    height, width = plane.shape
    if height % 2 or width % 2:
        plane = np.pad(plane, ((height % 2, 0), (width % 2, 0)))
    rows = plane[::2] + plane[1::2]
    halved: Plane = rows[:, ::2] + rows[:, 1::2]
    halved *= 0.25
    return halved


def _check(first: Picture, second: Picture) -> None:
    for picture in (first, second):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(f"expected uint8 (h, w, 3), got {picture.dtype} {picture.shape}")
    if first.shape != second.shape:
        raise ValueError(f"pictures of different size: {first.shape} and {second.shape}")
