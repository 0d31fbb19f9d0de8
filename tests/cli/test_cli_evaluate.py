import contextlib
import csv
import io
import json
import os
import re
import runpy
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

import rdae as package
from rdae.cli.main import main
from rdae.evaluation.codecs import PILLOW_CODECS
from rdae.evaluation.result_files import model_files
from rdae.networks.registry import packaged
from rdae.objective import Objective
from rdae.training import full_reference

FakeModel = runpy.run_path(str(Path(__file__).parents[1] / "support" / "fake_model.py"))["FakeModel"]


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


def opens(monkeypatch: pytest.MonkeyPatch, model: object) -> None:
    """Let rdae.open_model give this model."""
    monkeypatch.setitem(package.__dict__, "open_model", lambda *_, **__: model)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two pictures, while open_model gives the fake model."""
    opens(monkeypatch, FakeModel())
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


def points(path: Path) -> dict[float, dict[str, Any]]:
    """The points of the first picture in a result file, by quality."""
    return {point["quality"]: point for point in json.loads(path.read_text())["pictures"][0]["points"]}


def test_eval_run_again_measures_only_what_is_missing(pictures: Path, tmp_path: Path) -> None:
    output, table = tmp_path / "results.json", tmp_path / "points.csv"
    assert rdae("eval", pictures, "-q", "20,60", "-o", output).code == 0
    first = points(output)
    same = output.read_bytes()
    again = rdae("eval", pictures, "-q", "20,60", "-o", output)
    assert again.code == 0
    assert "done, 4 points known before" in again.stderr
    assert output.read_bytes() == same
    (pictures / "b.png").rename(pictures / "c.png")  # the same pixels under another name
    rest = rdae("eval", pictures / "a.png", pictures / "c.png", "-q", "20,60,90", "-o", output, "--force")
    assert rest.code == 0
    more = rdae("eval", pictures, "-q", "20,60,90,95", "-o", output, "--csv", table)
    assert "2 of 2: rdae fake: done, 6 points known before" in more.stderr
    assert json.loads(output.read_text())["meta"]["reused_points"] == 6
    assert points(output)[20]["bytes"] == first[20]["bytes"]
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["picture"], row["quality"]) for row in rows[:5]] == [
        *(("a.png", quality) for quality in ("20.0", "60.0", "90.0", "95.0")),
        ("c.png", "20.0"),
    ]
    assert float(rows[0]["psnr-y"]) == points(output)[20]["psnr-y"]
    made = table.read_bytes()
    head, *lines = made.splitlines(keepends=True)
    table.write_bytes(head + b"".join(lines[1::2]))  # an older table is made anew, no other file is replaced
    assert rdae("eval", pictures, "-q", "20,60,90,95", "-o", output, "--csv", table).code == 0
    assert table.read_bytes() == made
    others = [
        made.replace(*each) for each in ((b"c.png", b"d.png"), (b"rdae fake", b"WebP"), (b"95.0", b"96.0"))
    ]
    kept = [(words, ("-o", output)) for words in (b"of somebody's own\n", *others)]
    for words, options in (*kept, (made, ())):
        table.write_bytes(words)
        refused = rdae("eval", pictures, "-q", "20,60,90,95", *options, "--csv", table)
        assert (refused.code, "already there" in refused.stderr) == (1, True)
        assert table.read_bytes() == words


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_table_can_go_to_a_pipe(tmp_path: Path, pictures: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_text)
        done = rdae("eval", pictures, "-q", "20,60", "-o", tmp_path / "r.json", "--csv", pipe)
        assert done.code == 0, done.stderr
        assert read.result(60).startswith("codec,picture,")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("-q", "20"), "holds points that this run leaves out (quality 60)"),
        (("--peers-only", "--peers", "jpeg"), ""),
        (("-q", "20,60", "--other"), "is of model 66616b65, now 66616b66"),
        (("-q", "20,60", "--foreign"), "holds no points of single pictures"),
    ],
)
def test_eval_replaces_what_it_would_lose_only_when_told_to(
    change: tuple[str, ...], message: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "results.json"
    assert rdae("eval", pictures, "-q", "20,60", "-o", output, "--quiet").code == 0
    if "--other" in change:
        other = replace(FakeModel(), model_id=b"fakf")
        opens(monkeypatch, other)
    if "--foreign" in change:
        output.write_text('{"results": {"bpp": [1], "psnr-rgb": [30]}}')
    before = output.read_bytes()
    arguments = (
        "eval",
        pictures,
        *(word for word in change if word not in ("--other", "--foreign")),
        "-o",
        output,
    )
    done = rdae(*arguments, "--quiet")
    assert done.code == (1 if message else 0)
    assert message in done.stderr
    assert done.stderr.count("\n") == bool(message)
    assert output.read_bytes() == before
    if message:
        assert rdae(*arguments, "--quiet", "--force").code == 0
        assert output.read_bytes() != before


def test_eval_that_is_stopped_keeps_what_it_has_and_goes_on(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "results.json"

    class Stopping(FakeModel):  # type: ignore[misc, valid-type]
        def encode(self, picture: Any, at: float, *, effort: int = 1) -> Any:
            if picture[0, 1, 1] == 3:  # the second picture
                raise KeyboardInterrupt
            return super().encode(picture, at, effort=effort)

    opens(monkeypatch, Stopping())
    assert rdae("eval", pictures, "-q", "20,60", "-o", output).code == 130
    stopped = json.loads(output.read_text())
    assert stopped["failures"] == [{"picture": "b.png", "error": "not measured: the run was stopped"}]
    opens(monkeypatch, FakeModel())
    done = rdae("eval", pictures, "-q", "20,60", "-o", output)
    assert done.code == 0
    assert "2 of 2: rdae fake: done, 2 points known before" in done.stderr
    assert json.loads(output.read_text())["failures"] == []


def test_eval_against_an_earlier_file_prints_its_bd_rate(pictures: Path, tmp_path: Path) -> None:
    first = rdae("eval", pictures, "--peers-only", "--peers", "jpeg", "--quiet", "-o", tmp_path / "peer.json")
    assert first.code == 0
    assert first.stderr == ""
    arguments = (
        "eval",
        pictures,
        "-q",
        "20,50,80",
        "--against",
        tmp_path / "peer.jpeg.json",
        "--anchors",
        "none",
    )
    done = rdae(*arguments)
    assert "rdae fake against JPEG 4:4:4: BD-rate" in done.stdout
    classic = rdae(*arguments, "--against", "webp", "--bd", "cubic", "--metric", "psnr-y", "--peers", "jpeg")
    assert (
        "rdae fake against WebP (Pillow 7.1): no BD-rate: WebP (Pillow 7.1) has no PSNR-Y" in classic.stdout
    )
    assert "rdae fake against JPEG 4:4:4: no BD-rate: a curve needs at least 4 points" in classic.stdout
    assert re.search(
        r"JPEG 4:4:4 against JPEG 4:4:4: BD-rate [+-]0\.00 %, BD-PSNR-Y [+-]0\.00 dB", classic.stdout
    )


def trained_for_ssimulacra2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let open_model give a model of this objective."""
    model = FakeModel()
    model.loaded.objective = Objective("ssimulacra2", (0.8, 0.3, 0.3))
    opens(monkeypatch, model)


