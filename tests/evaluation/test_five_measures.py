import importlib.util
import math
import subprocess
import sys

import numpy as np
import pytest
from tiny_model import photo

from rdae.errors import MissingExtraError
from rdae.evaluation.codecs import PILLOW_CODECS
from rdae.evaluation.five_measures import FIVE, five_measures, load
from rdae.metrics import Picture

needs_piq = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("piq") is None,
    reason="piq is not here: pip install 'rdae[perceptual]'",
)


@needs_piq
def test_all_five_grow_with_the_quality_of_a_jpeg_and_equal_pictures_have_50_db() -> None:
    picture, jpeg = photo(192, 260), PILLOW_CODECS["jpeg"]
    found = [
        five_measures(picture, jpeg.decode(jpeg.encode(picture, quality))) for quality in (5, 20, 50, 80, 95)
    ]
    for key in FIVE:
        values = [measures[key] for measures in found if measures is not None]
        assert len(values) == len(found)
        assert values == sorted(set(values)), key
        assert values[-1] < 45
    equal = five_measures(picture, picture)
    assert equal is not None
    assert list(equal) == list(FIVE)
    assert all(value == pytest.approx(50, abs=0.5) for value in equal.values())


@needs_piq
def test_decibels_are_of_what_the_measure_itself_misses_of_its_best() -> None:
    """MS-GMSD once more, in numpy and plainly, and HaarPSI's similarity from its decibels."""
    picture = photo(64, 96)
    darker = (picture * 0.8 + np.random.default_rng(2).normal(0, 4, picture.shape)).clip(0, 255)
    decoded = darker.astype(np.uint8)
    found = five_measures(picture, decoded)
    assert found is not None
    assert found["ms-gmsd"] == pytest.approx(-10 * math.log10(ms_gmsd(picture, decoded)), abs=1e-3)
    assert 0 < 1 - 10 ** (-found["haarpsi"] / 10) < 1


def ms_gmsd(first: Picture, second: Picture) -> float:
    """Zhang, Sun and Cheung 2017, of the luma, with the constants of the paper: 0 for equal pictures."""
    luma = [each.astype(np.float64) @ (0.299, 0.587, 0.114) for each in (first, second)]
    total = 0.0
    for weight in (0.096, 0.596, 0.289, 0.019):
        magnitudes = []
        for plane in luma:
            padded = np.pad(plane, 1)
            height, width = plane.shape
            parts = [[padded[i : i + height, j : j + width] for j in range(3)] for i in range(3)]
            across = sum(parts[i][0] - parts[i][2] for i in range(3)) / 3
            down = sum(parts[0][j] - parts[2][j] for j in range(3)) / 3
            magnitudes.append(np.sqrt(across**2 + down**2))
        x, y = magnitudes
        similarity = (1.5 * x * y + 170) / (x**2 + y**2 - 0.5 * x * y + 170)  # masking 0.5
        total += weight * float(similarity.var())
        luma = [
            plane.reshape(plane.shape[0] // 2, 2, plane.shape[1] // 2, 2).mean(axis=(1, 3)) for plane in luma
        ]
    return math.sqrt(total)


@needs_piq
def test_pictures_too_small_have_none_and_what_is_not_defined_is_left_out() -> None:
    small = photo(16, 40)
    assert five_measures(small, small) is None
    assert five_measures(photo(17, 17), photo(17, 17)) is not None
    flat = np.full((40, 40, 3), 128, np.uint8)
    found = five_measures(flat, flat)
    assert found is not None
    assert all(math.isfinite(value) for value in found.values())


WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1:]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import numpy
from rdae.errors import MissingExtraError
from rdae.evaluation.five_measures import five_measures
try:
    picture = numpy.zeros((20, 20, 3), numpy.uint8)
    print(len(five_measures(picture, 255 - picture)))
except MissingExtraError as error:
    print(error)
"""


def result_without(*packages: str) -> str:
    command = [sys.executable, "-c", WITHOUT, *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@needs_piq
def test_torchvision_which_piq_asks_for_need_not_be_there() -> None:
    assert result_without("torchvision") in ("4\n", "5\n")  # FSIMc is not defined for a flat picture


def test_without_torch_one_line_says_what_to_install() -> None:
    line = result_without("torch")
    assert line.startswith("HaarPSI, FSIMc, MDSI, MS-GMSD and VSI need piq")
    assert line.endswith(": pip install 'rdae[perceptual]'\n")
    assert line.count("\n") == 1


def test_without_piq_the_same_is_found_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [module for module in sys.modules if module.split(".")[0] == "piq"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(MissingExtraError, match=r"No module named 'piq'\): pip install 'rdae\[perceptual\]'"):
        load()
