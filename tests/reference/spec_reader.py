"""A second reader of .rdae files, written from docs/format.md (sections 1 to 3) alone.

It shares nothing with rdae.

It exists to be compared with rdae.codec.container, so it is as unlike it as may be: the file is taken off the front of
one iterator of bytes, rules are checked on what was found, and the CRC-32 is its own.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

GREY, HAS_ALPHA, HAS_METADATA, TILES, HAS_LATENT_CHECKSUM = 1, 2, 4, 8, 16
LATENTS, ALPHA, ICC, EXIF, XMP, ALPHA_WEBP, PIXELS, PIXELS_ALPHA = 1, 2, 3, 4, 5, 6, 7, 8


class Refused(Exception):  # noqa: N818 - the page's word
    """The file breaks a rule."""


class Unsupported(Refused):
    """The file asks for something that a 1.1 reader does not know."""


class Part(NamedTuple):
    """A section."""

    kind: int
    skippable: bool
    payload: bytes


class File(NamedTuple):
    """All that a file says."""

    grey: bool
    model: bytes
    quality_index: int
    width: int
    height: int
    tile: int | None
    sections: tuple[Part, ...]
    latent_checksum: int | None


def eight_steps(register: int) -> int:
    for _ in range(8):
        register = register >> 1 ^ (0xEDB88320 if register & 1 else 0)
    return register


EIGHT_STEPS = [eight_steps(byte) for byte in range(256)]


def crc32(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register = register >> 8 ^ EIGHT_STEPS[(register ^ byte) & 0xFF]
    return register ^ 0xFFFFFFFF


def demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Refused(otherwise)


def fixed(source: Iterator[int], length: int) -> bytes:
    found = bytes(islice(source, length))
    demand(len(found) == length, "ends too early")
    return found


def varint(source: Iterator[int]) -> int:
    digits = []
    for byte in source:
        digits.append(byte & 0x7F)
        if byte < 0x80:
            break
        demand(len(digits) < 9, "varint of more than 63 bits")
    else:
        raise Refused("ends within a varint")
    demand(len(digits) == 1 or digits[-1] > 0, "varint longer than needed")
    return sum(digit << 7 * place for place, digit in enumerate(digits))


def sections(region: bytes) -> Iterator[Part]:
    source = iter(region)
    for head in source:
        length = varint(source)
        demand(length <= len(region), "section longer than the file")
        yield Part(head & 0x7F, head >= 0x80, fixed(source, length))


def read(data: bytes) -> File:
    """The file's fields, or Refused."""
    demand(data[:4] == b"RDAE", "magic")
    demand(len(data) > 4, "ends too early")
    if data[4] >> 4 != 1:
        raise Unsupported(f"version {data[4] >> 4}")
    demand(len(data) >= 9 and int.from_bytes(data[-4:], "little") == crc32(data[:-4]), "file checksum")

    inner = data[5:-4]
    source = iter(inner)
    flags = varint(source)
    if flags > 31:
        raise Unsupported("flags")
    model = fixed(source, 4)
    quality_index, width, height = (varint(source) for _ in range(3))
    tile = varint(source) if flags & TILES else None
    rest = bytes(source)
    checksum = None
    if flags & HAS_LATENT_CHECKSUM:
        demand(len(rest) >= 4, "ends too early")
        rest, checksum = rest[:-4], int.from_bytes(rest[-4:], "little")
    parts = tuple(islice(sections(rest), 65537))

    demand(quality_index <= 800, "quality index")
    demand(0 < width < 2**30 and 0 < height < 2**30, "size")
    demand(tile is None or 4 <= tile <= 16, "tile")
    demand(len(parts) <= 65536, "number of sections")
    number = Counter(part.kind for part in parts)
    demand(number[0] == 0, "section type 0")
    tiles = 1 if tile is None else -(-width // (16 << tile)) * -(-height // (16 << tile))
    stored = number[PIXELS] + number[PIXELS_ALPHA]
    demand(number[LATENTS] == tiles or (number[LATENTS] == 0 and stored > 0), "number of LATENTS")
    demand(number[PIXELS_ALPHA] == 0 or number[LATENTS] + stored == 1, "more than the picture")
    demand(all(number[kind] <= 1 for kind in (ICC, EXIF, XMP)), "a section twice")
    alphas = number[ALPHA] + number[ALPHA_WEBP] + number[PIXELS_ALPHA]
    demand(alphas == bool(flags & HAS_ALPHA), "alpha, and its flag")
    metadata = number[ICC] + number[EXIF] + number[XMP]
    demand(bool(flags & HAS_METADATA) == (metadata > 0), "flag of metadata")
    coded = sum(len(part.payload) for part in parts if part.kind in (LATENTS, PIXELS, PIXELS_ALPHA))
    demand(coded >= -(-width // 64) * -(-height // 64), "too little coded for the size")
    if any(part.kind > PIXELS_ALPHA and not part.skippable for part in parts):
        raise Unsupported("section type")
    return File(bool(flags & GREY), model, quality_index, width, height, tile, parts, checksum)
