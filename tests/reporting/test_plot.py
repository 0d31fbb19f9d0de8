import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rdae.errors import MissingExtraError, ResultsError
from rdae.evaluation.bdrate import pchip_integral
from rdae.evaluation.curves import KODAK, Curve, published
from rdae.evaluation.history import Run, Validation
from rdae.evaluation.relaxation import PictureRelaxation, Relaxation, RelaxationPoint
from rdae.reporting import figures, rate_distortion, relaxation, training_curves
from rdae.reporting.rate_distortion import draw, legend_order

OWN = Curve(
    "rdae", (0.1, 0.4, 1.2), (28.0, 32.0, 38.0), (0.92, 0.97, 1.0), "", {"psnr-y": (29.0, 33.0, 39.0)}
)


@contextmanager
def drawn(module: Any) -> Iterator[list[Any]]:
    """The figures that a module draws meanwhile, laid out but not rendered."""
    found: list[Any] = []

    def keep(figure: Any, _file_format: str) -> bytes:
        figure.draw_without_rendering()
        found.append(figure)
        return b""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "to_bytes", keep)
        yield found


def test_a_figure_is_a_readable_900_pixels_wide() -> None:
    pytest.importorskip("matplotlib")
    data = draw([OWN, published("jpeg")], [published("vtm"), published("bpg444")], file_format="png")
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("PNG", (900, 540))
        assert len(np.unique(np.asarray(image.convert("L")))) > 20  # not an empty frame


def test_the_same_curves_give_the_same_bytes() -> None:
    pytest.importorskip("matplotlib")
    first, second = (draw([OWN], [published("vtm")], file_format="svg", metric="ms-ssim") for _ in range(2))
    assert first == second
    assert first.lstrip().startswith(b"<?xml")
    assert draw([OWN], [], file_format="svg", metric="ms-ssim") != first


def test_the_legend_of_eleven_curves_stands_beside_them_in_their_order() -> None:
    pytest.importorskip("matplotlib")
    peers = [published(name) for name in ("av1", "hm", "webp", "jpeg2000", "jpeg")]
    names = ("hpcm", "elic", "vtm", "bpg444", "hyperprior")
    with drawn(rate_distortion) as found:
        draw([OWN, *peers], [published(name) for name in names], file_format="png")
    (figure,) = found
    (axes,), (legend,) = figure.axes, figure.legends
    assert legend.get_window_extent().x0 > axes.get_tightbbox().x1
    assert legend.get_window_extent().x1 <= figure.bbox.x1
    assert axes.bbox.width > 0.55 * figure.bbox.width
    titles = [text.get_text() for text in legend.get_texts()]
    assert len(titles) == 11
    assert titles[:2] == ["HPCM-Large 2025", "ELIC 2022"]
    assert titles[-1] == "JPEG (Pillow 7.1)"
    dashed = [line.get_label() for line in axes.lines if line.is_dashed()]
    assert dashed == [published(name).name for name in names]
    assert len({(line.get_color(), str(line._dash_pattern)) for line in axes.lines}) == 11


def test_frame_and_logarithmic_rate_are_as_asked_for() -> None:
    pytest.importorskip("matplotlib")
    with drawn(rate_distortion) as found:
        draw([OWN], [], file_format="png", xlim=(0.2, 0.8), ylim=(30, 36), log=True)
        draw([OWN], [], file_format="png")
        draw([OWN], [], file_format="png", xlim=(0.1, 0.4))
    asked, default, half = (figure.axes[0] for figure in found)
    assert (asked.get_xlim(), asked.get_ylim(), asked.get_xscale()) == ((0.2, 0.8), (30, 36), "log")
    assert [label.get_text() for label in asked.get_xticklabels()] == [
        "0.2",
        "0.3",
        "0.4",
        "0.5",
        "0.6",
        "0.7",
        "0.8",
    ]
    assert default.get_xlim()[0] == 0
    assert default.get_ylim()[1] > 38
    assert 32 < half.get_ylim()[1] < 33  # as high as the curve goes there


