"""What a picture file holds that an .rdae file has no place for, named so that people know what they would lose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO

from rdae.pictures.structure import boxes, jpeg, tiff, webp
from rdae.pictures.structure.png_chunks import FILLING, Survey

MOST_NAMES, MOST_LETTERS = 3, 24  # of one kind, and of a name: a stranger's words
MOST_PARTS = 1000  # of a file that are looked at: a hostile one may have millions

FILE_TYPE = b"ftyp"

IPTC = 0x0404
RESOLUTION, THUMBNAILS, IPTC_DIGEST = 0x03ED, (0x0409, 0x040C), 0x0425
TOLD_OTHERWISE = frozenset({IPTC, RESOLUTION, *THUMBNAILS, IPTC_DIGEST})
"""Of Photoshop's resources."""

XMP, EXTENDED_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
SEGMENTS = {
    "APP0": (b"JFIF\0", b"JFXX\0"),
    "APP1": (b"Exif\0", XMP, EXTENDED_XMP),
    "APP2": (b"ICC_PROFILE\0", b"MPF\0"),
    "APP12": (b"Ducky",),  # with which quality it was written
    "APP13": (b"Photoshop 3.0\0",),
    "APP14": (b"Adobe",),
}
"""Of a JPEG: how those segments begin that are kept, say nothing of their own, or have words of their own here."""

CHUNKS = frozenset({"VP8 ", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF", "ICCP", "EXIF", "XMP "})
"""Of a WebP, those that hold the picture, or are kept."""

BOXES = {
    "AVIF": frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"wide"}),
    "JPEG2000": frozenset({b"jP  ", b"ftyp", b"rreq", b"jp2h", b"jp2c", b"free"}),
}
BOXES["HEIF"] = BOXES["AVIF"]
"""Of the outermost ones, those that hold the picture, describe it, or fill space."""

TAGS = frozenset({*tiff.STORAGE, *tiff.KEPT, *tiff.FOREIGN})
"""Of a TIFF, those that say how the samples are stored, are kept, or have words of their own here."""


def left_behind(image: Any, said: Survey | None = None) -> Iterator[str]:
    """What a container has no place for, in an image of Pillow's; its file's position is kept.

    said: of a PNG.  Of an image that is not loaded yet, as Pillow closes some files with that.
    """
    photoshop = image.info.get("photoshop")
    resources = set(photoshop) if isinstance(photoshop, dict) else set()
    tags = getattr(image, "tag_v2", None) or {}
    if IPTC in resources or tiff.IPTC in tags or "Raw profile type iptc" in image.info:
        yield "IPTC"
    if resources - TOLD_OTHERWISE or tiff.RESOURCES in tags:
        yield "Photoshop's resources"
    if tiff.LAYERS in tags:
        yield "Photoshop's layers"
    if image.info.get("comment"):
        yield "comment"
    segments = getattr(image, "applist", None) or []
    if any(marker == "APP1" and data.startswith(EXTENDED_XMP) for marker, data in segments):
        yield "extended XMP"
    yield from _named("segment", _unknown_segments(segments))
    yield from _named("TIFF tag", _unknown_tags(tags))
    if said is not None:
        if said.texts:
            yield _texts_words(said.texts)
        yield from _named("chunk", said.unknown)
        if said.rest:
            yield _bytes_after(said.rest)
    place = image.fp.tell()
    told = list(_beside_the_picture(image, image.fp))
    image.fp.seek(place)
    yield from told


def _beside_the_picture(image: Any, file: BinaryIO) -> Iterator[str]:
    """What a file's own structure shows: parts of unknown kinds, and bytes after the end."""
    rest = b""
    if image.format in ("JPEG", "MPO"):
        file.seek(0)
        data = file.read()
        # Of the pictures after the first it is said that they are not taken.
        rest = data[jpeg.end_of_pictures(data, getattr(image, "n_frames", 1)) :]
    elif image.format == "WEBP":
        unknown, rest = _beside_webp(file)
        yield from _named("chunk", unknown)
    elif image.format in BOXES:
        unknown, rest = _beside_boxes(file, BOXES[image.format])
        yield from _named("box", unknown, "boxes")
    if rest.strip(FILLING):
        yield _bytes_after(len(rest))


def _bytes_after(count: int) -> str:
    return f"{count:,} byte{'s' if count > 1 else ''} after its end"


def _beside_webp(file: BinaryIO) -> tuple[list[str], bytes]:
    """The unknown chunks of a WebP, and what follows it."""
    unknown = [name for name in islice(webp.chunks(file), MOST_PARTS) if name not in CHUNKS]
    file.seek(webp.end_of_file(file))
    return unknown, file.read()


def _beside_boxes(file: BinaryIO, known: frozenset[bytes]) -> tuple[list[str], bytes]:
    """The types of a file's outermost boxes that are not known, and what follows: another file, or no boxes."""
    unknown: list[str] = []
    types: set[bytes] = set()
    end = 0
    for number, (kind, start, after) in enumerate(boxes.outermost(file)):
        if number == MOST_PARTS:
            return unknown, b""
        if kind == FILE_TYPE and kind in types:
            end = start  # another file begins
            break
        types.add(kind)
        if kind not in known:
            unknown.append(kind.decode("ascii"))
        end = after
    file.seek(end)
    return unknown, file.read() if types else b""  # a bare codestream has no boxes


def _unknown_segments(segments: Sequence[tuple[str, bytes]]) -> list[str]:
    unknown = []
    for marker, data in segments:
        if marker != "COM" and not data.startswith(SEGMENTS.get(marker, ())):
            called = data.partition(b"\0")[0].decode("latin-1")
            unknown.append(f"{marker} {called}" if called.isascii() and called.isprintable() else marker)
    return unknown


def _unknown_tags(tags: Any) -> list[str]:
    return [str(tag) for tag in sorted(tags) if tag not in TAGS]


def _named(kind: str, names: Iterable[str], kinds: str = "") -> Iterator[str]:
    """One phrase for all of a kind, if there are any: those with other names are counted."""
    different = list(dict.fromkeys(name.strip() for name in names))
    if not different:
        return
    told = ", ".join(map(_shown, different[:MOST_NAMES]))
    rest = len(different) - MOST_NAMES
    which = kind if len(different) == 1 else kinds or f"{kind}s"
    yield f"{which} {told}{f' and {rest:,} more' if rest > 0 else ''}"


def _texts_words(texts: Counter[str]) -> str:
    """Texts of a PNG by their names: few of them, cut, and without control characters."""
    names = [name for name in texts if name][:MOST_NAMES]
    shown = ", ".join(f'"{_shown(name)}"' for name in names)
    total = texts.total()
    rest = total - len(names)
    if not names:
        return f"{total:,} PNG text{'s' if total > 1 else ''}"
    return f"PNG text{'s' if total > 1 else ''} {shown}{f' and {rest:,} more' if rest else ''}"


def _shown(name: str) -> str:
    """A name with escapes for what cannot be printed, cut to MOST_LETTERS."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return shown if len(shown) <= MOST_LETTERS else f"{shown[: MOST_LETTERS - 1]}…"
