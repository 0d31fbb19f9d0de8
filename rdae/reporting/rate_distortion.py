"""Rate-distortion curves as a figure.

The only module that needs matplotlib, which it imports when it draws.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from rdae.errors import MissingExtraError, ResultsError
from rdae.evaluation.curves import Curve

FORMATS = ("png", "svg", "pdf")
# Okabe and Ito's palette: told apart with any colour vision. Black and the strongest hues come first.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8F8F8F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[tuple[float, ...], ...] = (
    (5, 2),
    (2, 1.5),
    (7, 2, 1.5, 2),
    (1, 1.5),
    (9, 3),
    (4, 1, 1, 1, 1, 1),
)
WIDTH_INCHES, HEIGHT_INCHES, DOTS_PER_INCH = 9.0, 6.0, 100  # 900 pixels wide, as a README shows it


def draw(
    measured: Sequence[Curve],
    anchors: Sequence[Curve],
    *,
    file_format: str,
    metric: str = "psnr",
    title: str = "",
) -> bytes:
    """The bytes of a figure, in one of FORMATS, of measured curves (solid) and published ones (dashed).

    metric: "psnr", or "ms-ssim" shown in dB. The axes frame the measured curves; of the published ones, what
    lies in that frame is seen. ResultsError if a measured curve has no such metric; an anchor without it is
    left out. MissingExtraError without matplotlib.
    """
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("plotting needs matplotlib: pip install 'rdae[plot]'") from error

    for curve in measured:
        if not _values(curve, metric):
            raise ResultsError(f"{curve.name}: no {metric} to draw")
    # Fixed salt and no date: a figure in git changes only when its curves do.
    with mpl.rc_context({"font.size": 12, "svg.hashsalt": "rdae", "svg.fonttype": "path"}):
        figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        shown = [curve for curve in anchors if _values(curve, metric)]
        for i, curve in enumerate(measured):
            axes.plot(
                curve.bpp,
                _values(curve, metric),
                color=COLOURS[i % len(COLOURS)],
                marker=MARKERS[i % len(MARKERS)],
                markersize=6,
                linewidth=2.6 if i == 0 else 1.6,
                label=curve.name,
                zorder=3 + len(measured) - i,
            )
        for i, curve in enumerate(shown):
            axes.plot(
                curve.bpp,
                _values(curve, metric),
                color=COLOURS[(len(measured) + i) % len(COLOURS)],
                dashes=DASHES[i % len(DASHES)],
                linewidth=1.5,
                label=curve.name,
                zorder=2,
            )
        _frame(axes, measured, metric)
        axes.set_xlabel("bits per pixel")
        axes.set_ylabel("PSNR (RGB), dB" if metric == "psnr" else "MS-SSIM, dB: -10 log10(1 - MS-SSIM)")
        if title:
            axes.set_title(title)
        axes.grid(visible=True, alpha=0.3)
        legend_title = "solid: measured, dashed: published" if shown else None
        axes.legend(loc="lower right", framealpha=0.9, title=legend_title, alignment="left")
        buffer = io.BytesIO()
        metadata = (
            {"Date": None} if file_format == "svg" else {"CreationDate": None} if file_format == "pdf" else {}
        )
        figure.savefig(buffer, format=file_format, metadata=metadata)
    return buffer.getvalue()


def _values(curve: Curve, metric: str) -> tuple[float, ...]:
    if metric == "psnr":
        return curve.psnr
    # Above 60 dB, float and 8-bit rounding are all there is to see.
    return tuple(-10 * math.log10(max(1 - value, 1e-6)) for value in curve.ms_ssim)


def _frame(axes: object, measured: Sequence[Curve], metric: str) -> None:
    """Limits a little wider than the first measured curve, which is what the figure is about."""
    bpp, values = measured[0].bpp, _values(measured[0], metric)
    margin = 0.08 * (max(values) - min(values)) or 1.0
    axes.set_xlim(0, 1.08 * max(bpp))  # type: ignore[attr-defined]
    axes.set_ylim(min(values) - margin, max(values) + margin)  # type: ignore[attr-defined]
