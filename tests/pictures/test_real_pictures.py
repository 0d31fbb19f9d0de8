"""Kinds of picture files that people have, and what is right for each: levels, colours, metadata, or a refusal."""

from __future__ import annotations

import io
import re
import struct
import threading
import warnings
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin, features
from sample_profiles import SRGB, gamma_profile
from tiny_model import photo

from rdae.codec import encode
from rdae.errors import PictureError
from rdae.pictures import (
    SRGB_LEFT_OUT,
    colours,
    picture_bytes,
    picture_in,
    profiles,
    raster_in,
    writing,
)
from rdae.pictures.images import from_pillow
from rdae.pictures.left_behind import left_behind
from rdae.pictures.raster import Raster, to_pillow
from rdae.pictures.structure import boxes, exif

Levels = npt.NDArray[np.integer]
RGB = Image.fromarray(photo(20, 30))
GREY = RGB.convert("L")
P3ISH = gamma_profile(1.8)


def read(data: bytes) -> tuple[Raster, list[str]]:
    notes: list[str] = []
    return raster_in(io.BytesIO(data), notes.append), notes


def refusal(data: bytes) -> str:
    with pytest.raises(PictureError) as caught:
        raster_in(io.BytesIO(data))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes, *, wrong: bool = False) -> bytes:
    check = zlib.crc32(kind + body) ^ wrong
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}


def png(levels: Levels, *chunks: bytes, depth: int = 8, rows: int | None = None, last: bytes = b"") -> bytes:
    """A PNG by hand, of levels (h, w, channels) of so many bits; rows: so many of them only."""
    height, width, channels = levels.shape
    lines = b""
    for line in levels[:rows]:
        if depth == 16:
            lines += b"\0" + line.astype(">u2").tobytes()
        else:
            bits = np.unpackbits(line.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - depth :]
            lines += b"\0" + np.packbits(bits.reshape(-1)).tobytes()
    header = struct.pack(">IIBBBBB", width, height, depth, COLOUR[channels], 0, 0, 0)
    body = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(lines)), last, chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def tiff(
    levels: Levels, *, depth: int, photometric: int = 1, kind: int = 1, channels: int = 1, order: str = "<"
) -> bytes:
    """An uncompressed TIFF by hand; levels: rows of samples, packed here if they have 12 bits."""
    if depth == 12:
        bits = np.unpackbits(levels.astype(">u2").reshape(-1, 1).view(np.uint8), axis=1)[:, 4:]
        body = np.packbits(bits.reshape(-1)).tobytes()
    else:
        body = levels.tobytes()
    height, width = levels.shape[:2]
    mark = b"II*\0" if order == "<" else b"MM\0*"
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, depth),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, channels),
        (278, 4, height),
        (279, 4, len(body)),
        (339, 3, kind),
    ]
    entries = b""
    for tag, type_, value in tags:
        word = struct.pack(f"{order}HH", value, 0) if type_ == 3 else struct.pack(f"{order}I", value)
        entries += struct.pack(f"{order}HHI", tag, type_, 1) + word
    start = 8 + len(body) + len(body) % 2
    return (
        mark
        + struct.pack(f"{order}I", start)
        + body
        + bytes(len(body) % 2)
        + struct.pack(f"{order}H", len(tags))
        + entries
        + bytes(4)
    )


