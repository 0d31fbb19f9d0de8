"""Picture files in and out: the one place that knows which formats there are, and what each has a place for.

What cannot be taken or kept is said: each function that may drop something takes `note`, which is called with a short
line for it. What pictures are in memory is for `rdae.pictures.raster` to say.

Pictures may come from strangers. Their size is checked before a pixel is decoded, only FORMATS are looked for, and
whatever Pillow stumbles over becomes a PictureError. Pillow's own decoders are trusted with the rest.
"""

import io
import os
import warnings
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from rdae.errors import PictureError
from rdae.pictures.bands import Bands, flow
from rdae.pictures.formats import FORMATS, HEAD_BYTES, SUFFIXES, plug_in_for, plug_in_of, wanting
from rdae.pictures.raster import (
    ROUNDED,
    Note,
    Raster,
    check_size,
    from_pillow,
    no_memory,
    silent,
    to_raster,
    wide_samples,
    words,
)
from rdae.storage.files import check_output, open_input, read_bounded, write_atomically

Picture = npt.NDArray[np.uint8]  # (h, w, 3), sRGB

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "Picture",
    "check_quality",
    "format_of",
    "picture_bytes",
    "picture_chunks",
    "picture_in",
    "raster_in",
    "read_picture",
    "read_raster",
    "to_rgb_array",
    "write_picture",
]

# What a decoder's user wants of each format: no second loss where there is a choice, else a small one.
SAVE_OPTIONS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "TIFF": {"compression": "tiff_lzw"},
    "JXL": {"lossless": True},
    "HEIF": {"quality": 95, "chroma": 444},
}
# Those that lose something for fewer bytes when a quality is asked for, and how each is told so beside that.
LOSSY: dict[str, dict[str, object]] = {
    "JPEG": {},
    "MPO": {},
    "WEBP": {"lossless": False, "method": 6},
    "AVIF": {},
    "JXL": {"lossless": False},
    "HEIF": {},
}


# What each has a place for, of those that have it and that Pillow writes it to.
WITH_ALPHA = frozenset(
    {"PNG", "WEBP", "AVIF", "TIFF", "JPEG2000", "TGA", "ICO", "ICNS", "QOI", "JXL", "HEIF"}
)
WITH_GREY_ALPHA = frozenset({"PNG", "TIFF", "JPEG2000", "TGA"})  # Pillow takes LA as it is
WITH_PROFILE = frozenset({"PNG", "JPEG", "MPO", "WEBP", "AVIF", "TIFF", "JXL", "HEIF"})
WITH_EXIF = WITH_XMP = WITH_PROFILE
JPEG_SEGMENT = {"exif": 65533, "xmp": 65504}  # the most bytes that Pillow can put there
TIFF_XMP = 700


def read_picture(path: str | os.PathLike[str], note: Note = silent) -> Picture:
    """The picture in a file of one of FORMATS, as uint8 (h, w, 3), without anything else.

    Raises OSError if the file cannot be opened, PictureError if it holds no picture that can be coded.
    """
    with open_input(path, PictureError, PictureError) as file:
        return picture_in(file, note)


def picture_in(file: BinaryIO, note: Note = silent) -> Picture:
    """The picture in a file that is open, or comes through a pipe; the errors of `read_picture`."""
    return _levels_of(raster_in(file, note), note)


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
    with warnings.catch_warnings():
        # Pillow warns where we decide: of many pixels, of odd EXIF, of transparency in palettes.
        warnings.simplefilter("ignore")
        # A pipe cannot be gone back in, as Pillow does.
        source: BinaryIO = file if file.seekable() else io.BytesIO(read_bounded(file, PictureError))
        head = source.read(HEAD_BYTES)
        source.seek(0)
        Image.init()
        plug_in = plug_in_for(head)
        if plug_in is not None and not plug_in.register():
            raise PictureError(wanting(plug_in))
        forms = FORMATS if plug_in is None else (plug_in.form,)
        try:
            image = Image.open(source, formats=[form for form in forms if form in Image.OPEN])
        except UnidentifiedImageError:
            raise PictureError("not a picture in a known format" if head else "the file is empty") from None
        except Exception as error:  # the plug-ins of Pillow raise whatever their parsers stumble over
            raise PictureError(f"the picture cannot be read: {words(error)}") from error
        with image:
            check_size(image.width, image.height)
            wide = wide_samples(image)
            try:
                image.load()
                # Of some formats (ICO, ICNS) the size is known only now.
                check_size(image.width, image.height)
                frames = getattr(image, "n_frames", 1)
            except PictureError:
                raise
            except MemoryError as error:
                raise no_memory(image) from error
            except Exception as error:
                raise PictureError(f"the picture is damaged or cut short: {words(error)}") from error
            if frames > 1:
                note(f"only the first of {frames} frames taken")
            if wide:
                note(ROUNDED.format(wide))
            return from_pillow(image, note, metadata=metadata)


