"""Transparency as lossless WebP, which is smallest for shapes and for mattes of photographs.

A payload is the plane in bands of rows, top to bottom, each as four bytes of length and so many of a stream as
rdae.codec.sections.webp has it, where red, green and blue are the alpha. Bands keep Pillow's memory bounded, and within
WebP's sides.
"""

import numpy as np
import numpy.typing as npt

from rdae.codec.sections import webp
from rdae.errors import CorruptError

BAND_PIXELS = 1 << 22
LENGTH_BYTES = 4
THOROUGH_PIXELS = 1 << 21  # a larger plane takes seconds as it is

# Options of Pillow's, for planes up to THOROUGH_PIXELS, and beyond: a sixth of the time for 3 to 8 % more bytes.
THOROUGH: dict[str, int] = {"method": 5, "quality": 100}
QUICK: dict[str, int] = {"method": 2, "quality": 50}

Plane = npt.NDArray[np.uint8]  # (h, w)


def encode(alpha: Plane) -> bytes | None:
    """The payload of a plane of alpha, uint8 (h, w); None if it is too wide, or this Pillow writes no WebP."""
    height, width = alpha.shape
    if width > webp.MAX_SIDE or not webp.available():
        return None
    options = THOROUGH if alpha.size <= THOROUGH_PIXELS else QUICK
    parts = []
    for top, bottom in _bands(height, width):
        stream = webp.encode(np.repeat(alpha[top:bottom, :, None], 3, axis=2), **options)
        parts += [len(stream).to_bytes(LENGTH_BYTES, "little"), stream]
    return b"".join(parts)


def decode(payload: bytes, width: int, height: int) -> Plane:
    """The plane, uint8 (height, width); CorruptError if the payload is not one of that size.

    VersionError if this Pillow reads no WebP.
    """
    if width > webp.MAX_SIDE:
        raise CorruptError(f"alpha of {width} pixels across as WebP, expected at most {webp.MAX_SIDE}")
    plane = np.empty((height, width), np.uint8)
    at = 0
    for top, bottom in _bands(height, width):
        start = at + LENGTH_BYTES
        at = start + int.from_bytes(payload[at:start], "little")
        if start > len(payload) or at > len(payload):
            raise CorruptError(f"alpha ends too early: {at} bytes expected, {len(payload)} are there")
        plane[top:bottom] = _band(payload[start:at], width, bottom - top)
    if at < len(payload):
        raise CorruptError(f"alpha is followed by {len(payload) - at} bytes")
    return plane


def _bands(height: int, width: int) -> list[tuple[int, int]]:
    rows = min(webp.MAX_SIDE, max(1, BAND_PIXELS // width))
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]


def _band(stream: bytes, width: int, height: int) -> Plane:
    """Rows of the plane, uint8 (height, width), of their stream."""
    found = webp.decode(stream, width, height, alpha=False, what="alpha")
    alpha: Plane = found[:, :, 1]
    if not (np.array_equal(alpha, found[:, :, 0]) and np.array_equal(alpha, found[:, :, 2])):
        raise CorruptError("alpha as WebP has colours")
    return alpha
