"""What levels of effort are worth: bits saved over seconds, a curve a codec, all against rdae's level 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdae.errors import ResultsError
from rdae.evaluation.effort_levels import CodecLevels, EffortLevels, Level
from rdae.reporting.figures import (
    COLOURS,
    GREY,
    MARKERS,
    canvas,
    grid,
    plain_log_ticks,
    round_ticks,
    to_bytes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT_INCHES = 5.4


def draw(result: EffortLevels, *, file_format: str, title: str = "") -> bytes:
    """The bytes of a figure, in one of FORMATS: percent of the bits saved, by BD-rate, over seconds a picture.

    All codecs are compared with one setting, rdae's level 0, so that who is above saves more at equal quality, and who
    is to the left is faster.  rdae is drawn thickest; a number at each point is the setting.  A setting without a
    BD-rate is left out; ResultsError if that leaves nothing.  MissingExtraError without matplotlib.
    """
    curves = [(codec, _saved(codec, result.plain)) for codec in result.codecs]
    times = [seconds for _, points in curves for _, seconds, _ in points]
    if not times:
        raise ResultsError("no setting has a BD-rate, so there is nothing to draw")
    with canvas(HEIGHT_INCHES) as figure:
        axes = figure.add_subplot()
        for number, (codec, points) in enumerate(curves):
            _line(axes, codec, points, number)
        low, high = 0.7 * min(times), 1.4 * max(times)
        axes.axhline(0, color=GREY, linewidth=1)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        plain_log_ticks(axes, "x", low, high)
        axes.margins(y=0.1)
        round_ticks(axes, "y")
        axes.set_xlabel("seconds to encode a picture")
        axes.set_ylabel(f"bits saved against {result.codecs[0].title}, effort 0, %, by {result.metric}")
        if title:
            axes.set_title(title)
        grid(axes)
        axes.legend(frameon=False, loc="best")
        return to_bytes(figure, file_format)


def _saved(codec: CodecLevels, anchor: Level) -> list[tuple[int, float, float]]:
    """(setting, seconds, percent of bits saved) of each level that has a BD-rate."""
    rates = ((level, level.against(anchor)[0]) for level in codec.levels)
    return [(level.setting, level.encoding_s, -rate) for level, rate in rates if rate is not None]


def _line(axes: Axes, codec: CodecLevels, points: list[tuple[int, float, float]], number: int) -> None:
    colour, own = COLOURS[number % len(COLOURS)], number == 0
    axes.plot(
        [seconds for _, seconds, _ in points],
        [saved for _, _, saved in points],
        color=colour,
        marker=MARKERS[number % len(MARKERS)],
        markersize=6.5 if own else 4.5,
        markeredgecolor="white",
        markeredgewidth=0.6,
        linewidth=2.8 if own else 1.5,
        label=f"{codec.title}, {codec.option}",
        zorder=20 - number,
    )
    for setting, seconds, saved in points:
        axes.annotate(
            str(setting),
            (seconds, saved),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            color=colour,
            fontsize=9.5,
        )
