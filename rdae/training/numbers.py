"""Numbers for a reader."""

from __future__ import annotations


def three_digits(number: float) -> str:
    """A number of 0 or more with three significant digits, and all of those before the point."""
    return f"{number:.0f}" if number >= 100 else f"{number:#.3g}".rstrip(".")
