"""One picture of all versions: crops side by side, each above what its codec is called and what it took."""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rdae.codec.tiles import Region
from rdae.errors import PictureError
from rdae.metrics import Picture
from rdae.pictures import picture_bytes
from rdae.reporting.comparison.versions import Compared, Version, bits_per_pixel, numbers

PAPER, INK, QUIET, NOTED = "#ffffff", "#16181b", "#53575d", "#a8370f"
FONT_SHARE = 1 / 11.6
"""Of a cell's width: what is written below fits it, and can still be read where the strip is shown small."""
FONT_SIZES = (14, 28)
LONGEST = 12
"""In heights of the font: a part of what is written for which a cell makes room, so that it need not be broken."""
MAX_PIXELS = 50_000_000
"""Of a strip."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


class _Line(NamedTuple):
    """A line below a crop, and how far below it the next one begins."""

    text: str
    colour: str
    font: Font
    advance: int


@dataclass(frozen=True)
class _Cell:
    """A crop, and what is written below it: a heading, then groups of parts, each of one colour."""

    crop: Picture
    heading: str
    groups: Sequence[tuple[Sequence[str], str]]


class _Letters:
    """Fonts of a strip: Pillow's own, so that nothing is downloaded and all machines draw alike."""

    def __init__(self, crop_width: int) -> None:
        low, high = FONT_SIZES
        self.size = min(max(round(crop_width * FONT_SHARE), low), high)
        self.text = _font(self.size)
        self.heading = _font(round(self.size * 1.2))
        self.line = round(self.size * 1.3)

    def fits(self, text: str, width: int, font: Font) -> bool:
        return font.getlength(text) <= width

    def least_width(self, cells: Sequence[_Cell]) -> int:
        """How wide cells must be for their numbers, and for each word of the rest, but for absurdly long ones."""
        pieces = [(word, self.heading) for cell in cells for word in cell.heading.split()]
        for parts, colour in itertools.chain.from_iterable(cell.groups for cell in cells):
            for part in parts:
                pieces += [(piece, self.text) for piece in (part.split() if colour == NOTED else [part])]
        widest = max(font.getlength(self.known(piece)) for piece, font in pieces)
        return min(math.ceil(widest), LONGEST * self.size)

    def known(self, text: str) -> str:
        """A text of what the font has, little more than ASCII: letters without accents, question marks for others."""
        text = "".join(
            letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter)
        )
        lacking = bytes(self.text.getmask("\uffff"))
        return "".join(
            letter if letter.isascii() or bytes(self.text.getmask(letter)) != lacking else "?"
            for letter in text
        )

    def shortened(self, text: str, width: int, font: Font) -> str:
        """A text that fits the width, if need be with dots in the place of its end."""
        text = self.known(text)
        if self.fits(text, width, font):
            return text
        while text and not self.fits(f"{text}...", width, font):
            text = text[:-1]
        return f"{text}..."

    def wrapped(self, parts: Sequence[str], width: int, font: Font) -> Iterator[str]:
        """Parts with dots between them, as many in each line as there is room for; words where one is too long."""
        line = ""
        for part in map(self.known, filter(None, parts)):
            joined = f"{line} \u00b7 {part}" if line else part
            if self.fits(joined, width, font):
                line = joined
                continue
            if line:
                yield line
            line = ""
            for word in part.split():
                joined = f"{line} {word}" if line else word
                if line and not self.fits(joined, width, font):
                    yield line
                    joined = word
                line = joined if self.fits(joined, width, font) else self.shortened(joined, width, font)
        if line:
            yield line


