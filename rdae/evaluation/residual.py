"""The bits that are still needed to recover a picture exactly, once a decoder has made its own of it: H(x|z).

The autoencoder's account has two parts: the bits of the latents, and those of the picture given what they decode to,
under the decoder's distribution P(x | x̂). That is here a discretised Gaussian or Laplacian around each level of x̂, one
scale a colour, fitted to the picture and counted too. Rate and residual together are what an exact file of this kind
would take: an upper bound on what exact recovery costs by the autoencoder.

Source: Salimans et al. 2017, PixelCNN++, arXiv:1701.05517, section 2.1, for levels at the ends of the scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rdae.metrics import Picture

LEVELS = 256
STEPS_PER_OCTAVE = 8
SMALLEST_SCALE = 1 / 32  # levels: equal pictures cost next to nothing then
SCALES = 128
"""Up to 2048 levels: as flat as anybody needs."""

STATED_BITS = 3 * math.log2(2 * SCALES)
"""What it takes to say which distribution of which scale each colour has."""

Floats = npt.NDArray[np.floating]


def residual_bits(original: Picture, decoded: Picture) -> float:
    """-log2 P(original | decoded), with the bits that state the distributions; pictures are uint8 (h, w, 3)."""
    return STATED_BITS + sum(
        _best(_counts(original[:, :, colour], decoded[:, :, colour])) for colour in range(3)
    )


def _counts(original: npt.NDArray[np.uint8], decoded: npt.NDArray[np.uint8]) -> Floats:
    """How often each level of the original stands at each level of the decoded picture: (decoded, original)."""
    pairs = decoded.astype(np.int32).reshape(-1) * LEVELS + original.reshape(-1)
    return np.bincount(pairs, minlength=LEVELS * LEVELS).reshape(LEVELS, LEVELS).astype(np.float64)


def _best(counts: Floats) -> float:
    """The fewest bits of the two distributions at any of their scales."""
    return min(_least(lambda index, f=family: _bits(counts, f, index)) for family in (_gaussian, _laplacian))  # type: ignore[misc]


def _least(bits: Callable[[int], float]) -> float:
    """The least of a function of the index of a scale that falls and then rises, by thirds."""
    low, high = 0, SCALES - 1
    while high - low > 2:
        left, right = low + (high - low) // 3, high - (high - low) // 3
        if bits(left) <= bits(right):
            high = right
        else:
            low = left
    return min(bits(index) for index in range(low, high + 1))


def _bits(counts: Floats, cumulative: Callable[[Floats], Floats], index: int) -> float:
    """Bits of all levels. The lowest and the highest one stand for all that would be beyond."""
    scale = SMALLEST_SCALE * 2 ** (index / STEPS_PER_OCTAVE)
    below, above = (cumulative(side * _DISTANCES / scale)[_OFFSETS] for side in (1, -1))
    # Each from the side on which it is small, as a difference of numbers near 1 has no digits left.
    near = np.where(
        _OFFSETS[:, :-1] >= LEVELS - 1, above[:, :-1] - above[:, 1:], below[:, 1:] - below[:, :-1]
    )
    mass = np.concatenate([below[:, :1], near, above[:, -1:]], axis=1)
    there = counts > 0
    return float(-(counts[there] * np.log2(np.maximum(mass[there], 1e-300))).sum())


# From a level to the edges between levels, and which of these distances each level has, (256, 255).
_DISTANCES = np.arange(-LEVELS + 1, LEVELS - 1) + 0.5
_OFFSETS = np.arange(LEVELS - 1)[None] - np.arange(LEVELS)[:, None] + LEVELS - 1


def _gaussian(at: Floats) -> Floats:
    tail: Floats = 0.5 * _erfc(-at / math.sqrt(2))
    return tail


def _laplacian(at: Floats) -> Floats:
    tail = 0.5 * np.exp(-np.abs(at))
    return np.where(at < 0, tail, 1 - tail)


_erfc = np.vectorize(math.erfc, otypes=[np.float64])
