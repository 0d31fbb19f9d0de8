"""rdae.compress, rdae.decompress and rdae.open_model as users call them."""

import codecs
import contextlib
import io
import mmap
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sample_profiles import gamma_profile
from tiny_model import photo, write

import rdae
from rdae import api, metrics, ssimulacra2, targets
from rdae.codec.container import parse
from rdae.networks import complexity, registry
from rdae.pictures.transparency import levels_for

EXAMPLE = Path(__file__).resolve().parent.parent / "data" / "example.png"


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


def test_a_note_tells_what_is_dropped_or_changed(opened: api.Model, tmp_path: Path) -> None:
    deep = tmp_path / "deep.png"
    Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16).save(deep)
    frames = tmp_path / "frames.gif"
    Image.new("L", (9, 9)).save(frames, save_all=True, append_images=[Image.new("L", (9, 9), 200)])
    for picture, words in ((deep, "16"), (frames, "frame"), (Image.new("CMYK", (9, 9)), "CMYK")):
        notes: list[str] = []
        opened.compress(picture, note=notes.append)
        assert len(notes) == 1
        assert words in notes[0]
        for lossless in (False, True):
            again: list[str] = []
            rdae.compress(picture, model=opened, lossless=lossless, note=again.append)
            assert again == notes


def test_a_buffer_may_have_gaps_and_threads_an_end(opened: api.Model) -> None:
    data = opened.compress(photo(20, 30))
    gaps = np.repeat(np.frombuffer(data, np.uint8), 2).tobytes()
    assert opened.decompress(memoryview(gaps)[::2]).size == (30, 20)
    with pytest.raises(ValueError, match="expected 1 to 256"):
        rdae.open_model(threads=257)


def test_a_model_says_who_it_is(opened: api.Model) -> None:
    assert opened.name == "tiny"
    assert parse(opened.compress(photo(3, 3))).header.model == opened.model_id == opened.loaded.model_id
    assert opened.kmac_per_pixel() == complexity.kmac_per_pixel(opened.loaded.architecture)


def test_the_models_class_has_a_public_name(opened: api.Model) -> None:
    assert "Model" in rdae.__all__
    assert rdae.Model is api.Model
    assert type(opened) is rdae.Model


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
def test_pictures_of_any_mode_come_back_as_what_they_are(
    opened: api.Model, mode: str, back_mode: str
) -> None:
    back = opened.decompress(opened.compress(Image.new(mode, (9, 5))))
    assert (back.mode, back.size) == (back_mode, (9, 5))


def soft() -> Image.Image:
    """With every level of alpha."""
    image = Image.fromarray(photo(40, 60))
    image.putalpha(Image.linear_gradient("L").resize((60, 40)))
    return image


def test_alpha_has_fewer_levels_if_that_was_asked_for(opened: api.Model) -> None:
    few = rdae.decompress(rdae.compress(soft(), model=opened, alpha_quality=30, verify=True), opened)
    assert set(few.getchannel("A").tobytes()) == set(levels_for(30).tolist())
    assert rdae.compress(soft(), model=opened, alpha_quality=100) == rdae.compress(soft(), model=opened)


def test_a_background_takes_the_place_of_alpha(opened: api.Model) -> None:
    data = rdae.compress(soft(), model=opened, background="#ffcc00", verify=True, exact=False)
    flat = Image.new("RGB", (60, 40), "#ffcc00")
    flat.paste(soft(), mask=soft())
    # To the nearest, where Pillow's paste is a level off at times.
    assert opened.decompress(data).mode == "RGB"
    assert [section.name for section in parse(data).sections] == ["latents"]
    assert abs(len(data) - len(opened.compress(flat, exact=False))) < 0.05 * len(data)
    for wrong in ("whyte", (1, 2, 300)):
        with pytest.raises(ValueError, match=r"colou?r"):
            opened.compress(soft(), background=wrong)
    with pytest.raises(ValueError, match="alpha quality is 101"):
        opened.compress(soft(), alpha_quality=101)


