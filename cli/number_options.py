"""Numbers on the command line: ranges and lists of them, with commas between. Callbacks for click's options."""

from __future__ import annotations

import math

import click


def limits(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> tuple[float, float] | None:
    """Two finite numbers, the lower one first: "0.1,2"; None stays None."""
    if value is None:
        return None
    try:
        low, high = map(float, value.split(","))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise click.BadParameter(f"{value!r}, expected two rising numbers such as 0.1,2")
    return low, high


def qualities(_context: click.Context, _option: click.Parameter, value: str) -> list[float]:
    """Numbers from 0 to 100, each once, rising: "20,50,80"."""
    try:
        values = sorted({float(part) for part in value.split(",") if part.strip()})
    except ValueError:
        values = []
    if not values or not all(0 <= number <= 100 for number in values):
        raise click.BadParameter(f"{value!r}, expected numbers from 0 to 100 such as 20,50,80")
    return values
