"""Pictures of every kind come in, with all that there is to them, and go out to formats that have a place for it."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from sample_profiles import SRGB, cmyk_profile, gamma_profile, grey_profile
from tiny_model import photo

from rdae import pictures
from rdae.errors import PictureError
from rdae.pictures import picture_bytes, profiles, read_raster
from rdae.pictures.images import from_pillow, to_raster
from rdae.pictures.raster import Raster, from_array, to_pillow
from rdae.pictures.structure import exif

RGB = Image.fromarray(photo(20, 30))
SLOPE = Image.linear_gradient("L").resize((30, 20))
GREY = RGB.getchannel(1)
P3ISH = gamma_profile(1.8)
XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'


def with_alpha(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(SLOPE)
    return image


def taken(image: Image.Image, *, metadata: bool = True) -> tuple[Raster, list[str]]:
    notes: list[str] = []
    return from_pillow(image, notes.append, metadata=metadata), notes


@pytest.mark.parametrize(
    "image", [GREY, with_alpha(GREY), RGB, with_alpha(RGB)], ids=lambda image: image.mode
)
def test_the_four_modes_go_through_a_raster_unchanged(image: Image.Image) -> None:
    raster, notes = taken(image)
    back = to_pillow(raster)
    assert (raster.mode, back.mode, notes) == (image.mode, image.mode, [])
    assert back.tobytes() == image.tobytes()
    array = np.asarray(image)
    if image.mode != "LA":
        assert to_pillow(from_array(array)).tobytes() == image.tobytes()


@pytest.mark.parametrize(
    ("image", "mode"),
    [
        (RGB.convert("1"), "L"),
        (RGB.quantize(16), "RGB"),
        (GREY.convert("P"), "L"),
        (with_alpha(RGB).convert("RGBa"), "RGBA"),
        (with_alpha(GREY).convert("La"), "LA"),
        (with_alpha(RGB.quantize(16).convert("RGB")).convert("PA"), "RGBA"),
        (RGB.convert("RGBX"), "RGB"),
        (RGB.convert("HSV"), "RGB"),
        (RGB.convert("YCbCr"), "RGB"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.mode,
)
def test_other_modes_become_one_of_them(image: Image.Image, mode: str) -> None:
    raster, notes = taken(image)
    assert raster.mode == mode
    assert notes == (
        [] if image.mode not in ("HSV", "YCbCr") else [f"{image.mode} converted to RGB without a profile"]
    )
    if mode == "RGB":
        np.testing.assert_array_equal(raster.levels, np.asarray(image.convert("RGB")))


def test_a_colour_that_is_transparent_becomes_alpha(tmp_path: Path) -> None:
    key = RGB.getpixel((3, 4))
    for image, transparent in (
        (RGB, key),
        (GREY, GREY.getpixel((3, 4))),
        (RGB.convert("1"), 255),
        (RGB.quantize(4), 2),
    ):
        image.save(tmp_path / "a.png", transparency=transparent)
        raster = read_raster(tmp_path / "a.png")
        with Image.open(tmp_path / "a.png") as opened:
            expected = opened.convert("RGBA")
        assert raster.alpha is not None
        np.testing.assert_array_equal(raster.alpha, np.asarray(expected)[:, :, 3])
        np.testing.assert_array_equal(raster.levels, np.asarray(expected)[:, :, :3])
        assert 0 < (raster.alpha == 0).mean() < 1


def test_alpha_that_is_all_opaque_is_none() -> None:
    image = RGB.copy()
    image.putalpha(255)
    assert taken(image)[0].mode == "RGB"
    assert from_array(np.asarray(image)).alpha is None


def test_rasters_whose_parts_do_not_fit_are_refused() -> None:
    wrong: Any = np.zeros((2, 3, 3), np.float32)
    for levels, plane in (
        (np.zeros((2, 3), np.uint8), None),
        (wrong, None),
        (np.zeros((0, 3, 3), np.uint8), None),
        (np.zeros((2, 3, 3), np.uint8), np.zeros((3, 2), np.uint8)),
    ):
        with pytest.raises(ValueError, match="expected uint8"):
            Raster(levels, alpha=plane)


def test_wide_samples_are_reduced_with_a_note(tmp_path: Path) -> None:
    notes: list[str] = []
    levels = np.arange(600, dtype=np.uint16).reshape(20, 30) * 109
    Image.fromarray(levels).save(tmp_path / "a.png", transparency=int(levels[2, 3]))
    raster = read_raster(tmp_path / "a.png", notes.append)
    assert raster.alpha is not None
    assert (raster.mode, notes, np.argwhere(raster.alpha == 0).tolist()) == (
        "LA",
        ["16 bits rounded to 8"],
        [[2, 3]],
    )


# Orientation


def turned(orientation: int, order: str = "<") -> bytes:
    """EXIF with an orientation, and something behind it that nothing may move."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(f"{order}HHII", 0x010E, 2, 6, 38) + struct.pack(
        f"{order}HHIHH", 0x0112, 3, 1, orientation, 0
    )
    head = mark + struct.pack(f"{order}IH", 8, 2) + entries + bytes(4)
    return head + b"maker\0" + b"not to be touched"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_applied_once_and_the_rest_of_exif_is_kept(orientation: int, order: str) -> None:
    image = RGB.copy()
    image.info |= {"exif": exif.PREFIX + turned(orientation, order), "xmp": XMP}
    raster, notes = taken(image)
    assert notes == []
    np.testing.assert_array_equal(raster.levels, np.asarray(ImageOps.exif_transpose(image)))
    assert raster.exif == turned(1, order)
    assert raster.xmp == XMP.replace(b"6", b"1")
    back = to_pillow(raster)
    assert back.getexif()[0x0112] == 1
    np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(back)), raster.levels)


