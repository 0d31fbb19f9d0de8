"""Random numbers of a step, drawn so that they depend on the seed, the step and the crop's place in the batch alone.

A process that trains on a part of the batch draws the noise of that part and gets what one process would have drawn
for it, so a run on many devices is the run on one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rdae.networks.architecture import HYPER_STRIDE, PATCH, Architecture

_ROWS = 8
"""Crops that share a generator: few launches on a GPU, little drawn in vain by a process with fewer crops."""


def mix(seed: int, step: int, stream: int) -> int:
    """Return one seed for a step's stream 0..3 of random numbers."""
    return (seed * 1_000_003 + step) * 4 + stream + 8


def generator(seed: int, step: int, stream: int) -> torch.Generator:
    """Return a generator on the CPU for a step's stream 0..3."""
    return torch.Generator().manual_seed(mix(seed, step, stream))


def rounding_noise(
    architecture: Architecture, side: int, rows: range, base: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Draw the uniform noise in -0.5..0.5 that stands for rounding, for the crops `rows` of a batch.

    side: of the crops, in pixels.  base: seed of the whole batch's noise.
    Returns that of y, (len(rows), latents, h, w), and of z, (len(rows), hyper_latents, h/4, w/4), h/4 rounded up.
    """
    fine = side // PATCH
    coarse = -(-fine // HYPER_STRIDE)
    shapes = ((architecture.latents, fine, fine), (architecture.hyper_latents, coarse, coarse))
    source = torch.Generator(device)
    drawn: list[list[Tensor]] = [[], []]
    first = rows.start // _ROWS
    for chunk in range(first, -(-rows.stop // _ROWS)):
        source.manual_seed((base * 65_537 + chunk) % 2**63)
        for kind, shape in zip(drawn, shapes, strict=True):
            kind.append(torch.empty(_ROWS, *shape, device=device).uniform_(-0.5, 0.5, generator=source))
    begin = rows.start - first * _ROWS
    y, z = (torch.cat(kind)[begin : begin + len(rows)] for kind in drawn)
    return y, z
