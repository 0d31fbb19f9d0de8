import contextlib
import io
import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from rdae.cli.main import main

FakeModel = runpy.run_path(str(Path(__file__).with_name("fake_model.py")))["FakeModel"]


class Result(NamedTuple):
    code: int
    stdout: str
    stderr: str


def rdae(*arguments: object) -> Result:
    """Run the command in this process."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            main([str(argument) for argument in arguments], prog_name="rdae")
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return Result(code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two pictures, while open_model gives the fake model."""
    monkeypatch.setitem(sys.modules, "rdae.api", SimpleNamespace(open_model=lambda _path=None, **_options: FakeModel()))
    folder = tmp_path / "pictures"
    folder.mkdir()
    rows, columns = np.mgrid[:32, :48]
    for name, factor in (("a.png", 5), ("b.png", 3)):
        channels = [rows * factor, columns * factor, rows * columns % 251]
        Image.fromarray(np.stack(channels, axis=2).astype(np.uint8)).save(folder / name)
    return folder


def test_eval_writes_a_result_file_for_the_model_and_one_for_each_peer(
    pictures: Path, tmp_path: Path
) -> None:
    output = tmp_path / "results.json"
    arguments = ("eval", pictures, "-q", "90,20,60", "--peers", "jpeg,webp", "-o", output)
    done = rdae(*arguments)
    assert done.code == 0
    own = json.loads(output.read_text())
    assert own["results"]["quality"] == [20, 60, 90]
    assert len(own["pictures"]) == 2
    for name in ("jpeg", "webp"):
        assert len(json.loads((tmp_path / f"results.{name}.json").read_text())["results"]["bpp"]) > 5
    assert "rdae fake against JPEG 4:4:4: BD-rate" in done.stdout
    assert "not the 24 Kodak pictures" in done.stdout
    assert "6 of 6: rdae fake: done" in done.stderr
    again = rdae(*arguments)
    assert again.code == 1
    assert again.stderr.startswith("rdae: ")
    assert "results.json" in again.stderr
    assert again.stderr.count("\n") == 1


def test_eval_against_an_earlier_file_prints_its_bd_rate(pictures: Path, tmp_path: Path) -> None:
    first = rdae("eval", pictures, "--peers-only", "--peers", "jpeg", "--quiet", "-o", tmp_path / "peer.json")
    assert first.code == 0
    assert first.stderr == ""
    done = rdae("eval", pictures, "-q", "20,50,80", "--against", tmp_path / "peer.jpeg.json")
    assert "rdae fake against JPEG 4:4:4: BD-rate" in done.stdout


def test_eval_goes_on_past_a_bad_picture_and_ends_with_status_1(pictures: Path) -> None:
    (pictures / "aa.png").write_bytes(b"no picture")
    done = rdae("eval", pictures, "-q", "20,80")
    assert done.code == 1
    assert "failed: aa.png" in done.stdout
    assert "mean of 2 pictures" in done.stdout


@pytest.mark.parametrize("qualities", ["", "fine", "101", "-1", "20,nan", "20;30"])
def test_eval_refuses_qualities_that_are_none(qualities: str, pictures: Path) -> None:
    done = rdae("eval", pictures, "-q", qualities)
    assert done.code == 2
    assert "expected numbers from 0 to 100" in " ".join(done.stderr.split())


@pytest.mark.parametrize(("option", "name"), [("--peers", "gif"), ("--anchors", "h264")])
def test_eval_finds_an_unknown_peer_or_curve_before_it_starts(option: str, name: str, pictures: Path) -> None:
    done = rdae("eval", pictures, option, name)
    assert done.code == 1
    assert f"'{name}', expected one of" in done.stderr
    assert done.stderr.count("\n") == 1


def test_plot_draws_result_files_and_asks_before_it_replaces(pictures: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    output, figure = tmp_path / "results.json", tmp_path / "curve.svg"
    assert rdae("eval", pictures, "-q", "20,50,80", "-o", output).code == 0
    arguments = ("plot", output, "-o", figure, "--anchors", "vtm,jpeg")
    assert rdae(*arguments).code == 0
    assert b"<svg" in figure.read_bytes()
    again = rdae(*arguments)
    assert again.code == 1
    assert "curve.svg" in again.stderr
    assert rdae(*arguments, "--force").code == 0
    wrong = rdae("plot", output, "-o", tmp_path / "curve.gif")
    assert wrong.code == 2
    assert "expected a name ending in" in " ".join(wrong.stderr.split())


def test_plot_of_a_file_that_holds_no_results_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "no.json"
    path.write_text("{}")
    done = rdae("plot", path, "-o", tmp_path / "curve.png")
    assert done.code == 1
    assert "no.json: expected results" in done.stderr
    assert done.stderr.count("\n") == 1


def test_plot_lists_the_published_curves_without_asking_for_files() -> None:
    done = rdae("plot", "--anchors", "list")
    assert done.code == 0
    assert any(line.startswith("bpg444 ") and "CompressAI@" in line for line in done.stdout.splitlines())


def test_benchmark_prints_a_table_or_json(pictures: Path) -> None:
    arguments = ("benchmark", pictures, "--repeat", "1", "--peers", "jpeg")
    done = rdae(*arguments)
    assert "decode" in done.stdout
    assert "JPEG 4:4:4" in done.stdout
    assert len(json.loads(rdae(*arguments, "--json").stdout)["timings"]) == 2


def test_benchmark_of_a_file_that_is_no_picture_names_it_on_one_line(pictures: Path) -> None:
    (pictures / "b.png").write_bytes(b"no picture")
    done = rdae("benchmark", pictures)
    assert done.code == 1
    assert f"{pictures / 'b.png'}: " in done.stderr
    assert done.stderr.count("\n") == 1
