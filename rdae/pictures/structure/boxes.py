"""The boxes of AVIF, HEIF and JPEG 2000: what they say of colours and samples that Pillow does not pass on.

Sources: ISO/IEC 14496-12 and 23008-12 (ISO base media, HEIF), the AV1 image format, ISO/IEC 15444-1 annex I (JP2).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

HEAD_BYTES = 1 << 18
"""In which the properties of a picture are looked for: they come first, as a rule, and profiles are not longer."""

JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
CODESTREAM = b"\xff\x4f\xff\x51"  # of JPEG 2000: SOC and SIZ
HOLDERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"jp2h": 0}  # boxes of boxes, and what comes before these
MOST_DEPTH = 8  # of boxes in boxes: three are enough for every format here
ENUMERATED, RESTRICTED_PROFILE, ANY_PROFILE = 1, 2, 3


class Said(NamedTuple):
    """What a file says.

    bits: of a sample, 0 if it does not say. cicp: primaries and transfer by ITU-T H.273. profile: ICC.
    """

    bits: int = 0
    cicp: tuple[int, int] | None = None
    profile: bytes | None = None


def of_heif(file: BinaryIO) -> Said:
    """What an AVIF or HEIF says, of the picture or its alpha; the file's position is kept."""
    bits, cicp = [0], None
    for kind, content in _boxes(_head(file)):
        if kind == b"av1C" and len(content) > 2:
            # Marker and version, profile and level, then flags: tier, more than 8 bits, 12 of them.
            bits.append(12 if content[2] & 0x20 else 10 if content[2] & 0x40 else 8)
        elif kind == b"hvcC" and len(content) > 18:
            bits.append(8 + (content[17] & 7))
        elif kind == b"colr" and content[:4] == b"nclx" and len(content) >= 10 and cicp is None:
            cicp = (int.from_bytes(content[4:6], "big"), int.from_bytes(content[6:8], "big"))
    return Said(max(bits), cicp)


def of_jpeg2000(file: BinaryIO) -> Said:
    """What a JPEG 2000 says, in boxes or as a bare codestream; the file's position is kept."""
    head = _head(file)
    if head.startswith(CODESTREAM):
        return Said(bits=_codestream_bits(head))
    profile = None
    for kind, content in _boxes(head):
        if kind == b"colr" and content[:1] in (bytes([RESTRICTED_PROFILE]), bytes([ANY_PROFILE])):
            profile = profile or content[3:]
    start = head.find(CODESTREAM)
    return Said(bits=_codestream_bits(head[start:]) if start >= 0 else 0, profile=profile)


def outermost(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Type, beginning and end of each box that is in no other, up to what is no box; a type is printable ASCII."""
    size = file.seek(0, os.SEEK_END)
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        kind, length = head[4:8], int.from_bytes(head[:4], "big")
        if length == 1:  # the real one follows
            length = int.from_bytes(head[8:], "big")
        end = size if length == 0 else min(at + length, size)
        if end < at + 8 or not (kind.isascii() and kind.decode("ascii").isprintable()):
            return
        yield kind, at, end
        at = end


def _codestream_bits(data: bytes) -> int:
    """Of the deepest component: the byte Ssiz of each, after what says how many there are (A.5.1)."""
    count = int.from_bytes(data[40:42], "big")
    depths = data[42 : 42 + 3 * count : 3]
    return max(((each & 0x7F) + 1 for each in depths), default=0)


def _head(file: BinaryIO) -> bytes:
    place = file.tell()
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(place)
    return head


def _boxes(data: bytes, depth: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of each box, those inside of others too, unless they are MOST_DEPTH deep."""
    at = 0
    while at + 8 <= len(data):
        length, start = int.from_bytes(data[at : at + 4], "big"), at + 8
        if length == 1:  # the real one follows
            length, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        end = len(data) if length == 0 else at + length
        if end < start:
            return
        kind, content = data[at + 4 : at + 8], data[start:end]
        if kind in HOLDERS and depth < MOST_DEPTH:
            yield from _boxes(content[HOLDERS[kind] :], depth + 1)
        else:
            yield kind, content
        at = end
