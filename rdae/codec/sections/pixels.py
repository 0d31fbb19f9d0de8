"""Pixels stored as they are to be shown: a rectangle of levels as lossless WebP, in the place of what latents say.

A payload begins with a byte of kind, the sum of

    WHOLE  1: the rectangle is all of the picture; always so in a PIXELS_ALPHA section
    EXACT  2: the levels are those of the picture that was compressed, says who compressed it

Without WHOLE there follow left, top, width and height in pixels, four bytes each. Then come four bytes with the CRC-32
of the levels (red, green, blue and, in a PIXELS_ALPHA section, alpha, row by row), and a stream as
rdae.codec.sections.webp has it. Rectangles begin at multiples of GRID pixels, end there or where the picture does, and
share no pixel. A file without latents has rectangles that cover its picture, and needs no model.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rdae.codec.container import PIXELS_TYPES, Container, Header, Section, SectionType, least_payload
from rdae.codec.sections import webp
from rdae.errors import CorruptError

WHOLE, EXACT = 1, 2
GRID = 16  # pixels: a latent's
NUMBER_BYTES = 4

Levels = npt.NDArray[np.uint8]  # (h, w, 3)
Plane = npt.NDArray[np.uint8]  # (h, w)


class Rectangle(NamedTuple):
    """Its left upper corner and size, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column beyond."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row beyond."""
        return self.top + self.height

    def of(self, plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Its part of a plane of the picture, (h, w) or (h, w, channels)."""
        return plane[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, eq=False)
class Pixels:
    """What a section says: its rectangle's levels, uint8 (h, w, 3), and alpha, uint8 (h, w), if that is with them."""

    rectangle: Rectangle
    levels: Levels
    alpha: Plane | None


def encode(
    levels: Levels,
    rectangle: Rectangle | None = None,
    alpha: Plane | None = None,
    *,
    exact: bool,
    settings: Sequence[tuple[int, int]],
) -> Section:
    """The section of levels, uint8 (h, w, 3): those of a rectangle, or, without one, of all of the picture.

    alpha: uint8 (h, w), of the whole picture, that is to be with them. exact: they are the picture's own. settings:
    method and quality of the WebPs that are tried, of which the shortest is taken.
    """
    shown = np.ascontiguousarray(levels if alpha is None else np.dstack([levels, alpha]))
    payload = bytes([(WHOLE if rectangle is None else 0) | (EXACT if exact else 0)])
    payload += b"".join(number.to_bytes(NUMBER_BYTES, "little") for number in rectangle or ())
    streams = [webp.encode(shown, method=method, quality=quality) for method, quality in settings]
    payload += zlib.crc32(shown.data).to_bytes(4, "little") + min(streams, key=len)
    # As of latents: what a decoder spends is bounded by the file's length.
    payload = payload.ljust(least_payload(shown.shape[1], shown.shape[0]), b"\0")
    return Section(SectionType.PIXELS if alpha is None else SectionType.PIXELS_ALPHA, payload)


def pixel_sections(parsed: Container) -> list[Section]:
    """All sections of pixels, in their order."""
    return [section for section in parsed.sections if section.type in PIXELS_TYPES]


def rectangles(parsed: Container) -> list[Rectangle]:
    """Those of all `pixel_sections`; CorruptError if they break a rule."""
    header = parsed.header
    found = [_place(section, header)[0] for section in pixel_sections(parsed)]
    if not found:
        return found
    covered = np.zeros((-(-header.height // GRID), -(-header.width // GRID)), bool)
    for each in found:
        cells = covered[
            each.top // GRID : -(-each.bottom // GRID), each.left // GRID : -(-each.right // GRID)
        ]
        if cells.any():
            raise CorruptError("pixels twice")
        cells[:] = True
    if not parsed.payloads(SectionType.LATENTS) and not covered.all():
        raise CorruptError("neither latents nor pixels of all of the picture")
    return found


def decode(section: Section, header: Header) -> Pixels:
    """What a section says; CorruptError if no encoder writes it, VersionError if this Pillow reads no WebP."""
    rectangle, rest = _place(section, header)
    with_alpha = section.type == SectionType.PIXELS_ALPHA
    found = webp.decode(
        rest[4:], rectangle.width, rectangle.height, alpha=with_alpha, what="pixels", checked=True
    )
    if zlib.crc32(np.ascontiguousarray(found).data).to_bytes(4, "little") != rest[:4]:
        raise CorruptError("the decoded pixels are not those that were encoded")
    levels = found[:, :, :3]
    if header.grey and not (levels == levels[:, :, :1]).all():
        raise CorruptError("pixels of a grey picture have colours")
    return Pixels(rectangle, levels, found[:, :, 3] if with_alpha else None)


def is_exact(section: Section) -> bool:
    """Whether the pixels are those that were compressed, as their writer says."""
    return bool(section.payload and section.payload[0] & EXACT)


def stored_shares(parsed: Container) -> tuple[float, float]:
    """How much of the picture is stored as pixels, and how much exactly, 0 to 1; CorruptError."""
    found = list(zip(rectangles(parsed), pixel_sections(parsed), strict=True))
    all_pixels = parsed.header.width * parsed.header.height
    areas = [(each.width * each.height / all_pixels, is_exact(section)) for each, section in found]
    return sum(area for area, _ in areas), sum(area for area, exact in areas if exact)


def _place(section: Section, header: Header) -> tuple[Rectangle, bytes]:
    """The rectangle, and the rest of the payload."""
    payload, whole = section.payload, Rectangle(0, 0, header.width, header.height)
    kind = payload[0] if payload else -1
    if not 0 <= kind <= WHOLE | EXACT or (section.type == SectionType.PIXELS_ALPHA and not kind & WHOLE):
        raise CorruptError(f"pixels of an unknown kind: {payload[:1]!r}")
    if kind & WHOLE:
        return whole, payload[1:]
    end = 1 + 4 * NUMBER_BYTES
    if len(payload) < end:
        raise CorruptError("pixels end too early")
    numbers = (payload[at : at + NUMBER_BYTES] for at in range(1, end, NUMBER_BYTES))
    found = Rectangle(*(int.from_bytes(number, "little") for number in numbers))
    ends = ((found.right, header.width), (found.bottom, header.height))
    if (
        found.width < 1
        or found.height < 1
        or found.left % GRID
        or found.top % GRID
        or any(end > limit or (end % GRID and end != limit) for end, limit in ends)
    ):
        raise CorruptError(f"pixels of {tuple(found)} in {header.width} x {header.height}")
    return found, payload[end:]
