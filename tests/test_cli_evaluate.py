import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from rdae.cli.benchmark import benchmark
from rdae.cli.evaluate import evaluate
from rdae.cli.plot import plot
from rdae.errors import OutputExistsError, ResultsError

FakeModel = runpy.run_path(str(Path(__file__).with_name("fake_model.py")))["FakeModel"]


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two pictures, while open_model gives the fake model."""
    monkeypatch.setitem(sys.modules, "rdae.api", SimpleNamespace(open_model=lambda _path=None: FakeModel()))
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
    arguments = [str(pictures), "-q", "90,20,60", "--peers", "jpeg,webp", "-o", str(output)]
    done = CliRunner().invoke(evaluate, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    own = json.loads(output.read_text())
    assert own["results"]["quality"] == [20, 60, 90]
    assert len(own["pictures"]) == 2
    for name in ("jpeg", "webp"):
        assert len(json.loads((tmp_path / f"results.{name}.json").read_text())["results"]["bpp"]) > 5
    assert "rdae fake against JPEG 4:4:4: BD-rate" in done.stdout
    assert "not the 24 Kodak pictures" in done.stdout
    assert "done" in done.stderr
    with pytest.raises(OutputExistsError, match=r"results\.json"):
        CliRunner().invoke(evaluate, arguments, catch_exceptions=False)


def test_eval_against_an_earlier_file_prints_its_bd_rate(pictures: Path, tmp_path: Path) -> None:
    jpeg = tmp_path / "peer.json"
    peers_only = ["--peers-only", "--peers", "jpeg", "--quiet"]
    first = CliRunner().invoke(
        evaluate, [str(pictures), *peers_only, "-o", str(jpeg)], catch_exceptions=False
    )
    assert first.exit_code == 0
    assert first.stderr == ""
    written = tmp_path / "peer.jpeg.json"
    done = CliRunner().invoke(
        evaluate, [str(pictures), "-q", "20,50,80", "--against", str(written)], catch_exceptions=False
    )
    assert "rdae fake against JPEG 4:4:4: BD-rate" in done.stdout


def test_eval_goes_on_past_a_bad_picture_and_ends_with_status_1(pictures: Path) -> None:
    (pictures / "aa.png").write_bytes(b"no picture")
    done = CliRunner().invoke(evaluate, [str(pictures), "-q", "20,80"])
    assert done.exit_code == 1
    assert "failed: aa.png" in done.stdout
    assert "mean of 2 pictures" in done.stdout


@pytest.mark.parametrize("qualities", ["", "fine", "101", "-1", "20,nan", "20;30"])
def test_eval_refuses_qualities_that_are_none(qualities: str, pictures: Path) -> None:
    done = CliRunner().invoke(evaluate, [str(pictures), "-q", qualities])
    assert done.exit_code == 2
    assert "expected numbers from 0 to 100" in done.stderr


def test_eval_finds_an_unknown_peer_or_curve_before_it_starts(pictures: Path) -> None:
    for option, name in (("--peers", "gif"), ("--anchors", "h264")):
        with pytest.raises(ResultsError, match=f"unknown .* '{name}'"):
            CliRunner().invoke(evaluate, [str(pictures), option, name], catch_exceptions=False)


def test_plot_draws_result_files_and_asks_before_it_replaces(pictures: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    output, figure = tmp_path / "results.json", tmp_path / "curve.svg"
    CliRunner().invoke(evaluate, [str(pictures), "-q", "20,50,80", "-o", str(output)], catch_exceptions=False)
    arguments = [str(output), "-o", str(figure), "--anchors", "vtm,jpeg"]
    assert CliRunner().invoke(plot, arguments, catch_exceptions=False).exit_code == 0
    assert b"<svg" in figure.read_bytes()
    with pytest.raises(OutputExistsError):
        CliRunner().invoke(plot, arguments, catch_exceptions=False)
    wrong = CliRunner().invoke(plot, [str(output), "-o", str(tmp_path / "curve.gif")])
    assert wrong.exit_code == 2
    assert "expected a name ending in" in wrong.stderr


def test_plot_lists_the_published_curves_without_asking_for_files() -> None:
    done = CliRunner().invoke(plot, ["--list-anchors"])
    assert done.exit_code == 0
    assert "bpg444" in done.stdout


def test_benchmark_prints_a_table_or_json(pictures: Path) -> None:
    arguments = [str(pictures), "--repeat", "1", "--peers", "jpeg"]
    done = CliRunner().invoke(benchmark, arguments, catch_exceptions=False)
    assert "decode" in done.stdout
    assert "JPEG 4:4:4" in done.stdout
    as_json = CliRunner().invoke(benchmark, [*arguments, "--json"], catch_exceptions=False)
    assert len(json.loads(as_json.stdout)["timings"]) == 2
