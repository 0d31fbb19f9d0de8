"""Maps of a file: their sums are the file's bits, and what is drawn is what was counted."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_model
from PIL import Image
from rdae_command import rdae_command

from rdae import open_model
from rdae.codec import encode
from rdae.codec.container import parse
from rdae.networks.model import Model
from rdae.reporting import inspection, maps


@pytest.mark.parametrize("size_and_tile", [(150, 200, None), (16, 16, None), (1, 1, None), (600, 300, 4)])
def test_bits_of_all_positions_sum_to_the_rate_of_the_file(
    tiny: Model, size_and_tile: tuple[int, int, int | None]
) -> None:
    *size, tile = size_and_tile
    encoded = encode.encode(tiny_model.photo(*size), tiny, 500, tile=tile)
    found = maps.maps_of(encoded.data, tiny)
    assert found.y_total + found.z_total == pytest.approx(encoded.rate_bits, rel=1e-5)
    assert found.by_position().sum() == pytest.approx(encoded.rate_bits, rel=1e-4)
    assert found.y_by_channel().sum() == pytest.approx(found.y_total)
    assert found.z_by_channel().sum() == pytest.approx(found.z_total)
    assert 0 < found.rest < 8 * (40 + 8 * len(parse(encoded.data).sections) + 8 * (max(size) == 1))
    assert np.array_equal(found.picture, encoded.reconstruction)
    assert (
        found.y.shape
        == found.y_bits.shape
        == found.scales.shape
        == (tiny.architecture.latents, *found.y.shape[1:])
    )


def test_a_picture_that_is_busy_on_one_side_has_its_bits_there() -> None:
    published = open_model().loaded
    picture = np.full((128, 256, 3), 128, np.uint8)
    picture[:, 128:] = tiny_model.noise(3, 128, 128)
    found = maps.maps_of(encode.compress(picture, published, 400), published).y_by_position()
    assert found[:, 9:].mean() > 20 * found[:, :7].mean()


def test_the_bits_of_symbols_sum_to_the_bits_of_all_with_escapes_among_them(tiny: Model) -> None:
    rng = np.random.default_rng(5)
    rows = rng.integers(0, 64, 1000).astype(np.int32)
    symbols = rng.integers(-900, 900, 1000).astype(np.int32)
    tables = tiny.prior.y_tables
    lengths = tables.code_lengths(symbols, rows)
    assert lengths.shape == (1000,)
    one_by_one = [tables.bits(symbols[i : i + 1], rows[i : i + 1]) for i in range(1000)]
    assert lengths.tolist() == one_by_one
    assert (np.abs(symbols) > tables.limits[rows]).sum() > 100


def test_colours_run_from_the_first_to_the_last() -> None:
    made = maps.coloured(np.array([[-1.0, 0.0, 5.0, 10.0, 99.0]]), 0.0, 10.0, maps.INFERNO)
    assert made.shape == (1, 5, 3)
    assert made[0, 0].tolist() == made[0, 1].tolist() == [0, 0, 4]
    assert made[0, 3].tolist() == made[0, 4].tolist() == [252, 255, 164]
    assert made[0, 2].tolist() == [186, 56, 83]  # between the fifth and the sixth of ten


def test_maps_are_drawn_to_files_without_a_command(tiny: Model) -> None:
    picture = tiny_model.photo(40, 56)
    found = maps.maps_of(encode.compress(picture, tiny, 400), tiny)
    plain = inspection.inspect(found, {"file": "a.rdae"})
    assert plain.facts["file"] == "a.rdae"
    assert set(inspection.NAMES) - plain.files.keys() == {"residual.png", "maps.npz"}
    assert json.loads(plain.files["maps.json"]) == plain.facts
    whole = inspection.inspect(found, {}, original=picture, gain=2.0, channels=3, arrays=True)
    assert whole.files.keys() == set(inspection.NAMES)
    assert len(whole.facts["maps"]["latents"]["channels"]) == 3
    size, *shares, position, channels = inspection.summary(found)
    assert size.startswith(f"size      {found.file_bytes:,} bytes, ")
    assert [line.split()[0] for line in (*shares, position, channels)] == [
        "ŷ",
        "ẑ",
        "rest",
        "position",
        "channels",
    ]


def test_inspect_writes_maps_of_the_size_of_the_picture(tiny_path: Path, tmp_path: Path) -> None:
    Image.fromarray(tiny_model.photo(100, 70)).save(tmp_path / "a.png")
    done = rdae_command(
        "inspect",
        str(tmp_path / "a.png"),
        "-o",
        str(tmp_path / "maps"),
        "--model",
        str(tiny_path),
        "--arrays",
    )
    assert done.exit_code == 0, done.stderr
    for name in ("reconstruction", "residual", "bits", "bits-y", "bits-z", "scales"):
        with Image.open(tmp_path / "maps" / f"{name}.png") as image:
            assert (image.mode, image.size) == ("RGB", (70, 100)), name
    facts = json.loads((tmp_path / "maps" / "maps.json").read_text())
    assert sum(facts["bits"].values()) == pytest.approx(8 * facts["bytes"])
    assert f"{facts['bytes']:,} bytes" in done.stdout
    with np.load(tmp_path / "maps" / "maps.npz") as arrays:
        by_position = arrays["y_bits"].sum(axis=0)
    assert by_position.max() == pytest.approx(facts["maps"]["bits-y"]["bright"], rel=1e-5)
    drawn = np.asarray(Image.open(tmp_path / "maps" / "bits-y.png"))
    brightest = np.unravel_index(by_position.argmax(), by_position.shape)
    assert drawn[16 * brightest[0], 16 * brightest[1]].tolist() == list(maps.INFERNO[-1])


def test_inspect_takes_an_rdae_file_and_its_original(tiny_path: Path, tmp_path: Path) -> None:
    picture = tiny_model.photo(48, 64)
    Image.fromarray(picture).save(tmp_path / "a.png")
    model = ("--model", str(tiny_path))
    assert rdae_command("compress", str(tmp_path / "a.png"), "-q", "80", "--no-exact", *model).exit_code == 0
    line = ["inspect", str(tmp_path / "a.rdae"), "-o", str(tmp_path / "maps"), *model]
    assert rdae_command(*line).exit_code == 0
    assert not (tmp_path / "maps" / "residual.png").exists()
    again = rdae_command(*line)
    assert again.exit_code == 1
    assert "--force" in again.stderr
    done = rdae_command(*line, "-f", "--original", str(tmp_path / "a.png"), "--gain", "2")
    assert done.exit_code == 0, done.stderr
    decoded = np.asarray(Image.open(tmp_path / "maps" / "reconstruction.png")).astype(int)
    shown = np.asarray(Image.open(tmp_path / "maps" / "residual.png"))
    assert np.array_equal(shown, np.clip(128 + 2 * (picture.astype(int) - decoded), 0, 255))


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("text.png", 1, "text.png: not a picture"),
        ("cut.rdae", 1, "cut.rdae: "),
        ("none.rdae", 1, "none.rdae: "),
        ("cut.rdae -q 20", 2, "-q is for a picture"),
        ("text.png --original b.png", 2, "--original is for an .rdae file"),
    ],
)
def test_what_cannot_be_mapped_is_one_line(tmp_path: Path, line: str, status: int, words: str) -> None:
    (tmp_path / "text.png").write_bytes(b"text")
    (tmp_path / "cut.rdae").write_bytes(b"RDAE")
    name, *options = line.split()
    done = rdae_command("inspect", str(tmp_path / name), "-o", str(tmp_path / "maps"), *options)
    assert done.exit_code == status
    assert words in done.stderr
    assert not (tmp_path / "maps").exists()
