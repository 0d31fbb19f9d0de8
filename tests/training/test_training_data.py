"""Training pictures: found in folders, shards and files, decoded once, cropped as the seed says."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import torch
import training_kit
from PIL import Image

from rdae.errors import TrainingError
from rdae.training.data import decode
from rdae.training.data.pool import Pictures

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_kit.make_pictures(tmp_path_factory.mktemp("data") / "pictures")


def load(*sources: Path, min_side: int = 64) -> Pictures:
    return Pictures(tuple(map(str, sources)), CPU, min_side)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_folder_gives_its_pictures_in_the_order_of_their_names(folder: Path) -> None:
    pictures = load(folder)
    assert [Path(name).name for name in pictures.names] == ["0.png", "1.png", "2.png", "3.png"]
    for name, picture in zip(pictures.names, pictures.pictures, strict=True):
        assert np.array_equal(picture.numpy(), np.asarray(Image.open(name)))
    assert pictures.pixels == sum(picture.shape[0] * picture.shape[1] for picture in pictures.pictures)


def test_a_tar_shard_gives_the_same_pictures_as_the_folder_it_was_made_of(
    folder: Path, tmp_path: Path
) -> None:
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, arcname=f"deep/{path.name}")
            archive.addfile(tarfile.TarInfo(f"deep/{path.stem}.json"))
    expected = load(folder).pictures
    for source in (shard, tmp_path):  # by its name, or as found in a folder
        found = load(source).pictures
        assert len(found) == len(expected)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_broken_and_small_pictures_are_skipped_and_named(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "0.png").read_bytes()
    (tmp_path / "broken.png").write_bytes(whole[:200])
    (tmp_path / "nothing.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no picture, and not called one")
    Image.new("RGB", (300, 63)).save(tmp_path / "flat.png")
    (tmp_path / "sound.png").write_bytes(whole)
    pictures = load(tmp_path)
    assert [Path(name).name for name in pictures.names] == ["sound.png"]
    assert sorted(Path(name).name for name in pictures.skipped) == ["broken.png", "flat.png", "nothing.jpg"]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_rgb_of_8_bits(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        Image.fromarray(np.full((64, 64), 128 * 257, dtype=np.uint16)).save(tmp_path / "picture.tif")
    else:
        Image.new("L", (64, 64), 128).convert("RGB").convert(mode).save(tmp_path / "picture.tif")
    (picture,) = load(tmp_path).pictures
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == torch.uint8
    assert int((picture.int() - 128).abs().max()) < 30  # a web palette has no 128


def test_data_without_a_picture_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_bytes(b"x" * 700)
    for name, message in (
        ("absent", "no such folder, tar shard or picture"),
        ("empty", "no picture with both sides of at least 64 pixels"),
        ("text", "no picture with both sides of at least 64 pixels"),
    ):
        with pytest.raises(TrainingError, match=rf"{name}: {message}") as caught:
            load(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_damaged_shard_is_one_line_that_names_it(folder: Path, tmp_path: Path) -> None:
    shard = tmp_path / "shard.tar"
    shard.write_bytes(b"\1" * 2000)
    with pytest.raises(TrainingError, match=r"shard\.tar: ") as caught:
        load(shard)
    assert "\n" not in str(caught.value)
    with tarfile.open(shard, "w") as archive:
        archive.add(folder / "0.png")
    shard.write_bytes(shard.read_bytes()[:900])
    with pytest.raises(TrainingError, match=r"shard\.tar: "):
        load(shard)


def test_crops_are_parts_of_the_pictures_half_of_them_mirrored(tmp_path: Path) -> None:
    # Each pixel tells its place, so a crop tells where it was cut and which way round.
    y, x = np.mgrid[:80, :90]
    Image.fromarray(np.stack([y, x, 0 * x], axis=2).astype(np.uint8)).save(tmp_path / "places.png")
    crops = load(tmp_path).crops(64, 64, generator(3))
    assert crops.shape == (64, 3, 64, 64)
    assert crops.dtype == torch.uint8
    mirrored = 0
    corners = set()
    for crop in crops.int():
        top, left = int(crop[0, 0, 0]), int(crop[1].min())
        mirrored += int(crop[1, 0, 0] > crop[1, 0, -1])
        assert torch.equal(crop[0, :, 0], torch.arange(top, top + 64, dtype=torch.int32))
        assert torch.equal(crop[1, 0].sort().values, torch.arange(left, left + 64, dtype=torch.int32))
        corners.add((top, left))
    assert 16 < mirrored < 48
    assert len(corners) > 30


def test_crops_depend_on_the_seed_alone(folder: Path) -> None:
    pictures = load(folder)
    first = pictures.crops(5, 64, generator(1))
    torch.manual_seed(99)  # what else is drawn makes no difference
    assert torch.equal(first, load(folder).crops(5, 64, generator(1)))
    assert not torch.equal(first, pictures.crops(5, 64, generator(2)))


def test_the_centre_is_a_multiple_of_64_in_the_middle(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (150, 71, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    pictures = load(tmp_path)
    assert np.array_equal(pictures.centre(0, 512)[0].permute(1, 2, 0).numpy(), picture[11:139, 3:67])
    assert pictures.centre(0, 64).shape == (1, 3, 64, 64)


def test_threads_that_decode_respect_a_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "available_processors", lambda: 3)
    assert decode._threads() == 3
