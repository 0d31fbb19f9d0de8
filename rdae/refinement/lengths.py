"""What a latent costs, as a function of real numbers: the tables' code lengths, with straight lines between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rdae.networks.tables import Tables


class Lengths:
    """The code lengths of tables, of symbols -reach..reach in each row, as bilinear functions between four of them."""

    def __init__(self, tables: Tables, device: torch.device) -> None:
        """Take the tables: a row for each scale index."""
        self.reach = int(tables.limits.max()) + 1
        self.rows, self.width = len(tables.limits) - 1, 2 * self.reach
        symbols = np.tile(np.arange(-self.reach, self.reach + 1, dtype=np.int32), self.rows + 1)
        places = np.repeat(np.arange(self.rows + 1, dtype=np.int32), self.width + 1)
        lengths = tables.code_lengths(symbols, places).reshape(self.rows + 1, -1)
        corner = lengths[:-1, :-1]
        slope, fall = lengths[:-1, 1:] - corner, lengths[1:, :-1] - corner
        twist = lengths[1:, 1:] - lengths[1:, :-1] - slope
        assert corner.size < 1 << 24  # places in it are counted in float32
        self.parts = torch.from_numpy(
            np.stack([corner, slope, fall, twist]).reshape(4, -1).astype(np.float32)
        )
        self.parts = self.parts.to(device)

    def bits(self, symbols: Tensor, rows: Tensor) -> Tensor:
        """Return the bits of all symbols, a number, of real symbols and rows of the same shape.

        Between four entries it is bilinear; beyond the table it goes on straight.
        """
        bits: Tensor = _Bits.apply(symbols, rows, self)  # type: ignore[no-untyped-call]
        return bits


class _Bits(torch.autograd.Function):
    """The sum of bits, which keeps but its two derivatives for the way back."""

    @staticmethod
    def forward(ctx: Any, symbols: Tensor, rows: Tensor, lengths: Lengths) -> Tensor:
        lower = symbols.floor().clamp_(-lengths.reach, lengths.reach - 1)
        row = rows.floor().clamp_(0, lengths.rows - 1)
        across, down = symbols - lower, rows - row
        place = lower.add_(row, alpha=lengths.width).add_(lengths.reach).int().flatten()
        corner, slope, fall, twist = (part.index_select(0, place).view(rows.shape) for part in lengths.parts)
        corner.addcmul_(slope, across)
        fall += twist * across
        corner.addcmul_(fall, down)
        slope += twist.mul_(down)
        ctx.save_for_backward(slope, fall)
        bits: Tensor = corner.sum()
        return bits

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        of_symbols, of_rows = ctx.saved_tensors
        return of_symbols * gradients[0], of_rows * gradients[0], None
