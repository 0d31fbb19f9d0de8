"""docs/format.md, rdae.codec.container and the reader written from the page alone agree on every file, good or bad."""

import dataclasses
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import spec_reader
from format_cases import containers, mutants, resealed
from hypothesis import given, settings
from hypothesis import strategies as st

from rdae.codec.container import MAX_SECTIONS, Container, Header, Section, SectionType, pack, parse
from rdae.errors import CorruptError, NotRdaeError, StreamError, VersionError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "format.md"
PLAIN = Container(
    Header(150, 40, b"\x01\x02\x03\x04", 400), (Section(SectionType.LATENTS, b"abcde"),), 0xDEADBEEF
)


def by_rdae(data: bytes) -> spec_reader.File | type[StreamError]:
    """What rdae.codec.container reads, as the other reader would say it, or the error."""
    try:
        found = parse(data, max_pixels=None)
    except StreamError as error:
        return type(error)
    header = found.header
    parts = tuple(spec_reader.Part(part.type, part.skippable, part.payload) for part in found.sections)
    return spec_reader.File(
        header.grey,
        header.model,
        header.quality_index,
        header.width,
        header.height,
        header.tile,
        parts,
        found.latent_checksum,
    )


def by_page(data: bytes) -> spec_reader.File | type[spec_reader.Refused]:
    try:
        return spec_reader.read(data)
    except spec_reader.Refused as error:
        return type(error)


def agree(data: bytes) -> bool:
    """Hold both readers to the same answer, and return whether it is a file."""
    ours, theirs = by_rdae(data), by_page(data)
    if isinstance(ours, spec_reader.File) or isinstance(theirs, spec_reader.File):
        assert ours == theirs
        return True
    return False


def refused_as(error: type[StreamError], data: bytes) -> None:
    """Both refuse, and both call it unsupported or neither does."""
    assert by_rdae(data) is error
    expected = spec_reader.Unsupported if error is VersionError else spec_reader.Refused
    assert by_page(data) is expected


