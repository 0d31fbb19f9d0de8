"""tools/scores.py: by score the quality to type, from result files of rdae eval."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import scores

from rdae.errors import ResultsError
from rdae.evaluation.results import Evaluation, PictureResult, Point, read
from rdae.networks.registry import TUNES

QUALITIES = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
PIXELS = 1000


def written(path: Path, name: str, slope: float, *, pictures: tuple[str, ...] = ("a.png", "b.png")) -> Path:
    """A result file with mean scores of 100 - 90 exp(-slope quality), at 2^(quality / 20) / 8 bits a pixel."""

    def point(quality: float, offset: float) -> Point:
        score = 100 - 90 * math.exp(-slope * quality) + offset
        size = round(PIXELS * 2 ** (quality / 20) / 64)
        return Point(quality, size, PIXELS, 9.0, 38.6, None, 0.1, 0.1, ssimulacra2=score)

    results = [
        PictureResult(picture, 50, 20, tuple(point(quality, offset) for quality in QUALITIES))
        for picture, offset in zip(pictures, (-3.0, 3.0), strict=False)
    ]
    path.write_text(Evaluation(name, "of the tests", QUALITIES, tuple(results)).to_json(), encoding="utf-8")
    return path


def rows(lines: list[str]) -> dict[str, list[str]]:
    """The cells of a table by what stands first in their row."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {first: rest for first, *rest in cells}


def test_each_score_has_the_quality_that_reaches_it_and_its_rate(tmp_path: Path) -> None:
    own = written(tmp_path / "own.json", TUNES["visual"], 0.02)
    peer = written(tmp_path / "peer.json", "JPEG", 0.01)
    lines = scores.table([own, peer])
    found = rows(lines)
    assert found["score"] == ["rdae, `--tune visual`", "JPEG"]
    assert lines[-1].endswith("means of 2 pictures.")
    for score in (50, 70, 85):
        exact = math.log(90 / (100 - score)) / 0.02
        quality, rate = found[str(score)][0].split(" ")
        assert int(quality) == math.ceil(exact)
        assert float(rate.strip("()")) == pytest.approx(2 ** (int(quality) / 20) / 8, rel=0.05)
    assert found["50"][1].split(" ")[0] == str(math.ceil(math.log(1.8) / 0.01))
    assert found["70"][1] == "-"  # 100 - 90 / e is less
    assert "90" not in found  # no codec gets so far


def without_score(point: Point) -> Point:
    return replace(point, ssimulacra2=None)


def test_files_without_scores_and_of_other_pictures_are_told(tmp_path: Path) -> None:
    own = written(tmp_path / "own.json", "codec", 0.02)
    other = written(tmp_path / "other.json", "codec", 0.02, pictures=("c.png",))
    with pytest.raises(ResultsError, match=r"other\.json: of other pictures than .*own\.json"):
        scores.table([own, other])
    plain = tmp_path / "plain.json"
    pictures = [replace(each, points=tuple(map(without_score, each.points))) for each in read(own).pictures]
    plain.write_text(replace(read(own), pictures=tuple(pictures)).to_json(), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, scores.__file__, str(plain)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, f"scores: {plain}: measured without --ssimulacra2\n")


def test_the_program_prints_the_table(tmp_path: Path) -> None:
    path = written(tmp_path / "own.json", "codec", 0.02)
    done = subprocess.run(
        [sys.executable, scores.__file__, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == scores.table([path])
