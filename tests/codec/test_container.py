"""The file format's promises: what is packed comes back, and any other bytes end in a StreamError."""

import contextlib
import dataclasses
import zlib

import pytest
from format_cases import containers, resealed
from hypothesis import given, settings
from hypothesis import strategies as st

from rdae.codec.container import (
    MAX_SECTIONS,
    MAX_SIDE,
    Container,
    Flag,
    Header,
    Section,
    SectionType,
    least_payload,
    pack,
    parse,
)
from rdae.errors import CorruptError, NotRdaeError, StreamError, TruncatedError, VersionError

PLAIN = Container(
    Header(300, 512, b"\x01\x02\x03\x04", 400), (Section(SectionType.LATENTS, bytes(range(50))),), 0xDEADBEEF
)


@given(containers())
def test_parsing_returns_what_was_packed(container: Container) -> None:
    assert parse(pack(container), max_pixels=None) == container


def test_golden_bytes() -> None:
    """The layout, spelled out: written files outlive code."""
    container = Container(
        Header(257, 5, b"abcd", 800, tile=4),
        (
            Section(SectionType.LATENTS, b"three"),
            Section(SectionType.LATENTS, b""),
            Section(SectionType.XMP, b"x", skippable=True),
        ),
        1,
    )
    header = bytes.fromhex("52444145 10 1c 61626364 a006 8102 05 04")
    sections = bytes.fromhex("01 05 7468726565  01 00  85 01 78")
    body = header + sections + bytes.fromhex("01000000")
    data = pack(container)
    assert data == body + zlib.crc32(body).to_bytes(4, "little")
    assert parse(data) == container


@pytest.mark.parametrize(("length", "side"), [(1, 64), (127, 704), (2**14, 8192), (2**21 - 1, 16383)])
def test_a_plain_picture_costs_at_most_28_bytes(length: int, side: int) -> None:
    section = Section(SectionType.LATENTS, bytes(length))
    container = Container(Header(side, side, bytes(4), 800), (section,), 0)
    assert len(pack(container)) - length <= 28


