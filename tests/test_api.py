"""rdae.compress, rdae.decompress and rdae.open_model as users call them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_model import photo, write

import rdae
from rdae import api, registry, weights
from rdae.container import parse


@pytest.fixture
def opened(tiny_path: Path) -> api.Model:
    return rdae.open_model(tiny_path)


def test_a_picture_goes_through_an_opened_model(opened: api.Model) -> None:
    image = Image.fromarray(photo(20, 30))
    data = opened.compress(image, quality=80)
    assert isinstance(data, bytes)
    assert data == opened.compress(np.asarray(image), quality=80) == rdae.compress(image, 80, model=opened)
    back = opened.decompress(data)
    assert (back.mode, back.size) == ("RGB", (30, 20))
    assert np.array_equal(np.asarray(back), np.asarray(rdae.decompress(data, model=opened)))
    encoded, decoded = opened.encode(photo(20, 30), 80), opened.decode(data)
    assert encoded.data == data
    assert np.array_equal(decoded.picture, encoded.reconstruction)
    assert np.array_equal(decoded.picture, np.asarray(back))


def test_a_model_says_who_it_is(opened: api.Model) -> None:
    assert opened.name == "tiny"
    assert parse(opened.compress(photo(3, 3))).header.model == opened.model_id == opened.loaded.model_id
    assert opened.kmac_per_pixel() == opened.loaded.kmac_per_pixel()


def test_quality_50_is_the_default(opened: api.Model) -> None:
    assert parse(opened.compress(photo(3, 3))).header.quality_index == 400
    assert parse(opened.compress(photo(3, 3), quality=99.94)).header.quality_index == 800


@pytest.mark.parametrize("quality", [-1, 100.5, float("nan")])
def test_quality_outside_the_scale_is_a_value_error(opened: api.Model, quality: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 100"):
        opened.compress(photo(3, 3), quality=quality)


@pytest.mark.parametrize(
    ("mode", "back_mode"),
    [("1", "L"), ("L", "L"), ("P", "L"), ("LA", "LA"), ("RGBA", "RGBA"), ("CMYK", "RGB"), ("I;16", "L")],
)
def test_pictures_of_any_mode_come_back_as_what_they_are(opened: api.Model, mode: str, back_mode: str) -> None:
    back = opened.decompress(opened.compress(Image.new(mode, (9, 5))))
    assert (back.mode, back.size) == (back_mode, (9, 5))


def test_alpha_and_metadata_come_back_as_they_were_unless_not_wanted(opened: api.Model) -> None:
    image = Image.fromarray(photo(20, 30))
    image.putalpha(Image.linear_gradient("L").resize((30, 20)))
    exif = Image.Exif()
    exif[0x010E] = "a test"
    image.info |= {"exif": exif.tobytes(), "xmp": b"<x:xmpmeta/>" * 9}
    back = rdae.decompress(rdae.compress(image, 60, model=opened, verify=True), model=opened)
    assert (back.mode, back.info["xmp"], back.getexif()[0x010E]) == ("RGBA", image.info["xmp"], "a test")
    assert back.getchannel("A").tobytes() == image.getchannel("A").tobytes()
    assert not opened.decompress(rdae.compress(image, model=opened, metadata=False)).info


def test_what_is_no_picture_or_no_file_is_an_rdae_error(opened: api.Model) -> None:
    with pytest.raises(rdae.PictureError):
        opened.compress(np.zeros((3, 3, 3), np.float32))
    with pytest.raises(rdae.NotRdaeError):
        opened.decompress(b"GIF89a")
    with pytest.raises(rdae.TruncatedError):
        opened.decompress(b"RDAE")
    with pytest.raises(rdae.WeightsError):
        rdae.open_model("no/such.safetensors")


def test_the_default_model_is_opened_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "packaged", lambda: tmp_path)
    monkeypatch.setattr(api, "_opened", {})
    path = write(tmp_path / f"{weights.DEFAULT}.safetensors")
    data = rdae.compress(photo(6, 7), quality=10)
    path.unlink()
    assert rdae.decompress(data).size == (7, 6)


def test_a_file_is_decoded_with_the_model_that_it_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(api, "_opened", {})
    monkeypatch.setenv(registry.PATH_VARIABLE, str(tmp_path))
    models = [rdae.open_model(write(tmp_path / f"m{seed}.safetensors", seed=seed)) for seed in (3, 4)]
    assert models[0].model_id != models[1].model_id
    for model in models:
        data = model.compress(photo(20, 30))
        assert np.array_equal(np.asarray(rdae.decompress(data)), model.decode(data).picture)
    with pytest.raises(rdae.WeightsError, match="needs model"):
        models[0].decompress(models[1].compress(photo(20, 30)))


def test_limits_and_exactness_can_be_asked_for(opened: api.Model) -> None:
    data = opened.compress(photo(80, 90), verify=True)
    assert data == opened.compress(photo(80, 90))
    with pytest.raises(rdae.StreamError, match="90 x 80 pixels, more than the 7199 allowed"):
        opened.decompress(data, max_pixels=7199)
    usual, exact = (np.asarray(opened.decompress(data, max_pixels=7200, exact=e)).astype(int) for e in (False, True))
    assert np.abs(usual - exact).max() <= 1