def test_the_line_between_points_is_the_one_that_bd_rate_sees() -> None:
    pytest.importorskip("matplotlib")
    curve = published("vtm")
    with drawn(rate_distortion) as found:
        draw([curve], [], file_format="png")
    (line,) = found[0].axes[0].lines
    rates, heights = np.log(line.get_xdata()), line.get_ydata()
    assert set(curve.psnr) <= set(heights)
    expected = pchip_integral(np.log(curve.bpp), np.asarray(curve.psnr), rates[0], rates[-1])
    area = np.sum((heights[1:] + heights[:-1]) / 2 * np.diff(rates))
    assert area == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "psnr-z"}, "rdae: no psnr-z to draw, expected one of psnr, ms-ssim, psnr-y"),
        ({"xlim": (1.0, 1.0)}, "a frame from 1 to 1 is empty"),
        ({"xlim": (0.0, 1.0), "log": True}, "a logarithmic rate cannot start at 0"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ResultsError, match=message):
        draw([OWN], [], file_format="svg", **options)


def test_a_curve_without_a_finite_psnr_says_so() -> None:
    with pytest.raises(ResultsError, match="exact: the mean psnr is infinite: every quality has a picture"):
        draw([Curve("exact", (), ())], [], file_format="svg")


def test_points_with_exact_pictures_are_drawn_by_a_metric_that_is_finite_there() -> None:
    pytest.importorskip("matplotlib")
    points = ((0.1, 0.4, 1.2), (28.0, 31.0, 37.0))
    part = Curve("part", (0.1,), (28.5,), own_points={"psnr-rgb-of-mean-mse": points})
    with drawn(rate_distortion) as found:
        draw([part, OWN], [published("vtm")], file_format="svg", metric="psnr")
        draw([part], [published("vtm")], file_format="svg", metric="psnr-rgb-of-mean-mse")
    by_mean, by_mse = (figure.axes[0].lines[0] for figure in found)
    assert by_mean.get_xdata().tolist() == [0.1]
    assert by_mse.get_xdata()[by_mse.get_markevery()] == pytest.approx(points[0])
    with pytest.raises(ResultsError, match="part: no ssimulacra2 to draw, expected one of psnr, psnr-rgb-of"):
        draw([part], [], file_format="svg", metric="ssimulacra2")


def test_any_column_is_a_metric_and_an_anchor_without_it_is_left_out() -> None:
    pytest.importorskip("matplotlib")
    with drawn(rate_distortion) as found:
        draw([replace(OWN, name="price: $x_1$")], [published("vtm")], file_format="svg", metric="psnr-y")
    (axes,) = found[0].axes
    assert len(axes.lines) == 1
    assert axes.get_ylabel() == "PSNR (luma), dB"
    assert [text.get_text() for text in found[0].legends[0].get_texts()] == ["price: $x_1$"]


def test_curves_are_ranked_where_both_are_and_strangers_come_last() -> None:
    better = Curve("better", (0.3, 0.5), (33.0, 36.0))
    elsewhere = Curve("elsewhere", (5.0, 6.0), (90.0, 91.0))
    worse = Curve("worse", (0.1, 1.2), (20.0, 37.0))
    assert legend_order([OWN, elsewhere, worse, better], "psnr") == [3, 0, 2, 1]


def test_smoothing_leaves_a_line_and_takes_noise() -> None:
    assert figures.smoothed([3.0] * 7, 3).tolist() == [3.0] * 7
    assert figures.smoothed([0.0, 3.0, 0.0, 3.0], 3).tolist() == [1.5, 1.0, 2.0, 1.5]
    assert figures.smoothed([1.0], 99).tolist() == [1.0]


def run(name: str, before: int, loss: float = 1.0, **columns: tuple[float, ...]) -> Run:
    """A run of ten rows and two validations."""
    pixels = tuple(before + 1e8 * i for i in range(1, 11))
    train = {
        "pixels": pixels,
        **{key: tuple(loss + 1 / i for i in range(1, 11)) for key in ("loss", "bpp", "mse")},
    }
    qualities, ones = (0.0, 50.0, 100.0), (1.0, 1.0, 1.0)
    checks = tuple(
        Validation(
            step, round(before + 1e8 * step), 0.5, qualities, (0.1 - step / 1e3, 0.4, 1.2), OWN.psnr, ones
        )
        for step in (5, 10)
    )
    return Run(name, 10, before, round(pixels[-1]), 1.0, {}, {**train, **columns}, checks)


