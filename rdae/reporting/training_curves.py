"""How a training went, as a figure: loss, rate, distortion and learning rate over pixels, and the validation curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rdae.evaluation.history import Run, Validation
from rdae.reporting.figures import COLOURS, GREY, Floats, canvas, grid, plain_log_ticks, smoothed, to_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

PANEL_INCHES = 2.0
_SMOOTHED_SHARE = 0.05  # of a run's rows: what a smoothed value is the mean of
_FIRST_SHARE = 0.03  # of all pixels: beginnings that may lie above the frame
_LOG_SPAN = 5.0  # a largest value of so many times the median wants a logarithmic axis

# Column of the training rows: the panel's label.
_LABELS = {"loss": "loss", "bpp": "bits per pixel", "mse": "mean squared error"}


@dataclass(frozen=True)
class _Unit:
    """What pixels are counted in."""

    name: str
    size: float


def draw(runs: Sequence[Run], *, file_format: str, title: str = "") -> bytes:
    """The bytes of a figure of training runs, in one of FORMATS.

    runs: each in a colour of its own, over the pixels that its weights had seen, so that runs which started from
    each other's weights stand side by side, and others over each other. Left: loss, rate (with noise) and distortion
    of the training crops, pale as logged and strong as a mean over a twentieth of the run, and learning rates where
    they were logged. Among runs with noise, one on rounded latents has rates that do not compare: they are left out.
    Right, where there was validation: its rate-distortion curve as it moved, and by how many percent of bits (BD-rate)
    each was away from the last one: by PSNR, and by SSIMULACRA2 where that was measured.
    MissingExtraError without matplotlib.
    """
    most = max(run.pixels for run in runs)
    unit = _Unit("gigapixels", 1e9) if most >= 1e9 else _Unit("megapixels", 1e6)
    checks = sorted((check for run in runs for check in run.validation), key=lambda check: check.pixels)
    panels = [*_LABELS, *(["learning rate"] if any(run.rates for run in runs) else [])]
    with canvas(PANEL_INCHES * len(panels) + (0.4 if title else 0.0)) as figure:
        if title:
            figure.suptitle(title)
        sides = np.ravel(figure.subfigures(1, 2 if checks else 1, squeeze=False))
        _training_panels(sides[0], runs, panels, unit)
        if checks:
            _validation_panels(sides[1], checks, unit, min(run.pixels_before for run in runs))
        return to_bytes(figure, file_format)


def _training_panels(figure: SubFigure, runs: Sequence[Run], panels: Sequence[str], unit: _Unit) -> None:
    rows: list[Axes] = list(np.atleast_1d(figure.subplots(len(panels), 1, sharex=True)))
    for axes, key in zip(rows, panels, strict=True):
        if key == "learning rate":
            _rate_panel(axes, runs, unit)
        else:
            _measured_panel(axes, runs, key, unit)
            axes.set_ylabel(_LABELS[key])
        grid(axes)
    _pixel_axis(rows[0], min(run.pixels_before for run in runs), max(run.pixels for run in runs), unit)
    rows[0].set_title("training crops, with noise")
    rows[-1].set_xlabel(f"{unit.name} seen")
    if len(runs) > 1:
        rows[0].legend(frameon=False, fontsize="small", loc="upper right", ncols=min(len(runs), 3))


def _measured_panel(axes: Axes, runs: Sequence[Run], key: str, unit: _Unit) -> None:
    everything = []
    noisy = [run for run in runs if not run.settings.get("rounded")]
    for number, run in enumerate(runs):
        if noisy and run not in noisy and key != "mse":
            continue
        pixels, raw = np.asarray(run.train["pixels"]) / unit.size, np.asarray(run.train[key])
        mean = smoothed(raw, max(3, round(_SMOOTHED_SHARE * len(raw))))
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(pixels, raw, color=colour, alpha=0.28, linewidth=0.7)
        axes.plot(pixels, mean, color=colour, linewidth=2, marker=_marker(pixels), label=run.name)
        everything += list(zip(pixels, raw, strict=True))
    all_pixels, values = np.asarray(everything).T
    low, high = float(values.min()), float(values.max())
    if low > 0 and high > _LOG_SPAN * np.median(values):
        axes.set_yscale("log")
        axes.set_ylim(low / 1.1, high * 1.1)
        plain_log_ticks(axes, "y", low / 1.1, high * 1.1)
    else:
        # The fall of the first moments would press all the rest to the ground; it is seen to come from above.
        begun = all_pixels >= all_pixels.min() + _FIRST_SHARE * np.ptp(all_pixels)
        high = float(values[begun].max())
        span = high - low or abs(high) or 1.0
        axes.set_ylim(low - 0.06 * span, high + 0.1 * span)


def _marker(pixels: Floats) -> str | None:
    """What shows a line of a single point, of which nothing would be seen."""
    return "o" if len(pixels) == 1 else None


def _rate_panel(axes: Axes, runs: Sequence[Run], unit: _Unit) -> None:
    names = list(dict.fromkeys(name for run in runs for name in run.rates))
    for number, name in enumerate(names):
        having = [run for run in runs if name in run.rates]  # older logs have none
        for run in having:
            pixels = np.asarray(run.train["pixels"]) / unit.size
            label = name.replace("_", " ") if run is having[0] else None
            colour = COLOURS[-1 - number % len(COLOURS)]
            axes.plot(pixels, run.train[name], color=colour, marker=_marker(pixels), label=label)
    largest = max(max(run.train[name]) for run in runs for name in run.rates) or 1.0
    axes.set_yscale("log")
    axes.set_ylim(largest / 1000, largest * 1.5)
    plain_log_ticks(axes, "y", largest / 1000, largest * 1.5)
    axes.set_ylabel("learning rate")
    if len(names) > 1:
        axes.legend(frameon=False, fontsize="small", loc="lower center")


def _pixel_axis(axes: Axes, first: int, last: int, unit: _Unit) -> None:
    """Let an axis of pixels begin where the first run does, which may have begun with weights that had seen many."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    axes.set_xlim(first / unit.size, first / unit.size + 1.02 * max(last - first, 1) / unit.size)
    # Numbers of many digits need room, and an offset beside the axis would be overlooked.
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(ScalarFormatter(useOffset=False))


