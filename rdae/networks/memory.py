"""Memory that the C library holds: kept for the next arrays of a picture, given back where it would only add up.

A network's arrays of many megabytes come and go by the dozen.  glibc, the C library of most of Linux, would fetch each
from the system and give it back at once, a page fault for every 4 KB: a seventh of a decode's time.  Elsewhere nothing
happens here.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt's names, malloc.h
_ENVIRONMENT = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")

KEPT_BYTES = 128 << 20
"""Of free memory, at most this much is kept at the end of the heap."""

HEAP_BYTES = 32 << 20
"""Smaller arrays come from the heap."""


@cache
def keep_freed() -> None:
    """Let the C library keep freed memory for later, unless the environment has told it what to do."""
    library = _glibc()
    if library is not None and not any(name in os.environ for name in _ENVIRONMENT):
        library.mallopt(_MMAP_THRESHOLD, HEAP_BYTES)
        library.mallopt(_TRIM_THRESHOLD, KEPT_BYTES)


def give_back() -> None:
    """Give what is free back to the system.  It takes some milliseconds, so it is for every few hundred of them."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def is_short(error: BaseException) -> bool:
    """Tell if an error of the runtime says that memory is short."""
    text = str(error)
    return isinstance(error, MemoryError) or any(
        words in text
        for words in ("Failed to allocate memory", "bad_alloc", "bad allocation", "out of memory")
    )


@cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(None)
        library.malloc_trim, library.mallopt  # noqa: B018 - looked up here, so that another C library is told
    except (AttributeError, OSError):  # such as musl
        return None
    return library
