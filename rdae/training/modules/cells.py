"""Latents sorted by the cells of the 2x2 and the steps that code them, for what works on all cells of a step at once.

`rdae.training.modules.context_model` says which step codes which group of channels at which cell.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rdae.networks.architecture import GROUPS


def group_of(step: int, cell: int) -> int:
    """Return the group that a step codes at a cell; or, of a group and a cell, the step that codes it there."""
    return (cell - step) % GROUPS


def to_cells(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (cells, B, h/2, w/2, C), with zeros beside an odd height or width."""
    height, width = x.shape[2:]
    if height % 2 or width % 2:
        x = F.pad(x, (0, width % 2, 0, height % 2))
    x = x.permute(0, 2, 3, 1).unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
    return x.permute(2, 4, 0, 1, 3, 5).flatten(0, 1)


def from_cells(x: Tensor) -> Tensor:
    """(cells, B, h/2, w/2, C) -> (B, C, h, w), channels last."""
    x = x.unflatten(0, (2, 2)).permute(2, 3, 0, 4, 1, 5)
    return x.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def by_step(x: Tensor) -> list[Tensor]:
    """Sort the channels of cells by the step that codes them: (cells, ..., C) -> 4 of (cells, ..., C/4)."""
    groups = [cell.unflatten(-1, (GROUPS, -1)).unbind(-2) for cell in x.unbind()]
    return [
        torch.stack([groups[cell][group_of(step, cell)] for cell in range(GROUPS)]) for step in range(GROUPS)
    ]


def by_group(steps: list[Tensor]) -> Tensor:
    """Undo `by_step`."""
    by_cell = [step.unbind() for step in steps]
    return torch.stack(
        [
            torch.cat([by_cell[group_of(group, cell)][cell] for group in range(GROUPS)], dim=-1)
            for cell in range(GROUPS)
        ],
    )
