"""Transparency as lossless WebP (RFC 9649), which is smallest for shapes and for mattes of photographs.

A payload is the plane in bands of rows, top to bottom, each as four bytes of length and so many of a bitstream: WebP's
VP8L, where red, green and blue are the alpha. The container around it is left out, and so are the first five bytes of
the bitstream, which say how large it is: they follow from the picture's size, so that a payload cannot claim another.

Pillow writes and reads it. Bands keep that within a bounded memory, and within WebP's sides.
"""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from rdae.errors import CorruptError, VersionError

MAX_SIDE = 16383
BAND_PIXELS = 1 << 22
LENGTH_BYTES = 4
THOROUGH_PIXELS = 1 << 21  # a larger plane takes seconds as it is

# Options of Pillow's, for planes up to THOROUGH_PIXELS, and beyond: a sixth of the time for 3 to 8 % more bytes.
THOROUGH: dict[str, int] = {"method": 5, "quality": 100}
QUICK: dict[str, int] = {"method": 2, "quality": 50}

# RIFF's size, then VP8L's: what stands in a WebP file before a bitstream.
RIFF, WEBP, VP8L, SIGNATURE = b"RIFF", b"WEBP", b"VP8L", b"\x2f"
SIZE_BYTES = 4
HEAD_BYTES = len(SIGNATURE) + 4  # of a bitstream, with width, height, a bit for alpha and three of version
FRAME_BYTES = len(RIFF) + SIZE_BYTES + len(WEBP) + len(VP8L) + SIZE_BYTES + HEAD_BYTES

Plane = npt.NDArray[np.uint8]  # (h, w)


def encode(alpha: Plane) -> bytes | None:
    """The payload of a plane of alpha, uint8 (h, w); None if it is too wide, or this Pillow writes no WebP."""
    height, width = alpha.shape
    if width > MAX_SIDE or not _available():
        return None
    options = THOROUGH if alpha.size <= THOROUGH_PIXELS else QUICK
    parts = []
    for top, bottom in _bands(height, width):
        with io.BytesIO() as file:
            Image.fromarray(alpha[top:bottom]).convert("RGB").save(file, "WEBP", lossless=True, **options)
            stream = _bare(file.getvalue(), width, bottom - top)
        if stream is None:
            return None
        parts += [len(stream).to_bytes(LENGTH_BYTES, "little"), stream]
    return b"".join(parts)


def decode(payload: bytes, width: int, height: int) -> Plane:
    """The plane, uint8 (height, width); CorruptError if the payload is not one of that size.

    VersionError if this Pillow reads no WebP.
    """
    if width > MAX_SIDE:
        raise CorruptError(f"alpha of {width} pixels across as WebP, expected at most {MAX_SIDE}")
    if not _available():
        raise VersionError("alpha is stored as WebP, which Pillow was built without here")
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


def _available() -> bool:
    return bool(features.check("webp"))


def _bands(height: int, width: int) -> list[tuple[int, int]]:
    rows = min(MAX_SIDE, max(1, BAND_PIXELS // width))
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]


def _frame(stream_bytes: int, width: int, height: int) -> bytes:
    """What stands in a WebP file before a bitstream, and of that the first five bytes."""
    inside = HEAD_BYTES + stream_bytes
    riff = len(WEBP) + len(VP8L) + SIZE_BYTES + inside + inside % 2
    return b"".join(
        (
            RIFF + riff.to_bytes(SIZE_BYTES, "little") + WEBP,
            VP8L + inside.to_bytes(SIZE_BYTES, "little"),
            SIGNATURE + (width - 1 | height - 1 << 14).to_bytes(4, "little"),
        )
    )


def _bare(file: bytes, width: int, height: int) -> bytes | None:
    """The bitstream of a WebP file without what `_frame` says; None of a file that has more than a bitstream."""
    inside = int.from_bytes(file[FRAME_BYTES - HEAD_BYTES - SIZE_BYTES : FRAME_BYTES - HEAD_BYTES], "little")
    stream = file[FRAME_BYTES : FRAME_BYTES - HEAD_BYTES + inside]
    return stream if file.startswith(_frame(len(stream), width, height)) else None


def _band(stream: bytes, width: int, height: int) -> Plane:
    """Rows of the plane, uint8 (height, width), of their bitstream."""
    frame = _frame(len(stream), width, height)
    file = io.BytesIO(frame + stream + bytes((len(frame) + len(stream)) % 2))
    try:
        with Image.open(file, formats=["WEBP"]) as image:
            found = np.asarray(image)
    except MemoryError:
        raise
    except Exception as error:  # Pillow has no one kind of error for a broken file
        raise CorruptError(f"alpha is no lossless WebP: {error}") from error
    if found.shape != (height, width, 3):
        raise CorruptError(f"alpha as WebP is {found.shape}, expected {(height, width, 3)}")
    alpha: Plane = found[:, :, 1]
    if not (np.array_equal(alpha, found[:, :, 0]) and np.array_equal(alpha, found[:, :, 2])):
        raise CorruptError("alpha as WebP has colours")
    return alpha
