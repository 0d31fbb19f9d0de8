"""A second reader of what a file has beside latents, from docs/format.md (section 6) alone.

It shares nothing with rdae. Python's lzma stands for the page's LZMA2.
"""

import lzma
from typing import NamedTuple

from spec_reader import ALPHA, EXIF, ICC, XMP, File, demand


class Beside(NamedTuple):
    """Alpha, row by row, and metadata."""

    alpha: bytes | None
    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None


def lzma2(data: bytes) -> bytes:
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 2**22}])
    try:
        found = decoder.decompress(data)
    except lzma.LZMAError:
        found = b""
    demand(decoder.eof and not decoder.unused_data, "LZMA2")
    return found


def alpha_of(payload: bytes, width: int, height: int) -> bytes:
    demand(len(payload) > 0 and payload[0] <= 2, "method of alpha")
    if payload[0] == 0:
        demand(len(payload) == 2, "constant alpha")
        return payload[1:] * (width * height)
    found = bytearray(lzma2(payload[1:]))
    demand(len(found) == width * height, "size of alpha")
    if payload[0] == 2:
        for place in range(len(found)):
            if place % width:
                found[place] = (found[place] + found[place - 1]) % 256
    return bytes(found)


def metadata_of(payload: bytes) -> bytes:
    demand(len(payload) > 0 and payload[0] <= 1, "method of metadata")
    found = lzma2(payload[1:]) if payload[0] else payload[1:]
    demand(0 < len(found) <= 2**26, "size of metadata")
    return found


def read(file: File) -> Beside:
    """The extras of a file, or Refused."""
    payloads = {part.kind: part.payload for part in file.sections}
    plane = alpha_of(payloads[ALPHA], file.width, file.height) if ALPHA in payloads else None
    return Beside(
        plane, *(metadata_of(payloads[kind]) if kind in payloads else None for kind in (ICC, EXIF, XMP))
    )
