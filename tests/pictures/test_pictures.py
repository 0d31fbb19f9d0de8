"""Pictures of every kind come in as uint8 RGB, and files go out whole or not at all."""

import base64
import io
import math
import os
import stat
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from sample_profiles import SRGB, gamma_profile

from rdae import limits, pictures
from rdae.errors import OutputExistsError, PictureError
from rdae.pictures import picture_in, raster, read_picture, to_rgb_array, write_picture
from rdae.storage.files import write_atomically


def gradient(height: int = 6, width: int = 9) -> pictures.Picture:
    """Every pixel differs from its neighbours, so that no turn or swap goes unnoticed."""
    y, x = np.mgrid[:height, :width]
    return np.stack([7 * x + 20 * y, 255 - 9 * x, 40 + 31 * y], axis=2).astype(np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (17, 1), (65, 64)])
def test_a_png_comes_back_as_written(tmp_path: Path, size: tuple[int, int]) -> None:
    picture = gradient(*size)
    write_picture(tmp_path / "a.png", picture)
    read = read_picture(tmp_path / "a.png")
    assert read.dtype == np.uint8
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, picture)


@pytest.mark.parametrize("suffix", [".bmp", ".ppm", ".webp", ".tiff", ".JPG"])
def test_the_suffix_names_the_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    picture = gradient(32, 48)
    write_picture(path, Image.fromarray(picture))
    with Image.open(path) as image:
        assert image.format == pictures.format_of(path)
    difference = read_picture(path).astype(int) - picture
    assert abs(difference).mean() < (3 if suffix == ".JPG" else 1e-9)


def test_grey_and_palette_pictures_become_rgb() -> None:
    image = Image.fromarray(gradient())
    for mode in ("L", "1", "P", "CMYK", "YCbCr"):
        expected = image.convert(mode).convert("RGB")
        np.testing.assert_array_equal(to_rgb_array(image.convert(mode)), np.asarray(expected))


def test_alpha_is_dropped_with_a_note_and_the_colours_stay() -> None:
    notes: list[str] = []
    picture = gradient()
    rgba = np.dstack([picture, np.arange(54, dtype=np.uint8).reshape(6, 9)])
    np.testing.assert_array_equal(to_rgb_array(Image.fromarray(rgba), notes.append), picture)
    np.testing.assert_array_equal(to_rgb_array(rgba, notes.append), picture)
    grey = Image.fromarray(picture[:, :, 0])
    grey.putalpha(7)
    np.testing.assert_array_equal(to_rgb_array(grey, notes.append)[:, :, 1], picture[:, :, 0])
    assert notes == ["alpha dropped"] * 3


def test_a_palette_with_transparency_loses_it_with_a_note(tmp_path: Path) -> None:
    image = Image.fromarray(gradient()).quantize(16)
    image.save(tmp_path / "a.png", transparency=bytes(range(16)))
    notes: list[str] = []
    np.testing.assert_array_equal(
        read_picture(tmp_path / "a.png", notes.append), np.asarray(image.convert("RGB"))
    )
    assert notes == ["alpha dropped"]


def test_sixteen_bits_are_rounded_to_eight(tmp_path: Path) -> None:
    levels = np.array([[0, 128, 129, 257, 32768, 65407, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    notes: list[str] = []
    read = read_picture(tmp_path / "a.png", notes.append)
    assert read[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255, 255]  # x / 257, rounded
    np.testing.assert_array_equal(read[:, :, 0], read[:, :, 2])
    assert notes == ["16 bits rounded to 8"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"P6\n2 1\n65535\n" + bytes(12), ["16 bits rounded to 8"]),
        (b"P3\n1 1\n1023\n1 2 3 ", ["10 bits rounded to 8"]),
        (b"P6\n2 1\n255\n" + bytes(6), []),
        (b"P6\n2 1\n3\n" + bytes(6), []),
    ],
)
def test_deep_samples_of_a_ppm_are_noted(data: bytes, expected: list[str]) -> None:
    notes: list[str] = []
    picture_in(io.BytesIO(data), notes.append)
    assert notes == expected


DEEP_AVIF = {  # of 2 x 2 pixels, deflated
    10: (
        "c-muNU{FXasVqn=%S>Yc0uY^>nP!-qnV9D5Xy^zOdYzkElE?r7iWw<6MNl?FL1uCZ0~+8f$SlbPvlxL`E;A=T8N_h`@fjhajKV-"
        "#9*8wEGxO5mYNddjR3<1dvCP2GIX@>KY*$uhK~Vva_RcIw&Ii&WnZ*UEQ2UsmSfC)YA`>LQ%*Dk8q<9j`44oSl96&<C$@w`&dC55"
        "yK$T1kYz;sm@yvo;n4f?SV_{@!W&twQb5jyagc!KkEf~x;C@5qa2}wF7vmCkXYwW1PFu{H{Pr}3m00+x7YX"
    ),
    12: (
        "c-muNV30{GsVqn=%S>Yc0uY^>nP!-qnF!*)&P^>zWPkw0jFg-rD4U@mGr5ET4e%9YmgIt2j6f`xnUkLk;<$kLj1W;qeju#?#2T5I"
        "d1-L9Qb0~B6O@-&W?<-?pOX)^D=V|0r~pWNXBH&q18I@W;(}DDeN0d+P>@-"
        "X2@+uD;o$*NJc(t7&W#QUAR*!8{G6h^<eUniN+t%j2B465W<f5@Pe6yUFfui>fLxTDl2{_dz{L^4V77&WLrTF&NYW{p<;Z1UV@DN"
        "+3HGyj5?yxy01F~Beg"
    ),
}


@pytest.mark.skipif(not features.check("avif"), reason="a Pillow without AVIF")
@pytest.mark.parametrize("bits", [8, *DEEP_AVIF])
def test_deep_samples_of_an_avif_are_noted(bits: int) -> None:
    buffer, notes = io.BytesIO(), list[str]()
    if bits == 8:
        Image.fromarray(gradient()).save(buffer, "AVIF")
    else:
        buffer.write(zlib.decompress(base64.b85decode(DEEP_AVIF[bits])))
    buffer.seek(0)
    assert picture_in(buffer, notes.append).shape == ((6, 9, 3) if bits == 8 else (2, 2, 3))
    assert notes == ([] if bits == 8 else [f"{bits} bits rounded to 8"])


def test_orientation_is_applied(tmp_path: Path) -> None:
    picture = gradient()
    image = Image.fromarray(picture)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter clockwise to be seen
    image.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), np.rot90(picture, -1))


