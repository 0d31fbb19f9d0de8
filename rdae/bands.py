"""Bands of rows: how a picture is gone through so that what is large exists for a few rows at a time only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_BYTES = {"cpu": 10 << 20, "cuda": 1 << 30}
"""Of a band's widest array.  Less costs calls, more leaves the cache of a CPU; a GPU wants as much as it can get."""


def bands(height: int, row_bytes: int, device: torch.device) -> Iterator[tuple[int, int]]:
    """Cut rows 0..height into bands (top, bottom) of like height, of which none needs more than the device's share.

    row_bytes: what a row needs.  All bands but the last have an even number of rows, at least two.
    """
    count = max(1, -(-height * row_bytes // _BYTES.get(device.type, _BYTES["cpu"])))
    rows = max(2, -(-height // count))
    rows += rows % 2
    for top in range(0, height, rows):
        yield top, min(top + rows, height)