def _validation_panels(figure: SubFigure, checks: Sequence[Validation], unit: _Unit, begin: int) -> None:
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    above, below = figure.subplots(2, 1, height_ratios=(1.9, 1.0))
    first, last = checks[0].pixels / unit.size, checks[-1].pixels / unit.size
    # The palest part of the map is too pale for a line on white.
    colours = ScalarMappable(
        Normalize(first - 0.25 * (last - first or 1.0), last), mpl.colormaps["viridis_r"]
    )

    def colour_of(check: Validation) -> tuple[float, ...]:
        red, green, blue, _ = colours.to_rgba(np.asarray([check.pixels / unit.size]))[0]
        return (float(red), float(green), float(blue))

    for check in checks:
        curve, colour = check.curve(), colour_of(check)
        above.plot(curve.bpp, curve.psnr, color=colour, marker="o", markersize=3, linewidth=1.3)
    rates = [rate for check in checks for rate in check.bpp if rate > 0]
    above.set_xscale("log")
    low, high = 0.9 * min(rates), 1.1 * max(rates)
    above.set_xlim(low, high)
    plain_log_ticks(above, "x", low, high)
    above.set_xlabel("bits per pixel")
    above.set_ylabel("PSNR (RGB), dB")
    above.set_title("validation, rounded")
    bar = figure.colorbar(colours, ax=above, label=f"{unit.name} seen", pad=0.02, aspect=30)
    bar.ax.set_ylim(first, last if last > first else first + 1)
    grid(above)

    below.axhline(0, color=GREY, linewidth=1)
    scored = [check for check in checks if check.ssimulacra2]
    for metric, having, line in (("psnr", checks, "-"), ("ssimulacra2", scored, "--")):
        known = [
            (check, found) for check in having if (found := check.against(having[-1], metric)) is not None
        ]
        below.plot(
            [check.pixels / unit.size for check, _ in known],
            [found for _, found in known],
            color=GREY,
            linewidth=1,
            linestyle=line,
            zorder=2,
            label={"psnr": "by PSNR", "ssimulacra2": "by SSIMULACRA2"}[metric],
        )
        for check, found in known:
            below.plot(check.pixels / unit.size, found, "o", color=colour_of(check), zorder=3)
    if scored:
        below.legend(frameon=False, fontsize="small")
    _pixel_axis(below, begin, checks[-1].pixels, unit)
    below.set_xlabel(f"{unit.name} seen")
    below.set_ylabel("bits against the\nlast curve, %")
    grid(below)
