"""Trials of trainings are ranked by what the curves say, and texture is counted as energy."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_model
import trials
from PIL import Image

from rdae.errors import ResultsError
from rdae.evaluation.five_measures import FIVE

NEEDS_BOTH = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("piq") is None,
    reason="torch and piq are not here: pip install 'rdae[train,perceptual]'",
)

ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / "tools" / "trials.py"


def test_a_tenth_fewer_bits_at_equal_measures_are_a_tenth() -> None:
    def rows(bits: float) -> list[dict[str, float]]:
        return [{"bpp": bits * 2.0**i, **dict.fromkeys(trials.MEASURES, 30.0 + 2 * i)} for i in range(6)]

    table = trials.bd_table({"first": [rows(0.1), rows(0.2)], "other": [rows(0.09), rows(0.18)]})
    assert table[2:] == [f"| other |{' -10.0 % |' * (len(trials.MEASURES) + 1)}"]


def test_half_the_contrast_is_six_decibels_less_and_mean_levels_count_nothing() -> None:
    noise = np.random.default_rng(3).normal(0, 1, (64, 64, 1)) * [1, 1, 1]
    whole, half = (trials._coefficients(128 + amount * noise) for amount in (1.0, 0.5))
    brighter = trials._coefficients(140 + noise)
    assert np.allclose(brighter, whole)
    assert 10 * np.log10((half**2).sum() / (whole**2).sum()) == pytest.approx(-6.02, abs=0.01)
    variance = np.mean(
        [block.var() for block in noise[..., 0].reshape(8, 8, 8, 8).swapaxes(1, 2).reshape(64, 64)]
    )
    assert (whole**2).sum() / 64 / 64 == pytest.approx(variance)
    table = trials.texture_table(
        {"x": [{f"{k}: {b}": [4.0, 1.0] for k in trials.FAINT for b in trials.BANDS}]}
    )
    assert table[2] == f"| x |{' -6.0 dB |' * 6}"


def test_a_measure_that_one_curve_lacks_is_a_dash_and_the_others_stay() -> None:
    def rows(**other: float) -> list[dict[str, float]]:
        return [{"bpp": 0.1 * 2.0**i, **dict.fromkeys(trials.MEASURES, 30.0 + i), **other} for i in range(6)]

    table = trials.bd_table({"first": [rows()], "other": [rows(fsimc=float("nan"))]})
    *others, five = [cell.strip() for cell in table[2].strip("|").split("|")][1:]
    assert [cell for cell in others if cell != "+0.0 %"] == ["-"]
    assert five == "-"


def test_shares_are_at_most_1_and_not_0() -> None:
    assert trials.parsed("runs/one") == ("runs/one", 1.0)
    assert trials.parsed("runs/one@0.6") == ("runs/one", 0.6)
    assert trials.parsed("runs/one@-0.1") == ("runs/one", -0.1)
    for wrong in ("runs/one@0", "runs/one@6", "runs/one@nan", "runs/one@half"):
        with pytest.raises(ResultsError, match="expected -1 to 1, and not 0"):
            trials.parsed(wrong)


def test_the_rate_that_is_met_is_the_lowest_above() -> None:
    assert trials.at_rate(lambda index: (index / 100, index), 100, 0.415) == 42
    assert trials.at_rate(lambda index: (index / 100, index), 100, 7.0) == 100
    assert trials.at_rate(lambda index: (0.5 + index / 100, index), 100, 0.3) == 0


@NEEDS_BOTH
def test_the_published_models_differ_as_their_objectives_do(tmp_path: Path) -> None:
    Image.fromarray(tiny_model.photo(200, 130)).save(tmp_path / "photo.png")
    base, visual = (str(ROOT / "weights" / f"rdae-{name}.safetensors") for name in ("base", "visual"))
    command = [sys.executable, str(PATH), str(tmp_path), base, visual, "--processes", "1"]
    _, _, row = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    name, *changes = (cell.strip() for cell in row.strip("|").split("|"))
    assert name == visual
    assert float(changes[1].removesuffix(" %")) > 2  # by PSNR
    assert len(changes) == 3 + len(FIVE) + 1


@NEEDS_BOTH
def test_a_folder_without_pictures_is_an_error_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["trials", str(tmp_path), "weights.safetensors"])
    assert trials.main() == 1
    assert capsys.readouterr().err == f"trials: {tmp_path}: no picture in it\n"