def to_rgb_array(image: Image.Image | npt.NDArray[np.generic], note: Note = silent) -> Picture:
    """A picture in memory as a C-contiguous uint8 array (h, w, 3), without anything else.

    image: of Pillow, in any mode but floating point; or an array of uint8 in the shape (h, w), (h, w, 1),
        (h, w, 3) or (h, w, 4). One channel is repeated, alpha is dropped. PictureError for anything else.
    """
    return _levels_of(to_raster(image, note), note)


def _levels_of(raster: Raster, note: Note) -> Picture:
    if raster.alpha is not None:
        note("alpha dropped")
    if raster.icc is not None:
        note("colour profile dropped")
    return raster.levels


def write_picture(
    path: str | os.PathLike[str], picture: Image.Image | Picture, note: Note = silent, *, force: bool = False
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
    picture: Image.Image | Picture, form: str, note: Note = silent, *, quality: int | None = None
) -> bytes:
    """A file of the format that Pillow calls `form`; PictureError if it cannot hold the picture.

    It has the image's alpha, and the icc_profile, exif and xmp of its info, as far as the format has a place for them.
    quality: 1 (smallest) to 100 (best), on the scale of one of LOSSY; PictureError for another format. None: no second
    loss where there is a choice, else a small one.
    """
    check_quality(form, quality)
    lossy = {} if quality is None else {**LOSSY[form], "quality": quality}
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    if image.mode in ("LA", "RGBA"):
        image = _alpha_for(image, form, note)
    metadata = _metadata_for(image, form, note)
    if metadata:
        try:
            return _saved(image, form, {**lossy, **metadata()})
        except Exception:  # noqa: BLE001 - Pillow parses some of it, and it may be a stranger's
            note(f"metadata dropped: it cannot be written as {form}")
    if image.info:  # of which Pillow takes some by itself
        image = image.copy()
        image.info.clear()
    try:
        return _saved(image, form, lossy)
    except (OSError, ValueError, KeyError) as error:  # such as a side beyond what the format can say
        raise PictureError(f"cannot be written as {form}: {error}") from error


def picture_chunks(bands: Bands, form: str, note: Note = silent) -> Iterator[bytes]:
    """A file like that of `picture_bytes` in chunks, as the bands come: for what `bands.flow_as(form)`.

    PictureError if the format cannot hold the picture, and the errors of the bands.
    """
    yield from flow(bands, picture_bytes(bands.sample(), form, note), form)


def _saved(image: Image.Image, form: str, options: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd EXIF
        image.save(buffer, format=form, **{**SAVE_OPTIONS.get(form, {}), **options})
    return buffer.getvalue()


def _alpha_for(image: Image.Image, form: str, note: Note) -> Image.Image:
    """The image, with its alpha if the format has a place for it."""
    if form in WITH_ALPHA:
        return image if form in WITH_GREY_ALPHA else image.convert("RGBA")
    note(f"alpha dropped: {form} has no place for it")
    return image.convert("L" if image.mode == "LA" else "RGB")


def _metadata_for(image: Image.Image, form: str, note: Note) -> Callable[[], dict[str, object]] | None:
    """What makes the options of Pillow's that keep what the image's info has; None if there is nothing to keep."""
    places = (
        ("icc_profile", "colour profile", WITH_PROFILE),
        ("exif", "EXIF", WITH_EXIF),
        ("xmp", "XMP", WITH_XMP),
    )
    kept: dict[str, bytes] = {}
    for name, called, forms in places:
        data = image.info.get(name)
        if not data:
            continue
        if form not in forms:
            note(f"{called} dropped: {form} has no place for it")
        elif form in ("JPEG", "MPO") and len(data) > JPEG_SEGMENT.get(name, len(data)):
            note(f"{called} dropped: {len(data)} bytes are too many for {form}")
        else:
            kept[name] = data
    return (lambda: _options(kept, form)) if kept else None


def _options(kept: dict[str, bytes], form: str) -> dict[str, object]:
    """Metadata as options of Pillow's, which has its own ways for XMP in some formats."""
    options: dict[str, object] = dict(kept)
    if "xmp" in kept and form == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", kept["xmp"].decode("utf-8", "replace"))
        del options["xmp"]
        options["pnginfo"] = chunks
    if "xmp" in kept and form == "TIFF":
        tags = Image.Exif()
        tags.load(kept.get("exif", b""))
        tags[TIFF_XMP] = options.pop("xmp")
        options["exif"] = tags
    return options


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
