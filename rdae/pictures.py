"""Reading and writing pictures: the one place that knows Pillow's modes.

Inside rdae a picture is uint8, (h, w, 3), sRGB. What that cannot hold (alpha, a colour profile, more bits,
more frames) is dropped here, and said: each function that may drop something takes `note`, which is called
with a short line for it. Orientation from EXIF is applied, so that a decoded picture stands as its source.

Pictures may come from strangers. Their size is checked before a pixel is decoded, only FORMATS are looked for, and
whatever Pillow stumbles over becomes a PictureError. Pillow's own decoders are trusted with the rest.
"""

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from rdae.container import MAX_PIXELS, counted_pixels  # what is compressed shall be decompressed
from rdae.errors import PictureError
from rdae.files import check_output, open_input, read_bounded, write_atomically

Picture = npt.NDArray[np.uint8]  # (h, w, 3), sRGB

# What is looked for in folders and archives; a file named outright may have any name.
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".ppm", ".tif", ".tiff"})
# What is tried on a file's content, most usual first. Not all that Pillow has: EPS would start another program,
# others read no pixels by themselves, and each more is one more decoder to attack.
FORMATS = (
    *("PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "DIB", "PPM", "MPO", "JPEG2000"),
    *("TGA", "QOI", "ICO", "ICNS", "PCX", "SGI", "PSD"),
)
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
SIXTEEN_BIT_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})

# What a decoder's user wants of each format: no second loss where there is a choice, else a small one.
SAVE_OPTIONS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "TIFF": {"compression": "tiff_lzw"},
}


def silent(_line: str) -> None:
    """A `note` that nobody reads."""


def read_picture(path: str | os.PathLike[str], note: Callable[[str], None] = silent) -> Picture:
    """The picture in a file of one of FORMATS, as uint8 (h, w, 3).

    Raises OSError if the file cannot be opened, PictureError if it holds no picture that can be coded.
    """
    with open_input(path, PictureError, PictureError) as file:
        return picture_in(file, note)


def picture_in(file: BinaryIO, note: Callable[[str], None] = silent) -> Picture:
    """The picture in a file that is open, or comes through a pipe; the errors of `read_picture`."""
    with warnings.catch_warnings():
        # Pillow warns where we decide: of many pixels, of odd EXIF, of transparency in palettes.
        warnings.simplefilter("ignore")
        # A pipe cannot be gone back in, as Pillow does.
        source: BinaryIO = file if file.seekable() else io.BytesIO(read_bounded(file, PictureError))
        empty = not source.read(1)
        source.seek(0)
        Image.init()
        try:
            image = Image.open(source, formats=[form for form in FORMATS if form in Image.OPEN])
        except UnidentifiedImageError:
            raise PictureError("the file is empty" if empty else "not a picture in a known format") from None
        except Exception as error:  # the plug-ins of Pillow raise whatever their parsers stumble over
            raise PictureError(f"the picture cannot be read: {_words(error)}") from error
        with image:
            _check_size(image.width, image.height)
            try:
                image.load()
                # Of some formats (ICO, ICNS) the size is known only now.
                _check_size(image.width, image.height)
                frames = getattr(image, "n_frames", 1)
            except PictureError:
                raise
            except MemoryError as error:
                raise _no_memory(image) from error
            except Exception as error:
                raise PictureError(f"the picture is damaged or cut short: {_words(error)}") from error
            if frames > 1:
                note(f"only the first of {frames} frames taken")
            return to_rgb_array(image, note)


def to_rgb_array(
    image: Image.Image | npt.NDArray[np.generic], note: Callable[[str], None] = silent
) -> Picture:
    """A picture in memory as a C-contiguous uint8 array (h, w, 3).

    image: of Pillow, in any mode but floating point; or an array of uint8 in the shape (h, w), (h, w, 1),
        (h, w, 3) or (h, w, 4). One channel is repeated, alpha is dropped. PictureError for anything else.
    """
    array = _from_pillow(image, note) if isinstance(image, Image.Image) else np.asarray(image)
    if array.dtype != np.uint8:
        raise PictureError(f"an array of {array.dtype}, expected uint8")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise PictureError(
            f"an array of shape {array.shape}, expected (h, w), (h, w, 1), (h, w, 3) or (h, w, 4)"
        )
    _check_size(array.shape[1], array.shape[0])
    if array.shape[2] == 4:
        note("alpha dropped")
    array = np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array[:, :, :3]
    return np.ascontiguousarray(array, np.uint8)


