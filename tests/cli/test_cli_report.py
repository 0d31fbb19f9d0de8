"""rdae report: what it must not write is refused before a picture is encoded."""

from pathlib import Path

import pytest
import tiny_model
from PIL import Image
from rdae_command import rdae_command


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the pictures pv/a.png and pv/b.png and results of one, r.jpeg.json; no picture may be encoded."""
    monkeypatch.chdir(tmp_path)
    Path("pv").mkdir()
    for name, width in (("a", 48), ("b", 64)):
        Image.fromarray(tiny_model.photo(32, width)).save(f"pv/{name}.png")
    line = ("eval", "pv/a.png", "--peers-only", "--peers", "jpeg", "-o", "r.json", "--quiet")
    done = rdae_command(*line)
    assert done.exit_code == 0, done.stderr

    def encoded(*_arguments: object, **_options: object) -> None:
        pytest.fail("it has begun to work")

    monkeypatch.setattr("rdae.reporting.page.show.show_pictures", encoded)


@pytest.mark.parametrize(
    ("pictures", "output"),
    [
        ("pv", "pv/a.png"),
        ("pv", "pv/b.png"),  # which is not shown, but lies among those that are
        ("pv/a.png", "pv/a.png"),
        ("pv/a.png", "link.html"),
    ],
)
def test_a_page_never_takes_the_place_of_a_picture(pictures: str, output: str) -> None:
    Path("link.html").symlink_to("pv/a.png")
    before = Path(output).read_bytes()
    done = rdae_command("report", "r.jpeg.json", "--pictures", pictures, "-o", output, "-f")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"rdae: the output {output} is an input as well, which is never overwritten\n"
    assert Path(output).read_bytes() == before


def test_a_page_in_no_folder_is_refused_at_once() -> None:
    done = rdae_command("report", "r.jpeg.json", "--pictures", "pv/a.png", "-o", "nodir/x.html")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "rdae: nodir/x.html: there is no folder nodir\n"
