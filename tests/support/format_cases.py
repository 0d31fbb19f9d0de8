"""Containers of all kinds, and files that went wrong, for tests of everything that reads the format."""

import zlib

from hypothesis import strategies as st

from rdae.codec.container import (
    MAX_QUALITY_INDEX,
    MAX_TILE,
    MIN_TILE,
    Container,
    Header,
    Section,
    SectionType,
    least_payload,
)


def resealed(data: bytes) -> bytes:
    """The bytes with a right CRC-32 at their end."""
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little")


@st.composite
def containers(draw: st.DrawFn) -> Container:
    """Any container, except that large pictures are rare and thin: they need long payloads."""
    sides = draw(st.sampled_from([(300, 300), (300, 300), (2**20, 1), (1, 2**20)]))
    width, height = (draw(st.integers(1, most)) for most in sides)
    header = Header(
        width,
        height,
        draw(st.binary(min_size=4, max_size=4)),
        draw(st.integers(0, MAX_QUALITY_INDEX)),
        draw(st.booleans()),
        # No more tiles than a test can write down.
        draw(st.none() | st.integers(MIN_TILE if max(width, height) < 2**10 else MAX_TILE, MAX_TILE)),
    )
    number = header.tiles
    payloads = [draw(st.binary(max_size=200)) for _ in range(number)]
    missing = least_payload(width, height) - sum(map(len, payloads))
    payloads[-1] += bytes(max(0, missing))
    coded = draw(st.sampled_from([SectionType.LATENTS, SectionType.LATENTS, SectionType.PIXELS]))
    if number == 1 and draw(st.integers(0, 5)) == 0:
        coded = SectionType.PIXELS_ALPHA
    sections = [Section(coded, payload, draw(st.booleans())) for payload in payloads]
    if coded is SectionType.LATENTS:
        more = draw(st.lists(st.binary(max_size=40), max_size=2))
        sections += [Section(SectionType.PIXELS, payload) for payload in more]
    alpha = draw(st.sampled_from([None, SectionType.ALPHA, SectionType.ALPHA_WEBP]))
    if coded is SectionType.PIXELS_ALPHA:
        alpha = None
    for kind in (alpha, SectionType.ICC, SectionType.EXIF, SectionType.XMP):
        if kind is not None and draw(st.booleans()):
            sections += [Section(kind, draw(st.binary(max_size=40)), draw(st.booleans()))]
    for unknown in draw(st.lists(st.integers(max(SectionType) + 1, 127), max_size=2)):
        sections += [Section(unknown, draw(st.binary(max_size=40)), skippable=True)]
    ordered = draw(st.permutations(sections))
    return Container(header, tuple(ordered), draw(st.none() | st.integers(0, 2**32 - 1)))


@st.composite
def mutants(draw: st.DrawFn, data: bytes) -> bytes:
    """The file with a few bytes changed, put in, taken out or cut off, most often with its checksum made right."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        # Most of what can go wrong stands at the beginning.
        place = draw(st.integers(4, min(40, len(changed))) | st.integers(4, len(changed)))
        new = draw(
            st.binary(max_size=3) | st.sampled_from([b"\0", b"\x01\0", b"\x80", b"\xff\0", b"\xff\x7f"])
        )
        changed[place : place + draw(st.integers(0, 3))] = new
    if draw(st.integers(0, 9)) == 0:
        del changed[draw(st.integers(0, len(changed))) :]
    return bytes(changed) if draw(st.integers(0, 9)) == 0 else resealed(bytes(changed))
