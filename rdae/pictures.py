"""Reading and writing pictures: the one place that knows Pillow's modes, and the one that writes files.

Inside rdae a picture is uint8, (h, w, 3), sRGB. What that cannot hold (alpha, a colour profile, more bits,
more frames) is dropped here, and said: each function that may drop something takes `note`, which is called
with a short line for it. Orientation from EXIF is applied, so that a decoded picture stands as its source.
"""

import io
import os
import secrets
import stat
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from rdae.container import MAX_PIXELS  # what is compressed shall be decompressed
from rdae.errors import OutputExistsError, PictureError

Picture = npt.NDArray[np.uint8]  # (h, w, 3), sRGB

# What is looked for in folders and archives; a file named outright may have any name.
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".ppm", ".tif", ".tiff"})
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
    """The picture in a file of any format that Pillow reads, as uint8 (h, w, 3).

    Raises OSError if the file cannot be opened, PictureError if it holds no picture that can be coded.
    """
    with Path(path).open("rb") as file, warnings.catch_warnings():
        # Pillow warns where we decide: of many pixels, of odd EXIF, of transparency in palettes.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(file)
        except UnidentifiedImageError:
            empty = os.fstat(file.fileno()).st_size == 0
            raise PictureError("the file is empty" if empty else "not a picture in a known format") from None
        except Exception as error:  # the plug-ins of Pillow raise whatever their parsers stumble over
            raise PictureError(f"the picture cannot be read: {error}") from error
        with image:
            _check_size(image.width, image.height)
            try:
                image.load()
            except Exception as error:
                raise PictureError(f"the picture is damaged or cut short: {error}") from error
            frames = getattr(image, "n_frames", 1)
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
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    try:
        image.save(buffer, format=form, **SAVE_OPTIONS.get(form, {}))
    except (OSError, ValueError, KeyError) as error:  # such as a side beyond what the format can say
        raise PictureError(f"cannot be written as {form}: {error}") from error
    write_atomically(path, buffer.getvalue(), force=force)


def format_of(path: str | os.PathLike[str]) -> str:
    """Pillow's name of the format that the suffix of `path` asks for; PictureError if it can write none."""
    suffix = Path(path).suffix.lower()
    form = Image.registered_extensions().get(suffix)
    if form is None or form not in Image.SAVE:
        raise PictureError(f"no picture format to write has the suffix {suffix!r}; .png always works")
    return form


def check_output(path: str | os.PathLike[str], *, force: bool) -> None:
    """OutputExistsError if `path` is a file already and may not be replaced: to ask before any long work."""
    path = Path(path)
    if path.is_dir():
        raise OutputExistsError(f"the output {path} is a folder, expected a file")
    # A device or a pipe is there to be written to.
    if path.is_file() and not force:
        raise OutputExistsError(f"the output {path} is already there; --force replaces it")


def write_atomically(path: str | os.PathLike[str], data: bytes, *, force: bool = False) -> None:
    """Write `data` to a new file beside `path`, then rename it: `path` never holds half a file.

    Nothing is left behind on failure. Raises OutputExistsError if `path` exists and not `force`, or OSError.
    """
    check_output(path, force=force)
    target = Path(os.path.realpath(path))  # a link goes on pointing where it did
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        target.write_bytes(data)
        return
    # Its own short name, not one derived from the target's, which may be as long as names can be.
    temporary = target.with_name(f".rdae-{secrets.token_hex(8)}.part")
    try:
        # Not tempfile: its files are for their owner's eyes only, and would stay so under the new name.
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise PictureError(f"the picture is {width} x {height}, expected at least one pixel")
    if width * height > MAX_PIXELS:
        raise PictureError(f"the picture is {width} x {height}, expected at most {MAX_PIXELS} pixels")


def _from_pillow(image: Image.Image, note: Callable[[str], None]) -> npt.NDArray[np.uint8]:
    """uint8 (h, w, 3) of a loaded image; the alpha channel is dropped as it is, not blended with anything."""
    try:
        image.load()
    except (OSError, ValueError, SyntaxError) as error:  # Pillow's ways to say that a file is broken
        raise PictureError(f"the picture's data is broken: {error}") from error
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and b"sRGB" not in profile and "sRGB".encode("utf-16-be") not in profile:
        note("colour profile dropped")
    try:
        upright = ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - whatever is broken in the EXIF block, the pixels are here
        note("unreadable EXIF dropped")
        upright = image
    if upright.mode == "F":
        raise PictureError("a floating-point picture, expected integers")
    if upright.mode in SIXTEEN_BIT_MODES:
        note("16 bits rounded to 8")
        levels = np.asarray(upright).astype(np.int64)
        if levels.min() < 0 or levels.max() > 65535:
            raise PictureError(f"levels from {levels.min()} to {levels.max()}, expected 0 to 65535")
        grey = ((levels * 255 + 32767) // 65535).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if upright.mode in ALPHA_MODES or "transparency" in upright.info:
        note("alpha dropped")
        # By way of RGBA: from a palette with transparency Pillow goes to RGB only under protest.
        upright = upright.convert("RGBA")
    return np.array(upright.convert("RGB"))
