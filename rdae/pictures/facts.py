"""What a picture file says that Pillow does not pass on: how deep its samples are, and its colours.

Asked before the pixels are loaded, as Pillow closes some files with that.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from rdae.pictures import colours
from rdae.pictures.colours import Colours
from rdae.pictures.structure import boxes, exif, png_chunks
from rdae.pictures.structure.png_chunks import Survey

ROUNDED = "{} bits rounded to 8"
CUT = "{} bits cut to 8"
MOST_NOTES = 8  # of one kind: types of chunks are a stranger's words
SIXTEEN_BIT_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_SAMPLE_FORMAT = 258, 262, 339
TIFF_SUBFILE_TYPE, TIFF_SUB_IFDS, DNG_VERSION = 254, 330, 50706
CR2_PLACE, CR2_MARK = 8, b"CR"
REDUCED = 1  # the picture is a smaller version of another in the file
WHITE_IS_ZERO = 0
SIGNED, FLOATING_POINT = 2, 3

# Pillow gives the upper byte of such samples, and the lower one by the name of the other order.
SWAPPED = {"B": "L", "L": "B", "N": "B"}


@dataclass(frozen=True, eq=False)
class Facts:
    """What there is to know of a picture beside what Pillow says.

    bits: of a sample, as Pillow gives it. stretched: those of the file, if Pillow makes 16 of fewer. low: the same
    picture with the lower bytes of samples of 16 bits, of which Pillow gives the upper ones. key: the transparent
    colour, in samples of so many bits. inverted: 0 is white, and Pillow does not turn it. colours: what is described
    without a profile; described_first: whatever a profile says. icc, xmp: what Pillow does not give. notes: of what is
    changed. refused: why the picture cannot be taken at all.
    """

    bits: int = 8
    stretched: int = 0
    low: Image.Image | None = None
    key: tuple[int, ...] | None = None
    inverted: bool = False
    colours: Colours | None = None
    described_first: bool = False
    icc: bytes | None = None
    xmp: bytes | None = None
    notes: tuple[str, ...] = ()
    refused: str = ""


def facts_of(image: Image.Image, said: Survey | None = None) -> Facts:
    """The facts of an image of Pillow's, all of them if it is a file that was not loaded yet.

    said: of a PNG that was looked through already.
    """
    file = getattr(image, "fp", None)
    # Of some formats Pillow has all that it needs, and the user has closed the file.
    if file is None or getattr(file, "closed", False) or not getattr(image, "tile", None):
        return Facts()
    if image.format == "PNG":
        return _of_png(image, said or _surveyed(image))
    if image.format in ("AVIF", "HEIF"):
        told = boxes.of_heif(file)
        return _of_boxes(image, told, ROUNDED)
    if image.format == "JPEG2000":
        told = boxes.of_jpeg2000(file)
        return _of_boxes(image, told, ROUNDED if image.mode in SIXTEEN_BIT_MODES else CUT)
    if image.format == "TIFF":
        return _of_tiff(image)
    if image.format in ("JPEG", "MPO"):
        block = exif.parse(image.info.get("exif") or b"")
        adobe = block is not None and exif.is_adobe_rgb(block)
        return Facts(colours=colours.ADOBE_RGB if adobe else None)
    bits = _bits_by_decoder(image)
    note = CUT if image.format == "SGI" else ROUNDED
    sixteen = image.mode in SIXTEEN_BIT_MODES
    return Facts(
        stretched=bits if sixteen and 8 < bits < 16 else 0,
        notes=(note.format(bits),) if bits > 8 and not sixteen else (),
    )


def _surveyed(image: Any) -> Survey:
    place = image.fp.tell()
    found, _ = png_chunks.survey(image.fp)
    image.fp.seek(place)
    return found


def _of_png(image: Image.Image, said: Survey) -> Facts:
    notes = list(_damaged(said.damaged))
    notes += [f"{what} dropped: it is damaged, or too long" for what in dict.fromkeys(said.unread)]
    described: Colours | None = None
    if said.cicp is not None:
        meant = colours.of_cicp(*said.cicp)
        if isinstance(meant, str):
            notes.append(meant)
        described = meant if isinstance(meant, Colours) else None
    elif not said.srgb and (said.gamma is not None or said.chromaticities is not None):
        described = colours.of_png(said.gamma, said.chromaticities)
    low = None
    if said.depth == 16 and image.mode not in SIXTEEN_BIT_MODES:
        low = _low_bytes(image)
        notes.append((ROUNDED if low else CUT).format(16))
    return Facts(
        bits=said.depth,
        low=low,
        key=said.key,
        colours=described,
        described_first=said.cicp is not None and described is not None,
        icc=said.profile,
        xmp=said.xmp,
        notes=tuple(notes),
    )


def _damaged(kinds: list[str]) -> Iterator[str]:
    """A line for each type of chunk that was left out, and one for the rest of many types."""
    counts = Counter(kinds).most_common()
    for kind, count in counts[:MOST_NOTES]:
        yield f"{f'{count:,} ' if count > 1 else ''}damaged {kind} left out"
    if rest := sum(count for _, count in counts[MOST_NOTES:]):
        yield f"{rest:,} more damaged chunk{'s' if rest > 1 else ''} left out"


def _of_boxes(image: Image.Image, told: boxes.Said, note: str) -> Facts:
    notes, described = [], None
    if told.bits > 8 and image.mode not in SIXTEEN_BIT_MODES:
        notes.append(note.format(told.bits))
    if told.cicp is not None and not image.info.get("icc_profile"):
        meant = colours.of_cicp(*told.cicp)
        if isinstance(meant, str):
            notes.append(meant)
        else:
            described = meant
    elif told.cicp is not None and told.cicp[1] in colours.HDR:
        notes.append(f"HDR is not supported: {colours.HDR[told.cicp[1]]} levels taken as the profile says")
    return Facts(
        colours=described,
        icc=None if image.info.get("icc_profile") else told.profile,
        notes=tuple(notes),
    )


def _of_tiff(image: Any) -> Facts:
    tags = image.tag_v2
    bits = _largest(tags.get(TIFF_BITS), 1)
    kind = _largest(tags.get(TIFF_SAMPLE_FORMAT), 1)
    refused = ""
    if _is_raw(image):
        refused = "a camera's raw file, of which only a preview could be read"
    elif kind == FLOATING_POINT:
        refused = "a floating-point picture, expected integers"
    elif bits > 16 or kind == SIGNED:
        signed = "signed " if kind == SIGNED else ""
        refused = f"a TIFF of {signed}samples of {bits} bits, expected unsigned ones of at most 16"
    notes, low = [], None
    if bits > 8 and image.mode not in SIXTEEN_BIT_MODES and not refused:
        low = _low_bytes(image)
        notes.append((ROUNDED if low else CUT).format(bits))
    return Facts(
        bits=bits,
        low=low,
        inverted=tags.get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO and image.mode in SIXTEEN_BIT_MODES,
        notes=tuple(notes),
        refused=refused,
    )


def _largest(value: object, default: int) -> int:
    """The largest integer in a tag, which may be of any type."""
    values = value if isinstance(value, tuple) else (value,)
    return max((each for each in values if isinstance(each, int)), default=default)


def _is_raw(image: Any) -> bool:
    """Whether a TIFF is a camera's raw data (DNG, CR2, NEF, ARW), of which Pillow gives the preview in front."""
    tags, place = image.tag_v2, image.fp.tell()
    image.fp.seek(CR2_PLACE)
    mark = image.fp.read(len(CR2_MARK))
    image.fp.seek(place)
    preview = bool(_largest(tags.get(TIFF_SUBFILE_TYPE), 0) & REDUCED) and TIFF_SUB_IFDS in tags
    return mark == CR2_MARK or DNG_VERSION in tags or preview


