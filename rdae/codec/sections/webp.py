"""Lossless WebP bitstreams (RFC 9649, section 3), which Pillow writes and reads, without what stands around them.

The container, RIFF, is left out, and so are the first five bytes of the bitstream, which say how large it is: that
follows from what the file says already, so that a stream cannot claim something else.
"""

import contextlib
import io
import queue
import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from rdae.errors import CorruptError, VersionError

MAX_SIDE = 16383
HEARING_S = 0.5
"""How long a signal may wait on Windows."""

# RIFF's size, then VP8L's: what stands in a WebP file before a bitstream.
RIFF, WEBP, VP8L, SIGNATURE = b"RIFF", b"WEBP", b"VP8L", b"\x2f"
SIZE_BYTES = 4
HEAD_BYTES = len(SIGNATURE) + 4  # of a bitstream, with width, height, a bit for alpha and three of version
ALPHA_BIT = 1 << 28

# RIFF pads chunks of odd length, and libwebp takes the pad as part of a bitstream that ends a byte early. Ones are the
# last of a prefix code's codewords, the rarest, so that few such streams become what they were.
PAD, OTHER_PAD = b"\xff", b"\x00"

Levels = npt.NDArray[np.uint8]  # (h, w, 3), or (h, w, 4) with alpha


def available() -> bool:
    """Whether this Pillow writes and reads WebP."""
    return bool(features.check("webp"))


def encode(levels: Levels, *, method: int, quality: int) -> bytes:
    """The stream of levels, uint8 (h, w, 3 or 4), with sides of at most MAX_SIDE; ValueError for larger ones.

    method, quality: as Pillow takes them.
    """
    height, width, channels = levels.shape
    if max(height, width) > MAX_SIDE:
        raise ValueError(f"{width} x {height} pixels as WebP, expected sides of at most {MAX_SIDE}")
    data = _beside(lambda: _file_of(levels, method=method, quality=quality))
    # With alpha Pillow writes more chunks than this one.
    place = data.index(VP8L) + len(VP8L)
    length = int.from_bytes(data[place : place + SIZE_BYTES], "little")
    stream = data[place + SIZE_BYTES : place + SIZE_BYTES + length]
    head = _head(width, height, alpha=bool(_says_alpha(stream)))
    assert stream.startswith(head), "Pillow wrote another kind of WebP"
    if channels == 4 and not _says_alpha(stream):  # all is opaque: the caller has no alpha to keep
        raise ValueError("alpha that is all opaque")
    return stream[HEAD_BYTES:]


def _file_of(levels: Levels, *, method: int, quality: int) -> bytes:
    """The levels as a whole WebP file."""
    with io.BytesIO() as file:
        # exact: colours under alpha 0 are for the caller to choose.
        Image.fromarray(levels).save(file, "WEBP", lossless=True, exact=True, method=method, quality=quality)
        return file.getvalue()


def _beside(work: Callable[[], bytes]) -> bytes:
    """What a function returns that may take minutes within libwebp; a thread calls it, so that signals are heard here.

    Whoever is interrupted leaves that thread behind, as a daemon, which no end of a program waits for.
    """
    ended: queue.SimpleQueue[bytes | BaseException] = queue.SimpleQueue()

    def worker() -> None:
        try:
            ended.put(work())
        except BaseException as error:  # noqa: BLE001 - raised to the caller, whatever it is
            ended.put(error)

    try:
        threading.Thread(target=worker, name="rdae writes WebP", daemon=True).start()
    except RuntimeError:  # there may be no more threads
        return work()
    while True:
        with contextlib.suppress(queue.Empty):
            found = ended.get(timeout=HEARING_S)  # without a timeout nothing is heard on Windows
            break
    if isinstance(found, BaseException):
        try:
            raise found
        finally:
            del found  # or it would keep the levels, by its traceback, until garbage is collected
    return found


def decode(
    stream: bytes, width: int, height: int, *, alpha: bool, what: str, checked: bool = False
) -> Levels:
    """The levels, uint8 (height, width, 3 or 4), of a stream.

    what: what it is called in errors. checked: the caller has a checksum of the levels. Else a stream of odd length is
    decoded twice, with another byte behind it, as nothing else shows that its last byte is missing.

    CorruptError if it is broken, ends early, or is not of that size. A stream that is one byte short can pass, with the
    right levels, if the byte behind it says the same as the missing one. VersionError if this Pillow reads no WebP.
    """
    if max(width, height) > MAX_SIDE:
        raise CorruptError(
            f"{what} of {width} x {height} pixels as WebP, expected sides of at most {MAX_SIDE}"
        )
    if not available():
        raise VersionError(f"{what} is stored as WebP, which Pillow was built without here")
    inside = _head(width, height, alpha=alpha) + stream
    found = _levels(inside, PAD, what)
    if found.shape != (height, width, 4 if alpha else 3):
        raise CorruptError(f"{what} as WebP is {found.shape}, expected {(height, width, 4 if alpha else 3)}")
    if len(inside) % 2 and not checked and not np.array_equal(found, _levels(inside, OTHER_PAD, what)):
        raise CorruptError(f"{what} as WebP ends too early")
    return found


def _levels(inside: bytes, pad: bytes, what: str) -> Levels:
    """What Pillow makes of a whole bitstream, with `pad` behind it if its length is odd."""
    padded = inside + pad * (len(inside) % 2)
    size = len(WEBP) + len(VP8L) + SIZE_BYTES + len(padded)
    frame = RIFF + size.to_bytes(SIZE_BYTES, "little") + WEBP + VP8L
    file = io.BytesIO(frame + len(inside).to_bytes(SIZE_BYTES, "little") + padded)
    try:
        with Image.open(file, formats=["WEBP"]) as image:
            return np.asarray(image)
    except MemoryError:
        raise
    except Exception as error:  # Pillow has no one kind of error for a broken file
        raise CorruptError(f"{what} is no lossless WebP: {error}") from error


def _says_alpha(stream: bytes) -> int:
    return int.from_bytes(stream[len(SIGNATURE) : HEAD_BYTES], "little") & ALPHA_BIT


def _head(width: int, height: int, *, alpha: bool) -> bytes:
    """The first five bytes of a bitstream."""
    bits = width - 1 | height - 1 << 14 | (ALPHA_BIT if alpha else 0)
    return SIGNATURE + bits.to_bytes(4, "little")
