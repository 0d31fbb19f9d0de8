"""Which steps count: those with a finite gradient and a loss not far beyond the usual.

A few strange crops, or a step too far, can give a loss of thousands; such a step changes nothing.  The decision is made
on the device from numbers that all processes share, so the host waits for nothing and no two processes differ.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rdae.errors import TrainingError

SPIKE = 8.0
"""A loss of this many times the usual one is not used."""

MAX_SKIPPED = 100
"""Steps in a row without a usable gradient, after which a run gives up."""

_PACE = 0.02


class DivergenceCheck:
    """Judges steps by the slow average of their losses."""

    def __init__(self, device: torch.device) -> None:
        """Know no loss yet."""
        self.usual = torch.zeros((), device=device)  # 0 before the first
        self.skipped = 0  # in a row, up to the last `count`

    def judge(self, loss: Tensor, norm: Tensor) -> Tensor:
        """Return whether a step may be made, a bool (), from its loss and the gradient's norm, both ()."""
        fresh = self.usual == 0
        usable = torch.isfinite(norm) & torch.isfinite(loss) & (fresh | (loss < SPIKE * self.usual))
        # A skipped step moves it too, if not by much: should losses be higher from now on, it follows them.
        bounded = torch.where(fresh, loss, torch.minimum(loss, SPIKE * self.usual))
        moved = self.usual + (bounded - self.usual) * torch.where(fresh, 1.0, _PACE)
        self.usual.copy_(torch.where(torch.isfinite(loss), moved, self.usual))
        return usable

    def count(self, usable: list[bool]) -> None:
        """Take note of how the last steps went; TrainingError if there were none for too long."""
        for one in usable:
            self.skipped = 0 if one else self.skipped + 1
        if self.skipped > MAX_SKIPPED:
            raise TrainingError(f"{self.skipped} steps in a row without a usable gradient")

    def state(self) -> float:
        """Return the usual loss."""
        return float(self.usual)

    def load(self, usual: float) -> None:
        """Restore what `state` returned."""
        self.usual.fill_(usual if math.isfinite(usual) else 0.0)


def all_finite(tensors: list[Tensor]) -> bool:
    """Tell whether tensors of one device, at least one, hold finite numbers only; the host waits for it once."""
    return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())