@pytest.mark.parametrize(
    ("width", "height", "least"),
    [
        (1, 1, 1),
        (64, 64, 1),
        (64, 65, 2),
        (4097, 1, 65),
        (65, 65, 4),
        (8192, 8192, 16384),
        (2**30 - 1, 2**30 - 1, 2**48),
    ],
)
def test_large_pictures_have_long_payloads(width: int, height: int, least: int) -> None:
    assert least_payload(width, height) == least
    for length in {least - 1, max(0, least // 2)} if least < 10**6 else {10**6}:
        with pytest.raises(
            ValueError, match=f"{length} bytes of latents for {width} x {height} pixels, .*{least}"
        ):
            Container(Header(width, height, bytes(4), 0), (Section(SectionType.LATENTS, bytes(length)),))


def test_there_are_not_too_many_sections() -> None:
    extra = (Section(99, b"", skippable=True),) * MAX_SECTIONS
    with pytest.raises(ValueError, match="65537 sections"):
        dataclasses.replace(PLAIN, sections=(*PLAIN.sections, *extra))
    most = dataclasses.replace(PLAIN, sections=(*PLAIN.sections, *extra[1:]))
    assert parse(pack(most)) == most


@given(containers(), st.data())
def test_a_file_cut_short_anywhere_raises_stream_error(container: Container, data: st.DataObject) -> None:
    whole = pack(container)
    with pytest.raises(StreamError):
        parse(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_a_file_cut_short_is_called_so() -> None:
    whole = pack(PLAIN)
    for length in range(1, len(whole)):
        with pytest.raises((TruncatedError, CorruptError), match="cut short"):
            parse(whole[:length])


@given(containers(), st.binary(min_size=1, max_size=40))
def test_a_file_with_more_behind_it_is_called_so(container: Container, more: bytes) -> None:
    whole = pack(container)
    with pytest.raises(
        CorruptError, match=rf"^a whole file, but {len(more)} (byte follows|bytes follow) its end$"
    ):
        parse(whole + more)
    with pytest.raises(CorruptError, match=f"but {len(whole)} bytes follow"):
        parse(whole + whole)


@given(containers(), st.data())
def test_a_flipped_bit_raises_stream_error(container: Container, data: st.DataObject) -> None:
    whole = bytearray(pack(container))
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[bit // 8] ^= 1 << bit % 8
    with pytest.raises(StreamError):
        parse(bytes(whole), max_pixels=None)


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_raise_stream_error(data: bytes) -> None:
    with contextlib.suppress(StreamError):
        parse(data)


@given(st.binary(max_size=80), st.binary(min_size=5, max_size=5))
@settings(max_examples=500)
def test_any_bytes_with_a_right_checksum_parse_or_raise_stream_error(fields: bytes, end: bytes) -> None:
    data = resealed(b"RDAE\x10" + fields + end)
    with contextlib.suppress(StreamError):
        assert pack(parse(data, max_pixels=None)) == data  # each container has one form in bytes


def test_other_files_are_not_rdae_files() -> None:
    for data in (b"", b"\x89PNG\r\n\x1a\n", b"RDAF", b"rdae" + bytes(40), bytes(100)):
        with pytest.raises(NotRdaeError, match="not an"):
            parse(data)


def test_a_newer_minor_version_is_read() -> None:
    data = pack(PLAIN)
    assert parse(resealed(data[:4] + b"\x1f" + data[5:])) == PLAIN


def test_another_major_version_is_refused() -> None:
    data = pack(PLAIN)
    for version in (b"\x00", b"\x20", b"\xf3"):
        with pytest.raises(VersionError, match="this program reads version 1"):
            parse(resealed(data[:4] + version + data[5:]))


def test_an_unknown_flag_is_refused() -> None:
    data = pack(PLAIN)
    assert data[5] == Flag.LATENT_CHECKSUM
    with pytest.raises(VersionError, match="feature"):
        parse(resealed(data[:5] + b"\x30" + data[6:]))


def test_unknown_sections_are_kept_only_if_they_may_be_skipped() -> None:
    extra = Section(99, b"news", skippable=True)
    container = dataclasses.replace(PLAIN, sections=(*PLAIN.sections, extra))
    assert parse(pack(container)) == container
    needed = dataclasses.replace(extra, skippable=False)
    with pytest.raises(VersionError, match="type 99"):
        parse(pack(dataclasses.replace(PLAIN, sections=(*PLAIN.sections, needed))))


def test_flags_that_contradict_the_sections_are_refused() -> None:
    data = pack(PLAIN)
    flags = bytes([Flag.LATENT_CHECKSUM | Flag.ALPHA])
    with pytest.raises(CorruptError, match="sections say"):
        parse(resealed(data[:5] + flags + data[6:]))


def test_a_number_has_one_form() -> None:
    data = pack(PLAIN)
    assert data[10:12] == b"\x90\x03"  # quality index 400
    with pytest.raises(CorruptError, match="longer than needed"):
        parse(resealed(data[:10] + b"\x90\x83\x00" + data[12:]))
    with pytest.raises(CorruptError, match="more than 63 bits"):
        parse(resealed(data[:10] + b"\xff" * 9 + b"\x01" + data[12:]))


def test_a_length_beyond_the_file_allocates_nothing() -> None:
    body = b"RDAE\x10\x00abcd\x00\x01\x01\x01\xff\xff\xff\xff\xff\x7f"
    with pytest.raises(TruncatedError, match="cut short"):
        parse(body + bytes(4))
    with pytest.raises(CorruptError, match="written wrongly"):
        parse(resealed(body + bytes(4)))


def test_a_picture_of_too_many_pixels_is_refused_unless_asked_for() -> None:
    header = dataclasses.replace(PLAIN.header, width=10001, height=10001)
    huge = Container(header, (Section(SectionType.LATENTS, bytes(24649)),))
    data = pack(huge)
    with pytest.raises(StreamError, match="10001 x 10001 pixels"):
        parse(data)
    assert parse(data, max_pixels=None) == huge
    assert parse(data, max_pixels=10001**2) == huge


def test_contradictions_cannot_be_made() -> None:
    header, latents = PLAIN.header, PLAIN.sections[0]
    with pytest.raises(ValueError, match="0 latents sections, expected 1"):
        Container(header, ())
    with pytest.raises(ValueError, match="2 latents sections"):
        Container(header, (latents, latents))
    with pytest.raises(ValueError, match="2 icc sections"):
        Container(header, (latents, *[Section(SectionType.ICC, b"")] * 2))
    with pytest.raises(ValueError, match="latent checksum"):
        Container(header, (latents,), -1)
    for wrong in (
        {"width": 0},
        {"height": MAX_SIDE + 1},
        {"model": b""},
        {"quality_index": 801},
        {"tile": 17},
        {"tile": 3},
    ):
        with pytest.raises(ValueError, match="expected"):
            dataclasses.replace(header, **wrong)
    for kind in (0, 128, -1):
        with pytest.raises(ValueError, match="section type"):
            Section(kind, b"")


def test_sections_have_names() -> None:
    assert Section(SectionType.LATENTS, b"").name == "latents"
    assert Section(77, b"").name == "77"
