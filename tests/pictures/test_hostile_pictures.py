"""Input pictures of every evil kind, through the command line: a file that decodes, or one line and nothing left."""

from __future__ import annotations

import os
import resource
import shutil
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from fuzzing import frozen_path
from PIL import Image, ImageFile, features
from rdae_command import Result, rdae_command
from tiny_model import photo

from rdae.codec.container import parse

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes and devices")


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def compress(name: str) -> Result:
    return rdae_command("compress", name, "-o", "out.rdae", "-q", "20", "--model", str(frozen_path()))


def assert_refused(name: str, *words: str) -> None:
    """One line, status 1, and a folder as it was."""
    before = sorted(Path().iterdir())
    result = compress(name)
    assert result.exit_code == 1, result
    assert result.stderr.startswith(f"rdae: {name}: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr
    assert sorted(Path().iterdir()) == before


def assert_taken(name: str, size: tuple[int, int], *notes: str) -> None:
    """Compressed with these notes and no others; the file decodes to a picture of that size."""
    result = compress(name)
    assert result.exit_code == 0, result
    assert result.stderr.splitlines()[:-1] == [f"rdae: {name}: {note}" for note in notes]
    header = parse(Path("out.rdae").read_bytes()).header
    assert (header.width, header.height) == size
    done = rdae_command("decompress", "out.rdae", "-o", "back.png", "--model", str(frozen_path()))
    assert done.exit_code == 0, done
    with Image.open("back.png") as back:
        assert back.size == size


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, lines: bytes, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG by hand. lines: what is compressed into IDAT; chunks: what goes before it."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def picture(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(photo(20, 30)).convert(mode)


# Size


@pytest.mark.parametrize(
    ("width", "height"),
    [(10_001, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1), (1, 2**31 - 1)],
)
def test_a_decompression_bomb_is_refused_by_what_it_claims(width: int, height: int) -> None:
    Path("bomb.png").write_bytes(png(width, height, bytes(100)))
    began = time.process_time()
    assert_refused("bomb.png")
    assert time.process_time() - began < 1


def test_a_bomb_within_the_limit_that_brings_too_few_bytes_is_refused() -> None:
    Path("bomb.png").write_bytes(png(5000, 4000, bytes(100)))
    assert_refused("bomb.png", "damaged or cut short")


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 0), (0, 0)])
def test_a_picture_without_pixels_is_refused(width: int, height: int) -> None:
    Path("zero.png").write_bytes(png(width, height, b""))
    assert_refused("zero.png")
    Path("zero.ppm").write_bytes(f"P6 {width} {height} 255\n".encode())
    assert_refused("zero.ppm")
    bmp = (
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)
    )
    Path("zero.bmp").write_bytes(bmp)
    assert_refused("zero.bmp")


def test_bombs_inside_metadata_do_not_go_off() -> None:
    """A hundred megabytes of zeros in a compressed text or profile, in a hundred kilobytes of file."""
    zeros = zlib.compress(bytes(100_000_000))
    lines = b"".join(b"\0" + bytes(30) for _ in range(10))
    for kind, head in ((b"iCCP", b"profile\0\0"), (b"zTXt", b"text\0\0"), (b"iTXt", b"text\0\1\0\0\0")):
        Path("bomb.png").write_bytes(png(10, 10, lines, chunk(kind, head + zeros)))
        before_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        result = compress("bomb.png")
        assert result.exit_code in (None, 0, 1), result
        dropped = result.stderr.startswith(
            "rdae: bomb.png: colour profile dropped: it is damaged, or too long\n"
        )
        assert result.stderr.count("\n") == 1 + dropped + ("not kept: PNG text " in result.stderr)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before_bytes < 150_000_000
        Path("out.rdae").unlink(missing_ok=True)


def test_a_picture_of_many_pixels_in_few_bytes_is_a_picture() -> None:
    """Not all that expands is a bomb: a page of one colour."""
    Image.new("1", (2000, 1500)).save("page.png")
    assert Path("page.png").stat().st_size < 1000
    assert_taken("page.png", (2000, 1500))


# Damage


@pytest.mark.parametrize("form", ["png", "jpg", "gif", "webp", "tif", "bmp", "ppm"])
def test_a_picture_cut_short_is_refused(form: str) -> None:
    picture().save(f"whole.{form}")
    data = Path(f"whole.{form}").read_bytes()
    Path(f"whole.{form}").unlink()
    for part in (0.02, 0.3, 0.6, 0.9):
        Path(f"cut.{form}").write_bytes(data[: int(len(data) * part)])
        assert_refused(f"cut.{form}")


