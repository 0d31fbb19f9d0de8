"""Picture files in.

Pictures may come from strangers. Their size is checked before a pixel is decoded, only FORMATS are looked for, and
whatever Pillow stumbles over becomes a PictureError. Pillow's own decoders are trusted with the rest. What it warns of
is decided here, and it is for the program to say whether its warnings are shown.
"""

from __future__ import annotations

import io
import os
from collections.abc import Collection
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from rdae.errors import PictureError
from rdae.pictures.facts import Facts, facts_of
from rdae.pictures.formats import FORMATS, HEAD_BYTES, plug_in_for, wanting
from rdae.pictures.images import from_pillow, no_memory, to_raster, words
from rdae.pictures.left_behind import left_behind
from rdae.pictures.raster import Note, Raster, check_size, silent
from rdae.pictures.structure import png_chunks
from rdae.storage.files import open_input, read_bounded

RDAE = b"RDAE"
"""What .rdae files begin with: see docs/format.md."""

Picture = npt.NDArray[np.uint8]  # (h, w, 3), sRGB


def read_picture(path: str | os.PathLike[str], note: Note = silent) -> Picture:
    """The picture in a file of one of FORMATS, as uint8 (h, w, 3), without anything else.

    Raises OSError if the file cannot be opened, PictureError if it holds no picture that can be coded.
    """
    with open_input(path, PictureError, PictureError) as file:
        return picture_in(file, note)


def picture_in(file: BinaryIO, note: Note = silent) -> Picture:
    """The picture in a file that is open, or comes through a pipe; the errors of `read_picture`."""
    return _levels_of(_raster_in(file, note, metadata=True, account=False), note)


def read_raster(
    path: str | os.PathLike[str], note: Note = silent, *, metadata: bool | Collection[str] = True
) -> Raster:
    """The picture in a file of one of FORMATS with all that there is to it, or of its metadata what is wanted.

    metadata: all, none, or which of icc, exif and xmp are kept.
    Raises OSError if the file cannot be opened, PictureError if it holds no picture that can be coded.
    """
    with open_input(path, PictureError, PictureError) as file:
        return raster_in(file, note, metadata=metadata)


def raster_in(file: BinaryIO, note: Note = silent, *, metadata: bool | Collection[str] = True) -> Raster:
    """The picture in a file that is open, or comes through a pipe; the errors of `read_raster`."""
    return _raster_in(file, note, metadata=metadata, account=True)


def to_rgb_array(image: Image.Image | npt.NDArray[np.generic], note: Note = silent) -> Picture:
    """A picture in memory as a C-contiguous uint8 array (h, w, 3), without anything else.

    image: of Pillow, in any mode but floating point; or an array of uint8 in the shape (h, w), (h, w, 1),
        (h, w, 3) or (h, w, 4). One channel is repeated, alpha is dropped. PictureError for anything else.
    """
    return _levels_of(to_raster(image, note), note)


def _raster_in(file: BinaryIO, note: Note, *, metadata: bool | Collection[str], account: bool) -> Raster:
    # A pipe cannot be gone back in, as Pillow does.
    source: BinaryIO = file if file.seekable() else io.BytesIO(read_bounded(file, PictureError))
    head = source.read(HEAD_BYTES)
    source.seek(0)
    said = None
    given = source
    if png_chunks.is_png(source):
        said, given = png_chunks.survey(source)
    with _opened(given, head) as image:
        check_size(image.width, image.height)
        try:
            facts = _facts_of_taken(image, said)
            told = tuple(left_behind(image, said)) if account else None
            image.load()
            # Of some formats (ICO, ICNS) the size is known only now.
            check_size(image.width, image.height)
            frames = getattr(image, "n_frames", 1)
            whole = said is None or png_chunks.rows_are_there(source, said)
        except PictureError:
            raise
        except MemoryError as error:
            raise no_memory(image) from error
        except Exception as error:
            reason = words(error)
            # Pillow's own words for the same, with how much of its buffer is left.
            detail = "" if reason.startswith("image file is truncated") else f": {reason}"
            raise PictureError(f"the picture is damaged or cut short{detail}") from error
        if not whole:
            raise PictureError(
                "the picture is damaged or cut short: rows are missing, or their checksum is wrong"
            )
        if frames > 1:
            note(f"only the first of {frames} frames taken")
        return from_pillow(image, note, metadata=metadata, facts=facts, left_behind=told)


def _facts_of_taken(image: Image.Image, said: png_chunks.Survey | None) -> Facts:
    """The facts of an image; PictureError for one that is refused by these."""
    facts = facts_of(image, said)
    if facts.refused:
        raise PictureError(facts.refused)
    return facts


def _opened(source: BinaryIO, head: bytes) -> Image.Image:
    Image.init()
    plug_in = plug_in_for(head)
    if plug_in is not None and not plug_in.register():
        raise PictureError(wanting(plug_in))
    forms = FORMATS if plug_in is None else (plug_in.form,)
    source.seek(0)
    try:
        return Image.open(source, formats=[form for form in forms if form in Image.OPEN])
    except UnidentifiedImageError:
        if not head:
            raise PictureError("the file is empty") from None
        if png_chunks.is_png(source):
            raise PictureError("the picture is damaged or cut short: no PNG has such a header") from None
        if head.startswith(RDAE):
            raise PictureError("already an .rdae file; rdae decompress opens it") from None
        raise PictureError(_odd_tiff(source) or "not a picture in a known format") from None
    except Exception as error:  # the plug-ins of Pillow raise whatever their parsers stumble over
        raise PictureError(f"the picture cannot be read: {words(error)}") from error


def _odd_tiff(source: BinaryIO) -> str:
    """What a TIFF holds that Pillow has no mode for, in words; empty if it is no TIFF."""
    source.seek(0)
    head = source.read(8)
    if not head.startswith((b"II*\0", b"MM\0*")):
        return ""
    try:
        tags: Any = TiffImagePlugin.ImageFileDirectory_v2(head)
        source.seek(tags.next)
        tags.load(source)
        depths = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
        kind = tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))[0]
    except Exception:  # noqa: BLE001 - Pillow's parser meets a stranger's bytes here
        return ""
    kinds = {1: "", 2: ", signed", 3: ", floating point"}
    return f"a TIFF of {len(depths)} x {depths[0]} bits{kinds.get(kind, '')}, which is not supported"


def _levels_of(raster: Raster, note: Note) -> Picture:
    if raster.alpha is not None:
        note("alpha dropped")
    if raster.icc is not None:
        note("colour profile dropped")
    return raster.levels