# Samples


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_grey_is_found_at_every_depth(depth: int) -> None:
    levels = np.arange(2 ** min(depth, 8)).reshape(1, -1, 1) * (257 if depth == 16 else 1)
    for place in {0, levels.size // 3, levels.size - 1}:
        key = int(levels[0, place, 0])
        raster, _ = read(png(levels, chunk(b"tRNS", struct.pack(">H", key)), depth=depth))
        assert raster.alpha is not None
        expected = np.full(levels.size, 255)
        expected[place] = 0
        np.testing.assert_array_equal(raster.alpha[0], expected)
        wanted = levels[0, :, 0].astype(float) * 255 / (2**depth - 1)
        np.testing.assert_array_equal(raster.levels[0, :, 0], np.floor(wanted + 0.5))


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour_is_compared_in_all_its_bits(depth: int) -> None:
    most = 2**depth - 1
    levels = np.array([[[most, 7, 0], [most, 6, 0], [most, 7, 1]]])
    raster, _ = read(png(levels, chunk(b"tRNS", struct.pack(">3H", most, 7, 0)), depth=depth))
    assert raster.alpha is not None
    assert raster.alpha.tolist() == [[0, 255, 255]]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_of_a_png_are_rounded_not_cut(channels: int) -> None:
    rng = np.random.default_rng(channels)
    levels = rng.integers(0, 65536, (5, 40, channels))
    raster, notes = read(png(levels, depth=16))
    assert notes == ["16 bits rounded to 8"]
    wanted = np.floor(levels * 255 / 65535 + 0.5).astype(np.uint8)
    assert (wanted != levels >> 8).any()  # or the test would see no difference
    np.testing.assert_array_equal(raster.levels[:, :, :1], wanted[:, :, :1])
    if channels > 2:
        np.testing.assert_array_equal(raster.levels, wanted[:, :, :3])
    assert raster.grey == (channels < 3)
    if channels in (2, 4):
        np.testing.assert_array_equal(raster.alpha, wanted[:, :, -1])


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_of_a_tiff_are_rounded_and_inverted_where_it_says_so(order: str) -> None:
    grey = np.random.default_rng(1).integers(0, 65536, (4, 30)).astype(f"{order}u2")
    wanted = np.floor(grey.astype(float) / 257 + 0.5)
    plain, _ = read(tiff(grey, depth=16, order=order))
    np.testing.assert_array_equal(plain.levels[:, :, 0], wanted)
    if order == "<":  # Pillow knows no other of these
        inverted, _ = read(tiff(grey, depth=16, photometric=0, order=order))
        np.testing.assert_array_equal(inverted.levels[:, :, 0], 255 - wanted)


def test_twelve_bits_of_a_tiff_use_the_whole_range() -> None:
    levels = np.array([[0, 1, 2048, 4095]], np.uint16)
    raster, notes = read(tiff(levels, depth=12))
    assert notes == ["12 bits rounded to 8"]
    assert raster.levels[0, :, 0].tolist() == [0, 0, 128, 255]


def test_sixteen_bits_of_colour_in_a_tiff_are_rounded() -> None:
    rng = np.random.default_rng(2)
    levels = rng.integers(0, 65536, (4, 6, 3)).astype("<u2")
    data = tiff(levels, depth=16, photometric=2, channels=3)
    # Three depths instead of one: in the place where the others say theirs.
    place = data.rindex(struct.pack("<HHIHH", 258, 3, 1, 16, 0))
    data = (
        data[:place]
        + struct.pack("<HHII", 258, 3, 3, len(data))
        + data[place + 12 :]
        + struct.pack("<3H", *[16] * 3)
    )
    raster, notes = read(data)
    assert notes == ["16 bits rounded to 8"]
    np.testing.assert_array_equal(raster.levels, np.floor(levels.astype(float) / 257 + 0.5))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tiff(np.zeros((2, 2), np.float32), depth=32, kind=3), "floating-point"),
        (tiff(np.full((2, 2), 7, np.uint32), depth=32), "samples of 32 bits"),
        (tiff(np.full((2, 2), -7, np.int16), depth=16, kind=2), "signed samples of 16 bits"),
        (tiff(np.zeros((2, 2), np.uint16), depth=10), "1 x 10 bits"),
        (tiff(np.zeros((2, 2), np.uint16), depth=14), "1 x 14 bits"),
        (tiff(np.zeros((2, 2), np.float64), depth=64, kind=3), "1 x 64 bits, floating point"),
    ],
    ids=["float", "32 bits", "signed", "10 bits", "14 bits", "double"],
)
def test_samples_that_are_not_taken_are_named(data: bytes, words: str) -> None:
    assert words in refusal(data)


@pytest.mark.parametrize("tags", [{50706: b"\1\4\0\0"}, {254: 1, 330: 1000}], ids=["DNG", "NEF, ARW"])
def test_a_cameras_raw_file_is_not_taken_for_its_preview(tags: dict[int, object]) -> None:
    written = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        written[tag] = value
    data = saved(RGB, "TIFF", tiffinfo=written)
    assert "raw file" in refusal(data)
    levels = np.full((3, 4), int.from_bytes(b"CR", "little"), np.uint16)  # where a CR2 says that it is one
    assert "raw file" in refusal(tiff(levels, depth=16))


def test_palettes_with_alpha_keep_it() -> None:
    image = RGB.copy()
    image.putalpha(GREY)
    palette = image.quantize(16)
    assert palette.palette is not None
    assert palette.palette.mode == "RGBA"
    raster = from_pillow(palette)
    np.testing.assert_array_equal(raster.alpha, np.asarray(palette.convert("RGBA"))[:, :, 3])
    tga = struct.pack("<BBBHHBHHHHBB", 0, 1, 1, 0, 2, 32, 0, 0, 2, 1, 8, 0x20)
    raster, _ = read(tga + bytes([1, 2, 3, 40, 4, 5, 6, 255]) + bytes([0, 1]))
    assert raster.alpha is not None
    assert (raster.alpha.tolist(), raster.levels.tolist()) == ([[40, 255]], [[[3, 2, 1], [6, 5, 4]]])


def test_the_fourth_byte_of_a_bmps_palette_is_no_alpha() -> None:
    raster, notes = read(saved(RGB.quantize(16), "BMP"))
    assert (raster.alpha, notes) == (None, [])


# Damage


@pytest.mark.parametrize("rows", [0, 1, 19])
def test_a_png_with_too_few_rows_is_refused(rows: int) -> None:
    assert "cut short" in refusal(png(photo(20, 30), rows=rows))