def test_runs_stand_side_by_side_over_the_pixels_their_weights_saw() -> None:
    pytest.importorskip("matplotlib")
    second = run("second", 10**9, matrix_rate=(0.1,) * 10)
    with drawn(training_curves) as found:
        training_curves.draw([run("first", 0), second], file_format="png")
        training_curves.draw(
            [replace(second, validation=(), train=run("", 0, 1e-9).train)], file_format="png"
        )
    loss, rate, error, learning, curve, bits, _bar = found[0].axes
    assert [axes.get_ylabel() for axes in (loss, rate, error, learning)] == [
        *("loss", "bits per pixel", "mean squared error", "learning rate")
    ]
    raw, smooth, later_raw, _ = loss.lines
    assert raw.get_xdata().tolist() == [i / 10 for i in range(1, 11)]  # gigapixels
    assert later_raw.get_xdata()[0] == pytest.approx(1.1)
    assert np.ptp(smooth.get_ydata()) < np.ptp(raw.get_ydata())
    assert len(learning.lines) == 1
    assert len(curve.lines) == 4
    assert len({line.get_color() for line in curve.lines}) == 4
    assert bits.lines[1].get_ydata()[-1] == pytest.approx(0)
    assert bits.lines[1].get_ydata()[0] > 0  # the first took more bits than the last
    assert len(found[1].axes) == 3


def test_a_run_that_logged_a_single_row_is_seen() -> None:
    pytest.importorskip("matplotlib")
    full = run("", 0, matrix_rate=(0.1,) * 10)
    short = replace(full, validation=(), train={key: column[-1:] for key, column in full.train.items()})
    with drawn(training_curves) as found:
        training_curves.draw([short], file_format="png")
        training_curves.draw([full], file_format="png")
    for figure, marker in zip(found, ("o", "None"), strict=True):
        assert [axes.lines[-1].get_marker() for axes in figure.axes[:4]] == [marker] * 4


def test_the_axis_of_pixels_begins_where_the_run_does() -> None:
    """Weights may have seen many before: their number would leave no room for the run, or no mark to read."""
    pytest.importorskip("matplotlib")
    before = 40_961_802_240
    late = run("late", before)
    late = replace(late, validation=(replace(late.validation[0], pixels=before), *late.validation[1:]))
    with drawn(training_curves) as found:
        training_curves.draw([late], file_format="png")
        training_curves.draw([run("first", 0), replace(late, pixels_before=10**9)], file_format="png")
    loss, *_, bits, _bar = found[0].axes
    for axes in (loss, bits):
        assert axes.get_xlim()[0] == pytest.approx(before / 1e9, abs=1e-9)
        assert axes.get_xlim()[1] == pytest.approx(late.pixels / 1e9, abs=0.03)
        assert axes.xaxis.get_major_formatter().get_offset() == ""
        assert len(axes.get_xticks()) <= 6
    assert found[1].axes[0].get_xlim()[0] == 0


def test_two_rows_of_one_value_are_drawn_without_a_warning() -> None:
    pytest.importorskip("matplotlib")
    flat = run("flat", 0)
    flat = replace(
        flat,
        train={key: (column[0], column[0] + 1e8 * (key == "pixels")) for key, column in flat.train.items()},
    )
    with drawn(training_curves) as found:
        training_curves.draw([flat], file_format="png")
    low, high = found[0].axes[0].get_ylim()
    assert low < flat.train["loss"][0] < high


