"""Memory that the C library holds back for later: given back to the system where it would only add up.

Tensors of many sizes come and go, and between those that stay the freed ones leave holes. Of a picture of 100
megapixels these come to 200 MB. glibc, the C library of most of Linux, can give them back; elsewhere nothing happens.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache


def trim() -> None:
    """Give back what is free. It takes some milliseconds, so it is for every few hundred of them."""
    trimmer = _trimmer()
    if trimmer is not None:
        trimmer(0)


@cache
def _trimmer() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):  # another C library, such as musl
        return None
    return found
