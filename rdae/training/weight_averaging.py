"""Means of weights: of several files as a start, and of a run's end and a file as what is published.

Ends of runs that began from the same weights lie around a common point that is often better than any of them
(Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization"; Wortsman et al. 2022,
"Model soups"), for no time in training but what each of them took, and none in decoding.  So does the line from what a
run began with to its end, where their objectives differ (Wortsman et al. 2022, "Robust fine-tuning of zero-shot
models").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from rdae.errors import TrainingError
from rdae.networks.architecture import Architecture
from rdae.training import warm_start
from rdae.training.autoencoder import Autoencoder
from rdae.training.warm_start import Start

DEPTHS = (
    "analysis_fine",
    "analysis_coarse",
    "synthesis_coarse",
    "synthesis_fine",
    "context_deeper",
    "context_trunks",
)
"""Sizes in which the files may differ: what grows without changing what a network does."""


def read(paths: Sequence[Path]) -> Start:
    """Return the mean of at least one weights file, of an architecture with the blocks of all of them.

    Blocks that a file lacks count as the identity.  The pixels are the most that went into one of the files.
    Errors as those of `warm_start.read`; TrainingError if widths differ from those of the first file.
    """
    starts = [warm_start.read(path) for path in paths]
    architecture = starts[0].architecture
    for path, start in zip(paths, starts, strict=True):
        architecture = _deeper(path, architecture, start.architecture)
    model = Autoencoder(architecture)
    mean = _mean(model, [start.state for start in starts], [1 / len(starts)] * len(starts))
    names = tuple(name for start in starts for name in start.names)
    return Start(architecture, mean, max(start.pixels for start in starts), names)


def mix(model: Autoencoder, path: Path, share: float) -> tuple[str, ...]:
    """Give a model the mean of its weights, by `share`, and a file's, by the rest; return the file's name.

    share: 0..1, or below 0 for what lies beyond the file's weights on the line through both.
    The model may have more blocks than the file, which lacks them as in `read`, not fewer, and no other widths:
    TrainingError.  The name has the file's id, as in `Start`.  Errors of the file as those of `warm_start.read`.
    """
    start = warm_start.read(path)
    if _deeper(path, model.architecture, start.architecture) != model.architecture:
        raise TrainingError(f"{path}: it has more blocks than the weights that it is to be mixed with")
    model.load_state_dict(_mean(model, [model.state_dict(), start.state], [share, 1 - share]))
    return start.names


def _deeper(path: Path, one: Architecture, other: Architecture) -> Architecture:
    most = {name: max(getattr(one, name), getattr(other, name)) for name in DEPTHS}
    found = dataclasses.replace(one, **most)
    if found != dataclasses.replace(other, **most):
        raise TrainingError(
            f"{path}: its widths are others than those of the other weights, no mean can be taken"
        )
    return found


def _mean(
    model: Autoencoder, states: Sequence[dict[str, Tensor]], shares: Sequence[float]
) -> dict[str, Tensor]:
    """Return the mean of weights for a model with the blocks of all of them; shares: add up to 1."""
    grown = [warm_start.grown(state, model) for state in states]
    begin = Autoencoder(model.architecture).state_dict()
    return {
        name: _mean_of([state.get(name) for state in grown], shares, value) for name, value in begin.items()
    }


def _mean_of(values: Sequence[Tensor | None], shares: Sequence[float], begin: Tensor) -> Tensor:
    """Return the mean of the values that are not None, of which there is one; begin: the tensor in a new network.

    The last layer of a new block and its biases start at zero, and count as zero for the files that lack the block.
    Its other tensors start at random, which says nothing: they are the mean of those that there are.
    """
    there = [(value, share) for value, share in zip(values, shares, strict=True) if value is not None]
    if not begin.is_floating_point():
        return there[0][0]
    whole = sum(share for _, share in there) if begin.any() else 1.0
    return torch.stack([value * (share / whole) for value, share in there]).sum(dim=0)