def write_picture(
    path: str | os.PathLike[str], picture: Image.Image | Picture, *, force: bool = False
) -> None:
    """Write a picture in the format that the suffix of `path` names, whole or not at all.

    Raises PictureError for a suffix that Pillow cannot write, OutputExistsError, OSError.
    """
    form = format_of(path)
    check_output(path, force=force)
    write_atomically(path, picture_bytes(picture, form), force=force)


def picture_bytes(picture: Image.Image | Picture, form: str) -> bytes:
    """A file of the format that Pillow calls `form`; PictureError if it cannot hold the picture."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    try:
        image.save(buffer, format=form, **SAVE_OPTIONS.get(form, {}))
    except (OSError, ValueError, KeyError) as error:  # such as a side beyond what the format can say
        raise PictureError(f"cannot be written as {form}: {error}") from error
    return buffer.getvalue()


def format_of(path: str | os.PathLike[str]) -> str:
    """Pillow's name of the format that the suffix of `path` asks for; PictureError if it can write none."""
    suffix = Path(path).suffix.lower()
    form = Image.registered_extensions().get(suffix)
    if form is None or form not in Image.SAVE:
        raise PictureError(f"no picture format to write has the suffix {suffix!r}; .png always works")
    return form


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise PictureError(f"the picture is {width} x {height}, expected at least one pixel")
    if counted_pixels(width, height) > MAX_PIXELS:
        raise PictureError(f"the picture is {width} x {height}, expected at most {MAX_PIXELS} pixels")


def _from_pillow(image: Image.Image, note: Callable[[str], None]) -> npt.NDArray[np.uint8]:
    """uint8 (h, w, 3) of an image; the alpha channel is dropped as it is, not blended with anything."""
    _check_size(image.width, image.height)
    try:
        image.load()
        profile = image.info.get("icc_profile")
        if isinstance(profile, bytes) and not _is_srgb(profile):
            note("colour profile dropped")
        return _eight_bits(_upright(image, note), note)
    except PictureError:
        raise
    except MemoryError as error:
        raise _no_memory(image) from error
    except Exception as error:  # Pillow's many ways to say that a file is broken, or a mode has no way to RGB
        raise PictureError(f"the picture's data is broken: {_words(error)}") from error


def _is_srgb(profile: bytes) -> bool:
    return b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile


def _upright(image: Image.Image, note: Callable[[str], None]) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever is broken in the EXIF block, the pixels are here
        note("unreadable EXIF dropped")
        return image


def _eight_bits(image: Image.Image, note: Callable[[str], None]) -> npt.NDArray[np.uint8]:
    if image.mode == "F":
        raise PictureError("a floating-point picture, expected integers")
    if image.mode in SIXTEEN_BIT_MODES:
        picture = _from_sixteen_bits(np.asarray(image))
        note("16 bits rounded to 8")
        return picture
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        note("alpha dropped")
        # By way of RGBA: from a palette with transparency Pillow goes to RGB only under protest.
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def _from_sixteen_bits(levels: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """uint8 (h, w, 3) of grey levels 0..65535 (h, w), row by row: whole pictures of int64 would be large."""
    low, high = levels.min(), levels.max()
    if low < 0 or high > 65535:
        raise PictureError(f"levels from {low} to {high}, expected 0 to 65535")
    picture = np.empty((*levels.shape, 3), np.uint8)
    for row, line in zip(picture, levels, strict=True):
        row[:] = ((line.astype(np.int64) * 255 + 32767) // 65535)[:, None]
    return picture


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _no_memory(image: Image.Image) -> PictureError:
    return PictureError(f"not enough memory for {image.width} x {image.height} pixels")
