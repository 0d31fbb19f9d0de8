"""Pictures as streams of rows: what is large exists for a band of rows at a time only.

A stream is an iterator of tensors that are consecutive bands of a picture's rows.  Stages are chained like pipes: each
takes a stream and is one, and holds back no more rows than it needs to see below the ones it gives out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

_BYTES = {"cpu": 10 << 20, "cuda": 1 << 30}
"""Of a band's widest array.  Less costs calls, more leaves the cache of a CPU; a GPU wants as much as it can get."""

Span = tuple[int, int]  # first row, and one past the last
Stream = Iterator[Tensor]
Work = Callable[[Tensor, bool, bool], Tensor]


def bands(height: int, row_bytes: int, device: torch.device) -> Iterator[Span]:
    """Cut rows 0..height into bands (top, bottom) of like height, of which none needs more than the device's share.

    row_bytes: what a row needs.  All bands but the last have an even number of rows, at least two.
    """
    count = max(1, -(-height * row_bytes // _BYTES.get(device.type, _BYTES["cpu"])))
    rows = max(2, -(-height // count))
    rows += rows % 2
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def with_neighbours(stream: Iterable[Tensor], work: Work, dim: int) -> Stream:
    """Apply work, for which a row depends on the one above and the one below, to a stream of rows along dim.

    work(rows, above, below) is given a band and, if `above` or `below` say so, a row more on that side; it returns the
    band's own rows.  Beyond the picture there is no row: what stands for it is for `work` to know.
    """
    before: list[Tensor] = []  # the row above `band`, if there is one
    band: Tensor | None = None
    for following in stream:
        if band is not None:
            window = torch.cat([*before, band, following.narrow(dim, 0, 1)], dim)
            yield work(window, bool(before), True)
            before = [band.narrow(dim, band.shape[dim] - 1, 1)]
        band = following
    if band is not None:
        yield work(torch.cat([*before, band], dim) if before else band, bool(before), False)
