"""Verdicts on crops whose labels were hidden are counted as they were given."""

import json
import sys
from pathlib import Path

import blind
import pytest
from PIL import Image
from tiny_model import photo

from rdae.errors import ResultsError


def test_a_verdict_ranks_what_the_letters_stood_for() -> None:
    order = ["avif", "visual", "psnr"]
    assert blind.ranks("B,C,A", order) == {"visual": 0, "psnr": 1, "avif": 2}
    assert blind.ranks("C, AB", order) == {"psnr": 0, "avif": 1, "visual": 1}
    for wrong in ("A,B", "A,B,B", "A,B,C,D", ""):
        with pytest.raises(ResultsError, match="each once"):
            blind.ranks(wrong, order)


def test_preferences_are_counted_by_rate_and_ties_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = {
        "0.0": {"rate": 0.15, "order": ["avif", "visual", "psnr"]},
        "0.1": {"rate": 0.4, "order": ["psnr", "avif", "visual"]},
    }
    verdicts = [{"0.0": "B,C,A", "0.1": "B,AC"}, {"0.0": "BC,A", "0.1": "C,A,B"}]
    paths = [tmp_path / name for name in ("key.json", "one.json", "two.json")]
    for path, content in zip(paths, (key, *verdicts), strict=True):
        path.write_text(json.dumps(content))
    output = tmp_path / "blind.json"
    monkeypatch.setattr(sys, "argv", ["blind", "tally", *map(str, paths), "-o", str(output)])
    assert blind.main() == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[2:] == [
        "| 0.15 | 1 : 0 | 2 : 0 | 2 : 0 |",
        "| 0.4 | 1 : 0 | 1 : 1 | 1 : 1 |",
        "| all | 2 : 0 | 3 : 1 | 3 : 1 |",
    ]
    assert json.loads(output.read_text())["judges"] == verdicts


def test_sheets_of_two_other_models_are_made_and_counted_by_their_titles(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(photo(64, 96)).save(tmp_path / "a.png")
    monkeypatch.setattr(blind, "RATES", (2.0,))
    models = [f"--model={title}={tiny_path}" for title in ("old", "new")]
    command = ["blind", "sheets", f"{tmp_path / 'a.png'}:0,0", "-o", str(tmp_path / "out"), *models]
    monkeypatch.setattr(sys, "argv", command)
    assert blind.main() == 0
    key = json.loads((tmp_path / "out" / "key.json").read_text())
    assert set(key["0.0"]["order"]) == {"old", "new", "avif"}
    with Image.open(tmp_path / "out" / "0.0.png") as sheet:
        assert sheet.size == (4 * (2 * blind.SIDE + 4), 2 * blind.SIDE + 20)
    verdict = "".join("ABC"[key["0.0"]["order"].index(codec)] + "," for codec in ("new", "old", "avif"))
    lines = blind.table({"sheets": key, "judges": [{"0.0": verdict.rstrip(",")}]})
    assert lines[0] == "| bits per pixel | new : old | new : AVIF | old : AVIF |"
    assert lines[-1] == "| all | 1 : 0 | 1 : 0 | 1 : 0 |"


def test_a_sheet_that_was_not_judged_is_an_error_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / "key.json", tmp_path / "one.json"]
    paths[0].write_text(json.dumps({"0.0": {"rate": 0.15, "order": ["avif", "visual", "psnr"]}}))
    paths[1].write_text("{}")
    monkeypatch.setattr(sys, "argv", ["blind", "tally", *map(str, paths), "-o", str(tmp_path / "blind.json")])
    assert blind.main() == 1
    assert capsys.readouterr().err == "blind: '0.0'\n"
    assert not (tmp_path / "blind.json").exists()
