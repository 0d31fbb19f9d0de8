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

_LEAST = 8
"""Rows of a band, however wide: a block computes two more than it keeps."""

Span = tuple[int, int]  # first row, and one past the last
Stream = Iterator[Tensor]
Work = Callable[[Tensor, bool, bool], Tensor]


def bands(height: int, row_bytes: int, device: torch.device) -> Iterator[Span]:
    """Cut rows 0..height into bands (top, bottom) of like height, of which none needs more than the device's share.

    row_bytes: what a row needs.  All bands but the last have an even number of rows, at least _LEAST.
    """
    count = max(1, -(-height * row_bytes // _BYTES.get(device.type, _BYTES["cpu"])))
    rows = max(_LEAST, -(-height // count))
    rows += rows % 2
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def longer_side(x: Tensor, first: int) -> tuple[int, int, int]:
    """Along which of the dimensions first and first + 1 of x bands should follow: (it, its length, the other's).

    Bands across the longer side stay small however wide a picture is: a kilobyte may claim 60,000 x 64 pixels.
    """
    height, width = x.shape[first : first + 2]
    return (first, height, width) if height >= width else (first + 1, width, height)


def cut(parts: Iterable[Tensor], row_bytes: Callable[[int], int]) -> tuple[int, Stream]:
    """Cut a picture, of which parts (C, k, w) come from top to bottom, into bands.

    row_bytes: what a row, or column, of so many positions needs.
    Returns the dimension along which the bands follow each other, and them.  It is 1, rows; but 2 if the picture comes
    in one part and is wider than high, or if it comes in several so wide that a row is more than a band may be.
    """
    coming = iter(parts)
    first = next(coming)
    second = next(coming, None)
    if second is not None:
        coming = _followed([first, second], coming)
        width, device = first.shape[2], first.device
        del first, second
        if row_bytes(width) <= _BYTES.get(device.type, _BYTES["cpu"]):
            return 1, _bands_of(coming, row_bytes(width))
        first = torch.cat(list(coming), dim=1)
    dim, length, across = longer_side(first, 1)
    spans = bands(length, row_bytes(across), first.device)
    return dim, (first.narrow(dim, start, end - start) for start, end in spans)


def _followed(held: list[Tensor], coming: Stream) -> Stream:
    """Give out what is held, holding it no longer, then what is coming."""
    while held:
        yield held.pop(0)
    yield from coming


def _bands_of(parts: Stream, row_bytes: int) -> Stream:
    for part in parts:
        for top, bottom in bands(part.shape[1], row_bytes, part.device):
            yield part[:, top:bottom]
        del part  # before the next one is made


def join(stream: Stream, length: int, dim: int) -> Tensor:
    """Take bands from a stream until they have `length` positions along dim; return them as one.

    Unlike `torch.cat` of a list it does not need room for everything twice.
    """
    whole: Tensor | None = None
    start = 0
    while start < length:
        part = next(stream)
        if whole is None:
            if part.shape[dim] == length:
                return part
            whole = part.new_empty([length if at == dim else size for at, size in enumerate(part.shape)])
        whole.narrow(dim, start, part.shape[dim]).copy_(part)
        start += part.shape[dim]
    assert whole is not None
    return whole


def with_neighbours(stream: Iterable[Tensor], work: Work, dim: int) -> Stream:
    """Apply work, for which a row depends on the one above and the one below, to a stream of rows along dim.

    work(rows, above, below) is given a band and, if `above` or `below` say so, a row more on that side; it returns the
    band's own rows.  Beyond the picture there is no row: what stands for it is for `work` to know.
    """
    before: list[Tensor] = []  # the row above `band`, if there is one
    band: Tensor | None = None
    for following in stream:
        if band is not None:
            # Only the band that follows is held while others work: not the window, nor this one by a view of its row.
            window = [torch.cat([*before, band, following.narrow(dim, 0, 1)], dim)]
            above, before = bool(before), [band.narrow(dim, band.shape[dim] - 1, 1).clone()]
            band = following
            yield work(window.pop(), above, True)
        band = following
    if band is not None:
        yield work(torch.cat([*before, band], dim) if before else band, bool(before), False)
