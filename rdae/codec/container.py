"""The .rdae file: bytes to a header and sections, and back.

This module knows no tensor, no network and no picture; what the sections hold is for others to read. The
layout is a contract (files outlive code). All integers are little-endian; a varint is LEB128: 7 bits a byte,
lowest first, the top bit of a byte set when another follows, and never longer than needed.

    magic            4       "RDAE"
    version          1       major in the high nibble, minor in the low one: the lowest that has all types in the file
    flags            varint  Flag
    model            4       first bytes of the SHA-256 of the model's weights file
    quality index    varint  0..800, quality in eighths of a step
    width, height    varint  pixels of the picture as the user gave it, 1..MAX_SIDE
    tile             varint  log2 of a tile's side in latents, MIN_TILE..MAX_TILE; only with Flag.TILES
    sections                 each: type 1 byte, length varint, payload; up to the checksums
    latent checksum  4       CRC-32 of ẑ, then ŷ·64, as int32, tile by tile; only with Flag.LATENT_CHECKSUM
    CRC-32           4       over all bytes before it (zlib.crc32)

The top bit of a section's type, 0x80, says that a reader that does not know the type may skip the section
and still show the right picture; the lower seven bits, 1..127, are the type proper. There is one LATENTS
section, or one per tile with Flag.TILES (in reading order), or, where others hold all pixels, none; any number
of PIXELS sections, at most one of each other known type, and of those with alpha one. Flag.ALPHA and Flag.METADATA say
that such sections are there. Nothing may follow the CRC-32.

The payloads that hold the picture together have at least a byte for each block of BLOCK x BLOCK pixels, a begun one
included, least_payload(): what a decoder spends follows the blocks, so that this bounds it by the length of
the file. There are at most MAX_SECTIONS sections.

A newer minor version is read: it may add section types, and one that may not be skipped raises VersionError,
as does an unknown flag. Another major version raises VersionError at once. The bytes around the payload of a
plain picture are at most 28.
"""

import contextlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import BinaryIO

from rdae.errors import CorruptError, NotRdaeError, StreamError, TruncatedError, VersionError
from rdae.limits import BLOCK, MAX_PIXELS, counted_pixels, size_in_words

MAGIC = b"RDAE"
MAJOR, MINOR = 1, 1
MODEL_BYTES = 4
MAX_QUALITY_INDEX = 800
MAX_SIDE = (1 << 30) - 1
MIN_TILE, MAX_TILE = 4, 16  # smaller tiles would cost more time than they save of anything
LATENT = 16  # side in pixels of what a position of the latents stands for
MAX_SECTIONS = 1 << 16  # each costs a reader some memory, however short it is
SKIPPABLE = 0x80
CHECKSUM_BYTES = 4
HEADER_BYTES = 64  # no header is longer: 5 bytes, five varints of at most 9, and the model
VARINT_BITS = 63  # no length or number of a file needs more


class Flag(IntFlag):
    """Bits of the flags field."""

    GREY = 1
    ALPHA = 2
    METADATA = 4
    TILES = 8
    LATENT_CHECKSUM = 16


class SectionType(IntEnum):
    """What a section holds; numbers are never used again for something else."""

    LATENTS = 1
    ALPHA = 2
    ICC = 3
    EXIF = 4
    XMP = 5
    ALPHA_WEBP = 6  # since 1.1
    PIXELS = 7  # since 1.1
    PIXELS_ALPHA = 8  # since 1.1


# The minor version that brought a type; those that are not here are of 1.0.
SINCE_MINOR: dict[int, int] = dict.fromkeys(
    (SectionType.ALPHA_WEBP, SectionType.PIXELS, SectionType.PIXELS_ALPHA), 1
)
PIXELS_TYPES = frozenset({SectionType.PIXELS, SectionType.PIXELS_ALPHA})
# Of these there is one for each tile, or as many as there are rectangles.
SEVERAL = frozenset({SectionType.LATENTS, SectionType.PIXELS})
NO_MODEL = bytes(4)
"""What a file names that needs none: one without latents."""

ALPHA_TYPES = frozenset({SectionType.ALPHA, SectionType.ALPHA_WEBP, SectionType.PIXELS_ALPHA})
METADATA_TYPES = frozenset({SectionType.ICC, SectionType.EXIF, SectionType.XMP})