def test_rates_of_rounded_latents_are_not_drawn_beside_those_with_noise() -> None:
    pytest.importorskip("matplotlib")
    finish = run("finish", 10**9, matrix_rate=(0.1,) * 10, rate=(0.01,) * 10)
    finish = replace(finish, settings={"rounded": True})
    with drawn(training_curves) as found:
        training_curves.draw([run("first", 0), finish], file_format="png")
        training_curves.draw([finish], file_format="png")
    assert [len(axes.lines) for axes in found[0].axes[:3]] == [2, 2, 4]
    assert [len(axes.lines) for axes in found[1].axes[:3]] == [2, 2, 2]
    # Only the second run logged its learning rates: they have their names nevertheless.
    names = [text.get_text() for text in found[0].axes[3].get_legend().get_texts()]
    assert names == ["matrix rate", "rate"]


def test_a_run_that_blew_up_is_seen_whole() -> None:
    pytest.importorskip("matplotlib")
    blown = run("blown", 0, 1e-3)
    blown = replace(blown, train={**blown.train, "loss": (*blown.train["loss"][:-1], 1e9)}, validation=())
    with drawn(training_curves) as found:
        training_curves.draw([blown], file_format="png")
    loss = found[0].axes[0]
    assert loss.get_yscale() == "log"
    assert loss.get_ylim()[1] > 1e9


def test_the_two_diagrams_of_the_theory() -> None:
    pytest.importorskip("matplotlib")
    points = tuple(
        RelaxationPoint(q, 10 ** (q / 50 - 3), 2 * b, b, b, 3 * m, m, m)
        for q, b, m in ((0, 0.1, 90), (100, 2, 4))
    )
    blank = tuple(replace(point, rounded_mse=0.0, noisy_mse=0.0) for point in points)
    pictures = (PictureRelaxation("a", points), PictureRelaxation("blank", blank))
    with drawn(relaxation) as found:
        relaxation.draw(Relaxation("rdae", "00", 1, pictures), file_format="png", title="t")
    rate, error, rate_ratio, error_ratio = found[0].axes
    assert rate.get_xlim() == rate.get_ylim()  # equality is the diagonal
    mean = rate.lines[2]
    assert (mean.get_xdata().tolist(), mean.get_ydata().tolist()) == ([0.1, 2], [0.2, 4])
    assert rate_ratio.lines[2].get_ydata().tolist() == [2, 2]
    assert error_ratio.lines[2].get_ydata().tolist() == pytest.approx([3, 3])
    assert "squared" in error.get_title()


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    modules: dict[str, Any] = {name: None for name in sys.modules if name.split(".")[0] == "matplotlib"}
    for name in {"matplotlib", "matplotlib.figure", *modules}:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rdae\[plot\]'"):
        draw([OWN], [], file_format="png")


def test_published_curves_say_that_they_are_of_kodak() -> None:
    assert published("vtm").pictures == KODAK
    assert len(KODAK) == 24
    assert Path(published("vtm").source).name


def test_the_account_is_drawn_over_beta_and_refused_without_residuals() -> None:
    from rdae.evaluation.results import Account, Evaluation, PictureResult, Point
    from rdae.reporting import account

    def point(quality: float, size: int, residual: float | None) -> Point:
        return Point(
            quality=quality,
            file_bytes=size,
            pixels=1000,
            mse=9.0,
            psnr=38.0,
            ms_ssim=None,
            encoding_s=0.1,
            decoding_s=0.1,
            account=Account(8.0 * size - 200, 160, 0.001 * (1 + quality), residual),
        )

    points = tuple(point(quality, 100 + 10 * quality, 9000.0 - 20 * quality) for quality in (0, 50, 100))
    result = Evaluation("codec", "", (0, 50, 100), (PictureResult("a", 50, 20, points),))
    assert result.means()["residual_bpp"] == [9.0, 8.0, 7.0]
    for form in ("svg", "png"):
        assert account.draw(result, file_format=form) == account.draw(result, file_format=form)
    text = account.draw(result, file_format="svg").decode()
    assert text.count("<path") > 10
    bare = tuple(point(quality, 100 + 10 * quality, None) for quality in (0, 50, 100))
    with pytest.raises(ResultsError, match="no residual"):
        account.draw(replace(result, pictures=(PictureResult("a", 50, 20, bare),)), file_format="svg")