@pytest.mark.parametrize("form", ["png", "jpg", "gif", "webp", "tif", "bmp", "tga", "jp2", "ico", "pcx"])
def test_damaged_pictures_are_read_or_refused(form: str) -> None:
    """A flipped byte may go unnoticed in a format without checksums: then it is a picture, and else one line."""
    if form == "jp2" and not features.check("jpg_2000"):
        pytest.skip("this Pillow knows no JPEG 2000")
    picture().save(f"whole.{form}")
    data = Path(f"whole.{form}").read_bytes()
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(12):
        hurt = bytearray(data)
        # Half of the damage to the first bytes, where sizes and types are.
        at = int(rng.integers(len(data) if rng.random() < 0.5 else min(60, len(data))))
        hurt[at] = int(rng.integers(256))
        Path(f"hurt.{form}").write_bytes(hurt)
        result = compress(f"hurt.{form}")
        if result.exit_code == 1:
            refused += 1
            assert result.stderr.splitlines()[-1].startswith(f"rdae: hurt.{form}: ")
            assert not Path("out.rdae").exists()
        else:
            assert result.exit_code == 0, result
            Path("out.rdae").unlink()
        assert not list(Path().glob(".rdae-*"))
    assert refused


# Metadata


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0",
        b"Exif\0\0MM\0*\0\0\0\x08" + b"\xff" * 60,
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\xff\xff\xff\xff\x08\0\0\0",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\1\0\0\0\x08\0\0\0\x08\0\0\0",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0six\0\0\0\0\0",
        b"no exif at all",
        b"Exif\0\0" + bytes(65_000),
    ],
    ids=["far offset", "empty", "garbage", "endless string", "loop", "orientation in words", "other", "huge"],
)
def test_broken_exif_does_not_lose_the_picture(exif: bytes) -> None:
    picture().save("a.jpg", exif=exif)
    result = compress("a.jpg")
    assert result.exit_code == 0, result
    header = parse(Path("out.rdae").read_bytes()).header
    assert (header.width, header.height) == (30, 20)


@pytest.mark.parametrize("orientation", [0, 9, 255, 65_535])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture().save("a.jpg", exif=exif)
    assert_taken("a.jpg", (30, 20))


def test_a_huge_or_broken_colour_profile_is_dropped() -> None:
    for number, profile in enumerate((os.urandom(1_000_000), b"", b"\0" * 200)):
        picture().save(f"a{number}.jpg", icc_profile=profile)
        assert_taken(f"a{number}.jpg", (30, 20), *(["unusable colour profile dropped"] if profile else []))
        Path("out.rdae").unlink()
        Path("back.png").unlink()


# Kinds


@pytest.mark.parametrize(
    ("mode", "form", "notes"),
    [
        ("CMYK", "jpg", ["CMYK converted to RGB without a profile"]),
        ("CMYK", "tif", ["CMYK converted to RGB without a profile"]),
        ("LAB", "tif", ["LAB converted to sRGB"]),
        ("YCbCr", "jpg", []),
        ("1", "png", []),
        ("1", "tif", []),
        ("L", "jpg", []),
        ("LA", "png", []),
        ("RGBA", "png", []),
        ("RGBA", "webp", []),
        ("P", "png", []),
        ("P", "gif", []),
    ],
)
def test_every_kind_of_picture_comes_in(mode: str, form: str, notes: list[str]) -> None:
    image = picture().quantize(16) if mode == "P" else picture("RGB" if mode == "LAB" else mode)
    if mode == "RGBA":
        image.putalpha(99)
    if mode == "LAB":
        image = Image.frombytes("LAB", image.size, photo(20, 30).tobytes())
    image.save(f"a.{form}")
    assert_taken(f"a.{form}", (30, 20), *notes)


def test_a_palette_with_transparency_comes_in() -> None:
    picture().quantize(16).save("a.png", transparency=bytes(range(16)))
    assert_taken("a.png", (30, 20))
    Path("out.rdae").unlink()
    Path("back.png").unlink()
    picture().quantize(16).save("a.gif", transparency=3)
    assert_taken("a.gif", (30, 20))


@pytest.mark.parametrize("form", ["png", "tif"])
def test_sixteen_bit_grey_comes_in(form: str) -> None:
    Image.fromarray(photo(20, 30)[:, :, 0].astype(np.uint16) * 257).save(f"a.{form}")
    assert_taken(f"a.{form}", (30, 20), "16 bits rounded to 8")


def test_sixteen_bit_colour_comes_in() -> None:
    levels: npt.NDArray[np.uint16] = photo(20, 30).astype(np.uint16) * 257
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in levels)
    Path("a.png").write_bytes(png(30, 20, lines, depth=16))
    assert_taken("a.png", (30, 20), "16 bits rounded to 8")
    deep = Path("out.rdae").read_bytes()
    Path("out.rdae").unlink()
    Image.fromarray(photo(20, 30)).save("b.png")
    compress("b.png")
    assert Path("out.rdae").read_bytes() == deep


