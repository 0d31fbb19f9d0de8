"""Which pictures are found and read, which need a plug-in, and which are only counted."""

import importlib.util
import io
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from rdae.errors import PictureError
from rdae.pictures import FORMATS, SUFFIXES, picture_bytes, picture_in, read_picture
from rdae.pictures.formats import (
    PICTURE_SUFFIXES,
    PLUG_INS,
    UNREAD_SUFFIXES,
    is_unread,
    plug_in_for,
    readable_suffixes,
    unread_words,
)

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\0"
HEIF_OF_ANY_CODING = b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafheic"
AVIF = b"\0\0\0\x20ftypmif1\0\0\0\0mif1avifmiafMA1B"
JXL, JXL_IN_BOXES = b"\xff\x0a\x01\x02", b"\0\0\0\x0cJXL \r\n\x87\n\0\0"


@pytest.fixture
def without_plug_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where neither pillow-heif nor pillow-jxl-plugin is installed."""
    for each in PLUG_INS:
        monkeypatch.setitem(sys.modules, each.module, None)
    found = importlib.util.find_spec
    names = {each.module for each in PLUG_INS}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in names else found(name))


class Stand(ImageFile.ImageFile):
    """In the place of a plug-in: each HEIF is a red pixel."""

    format = "HEIF"

    def _open(self) -> None:
        self._size, self._mode = (1, 1), "RGB"

    def load(self) -> Any:
        self.im = Image.new("RGB", (1, 1), "red").im
        return Image.Image.load(self)


@pytest.fixture
def with_heif(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A stand-in for pillow-heif; the list says when it was registered."""
    told: list[str] = []

    def register_heif_opener() -> None:
        told.append("registered")
        Image.register_open("HEIF", Stand, lambda prefix: prefix[4:8] == b"ftyp")

    module = types.ModuleType("pillow_heif")
    module.register_heif_opener = register_heif_opener  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    return told


def test_all_that_pillow_calls_the_formats_that_are_read_is_found() -> None:
    Image.init()
    theirs = {suffix for suffix, form in Image.registered_extensions().items() if form in FORMATS}
    assert theirs - {".pfm"} <= SUFFIXES  # whose floats are refused
    assert {".jfif", ".jpe", ".gif", ".jp2", ".tga", ".qoi", ".pgm", ".pnm", ".mpo"} <= SUFFIXES
    assert not SUFFIXES & UNREAD_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in PICTURE_SUFFIXES)


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (HEIC, "HEIF"),
        (HEIF_OF_ANY_CODING, "HEIF"),
        (AVIF, None),
        (JXL, "JXL"),
        (JXL_IN_BOXES, "JXL"),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"", None),
        (b"ftyp", None),
    ],
)
def test_a_file_is_for_a_plug_in_by_what_it_holds(head: bytes, form: str | None) -> None:
    found = plug_in_for(head)
    assert (found.form if found else None) == form


@pytest.mark.usefixtures("without_plug_ins")
def test_what_needs_a_plug_in_says_which_extra_brings_it(tmp_path: Path) -> None:
    for data, words in ((HEIC, "HEIC needs pillow-heif"), (JXL, "JPEG XL needs pillow-jxl-plugin")):
        with pytest.raises(PictureError, match=rf"^{words}: pip install 'rdae\[formats\]'$"):
            picture_in(io.BytesIO(data))
    for suffix in (".heic", ".jxl"):
        with pytest.raises(PictureError, match=r"pip install 'rdae\[formats\]'$"):
            formats_of(f"x{suffix}")
    assert readable_suffixes() == SUFFIXES
    named = [f"{tmp_path}/{name}" for name in ("a.HEIC", "b.heic", "c.cr2", "d.jxl", "e.png", "f.txt", "g")]
    assert [Path(each).name for each in filter(is_unread, named)] == ["a.HEIC", "b.heic", "c.cr2", "d.jxl"]
    told = unread_words(filter(is_unread, named))
    assert told == "not read: 2 .heic, 1 .cr2, 1 .jxl; pip install 'rdae[formats]' reads .heic, .jxl"
    assert unread_words(["c.cr2"]) == "not read: 1 .cr2"
    assert unread_words([]) == ""


def formats_of(name: str) -> str:
    from rdae.pictures import format_of

    return format_of(name)


def test_a_plug_in_is_loaded_when_a_file_asks_for_it(with_heif: list[str], tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    read_picture(tmp_path / "a.png")
    assert with_heif == []
    assert picture_in(io.BytesIO(HEIC)).tolist() == [[[255, 0, 0]]]
    assert with_heif == ["registered"]


def test_jpeg_xl_is_read_and_written_where_its_plug_in_is() -> None:
    pytest.importorskip("pillow_jxl")
    picture = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert formats_of("x.jxl") == "JXL"
    lossless = picture_bytes(picture, "JXL")
    assert np.array_equal(picture_in(io.BytesIO(lossless)), picture)
    lossy = picture_bytes(picture, "JXL", quality=30)
    assert len(lossy) < len(lossless) / 2
    assert ".jxl" in readable_suffixes()
    assert not is_unread("x.jxl")


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF"])
def test_a_quality_makes_lossy_pictures_smaller_or_better(form: str) -> None:
    if form not in Image.SAVE:
        pytest.skip(f"Pillow without {form}")
    y, x = np.mgrid[:64, :96]
    levels = (
        128
        + 60 * np.sin(x[:, :, None] / (3 + np.arange(3)))
        + np.random.default_rng(1).normal(0, 9, (64, 96, 3))
    )
    picture = np.clip(levels + y[:, :, None], 0, 255).astype(np.uint8)
    files = [picture_bytes(picture, form, quality=quality) for quality in (1, 40, 90)]
    assert len(files[0]) < len(files[1]) < len(files[2])
    errors = [np.abs(picture_in(io.BytesIO(data)).astype(int) - picture).mean() for data in files]
    assert errors[0] > errors[1] > errors[2] > 0
    assert picture_bytes(picture, form) == picture_bytes(picture, form, quality=None)
    default = np.abs(picture_in(io.BytesIO(picture_bytes(picture, form))).astype(int) - picture).mean()
    assert default < errors[2]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "PPM", "JPEG2000"])
def test_a_quality_of_a_format_that_has_none_is_one_line(form: str) -> None:
    with pytest.raises(PictureError, match=f"^{form} has no quality, which is for .*JPEG"):
        picture_bytes(np.zeros((2, 2, 3), np.uint8), form, quality=50)
