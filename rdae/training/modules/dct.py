"""The linear transform that both networks start from: 8x8 DCT of three colours, then a 2x2 Haar step.

Training so begins at a working transform codec instead of at noise.  All matrices are orthonormal, so that the
synthesis starts as the transpose of the analysis and errors of latents are errors of pixels.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

# Orthonormal colours: grey, blue-yellow-ish and green-magenta axes.  YCbCr's axes are not orthogonal in RGB, where
# the distortion is measured.
_COLOUR = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))

# How much faster than grey each colour axis loses energy with frequency: the weights that, among 1 to 6, keep the
# most energy of the training pictures in a fixed number of coefficients.
_COLOUR_WEIGHT = (1.0, 6.0, 9.0)

_PATCH = 8

Matrix = npt.NDArray[np.float32]


def _dct_matrix(size: int) -> npt.NDArray[np.float64]:
    """Return the orthonormal DCT-II, (frequency, position)."""
    frequency = np.arange(size, dtype=np.float64)[:, None]
    position = np.arange(size, dtype=np.float64)[None, :]
    matrix = math.sqrt(2 / size) * np.cos(math.pi * (2 * position + 1) * frequency / (2 * size))
    matrix[0] /= math.sqrt(2)
    return matrix


def _frequencies() -> list[tuple[float, int, int, int]]:
    """Return (key, colour, vertical, horizontal) of the 192 coefficients of an 8x8 patch, low keys first."""
    rows = [
        (_COLOUR_WEIGHT[c] * ((u + 0.5) ** 2 + (v + 0.5) ** 2), c, u, v)
        for c in range(3)
        for u in range(_PATCH)
        for v in range(_PATCH)
    ]
    return sorted(rows)


def patch_dct(channels: int) -> Matrix:
    """Return the `channels` lowest rows of the DCT of an 8x8 RGB patch: float32 (channels, 192).

    Columns are ordered as torch's pixel_unshuffle(8) orders an RGB picture: colour, then row, then column.
    """
    colour = np.array(_COLOUR)
    colour = colour / np.linalg.norm(colour, axis=1, keepdims=True)
    dct = _dct_matrix(_PATCH)
    rows = [
        np.einsum("r,y,x->ryx", colour[c], dct[u], dct[v]).ravel() for _, c, u, v in _frequencies()[:channels]
    ]
    return np.stack(rows).astype(np.float32)


def haar(channels_in: int, channels_out: int, groups: int) -> Matrix:
    """Return the 2x2 Haar step of `channels_in` DCT channels: float32 (channels_out, 4 * channels_in).

    The `channels_out` lowest of the 4 * channels_in frequencies are kept, and dealt out to `groups` groups of
    neighbouring channels like cards, so that each group of the context model holds a like share of all frequencies.
    Columns are ordered as pixel_unshuffle(2) orders them: channel, then row, then column of the 2x2.
    """
    low, high = (1.0, 1.0), (1.0, -1.0)
    rows = []
    for index, (_, c, u, v) in enumerate(_frequencies()[:channels_in]):
        for vertical in (0, 1):
            for horizontal in (0, 1):
                # A difference of two DCT coefficients of odd order is the lower of the pair's two frequencies.
                fu = 2 * u + (vertical if u % 2 == 0 else 1 - vertical)
                fv = 2 * v + (horizontal if v % 2 == 0 else 1 - horizontal)
                key = _COLOUR_WEIGHT[c] * (fu**2 + fv**2 + 1)
                row = np.zeros((channels_in, 2, 2))
                row[index] = np.outer((low, high)[vertical], (low, high)[horizontal])
                rows.append((key, index, vertical, horizontal, row.ravel() / 2))
    rows.sort(key=lambda item: item[:4])
    kept = [item[4] for item in rows[:channels_out]]
    dealt = [row for group in range(groups) for row in kept[group::groups]]
    return np.stack(dealt).astype(np.float32)