@pytest.mark.parametrize(
    "data",
    [b"x", b"II*\0", turned(6)[:20], b"II*\0\xff\xff\xff\xff", turned(6)[:9] + b"\xff" + turned(6)[10:]],
)
def test_broken_exif_is_dropped_with_a_note(data: bytes) -> None:
    image = RGB.copy()
    image.info["exif"] = exif.PREFIX + data
    raster, notes = taken(image)
    assert (raster.exif, notes) == (None, ["unreadable EXIF dropped"])
    assert raster.levels.shape in ((20, 30, 3), (30, 20, 3))


def test_a_tiffs_own_tags_become_exif(tmp_path: Path) -> None:
    RGB.save(tmp_path / "a.tif", description="a tag", tiffinfo={0x0112: 6, 700: XMP})
    raster = read_raster(tmp_path / "a.tif")
    assert raster.levels.shape == (30, 20, 3)
    assert dict(to_pillow(raster).getexif()) == {0x010E: "a tag"}
    assert raster.xmp is not None
    assert raster.xmp.startswith(b"<x:xmpmeta>")
    assert b"6" not in raster.xmp  # Pillow takes the orientation out, or we set it to 1


def test_metadata_can_be_stripped(tmp_path: Path) -> None:
    RGB.save(tmp_path / "a.jpg", exif=exif.PREFIX + turned(6), xmp=XMP, icc_profile=P3ISH)
    kept, stripped = (read_raster(tmp_path / "a.jpg", metadata=keep) for keep in (True, False))
    assert (kept.icc, kept.exif, kept.xmp) == (P3ISH, turned(1), XMP.replace(b"6", b"1"))
    assert (stripped.icc, stripped.exif, stripped.xmp) == (None, None, None)
    assert stripped.levels.shape == (30, 20, 3)  # turned all the same
    assert to_raster(kept, metadata=False).exif is None


# Colours


def test_an_srgb_profile_is_known_by_what_it_does() -> None:
    assert profiles.kind(SRGB) is profiles.Kind.SRGB
    nameless = SRGB.replace("sRGB".encode("utf-16-be"), "None".encode("utf-16-be"))
    assert profiles.kind(nameless) is profiles.Kind.SRGB
    assert profiles.kind(gamma_profile(1.8).replace(b"test", b"sRGB")) is profiles.Kind.OTHER
    for broken in (b"", b"sRGB", bytes(200), SRGB[:140], SRGB[:16] + b"what" + SRGB[20:]):
        assert profiles.kind(broken) is profiles.Kind.BROKEN


@pytest.mark.parametrize(
    ("image", "profile", "kept", "note"),
    [
        (RGB, SRGB, False, None),
        (RGB, P3ISH, True, None),
        (with_alpha(RGB), P3ISH, True, None),
        (GREY, grey_profile(1.8), True, None),
        (GREY, SRGB, False, None),
        (GREY, P3ISH, False, "colours converted to sRGB by the profile"),
        (RGB, grey_profile(1.8), False, "unusable colour profile dropped"),
        (RGB, cmyk_profile(), False, "unusable colour profile dropped"),
        (RGB, b"junk", False, "unusable colour profile dropped"),
    ],
)
def test_profiles_are_kept_where_they_say_something(
    image: Image.Image, profile: bytes, kept: bool, note: str | None
) -> None:
    image = image.copy()
    image.info["icc_profile"] = profile
    raster, notes = taken(image)
    assert (raster.icc, notes) == (profile if kept else None, [note] if note else [])
    same = to_pillow(raster).tobytes() == image.tobytes()
    assert same == (note != "colours converted to sRGB by the profile")


def test_stripping_a_profile_keeps_the_look() -> None:
    image = with_alpha(RGB)
    image.info["icc_profile"] = P3ISH
    raster, notes = taken(image, metadata=False)
    assert notes == ["colours converted to sRGB by the profile"]
    np.testing.assert_array_equal(raster.levels, np.asarray(profiles.to_srgb(RGB, P3ISH)))
    assert raster.alpha is not None


