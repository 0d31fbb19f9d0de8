"""Bands of levels on their way out of the synthesis, and what a lack of memory is called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdae.clock import Clock
from rdae.errors import PictureError

Picture = npt.NDArray[np.uint8]


def cut_levels(
    stream: Iterable[Tensor], size: tuple[int, int], origin: tuple[int, int], *, grey: bool
) -> Iterator[Picture]:
    """Cut the part of such a size that has its left upper corner at `origin` out of bands of levels.

    grey: make one channel of three, their mean.
    """
    height, width = size
    top = -origin[0]
    for levels in stream:
        start, end = max(0, -top), max(0, min(len(levels), height - top))
        if start < end:
            part = levels[start:end, origin[1] : origin[1] + width].cpu().numpy()
            yield (
                ((part.sum(axis=2, keepdims=True, dtype=np.uint16) + 1) // 3).astype(np.uint8)
                if grey
                else part
            )
        top += len(levels)


def gathered(stream: Iterator[Picture], size: tuple[int, int], clock: Clock) -> Picture:
    """Put rows together, a single channel three times: uint8 (*size, 3)."""
    picture = np.empty((*size, 3), np.uint8)
    top = 0
    for rows in timed(stream, clock):
        picture[top : top + len(rows)] = rows
        top += len(rows)
    return picture


def timed(stream: Iterator[Picture], clock: Clock) -> Iterator[Picture]:
    """Count what making each item takes as the stage "synthesis"."""
    while True:
        with clock.stage("synthesis"):
            item = next(stream, None)
        if item is None:
            return
        yield item


@contextmanager
def memory_for(height: int, width: int) -> Iterator[None]:
    """Turn the ways in which numpy and torch say that memory is short into one error that names the size."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or "can't allocate memory" in str(
            error
        ):
            raise PictureError(f"not enough memory for {width} x {height} pixels") from error
        raise
