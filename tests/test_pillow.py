"""Pillow with `import rdae.pillow`: .rdae is a format like any other, and its errors are Pillow's."""

import copy
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError
from sample_profiles import gamma_profile
from tiny_model import photo

import rdae
import rdae.pillow
from rdae import api, pictures
from rdae.codec import container
from rdae.codec.container import SectionType

PROFILE = gamma_profile(1.8)


@pytest.fixture(autouse=True)
def model(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> api.Model:
    """The small model, for compressing and for all files that name it."""
    opened = rdae.open_model(tiny_path)
    monkeypatch.setattr(api, "_opened", {None: opened, opened.model_id: opened})
    return opened


def saved(image: Image.Image, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, "RDAE", **options)
    file.seek(0)
    return file


def exif(text: str = "by hand") -> Image.Exif:
    found = Image.Exif()
    found[0x010E] = text
    return found


def picture(mode: str = "RGB") -> Image.Image:
    image = Image.fromarray(photo(20, 30))
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize((30, 20)))
    return image.convert(mode)


def test_a_model_that_is_not_there_is_an_error_of_pillows_kind() -> None:
    with pytest.raises(OSError, match="cannot write as RDAE: no model is called nope"):
        saved(picture(), model="nope")


def test_what_is_dropped_is_told_to_whoever_asks() -> None:
    told: list[str] = []
    saved(picture("RGB").convert("HSV"), note=told.append)
    assert told == ["HSV converted to RGB without a profile"]


def test_a_target_and_what_metadata_is_kept_are_options(model: api.Model) -> None:
    image = picture("RGB")
    image.info["xmp"], image.info["icc_profile"] = b"<x:xmpmeta/>", b"no profile that anybody knows"
    small = saved(image, model=model, target=rdae.Target("size", 900))
    assert len(small.getvalue()) <= 900
    assert "xmp" in Image.open(small).info
    assert "xmp" not in Image.open(saved(image, model=model, metadata=False)).info


def test_alpha_may_have_fewer_levels_or_a_background() -> None:
    exact, few, none = (
        Image.open(saved(picture("RGBA"), **options))
        for options in ({}, {"alpha_quality": 0}, {"background": "black"})
    )
    assert exact.getchannel("A").tobytes() == picture("RGBA").getchannel("A").tobytes()
    assert set(few.getchannel("A").tobytes()) == {0, 255}
    none.load()
    assert none.mode == "RGB"
    assert np.asarray(none)[0].mean() < np.asarray(exact.convert("RGB"))[0].mean()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_picture_is_saved_and_opened_like_any_other(tmp_path: Path, mode: str, model: api.Model) -> None:
    image = picture(mode)
    image.save(tmp_path / "a.rdae", quality=80)
    data = (tmp_path / "a.rdae").read_bytes()
    assert data == rdae.compress(image, 80)
    with Image.open(tmp_path / "a.rdae") as opened:
        assert (opened.format, opened.mode, opened.size) == ("RDAE", mode, (30, 20))
        assert opened.get_format_mimetype() == "image/x-rdae"
        np.testing.assert_array_equal(np.asarray(opened), np.asarray(model.decompress(data)))


def test_quality_and_model_are_options(model: api.Model, tiny_path: Path) -> None:
    image = picture()
    assert (
        saved(image).getvalue() == saved(image, quality=50).getvalue() != saved(image, quality=90).getvalue()
    )
    for chosen in (model, tiny_path, str(tiny_path)):
        assert saved(image, model=chosen, verify=True).getvalue() == saved(image).getvalue()
    with pytest.raises(ValueError, match="expected 0 to 100"):
        saved(image, quality=101)


def test_metadata_is_there_before_the_picture_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved(picture(), icc_profile=PROFILE, exif=exif(), xmp=b"<x:xmpmeta/>" * 20)
    monkeypatch.setattr(rdae, "decompress", None)
    with Image.open(file) as opened:
        assert opened.info["icc_profile"] == PROFILE
        assert opened.info["xmp"] == b"<x:xmpmeta/>" * 20
        assert opened.getexif()[0x010E] == "by hand"


def test_an_image_keeps_its_metadata_unless_other_is_given() -> None:
    first = Image.open(saved(picture(), icc_profile=PROFILE, exif=exif(), xmp=b"<x/>"))
    assert Image.open(saved(first)).info == first.info
    second = Image.open(saved(first, exif=exif("other").tobytes(), icc_profile=None, xmp="<y/>"))
    assert "icc_profile" not in second.info
    assert (second.getexif()[0x010E], second.info["xmp"]) == ("other", b"<y/>")
    assert first.info["icc_profile"] == PROFILE


def test_metadata_behind_the_latents_is_found_too() -> None:
    parsed = container.parse(saved(picture(), xmp=b"<x/>", exact=False).getvalue())
    turned = container.Container(parsed.header, parsed.sections[::-1], parsed.latent_checksum)
    assert [section.type for section in turned.sections] == [SectionType.LATENTS, SectionType.XMP]
    assert Image.open(io.BytesIO(container.pack(turned))).info["xmp"] == b"<x/>"


