"""The user's quality 0..100, the quality index of a file, and β, the weight of distortion in the loss.

A file stores an integer, the quality index: quality in eighths of a step, 0..800 (DESIGN, section 5).  Everything
that depends on quality (gains, the prior's normalisation) is a table with a row per index.
"""

from __future__ import annotations

import math

STEPS_PER_QUALITY = 8
MAX_INDEX = 100 * STEPS_PER_QUALITY
BETA_MIN = 0.0004
BETA_DECADES = 3.0

ANCHOR_SPACING = 100
"""Quality indices between two anchors, where learned functions of quality have a value of their own."""

ANCHORS = MAX_INDEX // ANCHOR_SPACING + 1

ANCHOR_UNIT = 128
"""Integer that stands for 1 in `anchor_weights`."""


def to_index(quality: float) -> int:
    """Return the quality index, 0..800, nearest to a quality in 0..100; ValueError outside of that."""
    if not (math.isfinite(quality) and 0 <= quality <= MAX_INDEX / STEPS_PER_QUALITY):
        raise ValueError(f"quality is {quality}, expected 0 to 100")
    return round(quality * STEPS_PER_QUALITY)


def from_index(index: int) -> float:
    """Return the quality, 0..100, of a quality index 0..800."""
    return index / STEPS_PER_QUALITY


def beta(index: float) -> float:
    """Return β of a quality index: the loss is bpp + β * MSE, MSE of pixels in 0..255.  Log-linear, 0.0004 to 0.4."""
    return BETA_MIN * math.pow(10.0, BETA_DECADES * index / MAX_INDEX)


def high_rate_gain(index: float) -> float:
    """Return the gain that minimises rate + β * distortion at high rate, for an orthonormal transform of x in 0..1.

    A uniform quantiser of step 1/gain costs log2(gain) + const bits and leaves a mean squared error of
    1/(12 gain²) a coefficient; setting the derivative of the sum to zero gives 255 * sqrt(β ln 2 / 18).
    """
    return 255.0 * math.sqrt(beta(index) * math.log(2.0) / 18.0)


def anchor_weights(index: int) -> list[int]:
    """Return the weights of the anchors at a quality index: linear interpolation in integers of 1/128.

    At most two neighbouring anchors have a weight, and the weights sum to 128: exact on every machine.
    """
    if not 0 <= index <= MAX_INDEX:
        raise ValueError(f"quality index is {index}, expected 0 to {MAX_INDEX}")
    lower, offset = divmod(index, ANCHOR_SPACING)
    upper_weight = (ANCHOR_UNIT * offset + ANCHOR_SPACING // 2) // ANCHOR_SPACING
    weights = [0] * ANCHORS
    weights[lower] = ANCHOR_UNIT - upper_weight
    if lower + 1 < ANCHORS:
        weights[lower + 1] = upper_weight
    return weights
