"""rdae inspect: which file a line is about, and what it says of pictures that it does not take whole."""

from pathlib import Path

import numpy as np
import pytest
import tiny_model
from PIL import Image
from rdae_command import rdae_command


@pytest.fixture
def model(tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The option for a small model, in a folder with a.png and a.rdae."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(tiny_model.photo(48, 64)).save("a.png")
    option = ("--model", str(tiny_path))
    assert rdae_command("compress", "a.png", "--no-exact", *option).exit_code == 0
    return option


@pytest.mark.parametrize(
    ("name", "words"),
    [("mk.py", "not a picture in a known format"), ("none.png", "No such file or directory")],
)
def test_an_original_that_cannot_be_read_is_named(model: tuple[str, str], name: str, words: str) -> None:
    Path("mk.py").write_text("pass\n")
    done = rdae_command("inspect", "a.rdae", "--original", name, "-o", "maps", *model)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"rdae: {name}: {words}\n"
    assert not Path("maps").exists()


def test_what_is_left_out_of_a_picture_or_changed_is_told(model: tuple[str, str]) -> None:
    frames = [Image.new("L", (64, 48), level) for level in (10, 200)]
    frames[0].save("anim.gif", save_all=True, append_images=frames[1:])
    done = rdae_command("inspect", "anim.gif", "-o", "maps", *model)
    assert done.exit_code == 0, done.stderr
    assert done.stderr == "rdae: anim.gif: only the first of 2 frames taken\n"
    Image.fromarray(np.full((48, 64), 30_000, np.uint16)).save("g16.png")
    done = rdae_command("inspect", "a.rdae", "--original", "g16.png", "-o", "maps", "-f", *model)
    assert done.exit_code == 0, done.stderr
    assert done.stderr == "rdae: g16.png: 16 bits rounded to 8\n"
    assert rdae_command("inspect", "a.png", "-o", "maps", "-f", *model).stderr == ""
