"""The reference scale: what a latent of this channel is divided by, at this quality, before a network sees it.

A channel whose latents have standard deviation σ in units of the lowest quality's step has about
sqrt((σ·g)² + 1) steps at a quality whose step is g times finer: its signal, and the step itself.  Dividing by this
makes numbers comparable over qualities and channels.  The decoder's arithmetic is integer: the factors are tables,
one row per whole quality, written at export.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rdae.quality import BETA_DECADES, MAX_INDEX, STEPS_PER_QUALITY
from rdae.training.modules.context_model import CONTEXT_MAX, MEAN_UNIT
from rdae.training.modules.layers import UNIT

STEP_UNIT = 64
"""Latents ŷ and means μ are integers of 1/64 of the quantisation step."""

SCALES = 64
SCALE_MIN, SCALE_MAX = 0.11, 64.0
LOG_SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (SCALES - 1)
"""Scale index i stands for the standard deviation 0.11 * exp(i * LOG_SCALE_STEP), in steps; index 63 is 64 steps."""

ROWS = MAX_INDEX // STEPS_PER_QUALITY + 1
TABLE_SHIFT = 14
"""Table entries are integers of 2^-14."""


def row(index: int) -> int:
    """Return the table row of a quality index: the nearest whole quality."""
    return (index + STEPS_PER_QUALITY // 2) // STEPS_PER_QUALITY


def reference_scale(spread: Tensor, index: Tensor) -> Tensor:
    """Return sqrt((σ·g)² + 1): spread σ (C,), quality indices (B,) -> steps, float (B, C, 1, 1)."""
    whole = ((index + STEPS_PER_QUALITY // 2) // STEPS_PER_QUALITY).to(spread.dtype)
    # The gain grows with sqrt(β).
    gain = 10.0 ** (BETA_DECADES / 2 * whole / (ROWS - 1))
    return ((gain[:, None] * spread[None, :]) ** 2 + 1).sqrt()[:, :, None, None]


def integer_tables(spread: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the tables of a model: int32 (ROWS, C) each, to be stored, never recomputed by a decoder.

    to_context: context input = (ŷ·64 * entry + 2^13) >> 14.  from_mean: μ·64 = (network's mean * entry + 2^13) >> 14.
    index_offset: added to the network's scale index.
    """
    indices = torch.arange(ROWS) * STEPS_PER_QUALITY
    scale = reference_scale(spread.double(), indices)[:, :, 0, 0]  # (ROWS, C)
    to_context = (2**TABLE_SHIFT * UNIT / STEP_UNIT / scale).round().int()
    from_mean = (2**TABLE_SHIFT * STEP_UNIT / MEAN_UNIT * scale).round().int()
    index_offset = (scale.log() / LOG_SCALE_STEP).round().int()
    return to_context, from_mean, index_offset


def to_context(y64: Tensor, entry: Tensor) -> Tensor:
    """Normalise ŷ·64 (int64, any shape) by table entries that broadcast to it; exact, clamped to ±CONTEXT_MAX."""
    return ((y64 * entry + (1 << (TABLE_SHIFT - 1))) >> TABLE_SHIFT).clamp_(-CONTEXT_MAX, CONTEXT_MAX)


def from_mean(mean: Tensor, entry: Tensor) -> Tensor:
    """Turn the network's means (int64) into μ·64, by table entries that broadcast to them; exact."""
    return (mean * entry + (1 << (TABLE_SHIFT - 1))) >> TABLE_SHIFT