@dataclass(frozen=True)
class Header:
    """What a decoder must know before it reads a section. ValueError if a field is out of range."""

    width: int  # pixels, 1..MAX_SIDE
    height: int  # pixels, 1..MAX_SIDE
    model: bytes  # MODEL_BYTES first bytes of the weights' SHA-256
    quality_index: int  # 0..MAX_QUALITY_INDEX
    grey: bool = False  # the picture was given with one channel
    tile: int | None = None  # log2 of a tile's side in latents, MIN_TILE..MAX_TILE; None: one tile for all

    def __post_init__(self) -> None:
        if not (1 <= self.width <= MAX_SIDE and 1 <= self.height <= MAX_SIDE):
            raise ValueError(f"size {self.width} x {self.height}, expected sides of 1 to {MAX_SIDE}")
        if len(self.model) != MODEL_BYTES:
            raise ValueError(f"model name of {len(self.model)} bytes, expected {MODEL_BYTES}")
        if not 0 <= self.quality_index <= MAX_QUALITY_INDEX:
            raise ValueError(f"quality index {self.quality_index}, expected 0 to {MAX_QUALITY_INDEX}")
        if self.tile is not None and not MIN_TILE <= self.tile <= MAX_TILE:
            raise ValueError(f"tile {self.tile}, expected {MIN_TILE} to {MAX_TILE}")

    @property
    def tiles(self) -> int:
        """How many tiles there are, each with a LATENTS section."""
        if self.tile is None:
            return 1
        side = LATENT << self.tile
        return -(-self.width // side) * -(-self.height // side)


@dataclass(frozen=True)
class Section:
    """One typed payload. `type` is a SectionType or, of a newer writer, any number in 1..127."""

    type: int
    payload: bytes
    skippable: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.type < SKIPPABLE:
            raise ValueError(f"section type {self.type}, expected 1 to {SKIPPABLE - 1}")

    @property
    def name(self) -> str:
        """The type in lower case, or its number if this version does not know it."""
        return SectionType(self.type).name.lower() if self.type in set(SectionType) else str(self.type)


@dataclass(frozen=True)
class Container:
    """A whole .rdae file. ValueError if the sections contradict each other or the header."""

    header: Header
    sections: tuple[Section, ...]
    latent_checksum: int | None = None  # 32 bits

    def __post_init__(self) -> None:
        types = [section.type for section in self.sections]
        found = types.count(SectionType.LATENTS)
        if found != self.header.tiles and (found or not PIXELS_TYPES & set(types)):
            raise ValueError(f"{found} latents sections, expected {self.header.tiles}")
        for known in set(SectionType) - SEVERAL:
            if types.count(known) > 1:
                raise ValueError(f"{types.count(known)} {known.name.lower()} sections, expected 1")
        if len(ALPHA_TYPES & set(types)) > 1:
            raise ValueError("alpha twice")
        if SectionType.PIXELS_ALPHA in types and SEVERAL & set(types):
            raise ValueError("more than the picture")
        if self.latent_checksum is not None and self.latent_checksum >> 32:
            raise ValueError(f"latent checksum {self.latent_checksum}, expected 32 bits")
        if len(self.sections) > MAX_SECTIONS:
            raise ValueError(f"{len(self.sections)} sections, expected at most {MAX_SECTIONS}")
        coded = sum(len(each.payload) for each in self.sections if each.type in SEVERAL | PIXELS_TYPES)
        least = least_payload(self.header.width, self.header.height)
        if coded < least:
            size = f"{self.header.width} x {self.header.height}"
            raise ValueError(f"{coded} bytes of latents for {size} pixels, expected at least {least}")

    @property
    def flags(self) -> Flag:
        """The flags field, which follows from everything else."""
        types = {section.type for section in self.sections}
        flags = Flag(0)
        if self.header.grey:
            flags |= Flag.GREY
        if types & ALPHA_TYPES:
            flags |= Flag.ALPHA
        if types & METADATA_TYPES:
            flags |= Flag.METADATA
        if self.header.tile is not None:
            flags |= Flag.TILES
        if self.latent_checksum is not None:
            flags |= Flag.LATENT_CHECKSUM
        return flags

    @property
    def minor(self) -> int:
        """The minor version of the format that the file says: the lowest that has all its types."""
        return max(SINCE_MINOR.get(section.type, 0) for section in self.sections)

    @property
    def needs_model(self) -> bool:
        """Whether there are latents to be decoded."""
        return any(section.type == SectionType.LATENTS for section in self.sections)

    def payloads(self, kind: SectionType) -> list[bytes]:
        """The payloads of all sections of one type, in the order of the file."""
        return [section.payload for section in self.sections if section.type == kind]


def least_payload(width: int, height: int) -> int:
    """How many bytes of latents a picture of width x height pixels has at least."""
    return -(-width // BLOCK) * -(-height // BLOCK)


def pack(container: Container) -> bytes:
    """The bytes of a complete file; parse() turns them back into an equal Container."""
    header = container.header
    parts = [
        MAGIC,
        bytes([MAJOR << 4 | container.minor]),
        _varint(container.flags),
        header.model,
        _varint(header.quality_index),
        _varint(header.width),
        _varint(header.height),
    ]
    if header.tile is not None:
        parts.append(_varint(header.tile))
    for section in container.sections:
        parts.append(bytes([section.type | (SKIPPABLE if section.skippable else 0)]))
        parts.append(_varint(len(section.payload)))
        parts.append(section.payload)
    if container.latent_checksum is not None:
        parts.append(container.latent_checksum.to_bytes(CHECKSUM_BYTES, "little"))
    body = b"".join(parts)
    return body + zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "little")


def peek(data: bytes) -> tuple[Header, Flag, int]:
    """The header, the flags and where sections begin, of a file's first HEADER_BYTES, or all if it has fewer.

    No checksum is looked at. Raises NotRdaeError, VersionError, TruncatedError or CorruptError, and nothing else.
    """
    _check_start(data)
    try:
        cursor = _Cursor(data, len(MAGIC) + 1)
        header, flags = _parse_header(cursor)
    except ValueError as error:
        raise CorruptError(str(error)) from error
    return header, flags, cursor.position


def parse(data: bytes, max_pixels: int | None = MAX_PIXELS) -> Container:
    """Read a complete file.

    max_pixels: larger counted_pixels() raise StreamError, before anybody allocates for them; None: any size.
    Raises NotRdaeError, VersionError, TruncatedError or CorruptError otherwise, and nothing else ever.
    """
    _check_start(data)
    body, crc = data[:-CHECKSUM_BYTES], data[-CHECKSUM_BYTES:]
    intact = zlib.crc32(body) == int.from_bytes(crc, "little")
    try:
        container = _parse_fields(data)
    except (StreamError, ValueError) as error:
        # The checksum says whose fault it is: a writer's, or damage on the way.
        if intact and isinstance(error, VersionError):
            raise
        if intact:
            raise CorruptError(f"written wrongly: {error}") from error
        if more := _surplus(data):
            raise _too_long(more) from error
        if isinstance(error, TruncatedError):
            raise
        raise CorruptError(f"damaged or cut short: checksum does not match ({error})") from error
    if not intact:
        if more := _surplus(data):
            raise _too_long(more)
        raise CorruptError("damaged or cut short: checksum does not match")
    header = container.header
    if max_pixels is not None and counted_pixels(header.width, header.height) > max_pixels:
        size = size_in_words(header.width, header.height)
        raise StreamError(f"{size}, more than the {max_pixels} allowed")
    return container


def _check_start(data: bytes) -> None:
    if not data.startswith(MAGIC):
        if data and MAGIC.startswith(data):
            raise TruncatedError(f"the file is cut short: it ends after {len(data)} bytes")
        raise NotRdaeError(f"not an .rdae file: it begins with {data[:4]!r}, expected {MAGIC!r}")
    if len(data) > len(MAGIC) and data[len(MAGIC)] >> 4 != MAJOR:
        raise VersionError(f"format version {data[len(MAGIC)] >> 4}, this program reads version {MAJOR}")


def _too_long(more: int) -> CorruptError:
    return CorruptError(f"a whole file, but {more} {'bytes follow' if more > 1 else 'byte follows'} its end")


def _surplus(data: bytes) -> int:
    """How many bytes follow a whole file with which data begins; 0 if it begins with none, or is one."""
    cursor = _Cursor(data, len(MAGIC) + 1)
    with contextlib.suppress(StreamError, ValueError):
        _, flags = _parse_header(cursor)
        crc, start = 0, 0
        for _ in range(MAX_SECTIONS):
            cursor.take(1)
            cursor.take(cursor.varint())
            crc, start = zlib.crc32(memoryview(data)[start : cursor.position], crc), cursor.position
            # Sections may end here: if so, with these checksums.
            body = start + (CHECKSUM_BYTES if flags & Flag.LATENT_CHECKSUM else 0)
            end = body + CHECKSUM_BYTES
            if zlib.crc32(data[start:body], crc).to_bytes(CHECKSUM_BYTES, "little") == data[body:end]:
                return len(data) - end
    return 0


def _parse_header(cursor: "_Cursor") -> tuple[Header, Flag]:
    """All fields between the version and the sections. ValueError for a wrong value."""
    flags = cursor.varint()
    if flags & ~sum(Flag):
        raise VersionError(f"flags {flags:#x} ask for a feature that this program does not know")
    model = cursor.take(MODEL_BYTES)
    quality_index, width, height = cursor.varint(), cursor.varint(), cursor.varint()
    tile = cursor.varint() if flags & Flag.TILES else None
    return Header(width, height, model, quality_index, bool(flags & Flag.GREY), tile), Flag(flags)


def _parse_fields(data: bytes) -> Container:
    """All fields after the version. ValueError for a wrong value, TruncatedError where bytes run out."""
    cursor = _Cursor(data, len(MAGIC) + 1)
    header, flags = _parse_header(cursor)
    trailer = CHECKSUM_BYTES * (2 if flags & Flag.LATENT_CHECKSUM else 1)
    cursor.end = len(data) - trailer
    sections = []
    while cursor.position < cursor.end:
        kind = cursor.take(1)[0]
        payload = cursor.take(cursor.varint())
        section = Section(kind & ~SKIPPABLE, payload, bool(kind & SKIPPABLE))
        if not section.skippable and section.type not in set(SectionType):
            raise VersionError(f"a section of type {section.type}, which this program does not know")
        sections.append(section)
        if len(sections) > MAX_SECTIONS:
            raise ValueError(f"more than {MAX_SECTIONS} sections")
    cursor.end = len(data)
    checksum = int.from_bytes(cursor.take(CHECKSUM_BYTES), "little") if flags & Flag.LATENT_CHECKSUM else None
    cursor.take(CHECKSUM_BYTES)

    container = Container(header, tuple(sections), checksum)
    if container.flags != flags:
        raise ValueError(f"flags {flags:#x}, but the sections say {int(container.flags):#x}")
    return container


def walk(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield type, place and length of the payloads of sections between two places of a file that can be gone about in.

    It reads nothing else. StreamError where one does not end before `end`, or there are too many.
    """
    for _ in range(MAX_SECTIONS):
        if start == end:
            return
        file.seek(start)
        cursor = _Cursor(file.read(1 + VARINT_BITS // 7), 0)
        try:
            kind, length = cursor.take(1)[0] & ~SKIPPABLE, cursor.varint()
        except ValueError as error:
            raise CorruptError(str(error)) from error
        place = start + cursor.position
        start = place + length
        if start > end:
            raise TruncatedError(f"the file is cut short: {length} bytes expected at {place}")
        yield kind, place, length
    raise CorruptError(f"more than {MAX_SECTIONS} sections")


class _Cursor:
    """A place in bytes that checks that there is enough left before anything is taken."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self.position = position
        self.end = len(data)

    def take(self, length: int) -> bytes:
        if length > self.end - self.position:
            left = max(0, self.end - self.position)
            raise TruncatedError(
                f"the file is cut short: {length} bytes expected at {self.position}, {left} are left"
            )
        self.position += length
        return self._data[self.position - length : self.position]

    def varint(self) -> int:
        value = 0
        for shift in range(0, VARINT_BITS, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if shift and not byte:
                    raise ValueError("a number is written longer than needed")
                return value
        raise ValueError(f"a number has more than {VARINT_BITS} bits")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
