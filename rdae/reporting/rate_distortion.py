"""Rate-distortion curves of several codecs as a figure: measured ones solid, published ones dashed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rdae.errors import ResultsError
from rdae.evaluation.bdrate import pchip_slopes
from rdae.evaluation.curves import Curve, Points
from rdae.evaluation.five_measures import DB, FIVE
from rdae.reporting.figures import (
    COLOURS,
    DASHES,
    FORMATS,
    MARKERS,
    Floats,
    canvas,
    grid,
    plain_log_ticks,
    round_ticks,
    to_bytes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["FORMATS", "draw", "legend_order", "points"]

Limits = tuple[float, float]

# Metric: the axis's label. Any other key of a result file is its own label.
LABELS = {
    "psnr": "PSNR (RGB), dB",
    "psnr-rgb": "PSNR (RGB), dB",
    "psnr-rgb-of-mean-mse": "PSNR (RGB) of the mean squared error, dB",
    "psnr-y": "PSNR (luma), dB",
    "ms-ssim": "MS-SSIM, dB: −10 log₁₀(1 − MS-SSIM)",
    "ms-ssim-rgb": "MS-SSIM",
    "ms-ssim-rgb-db": "mean MS-SSIM, dB",
    "mse-rgb": "mean squared error of RGB levels",
    "ssimulacra2": "SSIMULACRA 2",
    **{key + DB: f"{title}, dB" for key, title in FIVE.items()},
    "encoding_time": "seconds to encode a picture",
    "decoding_time": "seconds to decode a picture",
}
HEIGHT_INCHES = 5.4
_STEPS = 12  # segments of a drawn line from one point of a curve to the next
_PCHIP_POINTS = 3  # with fewer, lines are straight


def draw(
    measured: Sequence[Curve],
    anchors: Sequence[Curve],
    *,
    file_format: str,
    metric: str = "psnr",
    title: str = "",
    xlim: Limits | None = None,
    ylim: Limits | None = None,
    log: bool = False,
) -> bytes:
    """The bytes of a figure, in one of FORMATS, of measured curves (solid) and published ones (dashed).

    metric: "psnr", "ms-ssim" (drawn in dB), or the key of a column of the result files. xlim, in bits per pixel, and
    ylim: the frame; by default that of the first measured curve. log: logarithmic rate. The legend stands beside the
    axes, never over a curve, and lists the curves from the highest to the lowest.
    ResultsError if a measured curve has no such metric, or if a frame is empty; an anchor without the metric is left
    out. MissingExtraError without matplotlib.
    """
    for curve in measured:
        if curve.is_infinite(metric):
            raise ResultsError(
                f"{curve.name}: the mean {metric} is infinite: every quality has a picture that is exact"
            )
        if not points(curve, metric)[0]:
            known = ", ".join(curve.metrics) or "none"
            raise ResultsError(f"{curve.name}: no {metric} to draw, expected one of {known}")
    for limits in (xlim, ylim):
        if limits and not limits[0] < limits[1]:
            raise ResultsError(f"a frame from {limits[0]:g} to {limits[1]:g} is empty")
    if log and xlim and xlim[0] <= 0:
        raise ResultsError(f"a logarithmic rate cannot start at {xlim[0]:g}")
    shown = [curve for curve in anchors if points(curve, metric)[0]]
    with canvas(HEIGHT_INCHES) as figure:
        axes = figure.add_subplot()
        lines = [_measured_line(axes, curve, metric, i, len(measured)) for i, curve in enumerate(measured)]
        lines += [_published_line(axes, curve, metric, i) for i, curve in enumerate(shown)]
        x_limits, y_limits = _frame(measured[0], metric, xlim, ylim, log=log)
        if log:
            axes.set_xscale("log")
            plain_log_ticks(axes, "x", *x_limits)
        round_ticks(axes, "y")
        axes.set_xlim(x_limits)
        axes.set_ylim(y_limits)
        axes.set_xlabel("bits per pixel")
        axes.set_ylabel(LABELS.get(metric, metric))
        if title:
            axes.set_title(title)
        grid(axes)
        order = legend_order([*measured, *shown], metric)
        figure.legend(
            handles=[lines[i] for i in order],
            loc="outside right upper",
            frameon=False,
            title="— measured\n- - published" if shown else None,
            alignment="left",
            labelspacing=0.55,
            handlelength=2.9,
        )
        return to_bytes(figure, file_format)


def points(curve: Curve, metric: str) -> Points:
    """A curve's (bpp, values) as they are drawn: MS-SSIM by the name "ms-ssim" in dB; empty if it has none."""
    rates, found = curve.points(metric)
    if metric != "ms-ssim":
        return rates, found
    # Above 60 dB, float and 8-bit rounding are all there is to see.
    return rates, tuple(-10 * math.log10(max(1 - value, 1e-6)) for value in found)


