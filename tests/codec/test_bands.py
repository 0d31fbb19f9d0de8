"""Pictures that are written as they are decoded: the same pixels and notes as of whole ones, and nothing half done."""

import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from rdae_command import rdae_command
from sample_profiles import gamma_profile
from tiny_model import photo

from rdae.api import Model
from rdae.codec import container, decode, encode
from rdae.codec.tiles import Region
from rdae.errors import CorruptError, PictureError
from rdae.networks.model import Model as Loaded
from rdae.pictures import bands, picture_bytes, picture_chunks, png
from rdae.pictures.bands import Bands
from rdae.pictures.images import from_pillow

Rows = npt.NDArray[np.uint8]
MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
XMP = b"<x:xmpmeta>picture</x:xmpmeta>"


def pixels(mode: str, height: int = 61, width: int = 43) -> Rows:
    """Rows of a mode, uint8 (h, w, channels), smooth and noisy ones, so that all filters of PNG are chosen."""
    noise = np.random.default_rng(3).integers(0, 256, (height, width, 4), dtype=np.uint8)
    smooth = np.concatenate([photo(height, width), photo(height, width)[:, :, :1]], axis=2)
    flat = np.full_like(smooth, 77)
    rows = np.arange(height)[:, None, None] % 24
    return np.where(rows < 8, noise, np.where(rows < 16, smooth, flat))[:, :, : MODES[mode]]


def cut(rows: Rows, *sizes: int) -> Iterator[Rows]:
    yield from np.split(rows, np.cumsum(sizes))


def made(mode: str, *sizes: int, info: dict[str, bytes] | None = None) -> Bands:
    rows = pixels(mode)
    return Bands(rows.shape[1], rows.shape[0], mode, info or {}, cut(rows, *sizes))


@pytest.mark.parametrize("form", ["PNG", "PPM"])
@pytest.mark.parametrize("mode", MODES)
def test_a_file_in_parts_is_the_picture_that_a_whole_one_is(
    monkeypatch: pytest.MonkeyPatch, mode: str, form: str
) -> None:
    monkeypatch.setattr(png, "IDAT_BYTES", 300)
    monkeypatch.setattr(png, "BAND_BYTES", 43 * MODES[mode] * 5)
    info = {"icc_profile": gamma_profile(1.8), "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0", "xmp": XMP}
    notes: list[str] = []
    parts = list(picture_chunks(made(mode, 1, 12, 7, info=info), form, notes.append))
    again: list[str] = []
    whole = picture_bytes(made(mode, 20, info=info).image(), form, again.append)
    assert notes == again
    assert len(parts) > 3
    with Image.open(io.BytesIO(b"".join(parts))) as one, Image.open(io.BytesIO(whole)) as other:
        one.load()
        other.load()
        assert (one.mode, one.size, one.info) == (other.mode, other.size, other.info)
        assert one.tobytes() == other.tobytes()
        if form == "PNG":
            assert one.tobytes() == pixels(mode).tobytes()
            assert one.info["icc_profile"] == info["icc_profile"]


def test_a_png_in_parts_is_filtered_as_pillow_filters_it() -> None:
    rows = pixels("RGB")
    whole = io.BytesIO()
    Image.fromarray(rows).save(whole, "PNG", compress_level=0)
    found = b"".join(bytes(part) for part in png._filtered(cut(rows, 1, 30, 8)))
    stored = b"".join(content for kind, content in png._chunks(whole.getvalue()) if kind == b"IDAT")
    assert found == zlib.decompress(stored)
    assert len(set(found[:: 1 + 43 * 3])) > 2  # filters


def test_bands_become_an_image() -> None:
    for mode in MODES:
        image = made(mode, 3, 3, info={"xmp": XMP}).image()
        assert (image.mode, image.size, image.info) == (mode, (43, 61), {"xmp": XMP})
        assert image.tobytes() == pixels(mode).tobytes()


def test_only_grey_and_rgb_can_be_a_ppm() -> None:
    with pytest.raises(PictureError, match="cannot be written as PPM"):
        list(bands.flow(made("RGB"), b"P4 something", "PPM"))


