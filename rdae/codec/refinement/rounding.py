"""Rounding with a gradient: what stands for round(x) while latents are looked for."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

EDGE = 1e-4
"""How near to an integer the logarithms are still taken."""

RARE = 1e-6
"""How near to 0 and 1 a drawn probability may be."""


@dataclasses.dataclass(frozen=True)
class Rounding:
    """A soft round: floor(x) + σ((steepness · logit(x - floor(x)) + noise) / temperature).

    Its derivative is large halfway between two integers and small at them: latents that are about to round otherwise
    are told apart from those that are not.  A straight-through gradient does not tell them apart, and ruins a picture.
    noise: logistic, so that this is a sample of the relaxed choice between the two neighbours of x, rounding up with
    the probability σ(steepness · logit): the "sigmoid scaled logit" that Perugachi-Diaz et al. (2024, arXiv:2401.17789)
    found better for this than the arctanh of stochastic Gumbel annealing.
    """

    steepness: float
    temperature: float
    noise: bool


def soft_round(x: Floats, rounding: Rounding, source: np.random.Generator) -> tuple[Floats, Floats]:
    """Return x, of any shape, softly rounded, and the derivative of that for x.  source: of noise."""
    lower = np.floor(x)
    inside = x - lower
    np.clip(inside, EDGE, 1 - EDGE, out=inside)
    beyond = 1 - inside
    logit = np.divide(inside, beyond)
    np.log(logit, out=logit)
    inside *= beyond
    logit *= -rounding.steepness / rounding.temperature
    if rounding.noise:
        drawn = source.random(x.shape, dtype=np.float32)
        np.clip(drawn, RARE, 1 - RARE, out=drawn)
        np.subtract(1, drawn, out=beyond)
        drawn /= beyond
        np.log(drawn, out=drawn)
        drawn *= 1 / rounding.temperature
        logit -= drawn
    with np.errstate(over="ignore"):  # one over infinity is the 0 that is meant
        share = np.exp(logit, out=logit)
    share += 1
    np.reciprocal(share, out=share)
    slope = np.subtract(1, share, out=beyond)
    slope *= share
    slope *= rounding.steepness / rounding.temperature
    slope /= inside
    lower += share
    return lower, slope