def test_cmyk_goes_through_its_profile(tmp_path: Path) -> None:
    notes: list[str] = []
    inks = RGB.convert("CMYK")
    inks.save(tmp_path / "a.tif", icc_profile=cmyk_profile())
    raster = read_raster(tmp_path / "a.tif", notes.append)
    assert (notes, raster.icc) == (["CMYK converted to sRGB by its profile"], None)
    # The profile's inks have no hue.
    assert (
        np.ptp(raster.levels.astype(int), axis=2).max()
        <= 2
        < np.ptp(np.asarray(inks.convert("RGB")), axis=2).max()
    )


def test_lab_is_a_colour_by_itself() -> None:
    notes: list[str] = []
    lab = Image.frombytes("LAB", (2, 1), bytes([255, 0, 0, 0, 0, 0]))
    levels = from_pillow(lab, notes.append).levels
    assert np.abs(levels - [[[255.0] * 3, [0.0] * 3]]).max() <= 1
    assert notes == ["LAB converted to sRGB"]


# Out again


@pytest.mark.parametrize("form", ["PNG", "WEBP", "AVIF", "TIFF", "JPEG"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_formats_keep_what_they_have_a_place_for(form: str, mode: str) -> None:
    grey = mode.startswith("L")
    profile = grey_profile(1.8) if grey else P3ISH
    image = GREY if grey else RGB
    source = to_pillow(from_pillow(with_alpha(image) if mode.endswith("A") else image))
    source.info |= {"icc_profile": profile, "exif": exif.PREFIX + turned(1), "xmp": b"<x:xmpmeta/>"}
    notes: list[str] = []
    with Image.open(io.BytesIO(picture_bytes(source, form, notes.append))) as back:
        back.load()
        assert notes == (
            ["alpha dropped: JPEG has no place for it"] if form == "JPEG" and "A" in mode else []
        )
        assert back.getexif()[0x010E] == "maker"
        assert back.info["icc_profile"] == profile
        assert (back.info.get("xmp") or b"").startswith(b"<x:xmpmeta/>")
        if form != "JPEG":
            assert ("A" in back.mode) == ("A" in mode)
            if "A" in mode:
                difference = np.asarray(back.getchannel("A")).astype(int) - np.asarray(SLOPE)
                assert np.abs(difference).max() <= (3 if form == "AVIF" else 0)


def test_what_a_format_has_no_place_for_is_said() -> None:
    source = with_alpha(RGB)
    source.info |= {"icc_profile": P3ISH, "exif": exif.PREFIX + turned(1), "xmp": b"<x/>"}
    notes: list[str] = []
    with Image.open(io.BytesIO(picture_bytes(source, "PPM", notes.append))) as back:
        assert back.mode == "RGB"
    assert notes == [
        f"{part} dropped: PPM has no place for it" for part in ("alpha", "colour profile", "EXIF", "XMP")
    ]
    notes.clear()
    source.info |= {"exif": exif.PREFIX + turned(1) + bytes(70_000), "xmp": b"<x/>" * 20_000}
    picture_bytes(source, "JPEG", notes.append)
    assert [note.split(":")[0] for note in notes] == ["alpha dropped", "EXIF dropped", "XMP dropped"]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("form", ["PNG", "WEBP", "AVIF", "TIFF", "JPEG"])
@pytest.mark.parametrize("name", ["exif", "icc_profile", "xmp"])
def test_metadata_of_strangers_never_keeps_a_picture_from_being_written(form: str, name: str) -> None:
    for data in (
        b"\xff\0junk",
        exif.PREFIX + b"II*\0junk",
        exif.PREFIX + turned(1)[:30] + b"\xff" * 40,
        b"\0",
    ):
        source, notes = RGB.copy(), list[str]()
        source.info[name] = data
        with Image.open(io.BytesIO(picture_bytes(source, form, notes.append))) as back:
            assert back.size == (30, 20)
        called = {"exif": "EXIF", "icc_profile": "colour profile", "xmp": "XMP"}[name]
        assert notes in ([], [f"{called} dropped: it cannot be written as {form}"])


def test_a_picture_for_measuring_has_neither_alpha_nor_profile(tmp_path: Path) -> None:
    with_alpha(RGB).save(tmp_path / "a.png", icc_profile=P3ISH)
    notes: list[str] = []
    np.testing.assert_array_equal(pictures.read_picture(tmp_path / "a.png", notes.append), np.asarray(RGB))
    assert notes == ["alpha dropped", "colour profile dropped"]


def test_arrays_are_checked_as_before() -> None:
    with pytest.raises(PictureError, match="expected uint8"):
        to_raster(np.zeros((2, 2)))


def test_masked_pixels_are_refused_and_not_shown() -> None:
    levels = np.ma.masked_greater(np.full((4, 5), 7, np.uint8), 7)
    np.testing.assert_array_equal(to_raster(levels).levels[:, :, 0], 7)
    levels[1, 2] = np.ma.masked
    with pytest.raises(PictureError, match="masked pixels, expected filled ones"):
        to_raster(levels)
