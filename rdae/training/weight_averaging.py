"""The mean of several weights files as a start: weight averaging over runs.

Ends of runs that began from the same weights lie around a common point that is often better than any of them
(Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization"; Wortsman et al. 2022,
"Model soups"), for no time in training but what each of them took, and none in decoding.
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
    begin = model.state_dict()
    states = [warm_start.grown(start.state, model) for start in starts]
    mean = {name: _mean([state.get(name) for state in states], begin[name]) for name in begin}
    names = tuple(name for start in starts for name in start.names)
    return Start(architecture, mean, max(start.pixels for start in starts), names)


def _deeper(path: Path, one: Architecture, other: Architecture) -> Architecture:
    most = {name: max(getattr(one, name), getattr(other, name)) for name in DEPTHS}
    found = dataclasses.replace(one, **most)
    if found != dataclasses.replace(other, **most):
        raise TrainingError(
            f"{path}: its widths are others than those of the first weights, no mean can be taken"
        )
    return found


def _mean(values: Sequence[Tensor | None], begin: Tensor) -> Tensor:
    """Return the mean of the values that are not None, of which there is one; begin: the tensor in a new network.

    The last layer of a new block and its biases start at zero, and count as zero for the files that lack the block.
    Its other tensors start at random, which says nothing: they are the mean of those that there are.
    """
    there = [value for value in values if value is not None]
    if not begin.is_floating_point():
        return there[0]
    return torch.stack(there).sum(dim=0) / (len(there) if begin.any() else len(values))
