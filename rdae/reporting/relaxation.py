"""The two diagrams of the theory: rate with noise against rate with rounding, and the same for distortion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rdae.reporting.figures import COLOURS, GREY, canvas, grid, plain_log_ticks, to_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rdae.evaluation.relaxation import Relaxation, RelaxationPoint

HEIGHT_INCHES = 7.2

# Key of a point, what the axes are called, the unit in which the lower diagrams count the difference.
_TERMS = (
    ("bpp", "rate", "bits per pixel"),
    ("mse", "distortion", "mean squared error"),
)


def draw(result: Relaxation, *, file_format: str, title: str = "") -> bytes:
    """The bytes of a figure, in one of FORMATS: above, what noise gives over what rounding gives, both logarithmic,
    a line a picture over the qualities, with equality as a dashed line; below, their ratio over β. Thick: the means
    over the pictures. MissingExtraError without matplotlib.
    """
    means = result.means()
    with canvas(HEIGHT_INCHES) as figure:
        if title:
            figure.suptitle(title)
        rows = figure.subplots(2, 2, height_ratios=(1.7, 1.0))
        for column, (key, name, unit) in enumerate(_TERMS):
            above, below = rows[0][column], rows[1][column]
            for number, points in enumerate([*(picture.points for picture in result.pictures), tuple(means)]):
                mean = number == len(result.pictures)
                rounded, noisy = (_column(points, f"{kind}_{key}") for kind in ("rounded", "noisy"))
                look = {
                    "color": COLOURS[0] if mean else COLOURS[1],
                    "linewidth": 2.4 if mean else 0.9,
                    "alpha": 1.0 if mean else 0.4,
                    "marker": "o" if mean else None,
                    "markersize": 5,
                    "zorder": 3 if mean else 2,
                }
                above.plot(rounded, noisy, **look)
                below.plot(_column(points, "beta"), noisy / rounded, **look)
            everything = [
                getattr(point, f"{kind}_{key}")
                for picture in result.pictures
                for point in picture.points
                for kind in ("rounded", "noisy")
            ]
            _finish_above(above, name, unit, everything)
            _finish_below(below, name, [point.beta for point in means])
        pictures = f"{len(result.pictures)} picture{'s' if len(result.pictures) > 1 else ''}"
        rows[0][0].plot([], [], color=COLOURS[0], linewidth=2.4, marker="o", markersize=5, label="mean")
        rows[0][0].plot([], [], color=COLOURS[1], linewidth=0.9, alpha=0.6, label=pictures)
        rows[0][0].legend(frameon=False, loc="lower right")
        return to_bytes(figure, file_format)


def _column(points: tuple[RelaxationPoint, ...], key: str) -> np.ndarray:
    # A blank picture may have a rate or an error of 0, which a logarithm cannot show.
    return np.maximum([getattr(point, key) for point in points], 1e-6)


def _finish_above(axes: Axes, name: str, unit: str, values: list[float]) -> None:
    positive = [value for value in values if value > 1e-6]
    low, high = (0.8 * min(positive), 1.25 * max(positive)) if positive else (0.1, 1.0)
    axes.plot([low, high], [low, high], color=GREY, linewidth=1.2, dashes=(5, 3), zorder=1)
    for which in ("x", "y"):
        getattr(axes, f"set_{which}scale")("log")
        getattr(axes, f"set_{which}lim")(low, high)
        plain_log_ticks(axes, which, low, high)
    axes.set_title(f"{name}, {unit}")
    axes.set_xlabel("rounded")
    axes.set_ylabel("with noise")
    grid(axes)


def _finish_below(axes: Axes, name: str, betas: list[float]) -> None:
    axes.axhline(1, color=GREY, linewidth=1.2, dashes=(5, 3), zorder=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    plain_log_ticks(axes, "y", low, high)
    axes.set_ylim(low, high)
    low, high = 0.85 * min(betas), 1.18 * max(betas)
    axes.set_xlim(low, high)
    plain_log_ticks(axes, "x", low, high)
    axes.set_xlabel("β, the weight of distortion")
    axes.set_ylabel(f"{name}: noise\nover rounding")
    grid(axes)
