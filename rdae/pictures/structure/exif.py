"""EXIF and XMP as bytes: are they whole, which way up is the picture, how many dots an inch has it.

What is there is never written anew, which would break what points into it (thumbnails, makers' notes). The orientation
is changed in its place: to 1, once the pixels were turned. A resolution is added by a longer list of tags at the end.

Source: Exif 3.0 (CIPA DC-008), section 4.6; TIFF 6.0, section 2.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

PREFIX = b"Exif\0\0"  # before EXIF in a JPEG and in Pillow's info, not elsewhere
ORIENTATION = 0x0112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
EXIF_IFD, COLOUR_SPACE = 0x8769, 0xA001
INTEROPERABILITY_IFD, INTEROPERABILITY_INDEX = 0xA005, 0x0001

IFDS = (EXIF_IFD, 0x8825)  # the other is GPS's

ENTRY_BYTES = 12
ASCII, SHORT, RATIONAL = 2, 3, 5
INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}  # types of tags that hold one, as struct has them
INCH, CENTIMETRE = 2, 3
CM_PER_INCH = 2.54
NO_RESOLUTION = (72.0, 72.0)
"""What Exif 3.0 says of a picture whose resolution is unknown."""

_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|\s*>\s*))([0-9])""")


class Entry(NamedTuple):
    """A tag: where its twelve bytes are, which it is, its type, how many values it has, and the four bytes of these."""

    place: int
    tag: int
    type: int
    number: int
    value: bytes


class Block(NamedTuple):
    """An EXIF block that begins as it should.

    data: without PREFIX; order: of its bytes, as struct has it; whole: whether the first list of tags is all there;
    entries: those of that list that are.
    """

    data: bytes
    order: str
    whole: bool
    entries: tuple[Entry, ...]

    def integer(self, tag: int) -> int | None:
        """The value of a tag of one integer of any type; None if there is none such."""
        for entry in self.entries:
            if entry.tag == tag and (value := _integer(entry, self.order)) is not None:
                return value
        return None

    def has(self, tag: int) -> bool:
        """Whether there is such a tag."""
        return any(entry.tag == tag for entry in self.entries)

    def list_at(self, tag: int) -> "Block":
        """The block, with the list of tags to which a tag points, empty if that does not lead anywhere."""
        start = self.integer(tag)
        whole, entries = (False, ()) if start is None else _entries(self.data, self.order, start)
        return self._replace(whole=whole, entries=entries)


def parse(data: bytes) -> Block | None:
    """What can be read of EXIF, with or without PREFIX; None if it does not even begin as EXIF does."""
    while data.startswith(PREFIX):  # there are files with two of them
        data = data[len(PREFIX) :]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return None
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    return Block(data, order, *_entries(data, order, start))


def orientation(block: Block) -> int:
    """1 to 8, as the block says it; 1 if it does not, or says something else."""
    value = block.integer(ORIENTATION)
    return value if value is not None and 1 <= value <= 8 else 1


def upright(block: Block) -> bytes:
    """The block's bytes, saying that its picture stands upright, where they said something of that."""
    changed = bytearray(block.data)
    for entry in block.entries:
        value = _integer(entry, block.order) if entry.tag == ORIENTATION else None
        if value is not None and 1 <= value <= 8:
            changed[entry.place + 8 : entry.place + ENTRY_BYTES] = struct.pack(
                f"{block.order}{INTEGERS[entry.type]}", 1
            ).ljust(4, b"\0")
    return bytes(changed)


def resolution(block: Block) -> tuple[float, float] | None:
    """Dots per inch across and down; None if the block does not say."""
    factor = CM_PER_INCH if block.integer(RESOLUTION_UNIT) == CENTIMETRE else 1.0
    found = [_rational(block, tag) for tag in (X_RESOLUTION, Y_RESOLUTION)]
    across, down = (None if value is None or value <= 0 else value * factor for value in found)
    return None if across is None or down is None else (across, down)


