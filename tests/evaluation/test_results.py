import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdae.errors import ResultsError
from rdae.evaluation.results import Account, Agreement, Evaluation, Memory, PictureResult, Point, read

ROOT = Path(__file__).resolve().parents[2]

POINT = Point(
    quality=20.0,
    file_bytes=1000,
    pixels=48 * 32,
    mse=9.25,
    psnr=10 * math.log10(255**2 / 9.25),
    ms_ssim=0.9,
    encoding_s=0.25,
    decoding_s=0.125,
    account=Account(7900.5, 80, 0.25),
    decoded=Agreement(0, 0, latents_equal=True),
    decoded_fresh=Agreement(3, 1, latents_equal=False),
    psnr_y=40.5,
    ssimulacra2=-3.5,
    five={"haarpsi": 12.5, "fsimc": 20.25, "mdsi": 6.5, "ms-gmsd": 15.0, "vsi": 24.75},
)
HIGH = replace(POINT, quality=60.0, file_bytes=3000, mse=0.0, psnr=math.inf, ms_ssim=1.0, psnr_y=math.inf)
PLAIN = replace(
    POINT,
    account=None,
    decoded=None,
    decoded_fresh=None,
    ms_ssim=None,
    psnr_y=None,
    ssimulacra2=None,
    five=None,
)


def evaluation(*pictures: PictureResult, **facts: Any) -> Evaluation:
    return Evaluation(
        "codec", "of the tests", tuple(p.quality for p in pictures[0].points), pictures, **facts
    )


def digits(result: Evaluation) -> Evaluation:
    """The evaluation with the nine digits of its file, once through JSON."""
    content = json.loads(result.to_json(), parse_float=lambda text: float(f"{float(text):.9g}"))
    psnr = content["pictures"][0]["points"][0]["psnr-rgb"]
    first = result.pictures[0]
    points = (replace(first.points[0], psnr=psnr), *first.points[1:])
    return replace(result, pictures=(replace(first, points=points), *result.pictures[1:]))


def test_a_result_file_gives_back_all_that_was_written(tmp_path: Path) -> None:
    full = evaluation(
        PictureResult('a "b" ü.png', 48, 32, (POINT, HIGH), "00ff"),
        failures=(("bad.png", "no picture"),),
        meta={"date": "2026-01-01", "settings": {"threads": 1}},
        codec={"name": "x", "settings": {"a": 1}},
        memory=Memory("a.png", 48, 32, 20.0, 10_000, 20_000),
    )
    plain = evaluation(PictureResult("old.png", 48, 32, (PLAIN,)))
    path = tmp_path / "results.json"
    for result in (full, plain):
        path.write_text(result.to_json(), encoding="utf-8")
        assert read(path) == digits(result)


def test_the_published_weights_results_are_read() -> None:
    result = read(ROOT / "weights" / "rdae-base.kodak.json")
    assert len(result.pictures) == 24
    means = json.loads((ROOT / "weights" / "rdae-base.kodak.json").read_text(encoding="utf-8"))["results"]
    for key in ("bpp", "psnr-rgb", "ms-ssim-rgb", "loss"):
        assert result.means()[key] == pytest.approx(means[key], rel=1e-8)


def test_psnr_of_the_mean_mse_is_labelled_and_lower_than_the_mean_psnr() -> None:
    other = replace(POINT, mse=100.0, psnr=10 * math.log10(255**2 / 100))
    means = evaluation(PictureResult("a", 48, 32, (POINT,)), PictureResult("b", 48, 32, (other,))).means()
    assert means["psnr-rgb-of-mean-mse"] == [10 * math.log10(255**2 / 54.625)]
    assert means["psnr-rgb"] == [(POINT.psnr + other.psnr) / 2]
    assert means["ms-ssim-rgb-db"] == pytest.approx([10.0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected an object"),
        ('{"results": {"bpp": [1]}}', "holds no points of single pictures"),
        ('{"pictures": []}', "no points by rising quality"),
        ('{"pictures": {}}', "no points by rising quality"),
        ('{"pictures": [7]}', "no result file of rdae eval: 'int' object"),
        ('{"pictures": [{"width": 3}]}', "'height' is missing"),
        ('{"pictures": [{"width": 0, "height": 1}]}', "found 0, expected at least 1"),
        ('{"pictures": [{"width": "3", "height": 1}]}', "found str, expected a whole number"),
    ],
)
def test_a_foreign_file_is_one_line_that_names_it(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "foreign.json"
    path.write_text(text)
    with pytest.raises(ResultsError, match=r"foreign\.json: ") as caught:
        read(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


GOOD = json.loads(evaluation(PictureResult("a.png", 48, 32, (POINT, HIGH), "00")).to_json())
junk: st.SearchStrategy[object] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 99),
    st.floats(),
    st.text(max_size=2),
    st.builds(list),
    st.builds(dict),
)


@given(st.data(), junk)
def test_a_result_file_with_any_value_changed_is_read_or_refused(data: st.DataObject, value: object) -> None:
    content = json.loads(json.dumps(GOOD))
    place: Any = content
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.booleans()):
            place[key] = value
            break
        place = place[key]
    path = ROOT / "unused"  # never opened: read_json is what reads
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rdae.evaluation.results.read_json", lambda _path: content)
        try:
            result = read(path)
        except ResultsError:
            return
    assert result.pictures
    result.means()
    result.to_json()
