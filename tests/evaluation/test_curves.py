import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdae.errors import ResultsError
from rdae.evaluation.codecs import PILLOW_CODECS
from rdae.evaluation.curves import ALIASES, PUBLISHED, curve_from_json, published, read_curve
from rdae.evaluation.results import read
from rdae.evaluation.tables import is_kodak

CURVES = resources.files("rdae.data") / "curves"


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_curve_rises_and_names_its_source(name: str) -> None:
    curve = published(name)
    assert len(curve.bpp) == len(curve.psnr) >= 4
    assert np.all(np.diff(curve.bpp) > 0)
    assert np.all(np.diff(curve.psnr) > 0)
    assert curve.source


def test_the_readme_of_the_curves_lists_each_name_with_its_file_and_no_file_is_left_over() -> None:
    readme = (CURVES / "README.md").read_text(encoding="utf-8")
    for name, (file, _) in PUBLISHED.items():
        assert f"| `{name}` | {file}.json |" in readme
    files = {entry.name for entry in CURVES.iterdir() if entry.name.endswith(".json")}
    assert files == {f"{file}.json" for file, _ in PUBLISHED.values()}


def test_an_alias_is_another_name_of_a_curve() -> None:
    assert all(published(alias) == published(name) for alias, name in ALIASES.items())
    assert not set(ALIASES) & set(PUBLISHED)


def test_an_unknown_curve_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ResultsError, match="unknown curve 'vtn', expected one of vtm"):
        published("vtn")


def test_points_are_sorted_and_those_without_a_psnr_left_out(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    results = {"bpp": [2, 0.5, 8.0], "psnr-rgb": [40.5, 30.25, None], "ms-ssim-rgb": [0.99, 0.9, 1.0]}
    path.write_text(json.dumps({"results": results}))
    curve = read_curve(path)
    assert curve.name == "mine"
    assert curve.bpp == (0.5, 2.0)
    assert curve.psnr == (30.25, 40.5)
    assert curve.ms_ssim == (0.9, 0.99)


def test_a_metric_has_the_points_where_its_own_mean_is_finite() -> None:
    results = {
        "bpp": [8.0, 2.0, 0.5],
        "psnr-rgb": [None, 40.0, 30.0],
        "ms-ssim-rgb": [1.0, 0.99, 0.9],
        "psnr-y": [None, None, None],
        "psnr-rgb-of-mean-mse": [45.0, 39.0, 29.0],
        "short": [1.0],
    }
    curve = curve_from_json({"results": results}, "mine.json")
    assert curve.points("psnr-rgb") == curve.points("psnr") == ((0.5, 2.0), (30.0, 40.0))
    assert curve.points("ms-ssim") == ((0.5, 2.0), (0.9, 0.99))
    assert curve.points("psnr-rgb-of-mean-mse") == ((0.5, 2.0, 8.0), (29.0, 39.0, 45.0))
    assert curve.points("psnr-y") == curve.points("short") == ((), ())
    assert curve.metrics == ["psnr", "ms-ssim", "psnr-rgb-of-mean-mse"]
    infinite = [key for key in (*results, "psnr", "psnr-z") if curve.is_infinite(key)]
    assert infinite == ["psnr-y"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"results": []}', '{"results": {"bpp": [1]}}', "[" * 99999]
)
def test_a_file_that_holds_no_results_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(ResultsError) as caught:
        read_curve(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


values = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.none() | st.floats(), max_size=3)
)
columns = st.dictionaries(st.sampled_from(["bpp", "psnr-rgb", "psnr", "ms-ssim-rgb"]), values)


@given(st.dictionaries(st.sampled_from(["name", "results"]), columns | values))
def test_any_json_is_a_curve_or_a_results_error(content: dict[str, Any]) -> None:
    try:
        curve = curve_from_json(content, "any")
    except ResultsError:
        return
    assert len(curve.bpp) == len(curve.psnr)


MEASURED = Path(__file__).parents[2] / "data" / "measured"


@pytest.mark.parametrize("name", sorted(path.stem for path in MEASURED.glob("*.json")))
def test_a_measured_reference_is_of_the_settings_that_the_peer_has_now(name: str) -> None:
    path = MEASURED / f"{name}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for key, value in PILLOW_CODECS[name].settings.items():
        assert f"{key} {value}" in content["description"]
    assert set(content["results"]["quality"]) <= set(PILLOW_CODECS[name].qualities)
    assert read_curve(path).name == PILLOW_CODECS[name].title
    if "pictures" in content:
        assert is_kodak(read(path))
        assert content["codec"]["settings"] == PILLOW_CODECS[name].settings


@pytest.mark.parametrize(
    ("name", "rate", "least_db", "most_db"), [("jpeg", 0.003, 0.0, 0.14), ("webp", 1e-5, -1e-4, 1e-4)]
)
def test_published_anchors_measured_again_differ_by_no_more_than_their_library_explains(
    name: str, rate: float, least_db: float, most_db: float
) -> None:
    """docs/evaluation.md tells why: today's libjpeg-turbo enlarges colour planes better than libjpeg 9 did."""
    known = json.loads((CURVES / f"{name}.json").read_text(encoding="utf-8"))["results"]
    again = json.loads((MEASURED / f"{name}-default.json").read_text(encoding="utf-8"))["results"]
    assert len(again["quality"]) == 10
    for i, quality in enumerate(again["quality"]):
        place = round(quality) // 5 - 1  # published without its qualities: 5, 10, ... 95
        assert again["bpp"][i] == pytest.approx(known["bpp"][place], rel=rate, abs=1e-5)
        assert least_db <= again["psnr-rgb"][i] - known["psnr-rgb"][place] <= most_db