def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def strip(
    compared: Sequence[Compared], crops: Sequence[Region], *, zoom: int = 1, columns: int | None = None
) -> Picture:
    """Draw crops of pictures, a block for each: the original first, then its versions; uint8 (h, w, 3).

    zoom: how many pixels across each pixel of a crop becomes. columns: how many cells stand side by side; None: all of
    a picture. PictureError if that becomes too large to draw.
    """
    across = max(len(each.versions) + 1 for each in compared)
    across = across if columns is None else min(columns, across)
    largest = max(crop.width for crop in crops) * zoom
    letters = _Letters(largest)
    gap = letters.size
    blocks = [
        [_original_cell(each, crop, zoom), *(_cell(version, crop, zoom) for version in each.versions)]
        for each, crop in zip(compared, crops, strict=True)
    ]
    width = max(largest, letters.least_width(list(itertools.chain(*blocks))))
    labels = [[_labels(cell, letters, width) for cell in block] for block in blocks]
    total = across * (width + gap) + gap
    captions = [
        [
            _Line(line, QUIET, letters.text, letters.line)
            for line in letters.wrapped([_caption(each, crop, zoom)], total - 2 * gap, letters.text)
        ]
        for each, crop in zip(compared, crops, strict=True)
    ]
    heights = [
        _height(caption) + _rows_height(block, words, across, gap)
        for caption, block, words in zip(captions, blocks, labels, strict=True)
    ]
    height = sum(heights) + gap * (len(blocks) + 1)
    if total * height > MAX_PIXELS:
        raise PictureError(
            f"a strip of {total} x {height} pixels, expected at most {MAX_PIXELS}: choose smaller crops"
        )
    sheet = Image.new("RGB", (total, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = gap
    for caption, block, words, block_height in zip(captions, blocks, labels, heights, strict=True):
        _write(draw, (gap, top), caption)
        y = top + _height(caption) + gap // 2
        for start in range(0, len(block), across):
            row = block[start : start + across]
            tall = max(cell.crop.shape[0] for cell in row)
            for place, (cell, lines) in enumerate(zip(row, words[start : start + across], strict=True)):
                x = gap + place * (width + gap)
                sheet.paste(Image.fromarray(cell.crop), (x, y))
                _write(draw, (x, y + tall + gap // 2), lines)
            y += tall + gap // 2 + max(map(_height, words[start : start + across])) + gap
        top += block_height + gap
    return np.asarray(sheet)


def strip_bytes(drawn: Picture, suffix: str) -> bytes:
    """A file of a drawn strip, ".png" or ".webp", with no further loss; PictureError for one too large for it."""
    return picture_bytes(drawn, "WEBP" if suffix == ".webp" else "PNG")


def _caption(compared: Compared, crop: Region, zoom: int) -> str:
    height, width = compared.original.shape[:2]
    shown = f"{crop.width} x {crop.height} at {crop.x},{crop.y}"
    enlarged = f", {zoom} times as large" if zoom > 1 else ""
    return f"{compared.name}, {width} x {height} pixels; shown are {shown}{enlarged}"


def _original_cell(compared: Compared, crop: Region, zoom: int) -> _Cell:
    parts = []
    if compared.file_bytes is not None:
        rate = bits_per_pixel(compared.file_bytes, compared.original)
        parts = [f"{compared.file_bytes:,} bytes", f"{rate:.2f} bpp"]
    return _Cell(_zoomed(compared.original, crop, zoom), "original", [(parts, QUIET)])


def _cell(version: Version, crop: Region, zoom: int) -> _Cell:
    heading, _, rest = version.title.partition(", ")
    groups = [([rest], QUIET), (numbers(version), QUIET), ([version.note], NOTED)]
    return _Cell(_zoomed(version.picture, crop, zoom), heading, groups)


def _zoomed(picture: Picture, crop: Region, zoom: int) -> Picture:
    """A crop with each pixel zoom x zoom pixels large: what a codec did is neither smoothed nor sharpened."""
    part = crop.of(picture)
    return np.ascontiguousarray(np.repeat(np.repeat(part, zoom, 0), zoom, 1))


def _labels(cell: _Cell, letters: _Letters, width: int) -> list[_Line]:
    heading = list(letters.wrapped([cell.heading], width, letters.heading))
    large = round(letters.line * 1.2)
    found = [_Line(line, INK, letters.heading, large) for line in heading]
    found[-1] = found[-1]._replace(advance=letters.line + round(letters.size * 0.35))
    for parts, colour in cell.groups:
        lines = letters.wrapped(parts, width, letters.text)
        found += [_Line(line, colour, letters.text, letters.line) for line in lines]
    return found


def _height(lines: Sequence[_Line]) -> int:
    return sum(line.advance for line in lines)


def _rows_height(block: Sequence[_Cell], labels: Sequence[Sequence[_Line]], across: int, gap: int) -> int:
    """What the rows of a block take, from below the caption to the end of the last label."""
    height = gap // 2 - gap
    for start in range(0, len(block), across):
        tall = max(cell.crop.shape[0] for cell in block[start : start + across])
        height += tall + gap // 2 + max(map(_height, labels[start : start + across])) + gap
    return height


def _write(draw: ImageDraw.ImageDraw, at: tuple[int, int], lines: Sequence[_Line]) -> None:
    x, y = at
    for line in lines:
        draw.text((x, y), line.text, fill=line.colour, font=line.font)
        y += line.advance
