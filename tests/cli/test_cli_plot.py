import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rdae_command import rdae_command

pytest.importorskip("matplotlib")

ROW = {"kind": "train", "elapsed_s": 1.0, "loss": 1.0, "bpp": 0.5, "mse": 50.0}
RESULTS = {"bpp": [0.1, 0.5, 2.0], "psnr-rgb": [28.0, 33.0, 40.0], "decoding_time": [0.1, 0.1, 0.2]}


def results(path: Path, **more: Any) -> str:
    """A result file."""
    path.write_text(json.dumps({"name": "mine", "results": RESULTS, **more}))
    return str(path)


def pictures(*names: str) -> list[dict[str, str]]:
    """The part of a result file that says whose it is."""
    return [{"name": f"{name}.png"} for name in names]


@pytest.fixture
def run(tmp_path: Path) -> str:
    """The folder of a training run."""
    folder = tmp_path / "run"
    folder.mkdir()
    rows = [{**ROW, "step": step, "pixels": 1000 * step} for step in (10, 20)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder)


@pytest.fixture(autouse=True)
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would be drawn, in place of drawing it."""
    found: list[dict[str, Any]] = []

    def note(*things: Any, **options: Any) -> bytes:
        found.append({"things": things, **options})
        return b"drawn"

    for module in ("rate_distortion", "training_curves", "relaxation"):
        monkeypatch.setattr(f"rdae.reporting.{module}.draw", note)
    return found


def test_results_are_drawn_as_asked_and_told_apart_by_their_files(tmp_path: Path, asked_for: Any) -> None:
    files = [results(tmp_path / f"{name}.json") for name in ("first", "second")]
    options = ("--metric", "decoding_time", "--xlim", "0,1", "--ylim", "20,40", "--log", "--title", "T")
    done = rdae_command("plot", *files, *options, "-o", str(tmp_path / "a.pdf"))
    assert done == (0, "", "")
    assert (tmp_path / "a.pdf").read_bytes() == b"drawn"
    (asked,) = asked_for
    measured, published = asked.pop("things")
    assert [curve.name for curve in measured] == ["mine (first)", "mine (second)"]
    assert published == []
    expected = {"file_format": "pdf", "metric": "decoding_time", "title": "T", "log": True}
    assert asked == {**expected, "xlim": (0.0, 1.0), "ylim": (20.0, 40.0)}


def test_published_curves_come_unasked_only_to_kodak(tmp_path: Path, asked_for: Any) -> None:
    kodak = results(tmp_path / "k.json", pictures=pictures(*(f"kodim{i:02d}" for i in range(1, 25))))
    other = results(tmp_path / "o.json", pictures=pictures("a", "b"))
    unsaid = results(tmp_path / "u.json")
    to = ("-f", "-o", str(tmp_path / "a.svg"))
    assert rdae_command("plot", kodak, unsaid, *to).stderr == ""
    assert rdae_command("plot", other, *to).stderr == ""
    done = rdae_command("plot", other, "--anchors", "vtm, jpeg", *to)
    assert done.exit_code == 0
    assert done.stderr == f"rdae: {other}: not of the 24 Kodak pictures, which the published curves are of\n"
    mixed = rdae_command("plot", kodak, other, *to)
    assert mixed.stderr == f"rdae: {other}: of other pictures than {kodak}\n"
    names = [[curve.name for curve in asked["things"][1]] for asked in asked_for]
    assert names == [
        ["ELIC 2022", "VTM 9.1 (VVC)", "BPG 4:4:4 (HEVC)"],
        [],
        ["VTM 9.1 (VVC)", "JPEG (Pillow 7.1)"],
        [],
    ]
    assert "unknown curve 'h264'" in rdae_command("plot", kodak, "--anchors", "h264", *to).stderr


def test_runs_and_their_history_are_drawn_together(run: str, tmp_path: Path, asked_for: Any) -> None:
    from rdae.evaluation.history import read_run, to_json

    (tmp_path / "history.json").write_text(to_json([read_run(Path(run))]))
    done = rdae_command("plot", str(tmp_path / "history.json"), run, "-o", str(tmp_path / "a.png"))
    assert done == (0, "", "")
    assert [found.name for found in asked_for[0]["things"][0]] == ["run", "run"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("RUN", "RESULTS"), "one figure cannot show rdae training and results"),
        (("RUN", "--log"), "--log: only for results"),
        (("RUN", "--metric", "psnr"), "--metric: only for results"),
        (("RESULTS", "--xlim", "1"), "expected two rising numbers"),
        (("RESULTS", "--ylim", "40,20"), "expected two rising numbers"),
        ((), "Missing argument"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...], message: str, run: str, tmp_path: Path) -> None:
    known = {"RUN": run, "RESULTS": results(tmp_path / "r.json")}
    done = rdae_command("plot", *(known.get(word, word) for word in arguments), "-o", str(tmp_path / "a.svg"))
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "a.svg").exists()


def test_drawing_loads_no_runtime(tmp_path: Path) -> None:
    code = "import sys\nfrom rdae.cli.main import main\ntry: main()\nfinally: assert 'onnxruntime' not in sys.modules"
    command = ("plot", results(tmp_path / "r.json"), "-o", str(tmp_path / "a.png"))
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_without_an_output_nothing_can_be_drawn(tmp_path: Path) -> None:
    done = rdae_command("plot", results(tmp_path / "r.json"))
    assert done.exit_code == 2
    assert "Missing option '-o'" in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ('{"kind": "rdae training", "runs": [{}]}', "not the history of a training"),
        ('{"kind": "rdae relaxation"}', "not a relaxation's results"),
        ('{"kind": ["x"]}', "expected results"),
    ],
)
def test_what_is_no_source_is_one_line(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    done = rdae_command("plot", str(path), "-o", str(tmp_path / "a.svg"))
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert str(path) in done.stderr
    assert message in done.stderr