def test_floating_point_and_wide_integers_are_refused() -> None:
    Image.fromarray(photo(20, 30)[:, :, 0].astype(np.float32) / 255).save("float.tif")
    assert_refused("float.tif", "floating-point")
    Image.fromarray(photo(20, 30)[:, :, 0].astype(np.int32) * 100_000).save("wide.tif")
    assert_refused("wide.tif", "signed samples of 32 bits")


@pytest.mark.parametrize("form", ["gif", "png", "webp", "tif"])
def test_of_an_animation_the_first_frame_is_taken(form: str) -> None:
    frames = [picture(), Image.fromarray(255 - photo(20, 30)), picture().rotate(180)]
    frames[0].save(f"a.{form}", save_all=True, append_images=frames[1:])
    assert_taken(f"a.{form}", (30, 20), "only the first of 3 frames taken")


# What is no picture


def test_a_text_by_another_name_is_refused() -> None:
    Path("a.png").write_text("Dear reader,\nthis is not a picture.\n" * 50)
    assert_refused("a.png", "not a picture")


def test_a_folder_is_refused() -> None:
    Path("a.png").mkdir()
    assert_refused("a.png", "Is a directory")


def test_devices_are_refused_at_once() -> None:
    for device in ("/dev/zero", "/dev/null"):
        for command in ("compress", "decompress", "info"):
            output = [] if command == "info" else ["-o", "out.png"]
            result = rdae_command(command, device, *output)
            assert result == Result(1, "", f"rdae: {device}: a device, expected a file\n")
    assert not Path("out.png").exists()


def test_a_pipe_that_nobody_writes_to_is_refused_at_once() -> None:
    os.mkfifo("a.png")
    assert_refused("a.png", "the file is empty")
    for command in ("decompress", "info"):
        result = rdae_command(command, "a.png")
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1


def test_a_picture_may_come_through_a_pipe() -> None:
    picture().save("a.png")
    data = Path("a.png").read_bytes()
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    assert_taken(f"/dev/fd/{reader}", (30, 20))
    thread.join()
    os.close(reader)


def test_a_file_too_large_for_any_picture_is_refused() -> None:
    picture().save("a.png")
    os.truncate("a.png", 10 << 30)  # a hole, which takes no room
    assert_refused("a.png", "expected at most")


@pytest.fixture
def ghostscript(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A program gs on the path that leaves a trace when it is started."""
    programs = tmp_path / "programs"
    programs.mkdir()
    trace = tmp_path / "trace"
    (programs / "gs").write_text(f"#!/bin/sh\ntouch {trace}\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    yield trace
    shutil.rmtree(programs)


def test_no_program_is_started_for_a_picture(ghostscript: Path) -> None:
    """EPS is a program too; Pillow would hand it to Ghostscript."""
    Path("a.png").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    )
    assert_refused("a.png", "not a picture")
    assert not ghostscript.exists()


# Names and messages


@pytest.mark.parametrize("name", ["a\nb.png", "a\x1b[31mred.png", "a\u202eb.png", "-.png"])
def test_a_line_stays_a_line_whatever_a_file_is_called(name: str) -> None:
    Path(f"./{name}").write_text("no picture")
    result = rdae_command("compress", "--", name)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.rstrip("\n").isprintable()
    assert ascii(name)[1:-1].replace("\\n", " ") in ascii(result.stderr).replace("\\\\", "\\")


def test_names_that_are_no_text_are_written_somehow() -> None:
    name = os.fsdecode(b"\xff\xfe.png")
    picture().save("a.png")
    try:
        Path("a.png").rename(name)
    except OSError:
        pytest.skip("this file system takes only text")
    command = [sys.executable, "-m", "rdae.cli"]
    model = ("--model", str(frozen_path()))
    for arguments in (
        ("compress", name, *model),
        ("info", os.fsdecode(b"\xff\xfe.rdae")),
        ("decompress", os.fsdecode(b"\xff\xfe.rdae"), *model),  # which is there already
    ):
        done = subprocess.run([*command, *arguments], capture_output=True, check=False)
        assert b"Traceback" not in done.stderr, done.stderr.decode(errors="replace")


def test_errors_deep_inside_pillow_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    picture().save("a.png")

    def raising(error: BaseException) -> Callable[..., None]:
        def load(*_: object) -> None:
            raise error

        return load

    for error, words in (
        (ZeroDivisionError("by nothing\nat all"), "by nothing at all"),
        (RecursionError(), "RecursionError"),
        (MemoryError(), "not enough memory for 30 x 20 pixels"),
        (KeyError("\x1b[2J"), "damaged"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(ImageFile.ImageFile, "load", raising(error))
            assert_refused("a.png", words)
