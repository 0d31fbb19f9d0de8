"""Pictures of strangers that once escaped as other errors, were refused for little, or said too much."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from tiny_model import photo

from rdae.errors import PictureError
from rdae.pictures import colours, facts, raster_in
from rdae.pictures.images import to_raster
from rdae.pictures.raster import Raster
from rdae.pictures.structure import boxes

RGB = Image.fromarray(photo(20, 30))


def read(data: bytes) -> tuple[Raster, list[str]]:
    notes: list[str] = []
    return raster_in(io.BytesIO(data), notes.append), notes


def chunk(kind: bytes, body: bytes, *, wrong: bool = False) -> bytes:
    check = zlib.crc32(kind + body) ^ wrong
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def png(*chunks: bytes) -> bytes:
    """A small PNG with these chunks behind its header."""
    file = io.BytesIO()
    RGB.save(file, "PNG")
    data = file.getvalue()
    return data[:33] + b"".join(chunks) + data[33:]


def numbers(kind: bytes, *values: int) -> bytes:
    return chunk(kind, struct.pack(f">{len(values)}I", *values))


def nested(kind: bytes, depth: int, inside: bytes) -> bytes:
    for _ in range(depth):
        inside = struct.pack(">I4s", 8 + len(inside), kind) + inside
    return inside


@pytest.mark.parametrize("kind", [b"jp2h", b"ipco"])
def test_boxes_are_looked_into_only_so_deep(kind: bytes) -> None:
    deep = struct.pack(">I4sBBB", 11, b"av1C", 0x81, 0, 0x40)
    assert boxes.of_heif(io.BytesIO(nested(kind, boxes.MOST_DEPTH, deep))).bits == 10
    assert boxes.of_heif(io.BytesIO(nested(kind, boxes.MOST_DEPTH + 1, deep))).bits == 0
    assert boxes.of_heif(io.BytesIO(nested(kind, 5000, deep))).bits == 0
    assert boxes.of_jpeg2000(io.BytesIO(nested(kind, 5000, deep))) == boxes.Said()


@pytest.mark.parametrize(("kind", "value"), [(2, "abc"), (12, 1.5), (7, b"xx")])
def test_a_tag_of_an_odd_type_says_nothing(kind: int, value: object) -> None:
    tags: Any = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[facts.TIFF_SUBFILE_TYPE] = kind
    tags[facts.TIFF_SUBFILE_TYPE] = value
    file = io.BytesIO()
    RGB.save(file, "TIFF", tiffinfo=tags)
    raster, notes = read(file.getvalue())
    np.testing.assert_array_equal(raster.levels, photo(20, 30))
    assert notes == []


@pytest.mark.parametrize(
    ("value", "expected"), [(None, 1), (12, 12), ((8, 16), 16), ("16", 1), (b"\x10", 1), (("a", 2.5), 1)]
)
def test_only_integers_of_tags_are_taken(value: object, expected: int) -> None:
    assert facts._largest(value, 1) == expected


def test_what_looking_for_facts_stumbles_over_is_a_damaged_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object) -> None:
        raise TypeError("a tag of another type")

    monkeypatch.setattr("rdae.pictures.reading.facts_of", stumble)
    with pytest.raises(PictureError, match="damaged or cut short: a tag of another type"):
        read(png())


@pytest.mark.parametrize("value", [1, 9_999, 1_000_001, 0x7FFFFFFF])
def test_a_gamma_that_nobody_means_is_dropped(value: int) -> None:
    raster, notes = read(png(numbers(b"gAMA", value)))
    assert (raster.icc, notes) == (None, [f"unusable colours dropped: gamma {100_000 / value:.3g}"])


@pytest.mark.parametrize("value", [10_000, 1_000_000])
def test_a_gamma_at_the_edge_is_kept(value: int) -> None:
    raster, notes = read(png(numbers(b"gAMA", value)))
    assert raster.icc is not None
    assert notes == []


def test_chromaticities_out_of_range_are_dropped() -> None:
    for values in ((0xFFFFFFFF,) * 8, (0xFFFFFFFF, 1) * 4, (0,) * 8):
        raster, notes = read(png(numbers(b"cHRM", *values)))
        assert (raster.icc, notes) == (None, ["unusable colours dropped: primaries that span no colours"])


@pytest.mark.parametrize("value", [32768.0, -40000.0, float("inf"), float("nan")])
def test_numbers_that_a_profile_cannot_hold_are_a_value_error(value: float) -> None:
    with pytest.raises(ValueError, match="span no colours"):
        colours._fixed(1.0, value)


@pytest.mark.parametrize("kind", [b"cHRM", b"gAMA", b"cICP", b"sRGB", b"pHYs"])
@pytest.mark.parametrize("length", [0, 3, 33])
def test_a_chunk_of_the_wrong_length_is_left_out(kind: bytes, length: int) -> None:
    raster, notes = read(png(chunk(kind, bytes(length))))
    np.testing.assert_array_equal(raster.levels, photo(20, 30))
    assert notes == [f"damaged {kind.decode()} left out"]


def test_damaged_chunks_are_counted_not_listed() -> None:
    bad = [chunk(kind, b"", wrong=True) for kind in (b"tEXt", b"zTXt")]
    assert read(png(bad[0] * 2000, bad[1]))[1] == ["2,000 damaged tEXt left out", "damaged zTXt left out"]
    many = [chunk(b"a%03d" % number, b"", wrong=True) for number in range(20)]
    notes = read(png(*many))[1]
    assert notes[facts.MOST_NOTES - 1 :] == ["damaged a007 left out", "12 more damaged chunks left out"]


def test_damaged_xmp_is_said_once() -> None:
    assert len(read(png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0no") * 3))[1]) == 1


@pytest.mark.parametrize("grey", [False, True])
def test_alpha_of_a_raster_that_is_all_opaque_is_none(grey: bool) -> None:
    levels = np.repeat(photo(20, 30)[:, :, :1], 3, axis=2)
    alpha = np.full((20, 30), 255, np.uint8)
    found = to_raster(Raster(levels, grey, alpha))
    assert found.alpha is None
    assert np.shares_memory(found.levels, levels)
    alpha[3, 4] = 254
    kept = to_raster(Raster(levels, grey, alpha)).alpha
    assert kept is not None
    assert np.shares_memory(kept, alpha)


def test_a_grey_raster_of_colours_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rdae.pictures.images.BAND_PIXELS", 60)
    levels = np.repeat(photo(21, 30)[:, :, :1], 3, axis=2)
    assert to_raster(Raster(levels, grey=True)).grey
    levels[20, 29, 2] ^= 1
    with pytest.raises(PictureError, match="grey raster whose channels differ"):
        to_raster(Raster(levels, grey=True))
    assert not to_raster(Raster(levels)).grey


@pytest.mark.parametrize(("most", "bits"), [(1000, 10), (4095, 12), (65535, 16)])
def test_bits_of_a_pgm_are_those_of_its_largest_level(most: int, bits: int) -> None:
    levels = np.array([0, most, most // 4, most], ">u2")
    raster, notes = read(b"P5\n2 2\n%d\n" % most + levels.tobytes())
    assert raster.levels[:, :, 0].tolist() == [[0, 255], [64, 255]]
    assert notes == [f"{bits} bits rounded to 8"]