@pytest.mark.parametrize("region", [None, Region(30, 150, 100, 60)])
@pytest.mark.parametrize("name", ["grey", "rgb", "rgba"])
def test_a_file_unfolds_to_what_it_decodes_to(tiny: Loaded, name: str, region: Region | None) -> None:
    image = {"grey": Image.fromarray(photo(300, 200)[:, :, 0]), "rgb": Image.fromarray(photo(300, 200))}.get(
        name
    )
    if image is None:
        image = Image.fromarray(photo(300, 200)).convert("RGBA")
        image.putalpha(Image.linear_gradient("L").resize((200, 300)))
    data = encode.compress(from_pillow(image), tiny, 400, tile=4)
    decoded = decode.decode(data, tiny, region=region)
    unfolded = decode.unfold(data, tiny, region=region)
    rows = list(unfolded.rows)
    assert len(rows) > 1 or region is not None
    assert unfolded.mode == decoded.raster.mode
    found = np.concatenate(rows)
    assert found.shape == (unfolded.height, unfolded.width, MODES[unfolded.mode])
    assert (decoded.picture == (found if name == "grey" else found[:, :, :3])).all()
    if decoded.raster.alpha is not None:
        assert np.array_equal(found[:, :, 3], decoded.raster.alpha)


def damaged(tiny: Loaded) -> bytes:
    """A file of many tiles whose latents are not those that its checksum is of: noticed after the last band only."""
    parsed = container.parse(encode.compress(photo(300, 200), tiny, 400, tile=4))
    assert parsed.latent_checksum is not None
    return container.pack(container.Container(parsed.header, parsed.sections, parsed.latent_checksum ^ 1))


def test_what_fails_in_the_middle_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tiny: Loaded, tiny_path: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(bands, "FLOWING_PIXELS", 10)
    data = damaged(tiny)
    rows = Model(tiny).unfold(data).rows
    assert len(next(rows)) > 0
    with pytest.raises(CorruptError, match="not those that were encoded"):
        list(rows)
    (tmp_path / "a.rdae").write_bytes(data)
    for name in ("a.png", "a.ppm"):
        done = rdae_command(
            "decompress", f"{tmp_path}/a.rdae", "-o", f"{tmp_path}/{name}", "--model", str(tiny_path)
        )
        assert done.exit_code == 1
        assert "not those that were encoded" in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["a.rdae"]
    (tmp_path / "a.png").write_bytes(b"as it was")
    done = rdae_command("decompress", f"{tmp_path}/a.rdae", "--force", "--model", str(tiny_path))
    assert done.exit_code == 1
    assert (tmp_path / "a.png").read_bytes() == b"as it was"
    assert len(list(tmp_path.iterdir())) == 2


def test_large_pictures_of_some_formats_are_written_as_they_come(
    monkeypatch: pytest.MonkeyPatch, tiny: Loaded, tiny_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.rdae").write_bytes(encode.compress(photo(120, 90), tiny, 400, tile=4))
    command = ("decompress", f"{tmp_path}/a.rdae", "--model", str(tiny_path), "-o")
    assert rdae_command(*command, f"{tmp_path}/whole.png").exit_code == 0
    monkeypatch.setattr(bands, "FLOWING_PIXELS", 10)
    monkeypatch.setattr(Bands, "image", None)  # must not be asked for
    assert rdae_command(*command, f"{tmp_path}/parts.png").exit_code == 0
    assert rdae_command(*command, f"{tmp_path}/parts.ppm").exit_code == 0
    names = ("whole.png", "parts.png", "parts.ppm")
    one, two, three = (np.asarray(Image.open(tmp_path / name)) for name in names)
    assert np.array_equal(one, two)
    assert np.array_equal(one, three)


def test_the_least_that_flows_is_large() -> None:
    assert Bands(5000, 1000, "RGB", {}, iter(())).flow_as("PNG")
    assert not Bands(5000, 1000, "RGB", {}, iter(())).flow_as("JPEG")
    assert not Bands(500, 500, "RGB", {}, iter(())).flow_as("PNG")
