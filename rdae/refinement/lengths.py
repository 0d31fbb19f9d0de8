"""What a latent costs, as a function of real numbers: the tables' code lengths, with straight lines between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rdae.coding import Tables


class Lengths:
    """The code lengths of tables in a dense array: (rows, 2 · reach + 1) bits, of symbols -reach..reach."""

    def __init__(self, tables: Tables, device: torch.device) -> None:
        """Take the tables: a row for each scale index."""
        reach = int(tables.limits.max()) + 1
        rows = len(tables.limits)
        symbols = np.tile(np.arange(-reach, reach + 1, dtype=np.int32), rows)
        places = np.repeat(np.arange(rows, dtype=np.int32), 2 * reach + 1)
        lengths = tables.code_lengths(symbols, places).reshape(rows, -1)
        self.reach = reach
        self.table = torch.from_numpy(lengths.astype(np.float32)).to(device)

    def bits(self, symbols: Tensor, rows: Tensor) -> Tensor:
        """Return the bits of all symbols, a number, of real symbols and rows of the same shape.

        Between four entries it is bilinear; beyond the table it goes on straight.
        """
        bits: Tensor = _Bits.apply(symbols, rows, self.table, self.reach)  # type: ignore[no-untyped-call]
        return bits


class _Bits(torch.autograd.Function):
    """The sum of bits, which keeps but its two derivatives for the way back."""

    @staticmethod
    def forward(ctx: Any, symbols: Tensor, rows: Tensor, table: Tensor, reach: int) -> Tensor:
        lower = symbols.floor().clamp_(-reach, reach - 1)
        across = symbols - lower
        row = rows.floor().clamp_(0, table.shape[0] - 2)
        down = rows - row
        width = table.shape[1]
        place = row.long().mul_(width).add_(lower.long()).add_(reach)
        flat = table.flatten()
        near, far = flat[place], flat[place + width]
        near_slope, far_slope = flat[place + 1].sub_(near), flat[place + width + 1].sub_(far)
        down_slope = far.sub_(near)
        twist = far_slope.sub_(near_slope)
        ctx.save_for_backward(
            torch.addcmul(near_slope, twist, down), torch.addcmul(down_slope, twist, across)
        )
        return (near + near_slope * across + (down_slope + twist * across) * down).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        of_symbols, of_rows = ctx.saved_tensors
        return of_symbols * gradients[0], of_rows * gradients[0], None, None
