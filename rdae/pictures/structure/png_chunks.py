"""What is in a PNG beside its pixels, and whether all of its rows are there.

Pillow refuses a picture for a text that is damaged or long, does not pass on all that says what its colours are, and
makes rows that are missing black without a word. So a file is looked through first, and what would make Pillow stumble
is left out of what it is given.

Source: W3C PNG, third edition, sections 5, 8.1, 10 and 11.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from rdae.pictures.colours import XY

SIGNATURE = b"\x89PNG\r\n\x1a\n"
STEP_BYTES = 1 << 18
MOST_BYTES = 1 << 26  # of a profile or note, inflated: as a container holds
PILLOWS_MOST = 1 << 20  # of one of these in Pillow, which gives up the picture for more
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: where the pixels of each pass begin, and how far apart they are.
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
# Chunks that a reader may leave out, but for what is seen.
OF_THE_PICTURE = frozenset({b"tRNS"})
# Of what Pillow refuses the picture for, or would not pass on, if it is shorter.
LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"pHYs": 9}
# Of the chunks that a reader may leave out, those that are read here or by Pillow, and those that only help to show the
# picture or say when and how the file was written: nothing is lost with them.
KNOWN = frozenset(
    {
        *(b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"iCCP", b"mDCV", b"mDCv", b"cLLI", b"cLLi", *TEXTS),
        *(b"sBIT", b"bKGD", b"hIST", b"sPLT", b"pHYs", b"eXIf", b"acTL", b"fcTL", b"fdAT"),
        *(b"tIME", b"iDOT", b"oFFs", b"vpAg", b"caNv", b"orNT"),
    }
)
FILLING = b"\0\xff\r\n"
"""Bytes with which some programs fill a file up."""
MOST_NAMES = 8  # of texts: a stranger's words
MOST_UNKNOWN = 1000  # types of chunks
XMP_KEY = b"XML:com.adobe.xmp"


@dataclass
class Survey:
    """What a PNG says.

    depth: bits of a sample. key: the colour that is transparent, in samples of that depth. profile, xmp: inflated, if
    Pillow would not. gamma, chromaticities, cicp: as `rdae.pictures.colours` takes them. srgb: it says so. texts: how
    many there are by each name, without XMP; of many names those after MOST_NAMES count under "".
    damaged: types of chunks that were left out for their checksums or lengths. unread: what is damaged inside.
    unknown: types of other chunks, once each. rest: how many bytes come after the last one, if they say anything.
    """

    width: int = 0
    height: int = 0
    depth: int = 8
    colour: int = 0
    interlaced: bool = False
    key: tuple[int, ...] | None = None
    profile: bytes | None = None
    xmp: bytes | None = None
    gamma: float | None = None
    chromaticities: tuple[XY, XY, XY, XY] | None = None
    cicp: tuple[int, int] | None = None
    srgb: bool = False
    texts: Counter[str] = field(default_factory=Counter)
    damaged: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    unknown: dict[str, None] = field(default_factory=dict)
    rest: int = 0

    @property
    def row_bytes(self) -> int:
        """How many bytes all rows take, with the number of the filter before each."""
        bits = self.depth * CHANNELS.get(self.colour, 1)
        passes = PASSES if self.interlaced else ((0, 0, 1, 1),)
        total = 0
        for left, top, across, down in passes:
            width, height = -(-(self.width - left) // across), -(-(self.height - top) // down)
            if width > 0 and height > 0:
                total += height * (1 + -(-width * bits // 8))
        return total


def is_png(file: BinaryIO) -> bool:
    """Whether a file is a PNG by its first bytes; afterwards it is at its beginning."""
    file.seek(0)
    found = file.read(len(SIGNATURE)) == SIGNATURE
    file.seek(0)
    return found


def survey(file: BinaryIO) -> tuple[Survey, BinaryIO]:
    """What a PNG says, and the file that Pillow can read: the same one, or one without what it stumbles over."""
    found, left_out, texts_bytes = Survey(), set[int](), 0
    kind, end = b"", 0
    for place, kind, length, end in _chunks(file):  # noqa: B007 - where the last one ends is asked below
        if kind == b"IDAT" or length > MOST_BYTES:
            _count_unknown(found, kind)
            continue
        content, sound = _content(file, place, kind, length)
        if not sound or length != LENGTHS.get(kind, length):
            if kind[0:1].islower() and kind not in OF_THE_PICTURE:
                left_out.add(place)
                found.damaged.append(kind.decode("latin-1"))
            continue
        if kind in TEXTS:
            texts_bytes += length
            if _take_text(found, kind, content) or texts_bytes > PILLOWS_MOST:
                left_out.add(place)
        elif kind == b"iCCP":
            profile = _inflated(content[content.find(b"\0") + 2 :])
            if profile is None or len(profile) > PILLOWS_MOST:
                left_out.add(place)
                found.profile = profile
                if profile is None:
                    found.unread.append("colour profile")
        else:
            _count_unknown(found, kind)
            _take(found, kind, content)
    file.seek(end)
    rest = file.read() if kind == b"IEND" else b""
    found.rest = len(rest) if rest.strip(FILLING) else 0
    file.seek(0)
    return found, _without(file, left_out) if left_out else file


def rows_are_there(file: BinaryIO, said: Survey) -> bool:
    """Whether a PNG holds as many bytes as its rows take, and their checksums are right; its position is lost."""
    inflater, wanted = zlib.decompressobj(), said.row_bytes
    for place, kind, length, _ in _chunks(file):
        if kind != b"IDAT":
            continue
        file.seek(place + 8)
        check, left = zlib.crc32(kind), length
        while left > 0 and (part := file.read(min(left, STEP_BYTES))):
            left -= len(part)
            check = zlib.crc32(part, check)
            while part and wanted > 0 and not inflater.eof:
                try:
                    wanted -= len(inflater.decompress(part, STEP_BYTES))
                except zlib.error:
                    return False
                part = inflater.unconsumed_tail
        if left > 0 or file.read(4) != struct.pack(">I", check):
            return False
    return wanted <= 0


def _chunks(file: BinaryIO) -> Iterator[tuple[int, bytes, int, int]]:
    """Place, type, length and end of each chunk, as far as they go on."""
    at = len(SIGNATURE)
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        yield at, kind, length, at + length + 12
        if kind == b"IEND":
            return
        at += length + 12


def _content(file: BinaryIO, place: int, kind: bytes, length: int) -> tuple[bytes, bool]:
    file.seek(place + 8)
    content, check = file.read(length), file.read(4)
    return content, check == struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))


def _count_unknown(found: Survey, kind: bytes) -> None:
    """Remember a type of chunk that a reader may leave out, if nothing here knows it."""
    if kind[0:1].islower() and kind not in KNOWN and len(found.unknown) < MOST_UNKNOWN:
        found.unknown[kind.decode("latin-1")] = None


def _take(found: Survey, kind: bytes, content: bytes) -> None:
    """Read a chunk of a few bytes; what is too short for its type is for Pillow to refuse."""
    numbers = struct.unpack(f">{len(content) // 4}I", content[: len(content) // 4 * 4])
    if kind == b"IHDR" and len(content) == 13:
        found.width, found.height = numbers[:2]
        found.depth, found.colour, found.interlaced = content[8], content[9], content[12] == 1
    elif kind == b"tRNS" and found.colour in (0, 2):
        found.key = struct.unpack(f">{len(content) // 2}H", content[: len(content) // 2 * 2])
    elif kind == b"gAMA" and len(numbers) == 1 and numbers[0]:
        found.gamma = numbers[0] / 100_000
    elif kind == b"cHRM" and len(numbers) == 8:
        xy = [number / 100_000 for number in numbers]
        found.chromaticities = ((xy[0], xy[1]), (xy[2], xy[3]), (xy[4], xy[5]), (xy[6], xy[7]))
    elif kind == b"cICP" and len(content) == 4:
        found.cicp = content[0], content[1]
    elif kind == b"sRGB":
        found.srgb = True


def _take_text(found: Survey, kind: bytes, content: bytes) -> bool:
    """Count a text, or keep it if it is XMP; whether Pillow must not be given it."""
    key, _, rest = content.partition(b"\0")
    text: bytes | None = rest
    packed = kind == b"zTXt" or (kind == b"iTXt" and rest[:1] == b"\1")
    if kind == b"iTXt":
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        text = _inflated(rest) if packed else rest
    elif packed:
        text = _inflated(rest[1:])
    if key == XMP_KEY:
        found.xmp = text
        if text is None:
            found.unread.append("XMP")
    elif not key.startswith(b"Raw profile type "):  # which Pillow makes EXIF of
        name = key.decode("latin-1")
        found.texts[name if name in found.texts or len(found.texts) < MOST_NAMES else ""] += 1
    return text is None or len(text) > PILLOWS_MOST


def _inflated(data: bytes) -> bytes | None:
    """What was deflated; None if that is damaged, or more than MOST_BYTES."""
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(data, MOST_BYTES)
    except zlib.error:
        return None
    return found if inflater.eof or not inflater.unconsumed_tail else None


def _without(file: BinaryIO, left_out: set[int]) -> BinaryIO:
    """A PNG in memory that has all chunks but those at some places."""
    kept = io.BytesIO()
    kept.write(SIGNATURE)
    for place, _, _, end in list(_chunks(file)):
        if place not in left_out:
            file.seek(place)
            kept.write(file.read(end - place))
    kept.seek(0)
    return kept
