"""A second reader of what a file has beside latents, from docs/format.md (sections 6 and 7) alone.

It shares nothing with rdae. Python's lzma stands for the page's LZMA2, Pillow for RFC 9649.
"""

import lzma
from io import BytesIO
from typing import NamedTuple

from PIL import Image
from spec_reader import ALPHA, ALPHA_WEBP, EXIF, ICC, PIXELS, PIXELS_ALPHA, XMP, File, crc32, demand


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


def stored(file: File) -> list[tuple[tuple[int, int, int, int], bytes]]:
    """Each rectangle of pixels, (left, top, width, height), with its red, green, blue and, if it is there, alpha."""
    found = []
    taken: set[tuple[int, int]] = set()
    for part in file.sections:
        if part.kind not in (PIXELS, PIXELS_ALPHA):
            continue
        demand(len(part.payload) > 0 and part.payload[0] <= 3, "kind of pixels")
        kind, rest = part.payload[0], part.payload[1:]
        box = (0, 0, file.width, file.height)
        if kind % 2 == 0:
            demand(part.kind == PIXELS and len(rest) >= 16, "rectangle")
            left, top, width, height = (int.from_bytes(rest[at : at + 4], "little") for at in (0, 4, 8, 12))
            box, rest = (left, top, width, height), rest[16:]
            demand(left % 16 == 0 and top % 16 == 0 and width > 0 and height > 0, "rectangle")
            for end, limit in ((left + width, file.width), (top + height, file.height)):
                demand(end == limit or (end < limit and end % 16 == 0), "rectangle")
        left, top, width, height = box
        cells = {(x, y) for x in range(left, left + width, 16) for y in range(top, top + height, 16)}
        demand(not cells & taken, "pixels twice")
        taken |= cells
        demand(width <= 16383 and height <= 16383, "side of a rectangle")
        alpha = part.kind == PIXELS_ALPHA
        levels = webp(rest[4:], width, height, alpha=alpha)
        demand(crc32(levels) == int.from_bytes(rest[:4], "little"), "checksum of pixels")
        if file.grey:
            step = 4 if alpha else 3
            demand(levels[0::step] == levels[1::step] == levels[2::step], "colours of a grey picture")
        found.append((box, levels))
    if not any(part.kind == 1 for part in file.sections):
        demand(len(taken) == -(-file.width // 16) * -(-file.height // 16), "pixels everywhere")
    return found


def webp(stream: bytes, width: int, height: int, *, alpha: bool) -> bytes:
    n = len(stream)
    file = bytes.fromhex("52494646") + (n + 18 - n % 2).to_bytes(4, "little")
    file += bytes.fromhex("574542505650384c") + (n + 5).to_bytes(4, "little")
    head = width - 1 + 2**14 * (height - 1) + (2**28 if alpha else 0)
    file += b"\x2f" + head.to_bytes(4, "little") + stream + bytes(1 - n % 2)
    try:
        image = Image.open(BytesIO(file))
        levels = image.tobytes()
    except (OSError, ValueError):
        levels = b""
    demand(len(levels) == width * height * (4 if alpha else 3), "lossless WebP")
    return levels


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
    if PIXELS_ALPHA in payloads:
        ((_, levels),) = stored(file)
        plane = levels[3::4]
    return Beside(
        plane, *(metadata_of(payloads[kind]) if kind in payloads else None for kind in (ICC, EXIF, XMP))
    )