def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path) -> None:
    frames = [Image.fromarray(gradient()), Image.fromarray(255 - gradient())]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    notes: list[str] = []
    np.testing.assert_array_equal(read_picture(tmp_path / "a.webp", notes.append), gradient())
    assert notes == ["only the first of 2 frames taken"]


def test_another_colour_profile_is_dropped_with_a_note(tmp_path: Path) -> None:
    image = Image.fromarray(gradient())
    notes: list[str] = []
    for profile in (SRGB, gamma_profile(3.0), b"no profile"):
        image.save(tmp_path / "a.png", icc_profile=profile)
        np.testing.assert_array_equal(read_picture(tmp_path / "a.png", notes.append), gradient())
    assert notes == ["colour profile dropped", "unusable colour profile dropped"]


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with pytest.raises(FileNotFoundError):
        read_picture(path)
    path.write_bytes(b"")
    with pytest.raises(PictureError, match="empty"):
        read_picture(path)
    path.write_bytes(b"a text, not a picture\n" * 10)
    with pytest.raises(PictureError, match="not a picture"):
        read_picture(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff", ".gif"])
def test_a_picture_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_picture(path, gradient(40, 40))
    data = path.read_bytes()
    for length in range(0, len(data) // 2, 10):
        path.write_bytes(data[:length])
        with pytest.raises(PictureError) as caught:
            read_picture(path)
        assert "\n" not in str(caught.value)


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [10_001, 12_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_is_read(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_that_claims(side, side))
    with pytest.raises(PictureError, match=r"expected at most|exceeds limit"):
        read_picture(path)


def test_as_many_pixels_as_a_file_may_claim_can_be_compressed_and_no_more() -> None:
    side = math.isqrt(limits.MAX_PIXELS)
    assert side * side == limits.MAX_PIXELS
    raster.check_size(side, side)
    with pytest.raises(PictureError, match=rf"has {side} x {side + 1} pixels, expected at most 100000000\Z"):
        raster.check_size(side, side + 1)
    with pytest.raises(PictureError, match="1 x 3000000 pixels, which count as 64 x 3000000, expected"):
        raster.check_size(1, 3_000_000)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4, 2), np.uint8), "shape"),
        (np.zeros((4,), np.uint8), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "4 x 0"),
    ],
)
def test_arrays_of_another_form_are_refused(array: np.ndarray, found: str) -> None:
    with pytest.raises(PictureError, match=found):
        to_rgb_array(array)


def test_grey_arrays_become_rgb() -> None:
    grey = gradient()[:, :, 0]
    for array in (grey, grey[:, :, None]):
        np.testing.assert_array_equal(to_rgb_array(array), np.stack([grey] * 3, axis=2))


def test_floating_point_pictures_are_refused() -> None:
    with pytest.raises(PictureError, match="floating-point"):
        to_rgb_array(Image.new("F", (2, 2)))


def test_an_unknown_suffix_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    for name in ("a.xyz", "a", "a.rdae"):
        with pytest.raises(PictureError, match="suffix"):
            write_picture(tmp_path / name, gradient())
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    write_atomically(path, b"old")
    with pytest.raises(OutputExistsError, match="--force"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    write_atomically(path, b"new", force=True)
    assert path.read_bytes() == b"new"
    with pytest.raises(OutputExistsError, match="folder"):
        write_atomically(tmp_path, b"new", force=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new", force=True)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_link_goes_on_pointing_where_it_did(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"old")
    link.symlink_to(path)
    write_atomically(link, b"new", force=True)
    assert link.is_symlink()
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_atomically(tmp_path / "ours", b"")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "ours")}
    assert len(modes) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_written_to_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomically(pipe, b"through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.parametrize("suffix", [".dds", ".sgi", ".tga"])
def test_alpha_is_kept_where_there_is_a_place_for_it(suffix: str) -> None:
    image = Image.fromarray(gradient(20, 32))
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    notes: list[str] = []
    data = pictures.picture_bytes(image, pictures.format_of(f"x{suffix}"), notes.append)
    with Image.open(io.BytesIO(data)) as found:
        assert found.convert("RGBA").tobytes() == image.tobytes()
    assert notes == []