def legend_order(curves: Sequence[Curve], metric: str) -> list[int]:
    """Indices of the curves from the highest to the lowest, by the mean distance to the first one at equal rates.

    A curve whose rates the first one has none of comes last.
    """

    def height(curve: Curve) -> float:
        both = points(curves[0], metric), points(curve, metric)
        low, high = max(bpp[0] for bpp, _ in both), min(bpp[-1] for bpp, _ in both)
        if low > high or low <= 0:
            return -math.inf
        rates = np.linspace(math.log(low), math.log(high), 33)
        ours, theirs = (np.interp(rates, np.log(bpp), values) for bpp, values in both)
        return float(np.mean(theirs - ours))

    return sorted(range(len(curves)), key=lambda i: -height(curves[i]))


def _measured_line(axes: Axes, curve: Curve, metric: str, number: int, count: int) -> Line2D:
    marks, rates, heights = _between(curve, metric)
    (line,) = axes.plot(
        rates,
        heights,
        color=COLOURS[number % len(COLOURS)],
        marker=MARKERS[number % len(MARKERS)],
        markevery=marks,
        markersize=6.5 if number == 0 else 4.5,
        markeredgecolor="white",
        markeredgewidth=0.6,
        linewidth=2.8 if number == 0 else 1.5,
        label=curve.name,
        zorder=3 + count - number,
    )
    return line


def _published_line(axes: Axes, curve: Curve, metric: str, number: int) -> Line2D:
    # From the palette's other end, so that up to eight curves have a colour of their own.
    _, rates, heights = _between(curve, metric)
    (line,) = axes.plot(
        rates,
        heights,
        color=COLOURS[-1 - number % (len(COLOURS) - 1)],
        dashes=DASHES[number % len(DASHES)],
        linewidth=1.6,
        label=curve.name,
        zorder=2,
    )
    return line


def _between(curve: Curve, metric: str) -> tuple[list[int], Floats, Floats]:
    """The line through a curve's points, and where on it they are: (indices of the points, rates, values).

    PCHIP over the logarithm of the rate, as BD-rate sees the curve; straight where that is not defined.
    """
    rates, heights = map(np.asarray, points(curve, metric))
    if len(rates) < _PCHIP_POINTS or not (rates > 0).all() or not (np.diff(rates) > 0).all():
        return list(range(len(rates))), rates, heights
    x = np.log(rates)
    slopes, step = pchip_slopes(x, heights), np.diff(x)
    t = np.arange(_STEPS)[:, None] / _STEPS
    # Cubic Hermite: (steps, points - 1).
    inside = (
        heights[:-1] * (2 * t**3 - 3 * t**2 + 1)
        + heights[1:] * (3 * t**2 - 2 * t**3)
        + step * slopes[:-1] * (t**3 - 2 * t**2 + t)
        + step * slopes[1:] * (t**3 - t**2)
    )
    dense = np.append((x[:-1] + t * step).T.ravel(), x[-1])
    marks = list(range(0, len(dense), _STEPS))
    return marks, np.exp(dense), np.append(inside.T.ravel(), heights[-1])


def _frame(
    first: Curve, metric: str, xlim: Limits | None, ylim: Limits | None, *, log: bool
) -> tuple[Limits, Limits]:
    """Limits a little wider than the first measured curve, which is what the figure is about."""
    bpp, values = points(first, metric)
    x_limits = xlim or ((0.9 * min(bpp), 1.1 * max(bpp)) if log else (0.0, 1.06 * max(bpp)))
    if ylim:
        return x_limits, ylim
    inside = [v for b, v in zip(bpp, values, strict=True) if x_limits[0] <= b <= x_limits[1]]
    inside += [float(np.interp(b, bpp, values)) for b in x_limits]
    margin = 0.06 * (max(inside) - min(inside)) or 1.0
    return x_limits, (min(inside) - margin, max(inside) + margin)
