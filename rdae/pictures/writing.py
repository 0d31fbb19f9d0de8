"""Picture files out: what each format has a place for, and what of a picture is lost in it.

What cannot be kept is said: each function that may drop something takes `note`, which is called with a short line.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from rdae.errors import PictureError
from rdae.pictures.bands import Bands, flow
from rdae.pictures.formats import plug_in_of, wanting
from rdae.pictures.images import words
from rdae.pictures.raster import Levels, Note, silent
from rdae.pictures.structure import exif, tiff
from rdae.pictures.structure.png_chunks import PILLOWS_MOST
from rdae.storage.files import check_output, write_atomically

# What a decoder's user wants of each format: no second loss where there is a choice, else a small one.
SAVE_OPTIONS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "TIFF": {"compression": "tiff_lzw"},
    "JXL": {"lossless": True},
    "HEIF": {"quality": 95, "chroma": 444},
}
SAVE_OPTIONS |= dict.fromkeys(("MPO", "PDF"), SAVE_OPTIONS["JPEG"])  # which are made of JPEGs
# Those that lose something for fewer bytes when a quality is asked for, and how each is told so beside that.
LOSSY: dict[str, dict[str, object]] = {
    "JPEG": {},
    "MPO": {},
    "WEBP": {"lossless": False, "method": 6},
    "AVIF": {},
    "JXL": {"lossless": False},
    "HEIF": {},
}
# Of those whose writers would say so less plainly, or print it.
LARGEST_SIDE = {"ICO": 256, "WEBP": 16383} | dict.fromkeys(("JPEG", "MPO", "PDF"), 65500)
LARGEST_SIDE |= dict.fromkeys(("AVIF", "GIF", "PCX", "SGI", "TGA"), 65535)

# What each has a place for, of those that have it and that Pillow writes it to.
WITH_ALPHA = frozenset(
    {
        "PNG",
        "WEBP",
        "AVIF",
        "TIFF",
        "JPEG2000",
        "TGA",
        "ICO",
        "ICNS",
        "QOI",
        "JXL",
        "HEIF",
        "DDS",
        "SGI",
    }
)
WITH_GREY_ALPHA = frozenset({"PNG", "TIFF", "JPEG2000", "TGA"})  # Pillow takes LA as it is
WITH_METADATA = frozenset({"PNG", "JPEG", "MPO", "WEBP", "AVIF", "TIFF", "JXL", "HEIF"})
CALLED = {"icc_profile": "colour profile", "exif": "EXIF", "xmp": "XMP"}
JPEG_SEGMENT = {"exif": 65533, "xmp": 65504}  # the most bytes that Pillow can put there
WITH_RESOLUTION = frozenset({"PNG", "JPEG", "MPO"})  # beside EXIF
DROPPED_FIRST = ("exif", "xmp", "icc_profile")  # if not all of them can be written
# What comes back from these is the picture, or one of its size that is known to differ.
FAITHFUL = frozenset(
    {
        "PNG",
        "JPEG",
        "MPO",
        "WEBP",
        "AVIF",
        "TIFF",
        "BMP",
        "DIB",
        "PPM",
        "JPEG2000",
        "TGA",
        "QOI",
        "JXL",
        "HEIF",
    }
)


def write_picture(
    path: str | os.PathLike[str], picture: Image.Image | Levels, note: Note = silent, *, force: bool = False
) -> None:
    """Write a picture in the format that the suffix of `path` names, whole or not at all.

    Raises PictureError for a suffix that Pillow cannot write, OutputExistsError, OSError.
    """
    form = format_of(path)
    check_output(path, force=force)
    write_atomically(path, picture_bytes(picture, form, note), force=force)


def check_quality(form: str, quality: int | None) -> None:
    """PictureError if a quality is given for a format that loses nothing, or has no such scale."""
    if quality is not None and form not in LOSSY:
        raise PictureError(f"{form} has no quality, which is for {', '.join(sorted(LOSSY))}")


def picture_bytes(
    picture: Image.Image | Levels, form: str, note: Note = silent, *, quality: int | None = None
) -> bytes:
    """A file of the format that Pillow calls `form`; PictureError if it cannot hold the picture.

    It has the image's alpha, and the icc_profile, exif and xmp of its info, as far as the format has a place for them.
    quality: 1 (smallest) to 100 (best), on the scale of one of LOSSY; PictureError for another format. None: no second
    loss where there is a choice, else a small one.
    """
    check_quality(form, quality)
    lossy = {} if quality is None else {**LOSSY[form], "quality": quality}
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    if max(image.size) > LARGEST_SIDE.get(form, max(image.size)):
        raise PictureError(
            f"cannot be written as {form}: {image.width} x {image.height} pixels, expected sides of at most "
            f"{LARGEST_SIDE[form]}"
        )
    if image.mode in ("LA", "RGBA"):
        image = _alpha_for(image, form, note)
    if form == "QOI" and image.mode == "L":
        info = image.info
        image = image.convert("RGB")
        image.info = info
    kept = _metadata_for(image, form, note)
    if image.info:  # of which Pillow takes some by itself
        image = image.copy()
        image.info.clear()
    data = _with_metadata(image, form, kept, lossy, note)
    if form not in FAITHFUL:
        _check_written(data, image, form, note)
    return data


def picture_chunks(bands: Bands, form: str, note: Note = silent) -> Iterator[bytes]:
    """A file like that of `picture_bytes` in chunks, as the bands come: for what `bands.flow_as(form)`.

    PictureError if the format cannot hold the picture, and the errors of the bands.
    """
    yield from flow(bands, picture_bytes(bands.sample(), form, note), form)


def _with_metadata(
    image: Image.Image, form: str, kept: dict[str, bytes], lossy: dict[str, object], note: Note
) -> bytes:
    """The file with as much of the metadata as Pillow can write: it parses some, which may be a stranger's."""
    for name in (None, *sorted(kept, key=DROPPED_FIRST.index)):
        if name is not None:
            del kept[name]
            note(f"{CALLED[name]} dropped: it cannot be written as {form}")
        try:
            data = _saved(image, form, {**lossy, **_options(kept, form)})
        except MemoryError:
            raise
        except Exception as error:  # each of Pillow's writers has its own kinds
            if not kept:
                raise PictureError(f"cannot be written as {form}: {words(error)}") from error
            continue
        return data
    raise AssertionError("without metadata it is written, or that is an error")


