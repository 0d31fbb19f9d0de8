"""Large pictures: taken a band at a time, kept in a file, and the same picture and bytes as when held whole."""

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from sample_profiles import gamma_profile
from tiny_model import photo

from rdae.codec import encode
from rdae.networks.model import Model
from rdae.pictures import spool
from rdae.pictures.images import from_pillow
from rdae.pictures.raster import Raster


def images() -> dict[str, Image.Image]:
    """A picture in each mode that is converted in its own way."""
    rgb = Image.fromarray(photo(37, 23))
    rgba = rgb.convert("RGBA")
    rgba.putalpha(Image.fromarray(np.arange(37 * 23, dtype=np.uint8).reshape(37, 23)))
    some = rgb.convert("RGBA")
    some.putpixel((3, 30), (1, 2, 3, 4))  # transparent in one band only
    sixteen = Image.fromarray(photo(37, 23)[:, :, 0].astype(np.uint16) * 257)
    palette = rgb.quantize(9)
    keyed = palette.copy()
    keyed.info["transparency"] = 3
    profiled = rgb.copy()
    profiled.info["icc_profile"] = gamma_profile(1.8)
    made = {"rgb": rgb, "rgba": rgba, "some": some, "sixteen": sixteen, "palette": palette, "keyed": keyed}
    made |= {
        "profiled": profiled,
        "cmyk": rgb.convert("CMYK"),
        "la": rgba.convert("LA"),
        "grey": rgb.convert("L"),
    }
    return made | {"bits": rgb.convert("1"), "lab": ImageOps.invert(rgb).convert("YCbCr")}


def same(one: Raster, other: Raster) -> bool:
    if one.alpha is None or other.alpha is None:
        alphas_are_same = one.alpha is other.alpha
    else:
        alphas_are_same = np.array_equal(one.alpha, other.alpha)
    rest = (one.grey, one.icc, one.exif, one.xmp) == (other.grey, other.icc, other.exif, other.xmp)
    return alphas_are_same and rest and np.array_equal(one.levels, other.levels)


@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("name", images())
def test_bands_of_a_picture_make_the_same_picture(
    monkeypatch: pytest.MonkeyPatch, name: str, metadata: bool
) -> None:
    image = images()[name]
    notes: list[str] = []
    whole = from_pillow(image, notes.append, metadata=metadata)
    monkeypatch.setattr("rdae.pictures.images.BAND_PIXELS", 23 * 5)
    monkeypatch.setattr(spool, "HELD_PIXELS", 10)
    again: list[str] = []
    banded = from_pillow(image, again.append, metadata=metadata)
    assert same(whole, banded)
    assert again == notes  # each said once


@pytest.mark.parametrize("orientation", range(1, 9))
def test_bands_of_a_turned_picture_are_those_of_the_upright_one(
    monkeypatch: pytest.MonkeyPatch, orientation: int
) -> None:
    monkeypatch.setattr("rdae.pictures.images.BAND_PIXELS", 23 * 4)
    image = Image.fromarray(photo(37, 23))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    with Image.open(file) as opened:
        found = from_pillow(opened)
        upright = ImageOps.exif_transpose(opened)
    assert np.array_equal(found.levels, np.asarray(upright))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_levels_in_a_file_are_levels_as_any_other(
    tiny: Model, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    image = Image.fromarray(photo(300, 200)).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize((200, 300)).point(lambda level: max(level - 99, 0)))
    held = from_pillow(image)
    monkeypatch.setattr(spool, "HELD_PIXELS", 10)
    spooled = from_pillow(image)
    assert not spooled.levels.flags.owndata
    assert not spooled.levels.flags.writeable
    spool.release(spooled.levels)
    spool.release(spooled.levels[10:20, ::2])
    spool.release(held.levels)  # of which there is nothing to give back
    assert same(held, spooled)
    data = encode.compress(spooled, tiny, 400, tile=4, verify=True)
    monkeypatch.undo()
    assert data == encode.compress(held, tiny, 400, tile=4)


def test_a_grey_picture_is_kept_once_not_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD_PIXELS", 10)
    grey = Image.fromarray(photo(40, 30)[:, :, 1])
    found = from_pillow(grey)
    assert found.grey
    assert found.levels.shape == (40, 30, 3)
    assert found.levels.strides[2] == 0
    assert np.array_equal(found.levels, np.repeat(np.asarray(grey)[:, :, None], 3, axis=2))


class Full:
    """A file on a disk that is full after so many bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: memoryview) -> int:
        if self._file.tell() == self._room:
            raise OSError(28, "No space left on device")
        return int(self._file.write(data[: self._room - self._file.tell()]))

    def __enter__(self) -> Any:
        return self._file.__enter__()

    def __exit__(self, *reason: object) -> None:
        self._file.__exit__(*reason)


@pytest.mark.parametrize("room", [0, 23 * 3 * 12])
def test_a_full_disk_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    make = tempfile.TemporaryFile
    monkeypatch.setattr("rdae.pictures.images.BAND_PIXELS", 23 * 5)
    monkeypatch.setattr(spool, "HELD_PIXELS", 10)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **how: Full(make(**how), room))
    levels = from_pillow(Image.fromarray(photo(37, 23))).levels
    assert levels.flags.writeable
    assert np.array_equal(levels, photo(37, 23))


def test_without_a_place_for_files_pictures_are_held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(spool, "HELD_PIXELS", 10)
    monkeypatch.setattr(spool, "_folder", lambda: str(tmp_path / "nowhere"))
    levels = from_pillow(Image.fromarray(photo(37, 23))).levels
    assert levels.flags.writeable
    assert np.array_equal(levels, photo(37, 23))


def test_large_files_go_where_the_user_says_else_to_a_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(spool, "_LARGE_FILES", tmp_path)
    assert spool._folder() == str(tmp_path)
    monkeypatch.setattr(spool, "_LARGE_FILES", tmp_path / "nowhere")
    assert spool._folder() is None
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    monkeypatch.setattr(spool, "_LARGE_FILES", tmp_path)
    assert spool._folder() is None  # which asks TMPDIR
