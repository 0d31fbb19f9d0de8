"""A second reader of what a file has beside latents, from docs/format.md (section 6) alone.

It shares nothing with rdae. Python's lzma stands for the page's LZMA2, Pillow for RFC 9649.
"""

import lzma
from io import BytesIO
from typing import NamedTuple

from PIL import Image
from spec_reader import ALPHA, ALPHA_WEBP, EXIF, ICC, XMP, File, demand


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


def alpha_of_webp(payload: bytes, width: int, height: int) -> bytes:
    demand(width <= 16383, "width of alpha as WebP")
    rows_of_a_band = min(2**22 // width, 16383)
    found = b""
    while height > 0:
        rows = min(rows_of_a_band, height)
        n = int.from_bytes(payload[:4], "little")
        demand(len(payload) >= 4 + n, "alpha ends early")
        band, payload, height = payload[4 : 4 + n], payload[4 + n :], height - rows
        file = bytes.fromhex("52494646") + (n + 18 - n % 2).to_bytes(4, "little")
        file += bytes.fromhex("574542505650384c") + (n + 5).to_bytes(4, "little")
        file += b"\x2f" + (width - 1 + 2**14 * (rows - 1)).to_bytes(4, "little") + band + bytes(1 - n % 2)
        try:
            red, green, blue = (part.tobytes() for part in Image.open(BytesIO(file)).split())
        except (OSError, ValueError):
            red, green, blue = b"", b"no", b""
        demand(red == green == blue, "alpha as WebP")
        found += green
    demand(not payload, "alpha goes on")
    return found


def metadata_of(payload: bytes) -> bytes:
    demand(len(payload) > 0 and payload[0] <= 1, "method of metadata")
    found = lzma2(payload[1:]) if payload[0] else payload[1:]
    demand(0 < len(found) <= 2**26, "size of metadata")
    return found


def read(file: File) -> Beside:
    """The extras of a file, or Refused."""
    payloads = {part.kind: part.payload for part in file.sections}
    plane = alpha_of(payloads[ALPHA], file.width, file.height) if ALPHA in payloads else None
    if ALPHA_WEBP in payloads:
        plane = alpha_of_webp(payloads[ALPHA_WEBP], file.width, file.height)
    return Beside(
        plane, *(metadata_of(payloads[kind]) if kind in payloads else None for kind in (ICC, EXIF, XMP))
    )
