"""The reference scale: what a latent of this channel is divided by, at this quality, before a network sees it.

A channel whose latents have standard deviation σ in units of the lowest quality's step has about
sqrt((σ·g)² + 1) steps at a quality whose step is g times finer: its signal, and the step itself.  Dividing by this
makes numbers comparable over qualities and channels.  The decoder's arithmetic is integer: the factors are tables,
one row per whole quality, written at export.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rdae.networks.layers import CONTEXT_MAX, MEAN_UNIT, UNIT
from rdae.quality import BETA_DECADES, MAX_INDEX, STEPS_PER_QUALITY

STEP_UNIT = 64
"""Latents ŷ and means μ are integers of 1/64 of the quantisation step."""

SCALES = 64
SCALE_MIN, SCALE_MAX = 0.11, 64.0
LOG_SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (SCALES - 1)
"""Scale index i stands for the standard deviation 0.11 * exp(i * LOG_SCALE_STEP), in steps; index 63 is 64 steps."""

ROWS = MAX_INDEX // STEPS_PER_QUALITY + 1
TABLE_SHIFT = 14
"""Table entries are integers of 2^-14."""

TABLE_MAX = 2**29
"""Largest magnitude of a table's entry, far beyond what they hold: ŷ·64 then fits 32 bits."""


def row(index: int) -> int:
    """Return the table row of a quality index: the nearest whole quality."""
    return (index + STEPS_PER_QUALITY // 2) // STEPS_PER_QUALITY


def integer_tables(spread: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.int32]]:
    """Return the tables of a model by name, int32 (ROWS, C) each: to be stored, never recomputed by a decoder.

    spread: σ, (C,).
    to_context: context input = (ŷ·64 * entry + 2^13) >> 14.  from_mean: μ·64 = (network's mean * entry + 2^13) >> 14.
    index_offset: added to the network's scale index.
    """
    # The gain grows with sqrt(β).
    gain = 10.0 ** (BETA_DECADES / 2 * np.arange(ROWS) / (ROWS - 1))
    scale = np.sqrt((gain[:, None] * spread[None, :]) ** 2 + 1)
    tables = {
        "to_context": 2**TABLE_SHIFT * UNIT / STEP_UNIT / scale,
        "from_mean": 2**TABLE_SHIFT * STEP_UNIT / MEAN_UNIT * scale,
        "index_offset": np.log(scale) / LOG_SCALE_STEP,
    }
    return {name: np.rint(table).astype(np.int32) for name, table in tables.items()}


def to_context(y64: npt.NDArray[np.int32], entry: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Normalise ŷ·64 by table entries that broadcast to it; exact, clamped to ±CONTEXT_MAX."""
    scaled = y64 * entry
    scaled += 1 << (TABLE_SHIFT - 1)
    scaled >>= TABLE_SHIFT
    return np.clip(scaled, -CONTEXT_MAX, CONTEXT_MAX, out=scaled).astype(np.float32)
