import math

import bjontegaard

from rdae.evaluation.curves import Curve, curve_from_json, published
from rdae.evaluation.five_measures import FIVE
from rdae.evaluation.results import Account, Agreement, Evaluation, PictureResult, Point
from rdae.evaluation.tables import checks, deltas, is_kodak, summary, table


def point(quality: float, size: int, psnr: float) -> Point:
    account = Account(estimated_bits=8.0 * size - 160, overhead_bits=80, beta=0.01)
    same = Agreement(0, 0, latents_equal=True)
    return Point(quality, size, 768 * 512, 9.0, psnr, 0.97, 0.2, 0.1, account, same, same)


def kodak() -> Evaluation:
    points = point(20, 20_000, 30.0), point(60, 50_000, 34.0), point(90, 99_000, 39.0)
    names = [f"kodim{i:02d}.png" for i in range(1, 25)]
    pictures = tuple(PictureResult(name, 768, 512, points) for name in names)
    return Evaluation("rdae test", "made up", (20, 60, 90), pictures)


def test_published_curves_are_only_for_the_24_kodak_pictures() -> None:
    result = kodak()
    assert is_kodak(result)
    fewer = Evaluation("x", "", result.qualities, result.pictures[:-1])
    assert not is_kodak(fewer)
    other = PictureResult("kodim24.png", 384, 256, result.pictures[0].points)
    assert not is_kodak(Evaluation("x", "", result.qualities, (*result.pictures[:-1], other)))


def test_the_table_has_a_line_for_each_quality_and_columns_that_line_up() -> None:
    title, *lines = table(kodak())
    assert title == "rdae test: mean of 24 pictures"
    lines, words, account = lines[:4], lines[4], lines[5:]
    assert words == "the account of its loss:"
    assert len(account) == 4
    for part in (lines, account):
        assert len({len(line) for line in part}) == 1
    assert lines[1].split()[:5] == ["20", "0.4069", "30.000", "38.588", "0.97000"]
    assert lines[0].split()[:6] == ["quality", "bpp", "PSNR", "dB", "of", "mean"]


def test_the_checks_tell_the_worst_gap_and_that_all_agree() -> None:
    gap, decoded, fresh, rise = checks(kodak())
    assert "worst +0.050 % of 72 files" in gap
    assert decoded.endswith("72 of 72 pictures identical, largest difference 0 of 255")
    assert fresh.startswith("decoded in a fresh process: latents identical in 72 of 72 files")
    assert rise == "bpp and PSNR rise with quality on 24 of 24 pictures"


def test_a_delta_names_its_range_and_an_impossible_one_its_reason() -> None:
    vtm, bpg = published("vtm"), published("bpg444")
    (line,) = deltas(bpg, [vtm])
    assert line.startswith("BPG 4:4:4 (HEVC) against VTM 9.1 (VVC): BD-rate +21.99 %, BD-PSNR -")
    short = type(vtm)("short", vtm.bpp[:2], vtm.psnr[:2])
    (line,) = deltas(short, [vtm])
    assert "no BD-rate: a curve needs at least 3 points" in line


def with_five(name: str, factor: float, left_out: str = "") -> Curve:
    """A curve whose five measures all need `factor` times the bits of those of factor 1."""
    rates = (0.1, 0.4, 1.6)
    columns = {f"{key}-db": (10.0, 20.0, 30.0) for key in FIVE if key != left_out}
    psnr = (28.0, 33.0, 38.0)
    return Curve(name, tuple(factor * rate for rate in rates), psnr, columns=columns)


def test_the_summary_has_the_five_and_their_mean_and_no_mean_of_fewer() -> None:
    others = [with_five("plain", 1.0), with_five("without VSI", 2.0, "vsi"), published("vtm")]
    head, plain, fewer = summary(with_five("tested", 0.8), others, metrics=["psnr"])
    titles = ["PSNR", "HaarPSI", "FSIMc", "MDSI", "MS-GMSD", "VSI", "mean", "of", "five"]
    assert head.split() == ["tested", "against,", "BD-rate", "%", *titles]
    assert plain.split() == ["plain", *["-20.00"] * 7]
    assert fewer.split() == ["without", "VSI", *["-60.00"] * 5, "-", "-"]
    assert len({len(line) for line in (head, plain, fewer)}) == 1
    assert summary(published("bpg444"), [published("vtm")], metrics=["psnr"]) == []


def test_a_delta_can_be_of_ms_ssim_in_decibels_and_of_the_classic_cubic() -> None:
    vtm, bpg = published("vtm"), published("bpg444")
    (line,) = deltas(bpg, [vtm], metric="ms-ssim", method="cubic")
    in_decibels = [tuple(-10 * math.log10(1 - value) for value in curve.ms_ssim) for curve in (vtm, bpg)]
    options = {"method": "cubic", "require_matching_points": False, "min_overlap": 0}
    expected = bjontegaard.bd_rate(vtm.bpp, in_decibels[0], bpg.bpp, in_decibels[1], **options)
    assert f"BD-rate {expected:+.2f} %, BD-MS-SSIM -" in line
    (line,) = deltas(bpg, [vtm], metric="psnr-y")
    assert line.endswith("no BD-rate: VTM 9.1 (VVC) has no PSNR-Y")


def test_a_curve_of_exact_pictures_only_has_no_bd_rate_as_its_psnr_is_infinite() -> None:
    (line,) = deltas(Curve("exact", (), ()), [published("vtm")])
    assert "no BD-rate: exact has infinite PSNR: every quality has a picture that is exact" in line


def exact_in_part(name: str, factor: float) -> Curve:
    """A curve each of whose qualities has a picture that is exact."""
    results = {
        "bpp": [factor * rate for rate in (0.1, 0.4, 1.6)],
        "psnr-rgb": [None] * 3,
        "psnr-y": [None] * 3,
        "psnr-rgb-of-mean-mse": [30.0, 35.0, 40.0],
    }
    return curve_from_json({"results": results}, name)


def test_exact_pictures_count_where_the_mean_of_a_metric_is_finite() -> None:
    test, anchor = exact_in_part("test", 0.8), exact_in_part("anchor", 1.0)
    (line,) = deltas(test, [anchor], metric="psnr-rgb-of-mean-mse")
    assert line.startswith("test against anchor: BD-rate -20.00 %, BD-PSNR of the mean MSE +")
    for metric, name in (("psnr", "PSNR"), ("psnr-y", "PSNR-Y")):
        (line,) = deltas(test, [anchor], metric=metric)
        assert f"no BD-rate: anchor has infinite {name}: every quality has a picture that is exact" in line