def test_opening_reads_little_and_loads_no_torch(tmp_path: Path) -> None:
    picture("LA").save(tmp_path / "a.rdae", xmp=b"<x/>")
    with (tmp_path / "a.rdae").open("r+b") as file:
        file.seek(-40, io.SEEK_END)
        file.write(bytes(40))  # which opening does not see
    program = (
        "import sys, rdae; assert 'PIL' not in sys.modules; import rdae.pillow; from PIL import Image\n"
        "image = Image.open(sys.argv[1]); print(image.mode, image.size, image.info, 'torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.rdae")], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "LA (30, 20) {'xmp': b'<x/>'} False\n"


def test_what_is_no_rdae_file_is_left_to_others() -> None:
    good = saved(picture()).getvalue()
    newer = good[:4] + b"\x20" + good[5:]
    for data in (b"", b"RDA", b"RDAE", b"RDAE\x10", good[:10], newer, b"GIF89a", b"garbage" * 9):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(data))


def test_a_damaged_file_is_an_os_error_when_it_is_loaded() -> None:
    good = saved(picture(), xmp=b"<x/>" * 30).getvalue()
    for data in (good[:-1], good[:60], good + b"!", good[:70] + bytes([good[70] ^ 1]) + good[71:]):
        image = Image.open(io.BytesIO(data))
        with pytest.raises(OSError, match=r"cut short|checksum|follows its end"):
            image.load()
        with pytest.raises(OSError, match=r"cut short|checksum|follows its end"):
            Image.open(io.BytesIO(data)).verify()
    Image.open(io.BytesIO(good)).verify()


def test_a_file_of_an_unknown_model_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.open(saved(picture(), exact=False))
    monkeypatch.setattr(api, "_opened", {})
    with pytest.raises(OSError, match="model"):
        image.load()


def test_a_picture_that_cannot_be_coded_is_an_os_error() -> None:
    with pytest.raises(OSError, match="floating-point"):
        saved(Image.new("F", (3, 3)))


def test_lies_about_sections_cost_nothing() -> None:
    header = saved(picture(), xmp=b"<x/>").getvalue()[:14]
    for lie in (
        b"\x85\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x85\x05\x01!!!!",
        b"\x85\x80\x80\x80\x01",
        b"\x00\x00" * 70_000,
    ):
        assert Image.open(io.BytesIO(header + lie + bytes(8))).info == {}


def test_pillow_limits_the_size_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved(picture())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(file)


def test_images_are_copied_pickled_and_made_small() -> None:
    file = saved(picture())
    levels = np.asarray(Image.open(file))
    for made in (pickle.loads(pickle.dumps(Image.open(file))), copy.copy(Image.open(file))):  # noqa: S301 - ours
        np.testing.assert_array_equal(np.asarray(made), levels)
    small = Image.open(file)
    small.thumbnail((10, 10))
    assert small.size == (10, 7)


@pytest.fixture
def scales(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The scale of each decode from now on."""
    found, right = list[int](), rdae.decompress

    def decompress(data: bytes, **options: Any) -> Image.Image:
        found.append(options["scale"])
        return right(data, **options)

    monkeypatch.setattr(rdae, "decompress", decompress)
    return found


@pytest.mark.parametrize(
    ("asked", "scale"),
    [
        ((125, 83), 8),
        ((126, 60), 4),
        ((500, 10), 2),
        ((501, 334), 1),
        ((2000, 2000), 1),
        ((1, 1), 8),
        ((0, 0), 8),
    ],
)
def test_a_draft_is_decoded_at_a_part_of_the_size(
    model: api.Model, scales: list[int], asked: tuple[int, int], scale: int
) -> None:
    file = saved(Image.fromarray(photo(667, 1001)))
    image = Image.open(file)
    found = image.draft("RGB", asked)
    expected = None if scale == 1 else ("RGB", (0, 0, 1001 / scale, 667 / scale))
    assert found == expected
    assert image.size == (-(-1001 // scale), -(-667 // scale))
    np.testing.assert_array_equal(
        np.asarray(image), np.asarray(model.decompress(file.getvalue(), scale=scale))
    )
    assert scales == [scale]
    assert image.draft("RGB", (1, 1)) is None
    assert image.size == (-(-1001 // scale), -(-667 // scale))


def test_a_thumbnail_is_made_from_a_reduced_decode(scales: list[int]) -> None:
    data = saved(Image.fromarray(photo(640, 960)), quality=90).getvalue()
    image, whole = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(data))
    whole.load()
    whole.thumbnail((40, 40))
    image.thumbnail((40, 40))
    assert scales == [1, 8]
    assert image.size == whole.size == (40, 27)
    # Random weights give levels beyond 0..255, which are cut off before or after the mean.
    assert np.abs(np.asarray(image).astype(int) - np.asarray(whole)).mean() < 6


def test_a_file_stays_open_for_its_owner(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.rdae")
    with (tmp_path / "a.rdae").open("rb") as file:
        Image.open(file).load()
        assert not file.closed
    image = Image.open(tmp_path / "a.rdae")
    image.close()
    with pytest.raises(ValueError, match="closed"):
        image.load()


def test_imageio_reads_and_writes_through_pillow(tmp_path: Path) -> None:
    imageio.imwrite(tmp_path / "a.rdae", photo(20, 30), plugin="pillow", quality=70)
    read = imageio.imread(tmp_path / "a.rdae", plugin="pillow")
    np.testing.assert_array_equal(read, np.asarray(Image.open(tmp_path / "a.rdae")))


def test_the_command_line_still_writes_pictures_only() -> None:
    with pytest.raises(rdae.PictureError, match="suffix"):
        pictures.format_of("a.rdae")
