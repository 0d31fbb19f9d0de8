"""Analysis and synthesis of a whole picture at once, in float64, too plain to be wrong: what rdae.networks.transforms
must equal but for rounding.

Features are (channels, rows, columns).  Tensors are those of a weights file, by name.  Nothing of rdae is used here.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Tensors = Mapping[str, npt.NDArray[Any]]


def pointwise(x: Floats, tensors: Tensors, name: str) -> Floats:
    """At each position a product with one matrix, (out, in)."""
    weight, bias = (tensors[f"{name}.{part}"].astype(np.float64) for part in ("weight", "bias"))
    return np.asarray(np.einsum("oi,ihw->ohw", weight, x) + bias[:, None, None])


def depthwise(x: Floats, tensors: Tensors, name: str) -> Floats:
    """Each channel with its own 3x3 kernel, zeros around."""
    kernels, bias = (tensors[f"{name}.{part}"].astype(np.float64) for part in ("depthwise", "depthwise_bias"))
    height, width = x.shape[1:]
    bordered = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    total = np.zeros_like(x) + bias[:, None, None]
    for i, j in product(range(3), range(3)):
        total += kernels[:, 0, i, j, None, None] * bordered[:, i : i + height, j : j + width]
    return total


def block(x: Floats, tensors: Tensors, name: str) -> Floats:
    """x + s̄ · W₂ (value · gate), where value and gate are the halves of the depthwise convolution of W₁ (x / s)."""
    scale = tensors[f"{name}.scale"].astype(np.float64)
    h = pointwise(x / scale[:, None, None], tensors, f"{name}.expand")
    value, gate = np.split(depthwise(h, tensors, name), 2)
    h = np.clip(value, -8, 8) * np.clip(gate / 6 + 0.5, 0, 1)
    return np.asarray(x + np.exp(np.log(scale).mean()) * pointwise(h, tensors, f"{name}.project"))


def blocks(x: Floats, tensors: Tensors, name: str) -> Floats:
    number = 0
    while f"{name}.{number}.scale" in tensors:
        x = block(x, tensors, f"{name}.{number}")
        number += 1
    return x


def unshuffle(x: Floats, side: int) -> Floats:
    """(C, side h, side w) -> (C side², h, w): of each channel the first row of a square, then the second..."""
    made = [x[c, i::side, j::side] for c, i, j in product(range(len(x)), range(side), range(side))]
    return np.stack(made)


def shuffle(x: Floats, side: int) -> Floats:
    """(C side², h, w) -> (C, side h, side w)."""
    made = np.zeros((len(x) // side**2, side * x.shape[1], side * x.shape[2]))
    for number, (c, i, j) in enumerate(product(range(len(made)), range(side), range(side))):
        made[c, i::side, j::side] = x[number]
    return made


def extended(x: Floats, multiple: int) -> Floats:
    """Repeat the last row and column until both sides are multiples."""
    rows, columns = (np.minimum(np.arange(-(-side // multiple) * multiple), side - 1) for side in x.shape[1:])
    return x[:, rows][:, :, columns]


def features(picture: npt.NDArray[np.uint8], tensors: Tensors) -> Floats:
    """Levels (h, w, 3) -> features at 1/8, which no quality enters."""
    x = extended(picture.transpose(2, 0, 1).astype(np.float64), 16) / 255 - 0.5
    return blocks(pointwise(unshuffle(x, 8), tensors, "analysis.from_pixels"), tensors, "analysis.fine")


def analysis(
    picture: npt.NDArray[np.uint8],
    tensors: Tensors,
    gain: npt.NDArray[np.floating[Any]],
    quantise: npt.NDArray[np.floating[Any]],
) -> Floats:
    """Levels (h, w, 3) -> y in quantisation steps, with the gains of a quality."""
    h = features(picture, tensors) * gain[:, None, None]
    h = pointwise(unshuffle(h, 2), tensors, "analysis.to_coarse")
    return blocks(h, tensors, "analysis.coarse") * quantise[:, None, None]


def hyper_analysis(y: Floats, tensors: Tensors, scale: npt.NDArray[np.floating[Any]]) -> Floats:
    """y in steps -> z before it is rounded; scale: what y is multiplied by first."""
    h = pointwise(extended(y, 4) * scale[:, None, None], tensors, "hyper_analysis.enter")
    h = unshuffle(block(h, tensors, "hyper_analysis.coarse"), 2)
    h = pointwise(h, tensors, "hyper_analysis.to_32")
    h = unshuffle(block(h, tensors, "hyper_analysis.coarser"), 2)
    return pointwise(h, tensors, "hyper_analysis.to_64")


def synthesis(
    y64: npt.NDArray[np.int32],
    tensors: Tensors,
    restore: npt.NDArray[np.floating[Any]],
    gain: npt.NDArray[np.floating[Any]],
) -> Floats:
    """ŷ·64 -> levels (16 h, 16 w, 3), neither rounded nor clamped to 0..255."""
    h = blocks(y64 / 64 * restore[:, None, None], tensors, "synthesis.coarse")
    h = shuffle(pointwise(h, tensors, "synthesis.to_fine"), 2) * gain[:, None, None]
    h = blocks(h, tensors, "synthesis.fine")
    pixels = shuffle(pointwise(h, tensors, "synthesis.to_pixels"), 8)
    return 255 * (pixels.transpose(1, 2, 0) + 0.5)


def box_means(pixels: Floats, scale: int) -> Floats:
    """Means over boxes of scale x scale of (h, w, 3), whose sides are multiples of it."""
    height, width, channels = pixels.shape
    boxes = pixels.reshape(height // scale, scale, width // scale, scale, channels)
    return np.asarray(boxes.mean(axis=(1, 3)))
