"""How large pictures may be: what is compressed shall be decompressed, and few bytes must not ask for much memory."""

from __future__ import annotations

MAX_PIXELS = 100_000_000
"""What is read unless told otherwise."""

BLOCK = 64
"""Side in pixels of what takes at least a byte of latents, and costs as much as if it were full."""


def counted_sides(width: int, height: int) -> tuple[int, int]:
    """Width and height in pixels as limits count them: each at least BLOCK, as that is what it costs."""
    return max(width, BLOCK), max(height, BLOCK)


def counted_pixels(width: int, height: int) -> int:
    """What limits on pixels are about."""
    across, down = counted_sides(width, height)
    return across * down


def size_in_words(width: int, height: int) -> str:
    """Width and height, and as what they count, if that is more."""
    sides = counted_sides(width, height)
    counted = "" if sides == (width, height) else f", which count as {sides[0]} x {sides[1]}"
    return f"{width} x {height} pixels{counted}"
