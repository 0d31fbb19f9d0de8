"""What all figures share: matplotlib, imported when something is drawn, colours, and bytes that do not change.

The only package that may name matplotlib is this one.  A figure in git changes only when what it shows does: no
dates, fixed ids.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rdae.errors import MissingExtraError
from rdae.storage.files import encoded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
# Okabe and Ito's palette: told apart with any colour vision. Its yellow, too pale for a line, is left out.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8F8F8F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[tuple[float, ...], ...] = (
    (5, 2),
    (1.2, 1.4),
    (7, 2, 1.5, 2),
    (10, 3),
    (3, 1.5, 1, 1.5, 1, 1.5),
    (2.5, 3),
)
WIDTH_INCHES, DOTS_PER_INCH = 9.0, 100  # 900 pixels wide, as a README shows it
GREY = "#6F6F6F"

Floats = NDArray[np.float64]


@contextmanager
def canvas(height_inches: float) -> Iterator[Figure]:
    """An empty figure, 9 inches wide, with the style of the house in force; MissingExtraError without matplotlib."""
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("plotting needs matplotlib: pip install 'rdae[plot]'") from error
    style: Any = {  # matplotlib types each key as a literal
        "font.size": 11.5,
        "axes.titlesize": 12,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "axes.axisbelow": True,
        "xtick.color": "#333333",
        "ytick.color": "#333333",
        "svg.hashsalt": "rdae",
        "svg.fonttype": "path",
        "axes.unicode_minus": True,
        "text.parse_math": False,  # a codec's name may hold a dollar
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(WIDTH_INCHES, height_inches), dpi=DOTS_PER_INCH, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def to_bytes(figure: Figure, file_format: str) -> bytes:
    """The figure as a file of one of FORMATS; to be called while its `canvas` is open."""
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        words = text.get_text()
        if (
            sayable := encoded(words).decode()
        ) != words:  # a name with bytes that are no text cannot be drawn
            text.set_text(sayable)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=file_format, metadata=undated.get(file_format, {}))
    return buffer.getvalue()


def grid(axes: Axes) -> None:
    """Pale lines behind the curves."""
    axes.grid(visible=True, color="#DDDDDD", linewidth=0.8)


def round_ticks(axes: Axes, which: str) -> None:
    """Label a linear axis ("x" or "y") at steps of 1, 2 or 5 times a power of ten."""
    from matplotlib.ticker import MaxNLocator

    (axes.xaxis if which == "x" else axes.yaxis).set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))


def plain_log_ticks(axes: Axes, which: str, low: float, high: float, unit: float = 1.0) -> None:
    """Label a logarithmic axis ("x" or "y") with plain numbers, 0.1, 0.2, 0.5, 1 …, few enough to read.

    low, high: the axis's limits. unit: what the labels are counted in.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    decades = range(int(np.floor(np.log10(low / unit))), int(np.ceil(np.log10(high / unit))) + 1)
    ticks: list[float] = []
    for leading in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**decade * unit for decade in decades for step in leading]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= 7:
            break
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value / unit:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def smoothed(values: Sequence[float] | Floats, window: int) -> Floats:
    """The mean of each value and its neighbours, `window` in all and fewer at the ends: (n,) -> (n,)."""
    flat = np.asarray(values, dtype=np.float64)
    half = window // 2
    sums = np.concatenate([[0.0], np.cumsum(flat)])
    centres = np.arange(len(flat))
    first, end = np.maximum(centres - half, 0), np.minimum(centres + half + 1, len(flat))
    means: Floats = (sums[end] - sums[first]) / (end - first)
    return means