def test_eval_opens_with_what_the_model_was_trained_for(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_for_ssimulacra2(monkeypatch)
    output = tmp_path / "results.json"
    arguments = ("eval", pictures, "-q", "20,50,80", "--peers", "jpeg", "--quiet", "-o", output)
    done = rdae(*arguments)
    assert done.code == 0
    headings = [line.split() for line in done.stdout.splitlines() if line.startswith("quality")]
    assert [words[:3] for words in headings[::2]] == [
        ["quality", "bpp", "SSIMULACRA2"]
    ] * 2  # and its account
    rates = [line for line in done.stdout.splitlines() if ": BD-rate " in line]
    assert [re.findall(r"BD-[A-Z0-9]{2,}", line) for line in rates] == [["BD-SSIMULACRA2"], ["BD-PSNR"]]
    assert json.loads(output.read_text())["meta"]["objective"] == "ssimulacra2"
    opens(monkeypatch, FakeModel())
    other = rdae(*arguments, "--ssimulacra2", "--force")
    (first, *_) = [line.split() for line in other.stdout.splitlines() if line.startswith("quality")]
    assert first[:3] == ["quality", "bpp", "PSNR"]
    rates = [line for line in other.stdout.splitlines() if ": BD-rate " in line]
    assert [re.findall(r"BD-[A-Z0-9]{2,}", line) for line in rates] == [["BD-PSNR"], ["BD-SSIMULACRA2"]]


def test_eval_measures_five_more_and_prints_the_mean_of_their_bd_rates(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(original: Any, decoded: Any) -> dict[str, float]:
        error = float(np.mean((original / 255.0 - decoded / 255.0) ** 2)) + 1e-5
        return {
            "haarpsi": 1 - error,
            "fsimc": 1 - 2 * error,
            "mdsi": error,
            "ms-gmsd": error,
            "vsi": 1 - error,
        }

    monkeypatch.setattr(full_reference, "load", dict)
    monkeypatch.setattr(full_reference, "measure", measure)
    output = tmp_path / "results.json"
    arguments = ("eval", pictures, "-q", "20,50,80", "--peers", "jpeg", "-o", output)
    assert rdae(*arguments).code == 0
    before = points(output)[20]
    assert not {"haarpsi-db", "vsi-db"} & before.keys()
    done = rdae(*arguments, "--perceptual", "--metric", "haarpsi")
    assert done.code == 0
    assert "6 of 6: rdae fake: done" in done.stderr  # what lacks them is measured again
    measured = points(output)[20]
    assert measured["haarpsi-db"] == pytest.approx(measured["fsimc-db"] + 10 * np.log10(2))
    assert re.search(r"rdae fake against JPEG 4:4:4: BD-rate [+-]\d+\.\d+ %, BD-HaarPSI", done.stdout)
    head, line = done.stdout.splitlines()[-2:]
    assert head.split()[-5:] == ["MS-GMSD", "VSI", "mean", "of", "five"]
    values = [float(word) for word in line.split()[-7:]]
    assert line.startswith("JPEG 4:4:4 ")
    assert values[-1] == pytest.approx(sum(values[-6:-1]) / 5, abs=0.006)
    again = rdae(*arguments)
    assert "6 points known before" in again.stderr
    assert points(output)[20]["vsi-db"] > 0
    wrong = rdae("eval", pictures, "--metric", "vsi")
    assert wrong.code == 2
    assert "--metric vsi needs --perceptual" in wrong.stderr


@pytest.mark.parametrize(
    ("option", "name"), [("--against", "h264"), ("--peers", "compressai:mbt2018:1=none.pth")]
)
def test_eval_finds_a_file_that_is_not_there_before_it_starts(option: str, name: str, pictures: Path) -> None:
    done = rdae("eval", pictures, option, name)
    assert done.code == 1
    assert "No such file" in done.stderr
    assert done.stderr.count("\n") == 1


def test_eval_measures_memory_and_ssimulacra2_when_asked_to(pictures: Path, tmp_path: Path) -> None:
    arguments = ("eval", pictures, "--peers-only", "--peers", "jpeg", "--memory", "--ssimulacra2")
    done = rdae(*arguments, "-o", tmp_path / "results.json")
    content = json.loads((tmp_path / "results.jpeg.json").read_text())
    scores = content["results"]["ssimulacra2"]
    assert len(scores) > 5
    assert scores == sorted(scores)
    assert "SSIMULACRA2" in done.stdout
    if sys.platform == "linux":
        assert content["memory"]["picture"] == "a.png"
        assert content["memory"]["decoding_bytes"] < 50e6
        assert "peak memory over the loaded program: encoding" in done.stdout
    wrong = rdae("eval", pictures, "--metric", "ssimulacra2")
    assert wrong.code == 2


def test_eval_goes_on_past_a_bad_picture_and_ends_with_status_1(pictures: Path) -> None:
    (pictures / "aa.png").write_bytes(b"no picture")
    done = rdae("eval", pictures, "-q", "20,80")
    assert done.code == 1
    assert f"rdae: {pictures / 'aa.png'}: not a picture in a known format\n" in done.stderr
    assert "mean of 2 pictures" in done.stdout


def test_eval_tells_each_failure_once_and_on_standard_error_alone(pictures: Path) -> None:
    """Though with --quiet, and though each codec meets the same ones."""
    bad, gone = pictures / "aa.png", pictures / "none.png"
    bad.write_bytes(b"no picture")
    lines = [f"rdae: {bad}: not a picture in a known format", f"rdae: {gone}: No such file or directory"]
    done = rdae("eval", pictures, gone, "-q", "20,80", "--peers", "jpeg", "--quiet")
    assert done.code == 1
    assert done.stderr.splitlines() == lines
    assert "aa.png" not in done.stdout
    assert "none.png" not in done.stdout
    done = rdae("eval", bad, gone, "-q", "20", "--quiet")
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [*lines, "rdae: no picture could be measured"]


def test_eval_tells_what_it_leaves_out_of_pictures_or_changes(pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    grey = Image.fromarray(np.arange(48 * 32, dtype=np.uint16).reshape(32, 48) * 41)
    grey.save(folder / "g16.png")
    frames = [Image.new("L", (48, 32), level) for level in (10, 200)]
    frames[0].save(folder / "anim.gif", save_all=True, append_images=frames[1:])
    Image.new("CMYK", (48, 32), (9, 99, 0, 30)).save(folder / "cmyk.tif")
    odd = [folder / name for name in ("anim.gif", "cmyk.tif", "g16.png")]
    line = ("eval", *odd, pictures / "a.png", "-q", "20", "--peers", "jpeg")
    done = rdae(*line)
    assert done.code == 0
    notes = [line for line in done.stderr.splitlines() if line.startswith("rdae: ")]
    assert [note.partition(": ")[2].partition(": ")[::2] for note in notes] == [
        (str(odd[0]), "only the first of 2 frames taken"),
        (str(odd[1]), "CMYK converted to RGB without a profile"),
        (str(odd[2]), "16 bits rounded to 8"),
    ]
    assert rdae(*line, "--quiet").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "victim"),
    [
        (("-o", "a.png"), "a.png"),
        (("--csv", "a.png"), "a.png"),
        (("--csv", "link.csv"), "link.csv"),
        (("-o", "shots.png", "--peers-only", "--peers", "jpeg"), "shots.jpeg.png"),
        (("--csv", "earlier.json", "--against", "earlier.json"), "earlier.json"),
        (("--csv", "w.pth", "--peers", "compressai:mbt2018:1=w.pth"), "w.pth"),
        (("-o", "w.safetensors", "--model", "w.safetensors"), "w.safetensors"),
        (("-o", "w.json", "--model", "w.safetensors"), "w.json"),
        (("--csv", "w.synthesis.onnx", "--model", "w.safetensors"), "w.synthesis.onnx"),
    ],
)
def test_eval_never_writes_over_what_it_reads(
    arguments: tuple[str, ...], victim: str, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures)
    Path("shots.jpeg.png").write_bytes(Path("b.png").read_bytes())
    Path("link.csv").symlink_to("a.png")
    for name in ("earlier.json", "w.pth", "w.safetensors", "w.json", "w.synthesis.onnx"):
        Path(name).write_bytes(b"of hours")
    monkeypatch.setattr("rdae.evaluation.codecs.find_codecs", known_codecs)
    before = Path(victim).read_bytes()
    there = sorted(Path().iterdir())
    done = rdae("eval", ".", "-q", "20,50", *arguments, "-f")
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr == f"rdae: the output {victim} is an input as well, which is never overwritten\n"
    assert Path(victim).read_bytes() == before
    assert sorted(Path().iterdir()) == there


def test_results_may_be_called_after_a_model_that_is_named(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        done = rdae("eval", pictures, "-q", "20", "--model", "rdae-base", "-o", "rdae-base.json")
        assert done.code == 0, done.stderr
    assert packaged() / "rdae-base.synthesis.onnx" in model_files(Path("rdae-base"))
    assert model_files(Path()) == []


def known_codecs(names: list[str]) -> list[Any]:
    """Of these those that Pillow writes: others need PyTorch to be found."""
    return [PILLOW_CODECS[name] for name in names if name in PILLOW_CODECS]


@pytest.mark.parametrize("table", ["r.json", "./r.json", "r.jpeg.json", "link.json"])
def test_eval_refuses_one_file_for_results_and_table_before_any_work(
    table: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link.json").symlink_to("r.json")
    done = rdae("eval", pictures, "-q", "20", "--peers", "jpeg", "-o", "r.json", "--csv", table, "-f")
    assert (done.code, done.stdout) == (2, "")
    assert f"--csv {Path(table)} is where -o writes results" in done.stderr
    assert not Path("r.json").exists()


def test_eval_names_an_option_that_lists_curves() -> None:
    text = " ".join(rdae("eval", "--help").stdout.split())
    (command,) = re.findall(r"\(rdae (plot .*?) names them\)", text)
    assert "bpg444" in rdae(*command.split()).stdout


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
