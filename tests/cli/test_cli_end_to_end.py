"""The command line on a tiny real model: from a picture to a file and back, and every error of a user's making."""

import json
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rdae_command import Result, rdae_command
from tiny_model import noise, photo, write

from rdae.codec import encode
from rdae.codec.container import parse
from rdae.effort import DEFAULT_EFFORT
from rdae.networks.model import Model


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Model) -> Path:
    """A folder with the pictures a.png and b.png, and a.rdae made of a.png."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo(40, 60)).save("a.png")
    Image.fromarray(noise(1, 1, 17)).save("b.png")
    Path("a.rdae").write_bytes(encode.encode(photo(40, 60), tiny, 400).data)
    return tmp_path


@pytest.fixture
def model(tiny_path: Path) -> tuple[str, str]:
    return ("--model", str(tiny_path))


def rdae_process(*arguments: str) -> Result:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "rdae.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def assert_one_line_error(result: Result, *words: str) -> None:
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("rdae: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def test_a_picture_goes_to_a_file_and_back_in_fresh_processes(tiny: Model, model: tuple[str, str]) -> None:
    encoded = encode.encode(photo(40, 60), tiny, 720, effort=DEFAULT_EFFORT)
    result = rdae_process("compress", "a.png", "-q", "90", "-o", "x.rdae", "--no-exact", *model)
    assert result.exit_code == 0, result.stderr
    assert Path("x.rdae").read_bytes() == encoded.data
    result = rdae_process("decompress", "x.rdae", *model)
    assert result.exit_code == 0, result.stderr
    assert np.array_equal(np.asarray(Image.open("x.png")), encoded.reconstruction)


def test_many_pictures_go_into_a_folder(tiny: Model, model: tuple[str, str]) -> None:
    assert rdae_command("compress", "a.png", "b.png", "-d", "made", "--no-exact", *model).exit_code == 0
    assert rdae_command("decompress", "made/a.rdae", "made/b.rdae", *model).exit_code == 0
    for name, picture in (("a", photo(40, 60)), ("b", noise(1, 1, 17))):
        reconstruction = encode.encode(picture, tiny, 400, effort=DEFAULT_EFFORT).reconstruction
        assert np.array_equal(np.asarray(Image.open(f"made/{name}.png")), reconstruction)


def test_bytes_grow_with_quality(model: tuple[str, str]) -> None:
    sizes = []
    for quality in ("0", "33.3", "50", "100"):
        assert rdae_command("compress", "a.png", "-f", "-q", quality, *model).exit_code == 0
        sizes.append(Path("a.rdae").stat().st_size)
    assert sizes == sorted(set(sizes))


def test_info_says_what_the_file_says(tiny: Model) -> None:
    result = rdae_process("info", "a.rdae", "--json")
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert (facts["width"], facts["height"], facts["quality"]) == (60, 40, 50)
    assert facts["model"] == tiny.model_id.hex()
    assert facts["bytes"] == Path("a.rdae").stat().st_size
    plain = rdae_command("info", "a.rdae")
    assert tiny.model_id.hex() in plain.stdout
    assert "60 x 40" in plain.stdout


def test_a_missing_file(model: tuple[str, str]) -> None:
    for command in ("compress", "decompress"):
        assert_one_line_error(rdae_command(command, "none", *model), "none: No such file or directory")
    assert_one_line_error(rdae_process("decompress", "none", *model), "none: No such file or directory")


def test_not_a_picture(model: tuple[str, str]) -> None:
    assert_one_line_error(
        rdae_command("compress", "a.rdae", "-o", "x.rdae", *model), "a.rdae", "already an .rdae file"
    )
    assert not Path("x.rdae").exists()


def test_not_an_rdae_file(model: tuple[str, str]) -> None:
    result = rdae_command("decompress", "a.png", "-o", "x.png", *model)
    assert_one_line_error(result, "a.png", "not an .rdae file")
    assert not Path("x.png").exists()


def test_a_file_cut_at_every_tenth_byte(model: tuple[str, str]) -> None:
    data = Path("a.rdae").read_bytes()
    for length in range(0, len(data), 10):
        Path("cut.rdae").write_bytes(data[:length])
        assert_one_line_error(rdae_command("decompress", "cut.rdae", *model), "cut.rdae")
        assert_one_line_error(rdae_command("info", "cut.rdae"), "cut.rdae")
    assert not Path("cut.png").exists()


def test_damage_that_no_checksum_of_bytes_can_show(model: tuple[str, str]) -> None:
    body = bytearray(Path("a.rdae").read_bytes()[:-4])
    body[60] ^= 1
    Path("bad.rdae").write_bytes(body + zlib.crc32(body).to_bytes(4, "little"))
    assert rdae_command("info", "bad.rdae").exit_code == 0
    assert_one_line_error(rdae_command("decompress", "bad.rdae", *model), "bad.rdae")
    assert not Path("bad.png").exists()


def test_a_file_of_an_unknown_model(tiny: Model) -> None:
    write(Path("other.safetensors"), seed=2)
    result = rdae_command("decompress", "a.rdae", "-o", "x.png", "--model", "other.safetensors")
    assert_one_line_error(result, "a.rdae", tiny.model_id.hex(), "other")
    assert not Path("x.png").exists()


def test_weights_that_are_missing_or_damaged(tiny_path: Path) -> None:
    result = rdae_command("compress", "b.png", "--model", "none.safetensors")
    assert_one_line_error(result, "none.safetensors: No such file or directory")
    data = bytearray(tiny_path.read_bytes())
    data[5000] ^= 1
    Path("hurt.safetensors").write_bytes(data)
    assert_one_line_error(rdae_command("compress", "b.png", "--model", "hurt.safetensors"), "hurt.json")
    Path("hurt.json").write_bytes(tiny_path.with_suffix(".json").read_bytes())
    result = rdae_command("decompress", "a.rdae", "-o", "x.png", "--model", "hurt.safetensors")
    assert_one_line_error(result, "hurt.safetensors", "damaged")
    assert not Path("b.rdae").exists()
    assert not Path("x.png").exists()


def test_an_existing_output_without_force(model: tuple[str, str]) -> None:
    before = {name: Path(name).read_bytes() for name in ("a.png", "a.rdae")}
    assert_one_line_error(rdae_command("compress", "a.png", *model), "a.rdae", "--force")
    assert_one_line_error(rdae_command("decompress", "a.rdae", *model), "a.png", "--force")
    assert {name: Path(name).read_bytes() for name in before} == before
    assert_one_line_error(
        rdae_command("decompress", "a.rdae", "--force", *model), "a.png", "only with -o a.png"
    )
    assert {name: Path(name).read_bytes() for name in before} == before
    assert rdae_command("decompress", "a.rdae", "--force", "-o", "a.png", *model).exit_code == 0
    assert Path("a.png").read_bytes() != before["a.png"]


def test_errors_leave_no_other_files_behind(workplace: Path, model: tuple[str, str]) -> None:
    before = sorted(workplace.iterdir())
    Path("cut").write_bytes(Path("a.rdae").read_bytes()[:100])
    rdae_command("decompress", "cut", "none", "a.png", *model)
    rdae_command("compress", "a.rdae", "none", *model)
    Path("cut").unlink()
    assert sorted(workplace.iterdir()) == before


def test_the_good_ones_of_many_are_done(model: tuple[str, str]) -> None:
    result = rdae_command("compress", "none.png", "b.png", *model)
    assert result.exit_code == 1
    assert parse(Path("b.rdae").read_bytes()).header.width == 17