def file_of_the_page() -> bytes:
    (block,) = re.findall(r"^```\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    # Two blanks or more part the bytes from their meaning.
    return bytes.fromhex("".join(line.split("  ")[0] for line in block.splitlines()))


def test_the_file_shown_in_the_page_is_one() -> None:
    data = file_of_the_page()
    assert agree(data)
    assert spec_reader.read(data) == spec_reader.File(
        grey=False,
        model=bytes.fromhex("0f1e2d3c"),
        quality_index=400,
        width=150,
        height=40,
        tile=None,
        sections=(spec_reader.Part(1, False, bytes.fromhex("c0ffee")),),
        latent_checksum=0x12345678,
    )


def test_the_checksum_is_the_one_that_the_page_names() -> None:
    assert zlib.crc32(b"123456789") == spec_reader.crc32(b"123456789") == 0xCBF43926
    assert "0xCBF43926" in PAGE.read_text(encoding="utf-8")


@given(containers())
@settings(max_examples=60)
def test_both_read_every_container(container: Container) -> None:
    assert agree(pack(container))


@given(containers(), st.data())
@settings(max_examples=250)
def test_both_agree_on_mutants(container: Container, data: st.DataObject) -> None:
    agree(data.draw(mutants(pack(container))))


@given(st.binary(max_size=60), st.binary(min_size=4, max_size=9))
@settings(max_examples=200)
def test_both_agree_on_any_bytes_with_a_right_checksum(fields: bytes, end: bytes) -> None:
    agree(resealed(b"RDAE\x10" + fields + end))


def test_mutants_are_of_both_kinds() -> None:
    """Otherwise the comparison would say little."""
    answers = set()

    @given(containers(), st.data())
    @settings(max_examples=100, derandomize=True)
    def look(container: Container, data: st.DataObject) -> None:
        answers.add(agree(data.draw(mutants(pack(container)))))

    look()
    assert answers == {True, False}


def set_version(value: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:4] + bytes([value]) + data[5:]


@pytest.mark.parametrize("minor", [1, 7, 15])
def test_a_newer_minor_version_is_read(minor: int) -> None:
    data = resealed(set_version(0x10 + minor)(pack(PLAIN)))
    assert agree(data)
    assert by_rdae(data) == by_rdae(pack(PLAIN))


@pytest.mark.parametrize("major", [0, 2, 3, 15])
def test_another_major_version_is_refused_by_name(major: int) -> None:
    data = resealed(set_version(16 * major)(pack(PLAIN)))
    refused_as(VersionError, data)
    with pytest.raises(VersionError, match=rf"version {major}\b.*reads version 1"):
        parse(data)
    # Nothing after the version byte is looked at: what would be damage in version 1 need not be in another.
    refused_as(VersionError, data[:5])
    refused_as(VersionError, data[:5] + b"anything")


@pytest.mark.parametrize("minor", [0, 1, 15])
@pytest.mark.parametrize("kind", [9, 77, 127])
def test_an_unknown_section_is_skipped_or_refused_as_it_says(kind: int, minor: int) -> None:
    latents = PLAIN.sections[0]
    unknown = Section(kind, b"later", skippable=True)
    skippable = dataclasses.replace(PLAIN, sections=(unknown, latents, unknown))
    assert agree(resealed(set_version(0x10 + minor)(pack(skippable))))
    assert parse(pack(skippable)).payloads(SectionType.LATENTS) == [latents.payload]
    needed = dataclasses.replace(PLAIN, sections=(latents, Section(kind, b"later")))
    refused_as(VersionError, resealed(set_version(0x10 + minor)(pack(needed))))


@pytest.mark.parametrize("minor", [0, 15])
@pytest.mark.parametrize("bit", [5, 6, 7, 31, 62])
def test_an_unknown_flag_is_refused(bit: int, minor: int) -> None:
    data = set_version(0x10 + minor)(pack(PLAIN))
    flags = spec_varint(16 | 1 << bit)
    refused_as(VersionError, resealed(data[:5] + flags + data[6:]))


def spec_varint(value: int) -> bytes:
    low, high = value & 0x7F, value >> 7
    return bytes([low]) if not high else bytes([low | 0x80]) + spec_varint(high)


LATENTS_3 = b"\x01\x03abc"


def crafted(
    *, flags: int = 0, quality: int = 0, size: tuple[int, int] = (1, 1), tail: bytes = LATENTS_3
) -> bytes:
    """A file put together by hand, with a right checksum."""
    numbers = b"".join(map(spec_varint, (quality, *size)))
    return resealed(b"RDAE\x10" + spec_varint(flags) + b"abcd" + numbers + tail + bytes(4))


@pytest.mark.parametrize(
    "data",
    [
        crafted(quality=801),
        crafted(size=(0, 1)),
        crafted(size=(1, 0)),
        crafted(size=(2**30, 1)),
        crafted(size=(1, 2**30)),
        crafted(size=(128, 65)),  # four bytes at least
        crafted(size=(193, 1)),
        crafted(tail=b""),
        crafted(tail=b"\x01"),
        crafted(tail=b"\x01\x00"),  # no picture is so small that it needs none
        crafted(tail=b"\x00\x00" + LATENTS_3),
        crafted(tail=b"\x80\x00" + LATENTS_3),
        crafted(tail=LATENTS_3 + LATENTS_3),
        crafted(tail=b"\x81\x03abc" + LATENTS_3),
        crafted(tail=LATENTS_3 + b"\x83"),
        crafted(tail=b"\x01\x04abc"),
        crafted(tail=b"\x01\x83\x00abc"),
        crafted(tail=b"\x01" + b"\xff" * 8 + b"\x7fabc"),
        crafted(tail=b"\x01" + b"\xff" * 9 + b"\x01abc"),
        crafted(tail=LATENTS_3 + b"\x85\x00"),  # metadata without its flag
        crafted(flags=4),
        crafted(flags=4, tail=LATENTS_3 + 2 * b"\x03\x00"),
        crafted(flags=2),
        crafted(tail=LATENTS_3 + b"\x02\x00"),
        crafted(flags=2, tail=LATENTS_3 + 2 * b"\x02\x00"),
        crafted(flags=2, tail=LATENTS_3 + b"\x02\x00\x06\x00"),
        crafted(flags=2, tail=LATENTS_3 + 2 * b"\x06\x00"),
        crafted(tail=LATENTS_3 + b"\x06\x00"),
        crafted(flags=8, tail=b"\x11" + LATENTS_3),
        crafted(flags=8, tail=b""),
        crafted(flags=8, tail=b"\x03" + LATENTS_3),
        crafted(flags=8, tail=b"\x04" + LATENTS_3 * 2),
        crafted(flags=8, size=(257, 64), tail=b"\x04" + LATENTS_3),
        crafted(flags=8, size=(257, 64), tail=b"\x04" + LATENTS_3 * 3),
        crafted(flags=16, tail=LATENTS_3),  # the section has the last four bytes but four
        crafted(tail=LATENTS_3 + b"\xff\x00" * MAX_SECTIONS),
    ],
    ids=lambda data: data[5:30].hex(),
)
def test_both_refuse_what_breaks_a_rule(data: bytes) -> None:
    refused_as(CorruptError, data)


@pytest.mark.parametrize(
    "data",
    [
        crafted(quality=800),
        crafted(size=(192, 1)),
        crafted(size=(2**20 - 1, 1), tail=b"\x01" + spec_varint(2**14) + bytes(2**14)),
        crafted(tail=b"\x81\x01a"),
        crafted(tail=b"\xff\x00\xff\x00" + LATENTS_3),
        crafted(flags=4, tail=LATENTS_3 + b"\x05\x00\x83\x00\x04\x01x"),
        crafted(flags=2, tail=b"\x02\x00" + LATENTS_3),
        crafted(flags=2, tail=LATENTS_3 + b"\x06\x01x"),
        crafted(flags=8 + 1, tail=b"\x10" + LATENTS_3),
        crafted(flags=8, size=(257, 64), tail=b"\x04\x01\x00\x01\x05abcde"),  # together they are long enough
        crafted(flags=8, size=(257, 257), tail=b"\x04" + (b"\x01\x07" + bytes(7)) * 4),
        crafted(flags=16, tail=LATENTS_3 + bytes(4)),
        crafted(tail=LATENTS_3 + b"\xff\x00" * (MAX_SECTIONS - 1)),
    ],
    ids=lambda data: data[5:30].hex(),
)
def test_both_read_what_breaks_none(data: bytes) -> None:
    assert agree(data)


def test_a_file_says_the_lowest_minor_version_that_has_its_types() -> None:
    """So those without a new type are the files that they were, byte for byte."""
    more = (*PLAIN.sections, Section(SectionType.ALPHA, b"\0\x07"), Section(127, b"", skippable=True))
    assert pack(dataclasses.replace(PLAIN, sections=more))[4] == 0x10
    newer = (*PLAIN.sections, Section(SectionType.ALPHA_WEBP, b"x"))
    assert pack(dataclasses.replace(PLAIN, sections=newer))[4] == 0x11


def test_what_begins_otherwise_is_no_rdae_file() -> None:
    for data in (b"", b"RDAF" + bytes(40), b"\x89PNG\r\n\x1a\n"):
        assert by_rdae(data) is NotRdaeError
        assert by_page(data) is spec_reader.Refused


def test_a_file_with_bytes_after_it_is_refused() -> None:
    for extra in (b"\0", b"\n", pack(PLAIN)):
        assert not agree(pack(PLAIN) + extra)