def _saved(image: Image.Image, form: str, options: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    if form == "ICO":
        options = {
            "sizes": [image.size]
        }  # Pillow makes smaller ones as well, and of large pictures only these
    image.save(buffer, format=form, **{**SAVE_OPTIONS.get(form, {}), **options})
    return buffer.getvalue()


def _check_written(data: bytes, image: Image.Image, form: str, note: Note) -> None:
    """PictureError if a file has not the picture's size; a note if it has not its colours."""
    try:
        with Image.open(io.BytesIO(data)) as back:
            back.load()
            size, levels = back.size, np.asarray(back.convert(image.mode))
    except Exception:  # noqa: BLE001 - some formats can be written and not be read
        return
    if size != image.size:
        across, down = image.size
        raise PictureError(
            f"cannot be written as {form}: {across} x {down} pixels would become {size[0]} x {size[1]}"
        )
    if not np.array_equal(levels, np.asarray(image)):
        note(f"colours changed: {form} has fewer of them")


def _alpha_for(image: Image.Image, form: str, note: Note) -> Image.Image:
    """The image, with its alpha if the format has a place for it."""
    if form in WITH_ALPHA:
        return image if form in WITH_GREY_ALPHA else image.convert("RGBA")
    note(f"alpha dropped: {form} has no place for it")
    return image.convert("L" if image.mode == "LA" else "RGB")


def _metadata_for(image: Image.Image, form: str, note: Note) -> dict[str, bytes]:
    """What of the image's info the format has a place for."""
    kept: dict[str, bytes] = {}
    for name, called in CALLED.items():
        data = image.info.get(name)
        if not data:
            continue
        if form not in WITH_METADATA:
            note(f"{called} dropped: {form} has no place for it")
        elif form == "PNG" and name == "icc_profile" and len(data) > PILLOWS_MOST:
            note(f"{called} dropped: {len(data)} bytes are more than Pillow reads of a PNG")
        elif form in ("JPEG", "MPO") and len(data) > JPEG_SEGMENT.get(name, len(data)):
            note(f"{called} dropped: {len(data)} bytes are too many for {form}")
        else:
            kept[name] = data
    return kept


def _options(kept: dict[str, bytes], form: str) -> dict[str, object]:
    """Metadata as options of Pillow's, which has its own ways for XMP and resolution in some formats."""
    options: dict[str, object] = dict(kept)
    block = exif.parse(kept.get("exif", b""))
    dots = exif.resolution(block) if block else None
    if dots and form in WITH_RESOLUTION:
        options["dpi"] = dots
    if "xmp" in kept and form == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", kept["xmp"].decode("utf-8", "replace"))
        del options["xmp"]
        options["pnginfo"] = chunks
    if form == "TIFF" and ("xmp" in kept or "exif" in kept):
        tags = Image.Exif()
        tags.load(kept.get("exif", b""))
        # A picture's EXIF would say that of another file.
        for tag in [tag for tag in tags if tiff.says_how_it_is_stored(tag)]:
            del tags[tag]
        if "xmp" in kept:
            tags[tiff.XMP] = options.pop("xmp")
        options["exif"] = tags
        _bring_along(tags, exif.EXIF_IFD, exif.INTEROPERABILITY_IFD)
        if any(directory in tags for directory in exif.IFDS):
            # libtiff, which compresses, cannot write directories in directories. Photographs need no more without it.
            options["compression"] = "raw"
    return options


def _bring_along(tags: Image.Exif, outer: int, inner: int) -> None:
    """Put a directory into the one that points to it: its place would be one in the block that both came from."""
    directory = tags.get_ifd(outer) if outer in tags else {}
    if inner in directory:
        found = tags.get_ifd(inner)
        if found:
            directory[inner] = found
        else:
            del directory[inner]


def format_of(path: str | os.PathLike[str]) -> str:
    """Pillow's name of the format that the suffix of `path` asks for; PictureError if it can write none."""
    suffix = Path(path).suffix.lower()
    plug_in = plug_in_of(suffix)
    if plug_in is not None and not plug_in.register():
        raise PictureError(wanting(plug_in))
    form = Image.registered_extensions().get(suffix)
    # Not .rdae either, which Pillow may know by rdae.pillow.
    if form is None or form not in Image.SAVE or suffix == ".rdae":
        raise PictureError(f"no picture format to write has the suffix {suffix!r}; .png always works")
    return form
