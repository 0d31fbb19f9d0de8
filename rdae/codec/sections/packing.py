"""Bytes to fewer bytes and back, exactly: LZMA2 as in .xz files, without their headers.

It packs masks a quarter to a half better than DEFLATE (docs/experiments.md), is part of Python, and its decoder has
one meaning everywhere. Other writers of it may find fewer bytes for the same.

Payloads may come from strangers: nothing is unpacked beyond what the caller announced.
"""

import lzma
from collections.abc import Iterator
from typing import Any

from rdae.errors import CorruptError

DICTIONARY_BYTES = 1 << 22  # of the format: what a decoder sets aside, whatever the payload says
STEP_BYTES = 1 << 20


def pack(data: bytes | memoryview, preset: int = 6) -> bytes:
    """LZMA2 of the data; preset 0 (fast) to 9 says how hard to look."""
    return lzma.compress(data, lzma.FORMAT_RAW, filters=_filters(preset))


def unpack(payload: bytes, most: int) -> bytes:
    """What was packed; CorruptError if that is more than `most` bytes, or the payload is not whole and nothing more."""
    return b"".join(unpack_parts(payload, most))


def unpack_parts(payload: bytes, most: int) -> Iterator[bytes]:
    """What was packed, in parts of at most STEP_BYTES; the errors of `unpack`, perhaps after the first parts."""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_filters(6))
    fresh = payload
    while not decoder.eof:
        try:
            # A byte more than there may be, to see whether there is one.
            part = decoder.decompress(fresh, min(most + 1, STEP_BYTES))
        except lzma.LZMAError as error:
            raise CorruptError(f"packed data is broken: {error}") from error
        if len(part) > most:
            raise CorruptError("packed data goes on after its announced size")
        # Neither input nor output: the payload ends too early.
        if not part and decoder.needs_input and not decoder.eof:
            raise CorruptError("packed data ends too early")
        fresh = b""
        most -= len(part)
        yield part
    if decoder.unused_data:
        raise CorruptError("packed data is followed by something")


def _filters(preset: int) -> list[dict[str, Any]]:
    # Nothing in a mask or a text comes in groups of four bytes, which is what pb is about.
    return [{"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": DICTIONARY_BYTES, "pb": 0}]