def test_interlaced_rows_are_counted_as_they_come() -> None:
    """Of files by somebody else, of all sizes up to 16 x 16 and all depths."""
    for width, height, depth in [(1, 1, 1), (5, 3, 2), (8, 8, 4), (3, 17, 8), (16, 2, 16)]:
        from rdae.pictures.structure.png_chunks import PASSES, Survey

        said = Survey(width, height, depth, 2, interlaced=True)
        wanted = 0
        for left, top, across, down in PASSES:
            columns, rows = len(range(left, width, across)), len(range(top, height, down))
            wanted += rows * (1 + (columns * 3 * depth + 7) // 8) if columns else 0
        assert said.row_bytes == wanted


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"pHYs", b"zzZz", b"gAMA"])
def test_a_wrong_checksum_beside_the_picture_is_a_note(kind: bytes) -> None:
    raster, notes = read(png(photo(20, 30), chunk(kind, b"words\0\0\0\0", wrong=True)))
    np.testing.assert_array_equal(raster.levels, photo(20, 30))
    assert notes == [f"damaged {kind.decode()} left out"]


@pytest.mark.parametrize("kind", [b"tRNS", b"IHDR", b"IDAT"])
def test_a_wrong_checksum_of_the_picture_is_refused(kind: bytes) -> None:
    data = png(photo(20, 30), chunk(b"tRNS", struct.pack(">3H", 1, 2, 3)))
    place = data.index(kind) - 4
    end = place + 12 + int.from_bytes(data[place : place + 4], "big")
    assert "damaged" in refusal(data[: end - 1] + bytes([data[end - 1] ^ 1]) + data[end:])


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_long_texts_do_not_cost_the_picture(kind: bytes) -> None:
    text = zlib.compress(b"a workflow " * 200_000)
    head = b"workflow\0\0" if kind == b"zTXt" else b"workflow\0\1\0\0\0"
    raster, notes = read(png(photo(20, 30), chunk(kind, head + text)))
    np.testing.assert_array_equal(raster.levels, photo(20, 30))
    assert notes == ['not kept: PNG text "workflow"']


def test_a_long_profile_and_long_xmp_are_kept_and_what_is_written_can_be_read() -> None:
    profile = P3ISH + bytes(3_000_000)
    profile = struct.pack(">I", len(profile)) + profile[4:]
    xmp = b"<x:xmpmeta>" + b"<!-- long -->" * 100_000 + b"</x:xmpmeta>"
    packed = chunk(b"iCCP", b"long\0\0" + zlib.compress(profile))
    words = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp))
    raster, notes = read(png(photo(20, 30), packed, words))
    assert (raster.icc, raster.xmp, notes) == (profile, xmp, [])
    written = picture_bytes(to_pillow(raster), "PNG", notes.append)
    assert notes == [f"colour profile dropped: {len(profile)} bytes are more than Pillow reads of a PNG"]
    with Image.open(io.BytesIO(written)) as back:
        back.load()
    again, _ = read(written)
    assert again.xmp == xmp


# EXIF


