"""What travels with a picture: EXIF, XMP and the resolution of an image of Pillow's, and which way up it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from PIL import Image

from rdae.pictures.facts import Facts
from rdae.pictures.structure import exif, tiff

# Pillow turns these upright itself.
UPRIGHT_FORMATS = frozenset({"TIFF"})
SAME_RESOLUTION = 0.02
"""In dots per inch: what a whole number of dots per metre can be off."""


@dataclass(frozen=True)
class Metadata:
    """EXIF without its prefix and XMP, which say that the picture is upright, and how it is to be turned to be so.

    orientation: 1 to 8, as EXIF has it. note: what was wrong with it, else empty.
    """

    orientation: int = 1
    exif: bytes | None = None
    xmp: bytes | None = None
    note: str = ""


def metadata_of(image: Image.Image, facts: Facts) -> Metadata:
    """Of an image that is loaded: Pillow knows some of it only then."""
    xmp = _xmp_of(image, facts)
    found, note = _exif_of(image), ""
    block = exif.parse(found) if found else None
    turn = exif.orientation(block) if block else 1
    if image.format not in UPRIGHT_FORMATS and xmp and (block is None or not block.has(exif.ORIENTATION)):
        turn = exif.xmp_orientation(xmp)
    if found and (block is None or not block.whole):
        block, note = None, "unreadable EXIF dropped"
    kept = exif.upright(block) if block else None
    dots = _resolution(image)
    if dots is not None:
        kept = exif.with_resolution(kept, dots)
    return Metadata(turn, kept or None, exif.upright_xmp(xmp) if xmp else None, note)


def _exif_of(image: Image.Image) -> bytes | None:
    """EXIF as it is in the file, or made of a TIFF's own tags."""
    found = image.info.get("exif")
    if isinstance(found, bytes):
        return found
    try:
        if "Raw profile type exif" in image.info:  # a text in a PNG, as ImageMagick writes it
            return image.getexif().tobytes()
        return _from_tags(image) if image.format == "TIFF" else None
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - Pillow's parser meets a stranger's bytes here
        return b"unreadable"


def _from_tags(image: Image.Image) -> bytes | None:
    tags, kept = image.getexif(), Image.Exif()
    for tag in tiff.KEPT:
        value = tags.get_ifd(tag) if tag in exif.IFDS and tag in tags else tags.get(tag)
        if value:
            kept[tag] = value
    return kept.tobytes() if len(kept) else None


def _xmp_of(image: Image.Image, facts: Facts) -> bytes | None:
    found = facts.xmp or image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(found, str):
        found = found.encode("utf-8", "surrogateescape")
    return found if isinstance(found, bytes) and found else None


def _resolution(image: Image.Image) -> tuple[float, float] | None:
    """Dots per inch across and down, if somebody has chosen them."""
    if image.format == "TIFF":  # whose tags have them
        return None
    dots: Any = image.info.get("dpi")
    try:
        across, down = (float(each) for each in dots)
    except (TypeError, ValueError):
        return None
    if not all(math.isfinite(each) and 1 <= each < 100_000 for each in (across, down)):
        return None
    whole = [round(each) if abs(each - round(each)) < SAME_RESOLUTION else each for each in (across, down)]
    return None if (whole[0], whole[1]) == exif.NO_RESOLUTION else (whole[0], whole[1])
