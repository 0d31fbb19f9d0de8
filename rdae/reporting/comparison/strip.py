"""One picture of all versions: crops side by side, each above what its codec is called and what it took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
FONT_SIZES = (11, 28)
MAX_PIXELS = 50_000_000
"""Of a strip."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Lines = Sequence[tuple[str, str, Font]]
"""Text, colour and font of each."""


@dataclass(frozen=True)
class _Cell:
    """A crop, and lines below it: text and colour of each."""

    crop: Picture
    heading: str
    lines: Sequence[tuple[str, str]]


class _Letters:
    """Fonts of a strip: Pillow's own, so that nothing is downloaded and all machines draw alike."""

    def __init__(self, cell_width: int) -> None:
        low, high = FONT_SIZES
        self.size = min(max(round(cell_width * FONT_SHARE), low), high)
        self.text = _font(self.size)
        self.heading = _font(round(self.size * 1.2))
        self.line = round(self.size * 1.3)

    def fits(self, text: str, width: int, font: Font) -> bool:
        return font.getlength(text) <= width

    def known(self, text: str) -> str:
        """A text with a question mark for each letter that the font lacks: it has little more than ASCII."""
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

    def wrapped(self, parts: Sequence[str], width: int) -> Iterator[str]:
        """Parts with dots between them, as many in each line as there is room for; words where one is too long."""
        line = ""
        for part in parts:
            joined = f"{line} \u00b7 {part}" if line else part
            if self.fits(joined, width, self.text):
                line = joined
                continue
            if line:
                yield line
            line = ""
            for word in part.split():
                joined = f"{line} {word}" if line else word
                if line and not self.fits(joined, width, self.text):
                    yield line
                    joined = word
                line = joined
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
    width = max(crop.width for crop in crops) * zoom
    across = max(len(each.versions) + 1 for each in compared)
    across = across if columns is None else min(columns, across)
    letters = _Letters(width)
    gap = letters.size
    blocks = [
        [_original_cell(each, crop, zoom), *(_cell(version, crop, zoom) for version in each.versions)]
        for each, crop in zip(compared, crops, strict=True)
    ]
    labels = [[_labels(cell, letters, width) for cell in block] for block in blocks]
    total = across * (width + gap) + gap
    heights = [
        _block_height(block, words, across, letters) for block, words in zip(blocks, labels, strict=True)
    ]
    height = sum(heights) + gap * (len(blocks) + 1)
    if total * height > MAX_PIXELS:
        raise PictureError(
            f"a strip of {total} x {height} pixels, expected at most {MAX_PIXELS}: choose smaller crops"
        )
    sheet = Image.new("RGB", (total, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = gap
    for each, crop, block, words, block_height in zip(compared, crops, blocks, labels, heights, strict=True):
        caption = letters.shortened(_caption(each, crop, zoom), total - 2 * gap, letters.text)
        draw.text((gap, top), caption, fill=QUIET, font=letters.text)
        y = top + letters.line + gap // 2
        for start in range(0, len(block), across):
            row = block[start : start + across]
            tall = max(cell.crop.shape[0] for cell in row)
            for place, (cell, lines) in enumerate(zip(row, words[start : start + across], strict=True)):
                x = gap + place * (width + gap)
                sheet.paste(Image.fromarray(cell.crop), (x, y))
                _write(draw, letters, (x, y + tall + gap // 2), lines)
            y += tall + gap // 2 + _label_height(words[start : start + across], letters) + gap
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
    lines = []
    if compared.file_bytes is not None:
        rate = bits_per_pixel(compared.file_bytes, compared.original)
        lines = [(f"{compared.file_bytes:,} bytes", QUIET), (f"{rate:.2f} bpp", QUIET)]
    return _Cell(_zoomed(compared.original, crop, zoom), "original", lines)


def _cell(version: Version, crop: Region, zoom: int) -> _Cell:
    heading, _, rest = version.title.partition(", ")
    lines = [(rest, QUIET)] if rest else []
    lines += [(part, QUIET) for part in numbers(version)]
    if version.note:
        lines.append((version.note, NOTED))
    return _Cell(_zoomed(version.picture, crop, zoom), heading, lines)


def _zoomed(picture: Picture, crop: Region, zoom: int) -> Picture:
    """A crop with each pixel zoom x zoom pixels large: what a codec did is neither smoothed nor sharpened."""
    part = crop.of(picture)
    return np.ascontiguousarray(np.repeat(np.repeat(part, zoom, 0), zoom, 1))


def _labels(cell: _Cell, letters: _Letters, width: int) -> Lines:
    found: list[tuple[str, str, Font]] = [
        (letters.shortened(cell.heading, width, letters.heading), INK, letters.heading)
    ]
    for colour in (INK, QUIET, NOTED):
        parts = [letters.known(text) for text, own in cell.lines if own == colour]
        found += [(line, colour, letters.text) for line in letters.wrapped(parts, width)]
    return found


def _label_height(labels: Sequence[Lines], letters: _Letters) -> int:
    return round(letters.size * 0.35) + letters.line * max(len(lines) for lines in labels)


def _block_height(block: Sequence[_Cell], labels: Sequence[Lines], across: int, letters: _Letters) -> int:
    """The caption and the rows, with a gap after each but the last."""
    gap = letters.size
    height = letters.line + gap // 2 - gap
    for start in range(0, len(block), across):
        tall = max(cell.crop.shape[0] for cell in block[start : start + across])
        height += tall + gap // 2 + _label_height(labels[start : start + across], letters) + gap
    return height


def _write(draw: ImageDraw.ImageDraw, letters: _Letters, at: tuple[int, int], lines: Lines) -> None:
    x, y = at
    for i, (text, colour, font) in enumerate(lines):
        draw.text((x, y), text, fill=colour, font=font)
        y += letters.line + (round(letters.size * 0.35) if i == 0 else 0)