def sources(path: Path, stack: contextlib.ExitStack) -> Iterator[Any]:
    """All that may stand for a file."""
    data = path.read_bytes()
    yield from (str(path), path, data, bytearray(data), memoryview(data), io.BytesIO(data))
    for unbuffered in (0, -1):
        yield stack.enter_context(path.open("rb", unbuffered))
    half_read = stack.enter_context(path.open("rb"))
    half_read.read(10)
    yield half_read
    mapped = stack.enter_context(mmap.mmap(half_read.fileno(), 0, access=mmap.ACCESS_READ))
    mapped.read(3)
    yield mapped
    yield ReadsOnly(data)


class ReadsOnly:
    """What has read() and nothing else."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, length: int = -1) -> bytes:
        return self._file.read(length)


def test_compress_takes_picture_files_however_they_are_given(opened: api.Model, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    soft().save(path)
    wanted = opened.compress(soft())
    with contextlib.ExitStack() as stack:
        for source in sources(path, stack):
            assert rdae.compress(source, model=opened) == wanted, type(source)
            assert not getattr(source, "closed", False)


def test_decompress_takes_rdae_files_however_they_are_given(opened: api.Model, tmp_path: Path) -> None:
    path = tmp_path / "a.rdae"
    path.write_bytes(opened.compress(soft()))
    wanted = opened.decompress(path.read_bytes()).tobytes()
    with contextlib.ExitStack() as stack:
        for source in sources(path, stack):
            assert rdae.decompress(source, opened).tobytes() == wanted, type(source)
            assert not getattr(source, "closed", False)
        for source in sources(path, stack):
            assert opened.decompress(source).tobytes() == wanted, type(source)


@pytest.mark.parametrize("thing", [None, 3, [1, 2], object(), {"a": 1}])
def test_other_things_are_refused_in_a_line_that_says_what_is_taken(opened: api.Model, thing: Any) -> None:
    kind = type(thing).__name__
    with pytest.raises(rdae.PictureError, match=rf"^{kind} is given, expected a Pillow image, .*path.*\Z"):
        opened.compress(thing)
    for decompress in (opened.decompress, rdae.decompress):
        with pytest.raises(rdae.NotRdaeError, match=rf"^{kind} is given, expected the bytes .*path.*\Z"):
            decompress(thing)


def test_files_that_cannot_be_taken_are_errors_of_the_tree_or_of_the_system(
    opened: api.Model, tmp_path: Path
) -> None:
    with pytest.raises(rdae.PictureError, match="text mode"):
        opened.compress(io.StringIO("no picture"))  # type: ignore[arg-type]
    with pytest.raises(rdae.NotRdaeError, match="text mode"):
        rdae.decompress(io.StringIO("no file"))  # type: ignore[arg-type]
    path = tmp_path / "a.rdae"
    path.write_bytes(opened.compress(soft()))
    with (
        codecs.open(str(path), encoding="latin-1") as text,
        pytest.raises(rdae.NotRdaeError, match="text mode"),
    ):
        rdae.decompress(text)
    with pytest.raises(rdae.NotRdaeError, match="begins with b'not '"):
        rdae.decompress(b"not an .rdae file")
    with pytest.raises(rdae.PictureError, match="not a picture"):
        opened.compress(b"no picture either")
    for call in (opened.compress, opened.decompress):
        with pytest.raises(FileNotFoundError):
            call(tmp_path / "missing")
        with pytest.raises(OSError, match="directory"):
            call(tmp_path)


def test_help_tells_of_what_is_loaded_when_it_is_asked_for() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pydoc", "rdae"], capture_output=True, text=True, check=True, timeout=600
    )
    for name in ("class Model(", "class Target(", "    compress(", "    decompress(", "    open_model("):
        assert f"\n    {name.strip()}" in run.stdout, name
    assert "listener: is told" in run.stdout


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
    path = write(tmp_path / f"{registry.TUNES[registry.DEFAULT_TUNE]}.safetensors")
    data = rdae.compress(photo(6, 7), quality=10)
    path.unlink()
    assert rdae.decompress(data).size == (7, 6)


def test_a_tune_chooses_among_the_published_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "packaged", lambda: tmp_path)
    monkeypatch.setattr(api, "_opened", {})
    for seed, name in enumerate(registry.TUNES.values()):
        write(tmp_path / f"{name}.safetensors", seed=seed)
    made = {tune: rdae.compress(photo(20, 30), tune=tune, exact=False) for tune in registry.TUNES}
    assert made["psnr"] != made["visual"]
    for tune, name in registry.TUNES.items():
        model = rdae.open_model(tune=tune)
        assert model.name == name
        assert parse(made[tune]).header.model == model.model_id
        assert np.array_equal(np.asarray(rdae.decompress(made[tune])), model.decode(made[tune]).picture)
    assert rdae.compress(photo(20, 30), exact=False) == made[registry.DEFAULT_TUNE]
    assert rdae.open_model().name == registry.TUNES[registry.DEFAULT_TUNE]


def test_a_tune_and_a_model_exclude_each_other(opened: api.Model, tiny_path: Path) -> None:
    with pytest.raises(ValueError, match="expected one of them"):
        rdae.open_model(tiny_path, tune="visual")
    with pytest.raises(ValueError, match="expected one of them"):
        rdae.compress(photo(3, 3), model=opened, tune="visual")
    with pytest.raises(ValueError, match="tune 'sharp', expected one of psnr, visual"):
        rdae.compress(photo(3, 3), tune="sharp")


def test_a_model_s_name_is_for_open_model() -> None:
    with pytest.raises(TypeError, match=r"model is str, expected what rdae\.open_model returns"):
        rdae.compress(photo(3, 3), model="rdae-base")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"model is str, expected what rdae\.open_model returns"):
        rdae.decompress(b"", model="rdae-base")  # type: ignore[arg-type]


def test_one_kind_of_metadata_needs_no_list(opened: api.Model) -> None:
    image = Image.fromarray(photo(20, 30))
    image.info["xmp"] = b"<x:xmpmeta/>"
    assert rdae.compress(image, model=opened, metadata="xmp") == rdae.compress(
        image, model=opened, metadata=["xmp"]
    )
    assert rdae.compress(image, model=opened, metadata="xmp") != rdae.compress(
        image, model=opened, metadata=False
    )
    with pytest.raises(ValueError, match="metadata iptc, expected exif, icc, xmp"):
        rdae.compress(image, model=opened, metadata="iptc")


def test_a_file_is_decoded_with_the_model_that_it_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(api, "_opened", {})
    monkeypatch.setenv(registry.PATH_VARIABLE, str(tmp_path))
    models = [rdae.open_model(write(tmp_path / f"m{seed}.safetensors", seed=seed)) for seed in (3, 4)]
    assert models[0].model_id != models[1].model_id
    for model in models:
        data = model.compress(photo(20, 30), exact=False)
        assert np.array_equal(np.asarray(rdae.decompress(data)), model.decode(data).picture)
    with pytest.raises(rdae.WeightsError, match="needs model"):
        models[0].decompress(models[1].compress(photo(20, 30), exact=False))


def test_limits_and_exactness_can_be_asked_for(opened: api.Model) -> None:
    data = opened.compress(photo(80, 90), verify=True)
    assert data == opened.compress(photo(80, 90))
    with pytest.raises(rdae.StreamError, match="90 x 80 pixels, more than the 7199 allowed"):
        opened.decompress(data, max_pixels=7199)
    usual, exact = (
        np.asarray(opened.decompress(data, max_pixels=7200, exact=e)).astype(int) for e in (False, True)
    )
    assert np.abs(usual - exact).max() <= 1


@pytest.mark.parametrize(("kind", "value"), [("size", 3000), ("bpp", 0.7), ("psnr", 12.0), ("ms-ssim", 0.12)])
def test_targets_are_met(opened: api.Model, kind: targets.Kind, value: float) -> None:
    picture = photo(180, 170)
    data = opened.compress(picture, target=rdae.Target(kind, value), verify=True)
    decoded = np.asarray(opened.decompress(data))
    found = {
        "size": len(data),
        "bpp": 8 * len(data) / (180 * 170),
        "psnr": metrics.psnr(picture, decoded),
        "ms-ssim": metrics.ms_ssim(picture, decoded) or 0.0,
    }[kind]
    assert rdae.Target(kind, value).meets(found)
    if kind in {"size", "bpp"}:
        assert found >= 0.95 * value  # the steps of so small a model are coarse


@pytest.mark.parametrize(("kind", "value"), [("size", 5000), ("bpp", 0.5), ("psnr", 36.0)])
def test_targets_are_met_within_a_per_cent_with_the_published_weights(
    kind: targets.Kind, value: float
) -> None:
    with Image.open(EXAMPLE) as opened:
        picture = np.asarray(opened.convert("RGB"))
    data = rdae.compress(picture, tune="psnr", target=rdae.Target(kind, value))
    if kind == "psnr":
        assert 36 <= metrics.psnr(picture, np.asarray(rdae.decompress(data))) <= 36.36
    else:
        found = len(data) * (1 if kind == "size" else 8 / (picture.shape[0] * picture.shape[1]))
        assert 0.99 * value <= found <= value


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_a_score_is_met_by_the_picture_that_is_decoded(mode: str) -> None:
    with Image.open(EXAMPLE) as opened:
        image = opened.convert("RGB").crop((100, 100, 340, 300))
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size).point(lambda level: level + 1))
    image = image.convert(mode)
    decoded = rdae.decompress(rdae.compress(image, target=rdae.Target("ssimulacra2", 70.0), effort=0))
    assert decoded.mode == mode
    original, found = (np.asarray(each.convert("RGB")) for each in (image, decoded))
    assert 70 <= (ssimulacra2.ssimulacra2(original, found) or 0) <= 71


def test_what_is_seen_counts_for_targets(opened: api.Model) -> None:
    """Noise that nobody sees must not cost quality elsewhere, nor bits."""
    picture = np.dstack([photo(180, 170), np.full((180, 170), 255, np.uint8)])
    picture[:90, :, 3] = 0
    hidden = picture.copy()
    hidden[:90, :, :3] = np.random.default_rng(0).integers(0, 256, (90, 170, 3))
    one, two = (opened.compress(p, target=rdae.Target("psnr", 12.0)) for p in (picture, hidden))
    assert abs(len(two) / len(one) - 1) < 0.05


@pytest.mark.parametrize(("kind", "value"), [("psnr", 38.0), ("ssimulacra2", 50.0)])
def test_invisible_pixels_do_not_count_as_good_ones(kind: targets.Kind, value: float) -> None:
    with Image.open(EXAMPLE) as opened:
        sprite = np.asarray(opened.convert("RGB"))[100:196, 100:196]
    picture = np.zeros((300, 320, 4), np.uint8)
    picture[120:216, 90:186, :3], picture[120:216, 90:186, 3] = sprite, 255
    data = rdae.compress(picture, tune="psnr", target=rdae.Target(kind, value), effort=0)
    seen = np.asarray(rdae.decompress(data))[120:216, 90:186, :3]
    measure = metrics.psnr if kind == "psnr" else ssimulacra2.ssimulacra2
    assert value <= (measure(sprite, seen) or 0) <= value + 2


@pytest.mark.parametrize(("kind", "value"), [("psnr", 30.0), ("ssimulacra2", 90.0), ("ms-ssim", 0.9)])
def test_a_picture_that_nobody_sees_meets_any_distortion_at_the_lowest_quality(
    opened: api.Model, kind: targets.Kind, value: float
) -> None:
    picture = np.dstack([photo(170, 180), np.zeros((170, 180), np.uint8)])
    assert opened.compress(picture, target=rdae.Target(kind, value), exact=False) == opened.compress(
        picture, 0, exact=False
    )


def test_arguments_that_mean_nothing_are_refused(opened: api.Model) -> None:
    with pytest.raises(ValueError, match="alpha_quality 50 of a lossless file, expected 100"):
        rdae.compress(photo(20, 30), lossless=True, alpha_quality=50)
    with pytest.raises(ValueError, match="alpha_quality 50 of a picture over a background, expected 100"):
        opened.compress(photo(20, 30), background="white", alpha_quality=50)
    for effort in (1.0, 1.5, float("inf"), None):
        with pytest.raises(ValueError, match=f"effort {effort}, expected 0 to 9"):
            opened.compress(photo(20, 30), effort=effort)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"expected rdae\.Target"):
        opened.compress(photo(20, 30), target=("size", 300))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"scale is 2\.0, expected 1, 2, 4 or 8"):
        opened.decompress(opened.compress(photo(20, 30)), scale=2.0)  # type: ignore[arg-type]


def test_similarity_needs_a_picture_of_some_size(opened: api.Model) -> None:
    with pytest.raises(rdae.TargetError, match="SSIMULACRA2 of 30 x 7 pixels: it needs sides of 8 or more"):
        opened.compress(photo(7, 30), target=rdae.Target("ssimulacra2", 10.0))
    with pytest.raises(rdae.TargetError, match="it needs sides of 161 or more"):
        opened.compress(photo(100, 300), target=rdae.Target("ms-ssim", 0.9))


def test_a_region_is_cut_from_the_picture(opened: api.Model) -> None:
    data = opened.compress(photo(80, 90))
    whole, part = opened.decompress(data), rdae.decompress(data, opened, region=(10, 20, 30, 40))
    assert part.size == (30, 40)
    difference = np.asarray(whole.crop((10, 20, 40, 60))).astype(int) - np.asarray(part)
    assert np.abs(difference).max() <= 1
    with pytest.raises(ValueError, match="not inside"):
        opened.decompress(data, region=(70, 0, 30, 10))
    for odd in ((0, 0, 1), "0000", (0.0, 0, 1, 1), 7):
        with pytest.raises(ValueError, match="expected whole numbers: x, y, width, height"):
            opened.decompress(data, region=odd)  # type: ignore[arg-type]


def test_metadata_is_kept_by_name_and_a_size_below_it_says_so(opened: api.Model) -> None:
    image = Image.fromarray(photo(20, 30))
    exif = Image.Exif()
    exif[315] = "".join(map(str, range(900)))
    image.info |= {"exif": exif.tobytes(), "xmp": b"<x/>", "icc_profile": gamma_profile(1.8)}
    kept = {
        kinds: set(opened.decompress(opened.compress(image, metadata=kinds)).info)
        for kinds in ((), ("icc",), ("exif", "xmp"), ("icc", "exif", "xmp"))
    }
    assert kept == {
        (): set(),
        ("icc",): {"icc_profile"},
        ("exif", "xmp"): {"exif", "xmp"},
        ("icc", "exif", "xmp"): {"icc_profile", "exif", "xmp"},
    }
    for effort in (0, 1):
        with pytest.raises(rdae.TargetError) as caught:
            opened.compress(image, target=rdae.Target("size", 500), effort=effort, metadata=("exif", "xmp"))
        assert re.search(
            r"^500 bytes is not possible: .*, with [\d,]+ bytes of EXIF and 5 bytes of XMP, which --strip ",
            str(caught.value),
        )
        assert (
            len(opened.compress(image, target=rdae.Target("size", 500), effort=effort, metadata=("xmp",)))
            <= 500
        )
    with pytest.raises(rdae.TargetError, match=r"has [\d,]+ bytes$"):
        opened.compress(image, target=rdae.Target("size", 5), metadata=False)
    with pytest.raises(ValueError, match="metadata iptc, expected exif, icc, xmp"):
        opened.compress(image, metadata=("iptc",))
