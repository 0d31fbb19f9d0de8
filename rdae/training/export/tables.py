"""Integer probability tables from trained densities and from counted symbols."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rdae.networks.layers import Z_MAX
from rdae.networks.normaliser import LOG_SCALE_STEP, SCALE_MIN, SCALES
from rdae.networks.tables import TOTAL, Tables

Floats = npt.NDArray[np.float64]

_DEVIATIONS = 6.0
"""Half-width of a table in standard deviations; farther symbols are escapes."""

_GAUSSIAN_WEIGHT = 2000.0
"""How many counted symbols the Gaussian counts for when a row is fitted to a histogram."""

_Z_TAIL = 2.0**-18
"""Probability of hyper-latents that may be left to the escape."""


def to_counts(probabilities: Floats) -> npt.NDArray[np.int32]:
    """Return integers >= 1 that sum to 2^24, near the probabilities (n,), which sum to 1."""
    share = TOTAL - len(probabilities)
    counts = 1 + np.floor(probabilities / probabilities.sum() * share).astype(np.int64)
    counts[np.argmax(counts)] += TOTAL - counts.sum()
    small: npt.NDArray[np.int32] = counts.astype(np.int32)
    return small


def join(rows: list[Floats]) -> Tables:
    """Make tables of rows of probabilities, each of symbols -limit..limit and, last, the escape."""
    limits = np.array([(len(row) - 2) // 2 for row in rows], dtype=np.int32)
    return Tables(np.concatenate([to_counts(row) for row in rows]), limits)


def gaussian_rows() -> list[Floats]:
    """Return, per scale index, the probabilities of round(N(0, scale²)) and of the escape."""
    rows = []
    for index in range(SCALES):
        scale = SCALE_MIN * math.exp(index * LOG_SCALE_STEP)
        limit = max(2, math.ceil(_DEVIATIONS * scale))
        edges = np.array([math.erfc((k - 0.5) / scale / math.sqrt(2)) / 2 for k in range(limit + 2)])
        upper = edges[:-1] - edges[1:]  # P(k), k = 0..limit, accurate in the tail
        row = np.concatenate([upper[:0:-1], upper, [2 * edges[-1]]])
        rows.append(row)
    return rows


def fitted_rows(histogram: list[npt.NDArray[np.int64]]) -> list[Floats]:
    """Return the rows of `gaussian_rows` bent towards counted symbols.

    histogram: per scale index, counts of symbols -limit..limit and of escapes, as long as the Gaussian row.
    Real residuals have heavier tails and a sharper peak than the Gaussian of the same deviation.  A row is the mean of
    the counts, made symmetric, and of the Gaussian at the weight of some thousand symbols.
    """
    rows = []
    for gaussian, counted in zip(gaussian_rows(), histogram, strict=True):
        body = counted[:-1].astype(np.float64)
        symmetric = np.append((body + body[::-1]) / 2, counted[-1])
        # A symbol counted 0 times of n is rarer than 1/n, not impossible: its neighbours' Gaussian decides.
        row = symmetric + _GAUSSIAN_WEIGHT * gaussian
        rows.append(row / row.sum())
    return rows


def hyper_latent_rows(likelihood: Floats) -> list[Floats]:
    """Return, per hyper-latent channel, the probabilities of its integers and of the escape.

    likelihood: of -Z_MAX..Z_MAX, (channels, 2 * Z_MAX + 1).
    """
    rows = []
    for channel in likelihood:
        limit = Z_MAX
        while limit > 1 and channel[Z_MAX - limit + 1 : Z_MAX + limit].sum() > channel.sum() - _Z_TAIL:
            limit -= 1
        body = channel[Z_MAX - limit : Z_MAX + limit + 1]
        row = np.append(body, max(1.0 - body.sum(), _Z_TAIL))
        rows.append(row / row.sum())
    return rows
