"""Pictures as streams of rows: what is large exists for a band of rows at a time only.

A stream is an iterator of tensors that are consecutive bands of a picture's rows.  Stages are chained like pipes: each
takes a stream and is one, and holds back no more rows than it needs to see below the ones it gives out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

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


def _parts(length: int, position_bytes: int, device: torch.device) -> Iterator[Span]:
    """Cut a long row into parts of half a band's share: it takes no longer, and freed arrays leave smaller holes."""
    return bands(length, 2 * position_bytes, device)


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

    Unlike `torch.cat` of a list it does not need room for everything twice.  Of pictures (B, C, h, w) the channels lie
    beside each other, as in the bands.
    """
    whole: Tensor | None = None
    start = 0
    while start < length:
        part = next(stream)
        if whole is None:
            if part.shape[dim] == length:
                return part
            beside = part.ndim == 4 and part.is_contiguous(memory_format=torch.channels_last)
            whole = torch.empty(
                [length if at == dim else size for at, size in enumerate(part.shape)],
                dtype=part.dtype,
                device=part.device,
                memory_format=torch.channels_last if beside else torch.contiguous_format,
            )
        whole.narrow(dim, start, part.shape[dim]).copy_(part)
        start += part.shape[dim]
    assert whole is not None
    return whole


def in_parts(work: Callable[[Tensor], Tensor], x: Tensor, dim: int, position_bytes: int) -> Tensor:
    """Return work(x), in which no position depends on another, made of parts along dim.

    position_bytes: what a position along dim needs in work's widest array.  The result may be longer or shorter than x
    by a whole factor.
    """
    length = x.shape[dim]
    parts = _parts(length, position_bytes, x.device)
    start, end = next(parts)
    first = work(x.narrow(dim, start, end - start))
    rest = (work(x.narrow(dim, start, end - start)) for start, end in parts)
    return join(chain([first], rest), length * first.shape[dim] // (end - start), dim)


def with_neighbours(
    stream: Iterable[Tensor], work: Work, dim: int, *, across: int | None = None, position_bytes: int = 0
) -> Stream:
    """Apply work, for which a row depends on the one above and the one below, to a stream of rows along dim.

    work(rows, above, below) is given a band and, if `above` or `below` say so, a row more on that side; it returns the
    band's own rows.  Beyond the picture there is no row: what stands for it is for `work` to know.
    across: the rows' own dimension.  With it long rows are worked on in parts, each with a position more on either
    side, so that no part's widest array, of position_bytes a position, needs more than half the device's share.
    """

    def worked_on(above: list[Tensor], own: Tensor, below: list[Tensor]) -> Tensor:
        if across is None:
            return work(torch.cat([*above, own, *below], dim), bool(above), bool(below))
        width = own.shape[across]
        found: Tensor | None = None
        for start, end in _parts(width, position_bytes * own.shape[dim], own.device):
            left, right = max(0, start - 1), min(width, end + 1)
            window = [each.narrow(across, left, right - left) for each in (*above, own, *below)]
            part = work(torch.cat(window, dim) if len(window) > 1 else window[0], bool(above), bool(below))
            if (start, end) == (0, width):
                return part
            if found is None:
                found = torch.empty_like(own)
            found.narrow(across, start, end - start).copy_(part.narrow(across, start - left, end - start))
        assert found is not None
        return found

    before: list[Tensor] = []  # the row above `band`, if there is one
    band: Tensor | None = None
    for following in stream:
        if band is not None:
            # While others work only the band that follows is held: not this one, be it by a view of its last row.
            found = [worked_on(before, band, [following.narrow(dim, 0, 1)])]
            before = [band.narrow(dim, band.shape[dim] - 1, 1).clone()]
            band = following
            yield found.pop()
        band = following
    if band is not None:
        yield worked_on(before, band, [])