def with_resolution(data: bytes | None, dots_per_inch: tuple[float, float]) -> bytes:
    """EXIF that says the resolution as well; the same if it says one already, or is not whole.

    data: without PREFIX, or None. dots_per_inch: across and down.
    """
    block = Block(b"II*\0" + bytes(4), "<", whole=True, entries=()) if data is None else parse(data)
    tags = (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)
    if block is None or not block.whole or any(block.has(tag) for tag in tags):
        return data or b""
    order = block.order
    body = block.data + bytes(len(block.data) % 2)
    start = len(body)
    after = start + 2 + ENTRY_BYTES * (len(block.entries) + len(tags)) + 4
    kept = [block.data[entry.place : entry.place + ENTRY_BYTES] for entry in block.entries]
    kept += [
        struct.pack(f"{order}HHII", X_RESOLUTION, RATIONAL, 1, after),
        struct.pack(f"{order}HHII", Y_RESOLUTION, RATIONAL, 1, after + 8),
        struct.pack(f"{order}HHIHH", RESOLUTION_UNIT, SHORT, 1, INCH, 0),
    ]
    kept.sort(key=lambda entry: struct.unpack_from(f"{order}H", entry))
    (old,) = struct.unpack_from(f"{order}I", block.data, 4)
    end = old + 2 + ENTRY_BYTES * len(block.entries)
    following = block.data[end : end + 4] if data is not None else b""
    lines = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + following.ljust(4, b"\0")
    values = b"".join(struct.pack(f"{order}II", *_fraction(value)) for value in dots_per_inch)
    return body[:4] + struct.pack(f"{order}I", start) + body[8:] + lines + values


def is_adobe_rgb(block: Block) -> bool:
    """Whether a camera says, by the DCF rules for EXIF, that its colours are Adobe RGB."""
    inner = block.list_at(EXIF_IFD)
    if inner.integer(COLOUR_SPACE) == 1:  # sRGB
        return False
    index = inner.list_at(INTEROPERABILITY_IFD).entries
    return any(entry.tag == INTEROPERABILITY_INDEX and entry.value[:3] == b"R03" for entry in index)


def xmp_orientation(data: bytes) -> int:
    """1 to 8, as XMP says it; 1 if it does not."""
    found = _XMP_ORIENTATION.search(data)
    return int(found[2]) if found and 1 <= int(found[2]) <= 8 else 1


def upright_xmp(data: bytes) -> bytes:
    """The XMP, saying that its picture stands upright, if it says anything of that."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", data)


def _entries(data: bytes, order: str, start: int) -> tuple[bool, tuple[Entry, ...]]:
    """The list of tags at a place, and whether all of it is there."""
    if not 0 < start <= len(data) - 2:
        return False, ()
    (count,) = struct.unpack_from(f"{order}H", data, start)
    found = tuple(_read_entries(data, order, start + 2, count))
    return len(found) == count, found


def _read_entries(data: bytes, order: str, start: int, count: int) -> Iterator[Entry]:
    for place in range(start, start + ENTRY_BYTES * count, ENTRY_BYTES):
        if place + ENTRY_BYTES > len(data):
            return
        yield Entry(place, *struct.unpack_from(f"{order}HHI4s", data, place))


def _integer(entry: Entry, order: str) -> int | None:
    kind = INTEGERS.get(entry.type)
    if kind is None or entry.number != 1:
        return None
    (value,) = struct.unpack_from(f"{order}{kind}", entry.value)
    return int(value)


def _rational(block: Block, tag: int) -> float | None:
    for entry in block.entries:
        if entry.tag == tag and (entry.type, entry.number) == (RATIONAL, 1):
            (place,) = struct.unpack(f"{block.order}I", entry.value)
            if place + 8 <= len(block.data):
                above, below = struct.unpack_from(f"{block.order}II", block.data, place)
                return above / below if below else None
    return None


def _fraction(value: float) -> tuple[int, int]:
    """Of whole numbers, to a ten-thousandth: finer than the metres of PNG are told from inches."""
    return (round(value), 1) if value == round(value) else (round(value * 10_000), 10_000)