def orientation(value: int, *, type_: int = 3, number: int = 1, count: int = 1, order: str = "<") -> bytes:
    """EXIF with nothing but an orientation. count: of tags, as it says."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    word = {1: f"{order}Bxxx", 3: f"{order}Hxx"}.get(type_, f"{order}I")
    entry = struct.pack(f"{order}HHI", 0x0112, type_, number) + struct.pack(word, value)
    return mark + struct.pack(f"{order}IH", 8, count) + entry + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("type_", [1, 3, 4])
def test_an_orientation_of_any_type_of_integer_is_applied(type_: int, order: str) -> None:
    raster, notes = read(saved(RGB, "JPEG", exif=exif.PREFIX + orientation(6, type_=type_, order=order)))
    assert (raster.levels.shape, notes) == ((30, 20, 3), [])
    assert raster.exif == orientation(1, type_=type_, order=order)


@pytest.mark.parametrize(("type_", "number"), [(2, 4), (5, 1), (3, 2), (7, 1)])
def test_an_orientation_of_an_odd_type_is_left_as_it_was(type_: int, number: int) -> None:
    odd = orientation(6, type_=type_, number=number)
    raster, notes = read(saved(RGB, "JPEG", exif=exif.PREFIX + odd))
    assert (raster.levels.shape, raster.exif, notes) == ((20, 30, 3), odd, [])


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_of_damaged_exif_the_orientation_is_applied() -> None:
    raster, notes = read(saved(RGB, "JPEG", exif=exif.PREFIX + orientation(6, count=500)))
    assert (raster.levels.shape, raster.exif) == ((30, 20, 3), None)
    assert notes == ["unreadable EXIF dropped"]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_prefix_in_a_png_or_twice_is_no_matter(times: int) -> None:
    raster, notes = read(png(photo(20, 30), chunk(b"eXIf", exif.PREFIX * times + orientation(6))))
    assert (raster.levels.shape, raster.exif, notes) == ((30, 20, 3), orientation(1), [])
    raster, notes = read(saved(RGB, "JPEG", exif=exif.PREFIX * (times + 1) + orientation(8)))
    assert (raster.levels.shape, raster.exif, notes) == ((30, 20, 3), orientation(1), [])


def test_an_orientation_in_xmp_alone_is_applied() -> None:
    xmp = b'<x:xmpmeta tiff:Orientation="6"></x:xmpmeta>'
    raster, _ = read(saved(RGB, "JPEG", xmp=xmp))
    assert (raster.levels.shape, raster.xmp) == ((30, 20, 3), xmp.replace(b"6", b"1"))
    raster, _ = read(saved(RGB, "JPEG", xmp=xmp, exif=exif.PREFIX + orientation(1)))
    assert raster.levels.shape == (20, 30, 3)  # EXIF says it is upright


STRUCTURE = {
    "ImageWidth": (256, 4000),
    "BitsPerSample": (258, (8, 8, 8)),
    "Compression": (259, 7),
    "Photometric": (262, 6),
    "StripOffsets": (273, 8),
    "Orientation": (274, 6),
    "SamplesPerPixel": (277, 4),
    "RowsPerStrip": (278, 1),
    "Planar": (284, 2),
    "Predictor": (317, 3),
    "TileWidth": (322, 64),
    "ExtraSamples": (338, 2),
    "SampleFormat": (339, 3),
    "JPEGTables": (347, b"tables"),
    "YCbCrSubsampling": (530, (2, 2)),
}


@pytest.mark.parametrize("name", STRUCTURE)
def test_exif_says_nothing_of_the_tiff_that_it_goes_to(name: str) -> None:
    tags = Image.Exif()
    tag, value = STRUCTURE[name]
    tags[0x010F], tags[tag] = "a maker", value
    turned = tag == 274
    raster, _ = read(saved(RGB, "PNG", exif=tags, icc_profile=P3ISH))
    notes: list[str] = []
    written = picture_bytes(to_pillow(raster), "TIFF", notes.append)
    with Image.open(io.BytesIO(written)) as back:
        back.load()
        assert (back.size, back.mode) == ((20, 30) if turned else (30, 20), "RGB")
        np.testing.assert_array_equal(np.asarray(back), raster.levels)
        assert back.info["icc_profile"] == P3ISH
        assert back.getexif()[0x010F] == "a maker"
    assert notes == []


def test_a_cameras_exif_is_written_to_a_tiff(capfd: pytest.CaptureFixture[str]) -> None:
    tags = Image.Exif()
    tags[0x010F], tags[0x011A], tags[0x011B], tags[0x0128] = "a maker", 300.0, 300.0, 2
    tags.get_ifd(exif.EXIF_IFD)[0x9003] = "2026:12:01 05:40:00"
    tags.get_ifd(exif.EXIF_IFD)[0x9286] = b"ASCII\0\0\0a comment"
    tags.get_ifd(exif.EXIF_IFD)[exif.INTEROPERABILITY_IFD] = {1: "R98", 2: b"0100"}
    tags.get_ifd(0x8825).update({1: "N", 2: (51.0, 30.0, 26.5)})
    for image in (RGB, GREY, RGB.convert("RGBA")):
        raster, _ = read(saved(image, "PNG", exif=tags, icc_profile=P3ISH))
        notes: list[str] = []
        written = picture_bytes(to_pillow(raster), "TIFF", notes.append)
        with Image.open(io.BytesIO(written)) as back:
            np.testing.assert_array_equal(np.asarray(back), np.asarray(to_pillow(raster)))
            found = back.getexif()
            assert (found[0x010F], back.info["dpi"]) == ("a maker", (300, 300))
            assert found.get_ifd(exif.EXIF_IFD)[0x9003] == "2026:12:01 05:40:00"
            assert found.get_ifd(exif.INTEROPERABILITY_IFD) == {1: "R98", 2: b"0100"}
            assert found.get_ifd(0x8825) == {1: "N", 2: (51.0, 30.0, 26.5)}
            if image is not GREY:
                assert back.info["icc_profile"] == P3ISH
        assert notes == []
    assert capfd.readouterr() == ("", "")  # libtiff speaks for itself


def test_a_profile_survives_metadata_that_cannot_be_written() -> None:
    image = RGB.copy()
    image.info |= {"icc_profile": P3ISH, "exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0junk"}
    notes: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written = picture_bytes(image, "TIFF", notes.append)
    with Image.open(io.BytesIO(written)) as back:
        assert back.info["icc_profile"] == P3ISH


# Colours without a profile


def light(raster: Raster) -> npt.NDArray[np.uint8]:
    """What a raster looks like, in sRGB."""
    if raster.icc is None:
        return raster.levels
    image = Image.fromarray(raster.levels[:, :, 0] if raster.grey else raster.levels)
    return np.asarray(profiles.to_srgb(image, raster.icc))


def gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("value", "expected"), [(1.0, 188), (0.45455, 128), (1 / 1.8, 145)])
def test_a_gamma_becomes_a_profile(value: float, expected: int, channels: int) -> None:
    raster, notes = read(png(np.full((2, 2, channels), 128), gamma(value)))
    assert notes == []
    assert (raster.levels == 128).all()
    assert (raster.icc is None) == (value == 0.45455)
    assert np.abs(light(raster).astype(int) - expected).max() <= 2


def cicp(*numbers: int) -> bytes:
    return chunk(b"cICP", bytes(numbers))


P3_CHROMATICITIES = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))


def test_chromaticities_become_a_profile() -> None:
    green = np.zeros((2, 2, 3), int)
    green[:, :, 1], green[:, :, 0], green[:, :, 2] = 160, 100, 90
    wanted, _ = read(png(green, cicp(12, 13, 0, 1)))
    found, notes = read(png(green, gamma(0.45455), P3_CHROMATICITIES))
    assert notes == []
    assert found.icc is not None
    np.testing.assert_array_equal(light(found), light(wanted))
    # Display P3's (100, 160, 90) in sRGB, by the matrices of CSS Color 4.
    assert np.abs(light(found)[0, 0].astype(int) - [78, 162, 81]).max() <= 2
    plain, _ = read(png(green, chunk(b"sRGB", b"\0"), gamma(0.3)))  # sRGB goes before gamma
    assert plain.icc is None


def test_chromaticities_that_span_no_colours_are_a_note() -> None:
    flat = chunk(b"cHRM", struct.pack(">8I", *[31270, 32900] * 4))
    raster, notes = read(png(photo(4, 4), flat))
    assert (raster.icc, notes) == (None, ["unusable colours dropped: primaries that span no colours"])


@pytest.mark.parametrize(
    ("numbers", "kept", "note"),
    [
        ((1, 13, 0, 1), False, None),
        ((2, 2, 0, 1), False, None),
        ((12, 13, 0, 1), True, None),
        ((9, 1, 0, 1), True, None),
        ((9, 16, 0, 1), False, "HDR is not supported: PQ levels taken for sRGB's"),
        ((9, 18, 0, 1), False, "HDR is not supported: HLG levels taken for sRGB's"),
        ((99, 13, 0, 1), False, "unknown colours (CICP 99, 13) taken for sRGB's"),
    ],
)
def test_cicp_becomes_a_profile_or_a_note(numbers: tuple[int, ...], kept: bool, note: str | None) -> None:
    raster, notes = read(png(photo(4, 4), cicp(*numbers)))
    assert (raster.icc is not None, notes) == (kept, [note] if note else [])


def test_cicp_goes_before_a_profile() -> None:
    packed = chunk(b"iCCP", b"p\0\0" + zlib.compress(P3ISH))
    assert read(png(photo(4, 4), packed))[0].icc == P3ISH
    assert read(png(photo(4, 4), cicp(1, 13, 0, 1), packed))[0].icc is None


def boxed(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


@pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")
@pytest.mark.parametrize(
    ("numbers", "kept", "note"), [((12, 13), True, None), ((9, 16), False, "HDR is not supported")]
)
def test_the_colours_of_an_avif_are_honoured(numbers: tuple[int, int], kept: bool, note: str | None) -> None:
    data = saved(RGB, "AVIF", quality=90)
    place = data.index(b"colrnclx") + 8
    data = data[:place] + struct.pack(">HH", *numbers) + data[place + 4 :]
    raster, notes = read(data)
    assert raster.icc is not None if kept else raster.icc is None
    assert [each.split(":")[0] for each in notes] == ([note] if note else [])


@pytest.mark.skipif(not features.check("jpg_2000"), reason="Pillow was built without JPEG 2000")
def test_the_profile_in_a_jpeg_2000_is_kept() -> None:
    data = saved(RGB, "JPEG2000")
    place = data.index(b"colr") - 4
    end = place + int.from_bytes(data[place : place + 4], "big")
    colr = boxed(b"colr", b"\2\0\0" + P3ISH)
    head = data.index(b"jp2h") - 4
    longer = int.from_bytes(data[head : head + 4], "big") + len(colr) - (end - place)
    data = data[:head] + struct.pack(">I", longer) + data[head + 4 : place] + colr + data[end:]
    raster, notes = read(data)
    assert (raster.icc, [each for each in notes if "comment" not in each]) == (P3ISH, [])


def test_a_cameras_adobe_rgb_becomes_a_profile() -> None:
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0xA001] = 0xFFFF
    interoperability = struct.pack("<H", 1) + struct.pack("<HHI4s", 1, 2, 4, b"R03\0") + bytes(4)
    inner = struct.pack("<H", 2)
    inner += (
        struct.pack("<HHIHH", 0xA001, 3, 1, 0xFFFF, 0)
        + struct.pack("<HHII", 0xA005, 4, 1, 26 + 30)
        + bytes(4)
    )
    block = b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHII", 0x8769, 4, 1, 26) + bytes(4)
    data = block + inner + interoperability
    raster, notes = read(saved(RGB, "JPEG", exif=exif.PREFIX + data, quality=95))
    assert notes == []
    assert raster.icc is not None
    assert np.abs(light(raster).astype(int) - raster.levels).max() > 5
    assert read(saved(RGB, "JPEG", exif=exif.PREFIX + data.replace(b"R03", b"R98")))[0].icc is None


def test_profiles_made_here_are_profiles_to_littlecms() -> None:
    for mode in ("L", "RGB"):
        made = colours.of_png(1 / 1.8, None).profile(mode)
        assert int.from_bytes(made[:4], "big") == len(made)
        profile = ImageCms.ImageCmsProfile(io.BytesIO(made))
        assert ImageCms.getProfileDescription(profile).strip() == "rdae: gamma 1.8"
        assert made == colours.of_png(1 / 1.8, None).profile(mode)  # the same bytes on every day


def test_boxes_end_whatever_is_in_them() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(b"\0\0\0\x40meta\0\0\0\0\0\0\0\x30iprp\0\0\0\x28ipco" + bytes(40))
        for place in rng.integers(0, len(data), 4):
            data[place] = rng.integers(0, 256)
        boxes.of_heif(io.BytesIO(bytes(data)))
        boxes.of_jpeg2000(io.BytesIO(bytes(data)))


def test_a_picture_that_ends_early_is_refused_in_our_words() -> None:
    data = saved(RGB, "JPEG")
    assert refusal(data[:-20]) == "the picture is damaged or cut short"


def test_a_file_of_ours_is_called_one() -> None:
    assert (
        refusal(encode.compress_lossless(photo(20, 30))) == "already an .rdae file; rdae decompress opens it"
    )


# What there is no place for


def test_names_of_texts_are_a_strangers_words_few_cut_and_escaped() -> None:
    names = [b"a\x1b[2J\n\xe9", b"x" * 79, b"y" * 24, b"Title", b"Title", *(b"%d" % i for i in range(1000))]
    _, notes = read(png(photo(20, 30), b"".join(chunk(b"tEXt", name + b"\0text") for name in names)))
    assert notes == [f'not kept: PNG texts "a\\x1b[2J\\né", "{"x" * 23}…", "{"y" * 24}" and 1,002 more']
    _, notes = read(png(photo(20, 30), chunk(b"tEXt", b"\0text")))
    assert notes == ["not kept: 1 PNG text"]


def test_what_is_not_kept_is_named_in_one_note() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "a title")
    info.add_itxt("Author", "somebody")
    raster, notes = read(saved(RGB, "PNG", pnginfo=info, icc_profile=SRGB))
    assert (raster.icc, notes) == (None, ['not kept: PNG texts "Title", "Author"', SRGB_LEFT_OUT])
    resource = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x06\x1c\x02\x05\0\x01a"
    segments = struct.pack(">2sH", b"\xff\xed", 2 + len(resource)) + resource
    more = b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)
    segments += struct.pack(">2sH", b"\xff\xe1", 2 + len(more)) + more
    jpeg = saved(RGB, "JPEG", comment=b"hello")
    _, notes = read(jpeg[:2] + segments + jpeg[2:])
    assert notes == ["not kept: IPTC, comment, extended XMP"]
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33723] = b"\x1c\x02\x05\0\x01a"
    _, notes = read(saved(RGB, "TIFF", tiffinfo=tags))
    assert notes == ["not kept: IPTC"]
    notes.clear()
    raster_in(io.BytesIO(jpeg), notes.append, metadata=False)  # nobody asked for it
    picture_in(io.BytesIO(jpeg), notes.append)
    assert notes == []


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def riff(webp: bytes, more: bytes) -> bytes:
    """A WebP with more chunks."""
    return webp[:4] + struct.pack("<I", len(webp) - 8 + len(more)) + webp[8:] + more


FILM = b"\0\0\0\x18ftypmp42" + b"film" * 1000
JPEG, PNG, WEBP = saved(RGB, "JPEG"), saved(RGB, "PNG"), saved(RGB, "WEBP")


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (JPEG + FILM, "4,012 bytes after its end"),
        (JPEG + JPEG, f"{len(JPEG)} bytes after its end"),
        (JPEG + b"\0" * 300, None),
        (saved(RGB, "JPEG", progressive=True) + b"more", "4 bytes after its end"),
        (JPEG[:2] + segment(0xEB, b"JP\0\1\0\0" + bytes(90)) + JPEG[2:], "segment APP11 JP"),
        (JPEG[:2] + segment(0xE2, b"FPXR\0") + segment(0xE5, b"\x01") + JPEG[2:], "segments APP2 FPXR, APP5"),
        (
            JPEG[:2] + segment(0xED, b"Photoshop 3.0\x008BIM\x07\xd0\0\0\0\0\0\2ab") + JPEG[2:],
            "Photoshop's resources",
        ),
        (JPEG[:2] + segment(0xED, b"Photoshop 3.0\x008BIM\x04\x0c\0\0\0\0\0\2ab") + JPEG[2:], None),
        (
            png(photo(20, 30), chunk(b"caBX", b"who") + chunk(b"tIME", bytes(7)) + chunk(b"caBX", b"when")),
            "chunk caBX",
        ),
        (
            png(photo(20, 30), b"".join(chunk(b"prV%c" % n, b"") for n in b"ABCDEFGHIJKLMNO")),
            "chunks prVA, prVB, prVC and 12 more",
        ),
        (PNG + b"PK\3\4", "4 bytes after its end"),
        (PNG + b"\0\xff", None),
        (riff(WEBP, b"ABCD\5\0\0\0words\0"), "chunk ABCD"),
        (WEBP + b"x", "1 byte after its end"),
        (JPEG + b"\r\n", None),
        (JPEG[:2] + segment(0xEC, b"Ducky\0\1\0\4\0\0\0\x3c") + JPEG[2:], None),
        (PNG[:-3], None),
        (saved(RGB, "AVIF") + bytes(300), None),
        (saved(RGB, "AVIF") + FILM, "4,012 bytes after its end"),
        (saved(RGB, "AVIF") + struct.pack(">I", 16) + b"mpvd" + bytes(8), "box mpvd"),
        (saved(RGB, "AVIF") + struct.pack(">I4sQ", 1, b"mpvd", 16) + b"\0\0\0\0uuid", "boxes mpvd, uuid"),
        (saved(RGB, "AVIF") + struct.pack(">I4sQ", 1, b"mdat", 2**64 - 1), None),
        (saved(RGB, "AVIF") + JPEG, f"{len(JPEG):,} bytes after its end"),
        (saved(RGB, "AVIF") + b"PK\3\4" + bytes(9) + b"zip", "16 bytes after its end"),
        (saved(RGB, "AVIF") + struct.pack(">I4s", 7, b"mpvd"), "8 bytes after its end"),
        (saved(RGB, "JPEG2000", no_jp2=True) + FILM, "comment"),
        (JPEG[:2] + segment(0xE5, b"a") + segment(0xE5, b"a ") + JPEG[2:], "segment APP5 a"),
        (JPEG[:-2] + b"\xff\xe5\0\1" + b"\xff\xd9 more", None),  # damaged: where it ends is not known
        (
            saved(RGB, "JPEG2000", no_jp2=False) + struct.pack(">I", 16) + b"uuid" + bytes(8),
            "comment, box uuid",
        ),
    ],
)
def test_parts_of_files_that_nothing_here_knows_are_named(data: bytes, named: str | None) -> None:
    _, notes = read(data)
    assert notes == ([] if named is None else [f"not kept: {named}"])


def test_a_film_after_several_pictures_is_named() -> None:
    data = saved(RGB, "MPO", save_all=True, append_images=[RGB, RGB])
    _, notes = read(data)
    assert notes == ["only the first of 3 frames taken"]
    _, notes = read(data + FILM)
    assert notes == ["only the first of 3 frames taken", "not kept: 4,012 bytes after its end"]


@pytest.mark.parametrize("frames", [b"", b"\xff\xd8\xff\xd9"])
def test_pictures_that_a_file_only_claims_to_have_take_no_time(frames: bytes) -> None:
    # That many copies of the rest would be 40 GB.
    file = io.BytesIO(JPEG + 3999 * frames + 10_000_000 * b"x")
    image = SimpleNamespace(format="MPO", n_frames=4000, info={}, fp=file)
    assert [*left_behind(image)] == ["10,000,000 bytes after its end"]


def test_a_million_parts_are_not_all_looked_at() -> None:
    chunks = b"".join(b"%04d\0\0\0\0" % (n % 10_000) for n in range(100_000))
    _, notes = read(riff(WEBP, chunks))
    (note,) = notes
    assert re.fullmatch(r"not kept: chunks 0000, 0001, 0002 and 99\d more", note)


def test_an_image_whose_file_was_closed_is_read_all_the_same() -> None:
    with io.BytesIO(WEBP) as file:
        image = Image.open(file)
    assert from_pillow(image).levels.shape == (RGB.height, RGB.width, 3)


def test_a_tiffs_other_tags_are_named() -> None:
    words = TiffImagePlugin.ImageFileDirectory_v2()
    words[269], words[285], words[297] = "Contract of Alice", "page 3", (2, 9)
    _, notes = read(saved(RGB, "TIFF", tiffinfo=words))
    assert notes == ["not kept: TIFF tags 269, 285"]
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[270], tags[33550], tags[42112], tags[65000], tags[65001] = "what", (1.0, 1.0, 0.0), "<x/>", "a", "b"
    tags[37724], tags[34377] = b"Adobe Photoshop Document Data Block\0", b"8BIM"
    _, notes = read(saved(RGB, "TIFF", tiffinfo=tags))
    (note,) = notes
    expected = "not kept: Photoshop's resources, Photoshop's layers, TIFF tags 33550, 42112, 65000 and 1 more"
    assert note == expected


@pytest.mark.parametrize(("form", "dots"), [("JPEG", 300), ("PNG", 300.0), ("TIFF", 240.0), ("BMP", 200)])
@pytest.mark.parametrize("out", ["JPEG", "PNG", "TIFF"])
def test_dots_per_inch_come_back(form: str, dots: float, out: str) -> None:
    raster, _ = read(saved(RGB, form, dpi=(dots, dots)))
    with Image.open(io.BytesIO(picture_bytes(to_pillow(raster), out))) as back:
        assert back.info["dpi"] == pytest.approx((dots, dots), abs=0.02)


def test_dots_per_inch_join_exif_that_has_none() -> None:
    for order in "<>":
        block = orientation(1, order=order)
        raster, _ = read(saved(RGB, "JPEG", dpi=(300, 200), exif=exif.PREFIX + block))
        assert raster.exif is not None
        parsed = exif.parse(raster.exif)
        assert parsed is not None
        assert parsed.whole
        assert exif.resolution(parsed) == (300, 200)
        with Image.open(io.BytesIO(saved(RGB, "PNG", exif=exif.PREFIX + raster.exif))) as back:
            tags = back.getexif()
        assert (tags[0x011A], tags[0x011B], tags[0x0128], tags[0x0112]) == (300, 200, 2, 1)
    nothing, _ = read(saved(RGB, "JPEG", dpi=(72, 72)))
    assert nothing.exif is None  # what EXIF says of an unknown resolution


# Out again


@pytest.mark.parametrize("form", ["AVIF", "GIF", "JPEG", "WEBP", "TGA", "PCX", "SGI", "ICO", "MPO", "PDF"])
def test_sides_beyond_a_format_are_one_error(form: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PictureError, match=f"cannot be written as {form}: 70000 x 1 pixels"):
        picture_bytes(Image.new("RGB", (70_000, 1)), form)
    assert capfd.readouterr().err == ""  # as libjpeg would


@pytest.mark.parametrize("error", [RuntimeError, OverflowError, struct.error, TypeError, OSError, ValueError])
def test_whatever_a_writer_raises_is_a_picture_error(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise error("no")

    monkeypatch.setitem(Image.SAVE, "PCX", refuse)
    with pytest.raises(PictureError, match="cannot be written as PCX: no"):
        picture_bytes(RGB, "PCX")


def test_a_format_that_changes_the_size_is_refused_and_one_that_changes_colours_is_a_note() -> None:
    with pytest.raises(PictureError, match="ICNS: 30 x 20 pixels would become"):
        picture_bytes(RGB, "ICNS")
    with pytest.raises(PictureError, match="ICO: 300 x 20 pixels"):
        picture_bytes(RGB.resize((300, 20)), "ICO")
    notes: list[str] = []
    with Image.open(io.BytesIO(picture_bytes(RGB, "ICO", notes.append))) as back:
        assert back.size == RGB.size
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8))
    picture_bytes(noise, "GIF", notes.append)
    assert notes == ["colours changed: GIF has fewer of them"]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_formats_called_faithful_give_the_picture_back(mode: str) -> None:
    image = GREY if mode[0] == "L" else RGB
    if mode.endswith("A"):
        image = image.copy()
        image.putalpha(GREY)
    lossy, plug_ins = {"JPEG", "MPO", "AVIF", "PDF"}, {"JXL", "HEIF"}
    for form in writing.FAITHFUL - lossy - plug_ins:
        if form == "JPEG2000" and not features.check("jpg_2000"):
            continue
        with Image.open(io.BytesIO(picture_bytes(image, form))) as back:
            same = image if form in writing.WITH_ALPHA else image.convert(mode.removesuffix("A"))
            np.testing.assert_array_equal(np.asarray(back.convert(same.mode)), np.asarray(same), form)


# The process


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_reading_in_threads_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    """catch_warnings in several threads at once leaves filters of one of them behind."""
    path = tmp_path / "odd.tif"
    RGB.save(path, exif=exif.PREFIX + b"II*\0\x08\0\0\0\x05\0")
    before, shown = list(warnings.filters), warnings.showwarning
    touched = []

    def work() -> None:
        for _ in range(20):
            with path.open("rb") as file:
                picture_bytes(to_pillow(raster_in(file)), "TIFF")
            touched.append(warnings.filters != before)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(touched) == 160
    assert not any(touched)
    assert warnings.filters == before
    assert warnings.showwarning is shown