def _bits_by_decoder(image: Any) -> int:
    for tile in image.tile:
        if ";16" in str(tile[3]):
            return 16
        if image.format == "PPM" and isinstance(tile[3], tuple) and tile[3][-1] > 255:  # the largest level
            return int(tile[3][-1]).bit_length()
    return 8


def _low_bytes(image: Any) -> Any:
    """The same picture opened again, of whose samples of 16 bits Pillow gives the lower bytes; None if it cannot.

    Of grey with alpha all bytes, in mode CMYK: the upper and lower ones of grey, then of alpha.
    """
    place = image.fp.tell()
    image.fp.seek(0)
    again: Any = Image.open(io.BytesIO(image.fp.read()), formats=[image.format])
    image.fp.seek(place)
    tiles = []
    for tile in again.tile:
        *before, given = tile
        name, *rest = (given,) if isinstance(given, str) else given
        swapped = "CMYK" if name == "LA;16B" else _swapped(name)
        if swapped is None:
            return None
        tiles.append(type(tile)(*before, swapped if isinstance(given, str) else (swapped, *rest)))
        if swapped == "CMYK":
            again._mode = swapped  # noqa: SLF001 - as Pillow's own plug-ins set it
    again.tile = tiles
    return again


def _swapped(name: str) -> str | None:
    """The name of the samples in the other order; None if Pillow computes with them, as with premultiplied ones."""
    kind, _, depth = name.partition(";")
    if kind not in ("RGB", "RGBA", "RGBX", "R", "G", "B", "A") or depth[:2] != "16":
        return None
    return f"{kind};16{SWAPPED[depth[2:]]}" if depth[2:] in SWAPPED else None
