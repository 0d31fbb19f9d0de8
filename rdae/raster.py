"""A picture as rdae understands it: 8-bit RGB levels, and what else there is to it. From Pillow, arrays, and back.

What is not kept as it came is said through `note`, a short line for each: more than 8 bits, other colour spaces, EXIF
that cannot be read.  Orientation from EXIF is applied to the pixels, and the EXIF kept says that it was.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from rdae import exif, profiles
from rdae.container import MAX_PIXELS, counted_pixels  # what is compressed shall be decompressed
from rdae.errors import PictureError

Levels = npt.NDArray[np.uint8]  # (h, w, 3)
Plane = npt.NDArray[np.uint8]  # (h, w)
Note = Callable[[str], None]

ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
GREY_MODES = frozenset({"1", "L", "LA", "La"})
PALETTE_MODES = frozenset({"P", "PA"})
SIXTEEN_BIT_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
PLAIN_MODES = GREY_MODES | PALETTE_MODES | SIXTEEN_BIT_MODES | {"RGB", "RGBX", "RGBA", "RGBa"}
# Of a TIFF's tags those that are about the picture rather than about its bytes in that file.
KEPT_TAGS = (270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432, 34665, 34853)


@dataclass(frozen=True, eq=False)
class Raster:
    """A picture. ValueError if its parts do not fit together.

    levels: uint8 (h, w, 3), in the colours of `icc`, or sRGB; of a grey picture all three channels are equal.
    alpha: uint8 (h, w), or None if all is opaque. icc, exif, xmp: as in files of other formats, EXIF without "Exif\\0\\0".
    """

    levels: Levels
    grey: bool = False
    alpha: Plane | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    def __post_init__(self) -> None:
        levels = self.levels
        if levels.dtype != np.uint8 or levels.ndim != 3 or levels.shape[2] != 3 or 0 in levels.shape:
            raise ValueError(f"levels are {levels.dtype} {levels.shape}, expected uint8 (h, w, 3)")
        alpha = self.alpha
        if alpha is not None and (alpha.dtype != np.uint8 or alpha.shape != levels.shape[:2]):
            raise ValueError(f"alpha is {alpha.dtype} {alpha.shape}, expected uint8 {levels.shape[:2]}")

    @property
    def width(self) -> int:
        """In pixels."""
        return self.levels.shape[1]

    @property
    def height(self) -> int:
        """In pixels."""
        return self.levels.shape[0]

    @property
    def mode(self) -> str:
        """Pillow's name for the channels: L, LA, RGB or RGBA."""
        return mode_of(grey=self.grey, alpha=self.alpha is not None)


def mode_of(*, grey: bool, alpha: bool) -> str:
    """Pillow's name for the channels: L, LA, RGB or RGBA."""
    return ("L" if grey else "RGB") + ("A" if alpha else "")


def silent(_line: str) -> None:
    """A `note` that nobody reads."""


def check_size(width: int, height: int) -> None:
    """PictureError if a picture is too large to be coded, or nothing at all."""
    if width < 1 or height < 1:
        raise PictureError(f"the picture is {width} x {height}, expected at least one pixel")
    if counted_pixels(width, height) > MAX_PIXELS:
        raise PictureError(f"the picture is {width} x {height}, expected at most {MAX_PIXELS} pixels")


def to_raster(
    image: "Image.Image | npt.NDArray[np.generic] | Raster", note: Note = silent, *, metadata: bool = True
) -> Raster:
    """A picture in memory, of whatever kind: the raster itself, or `from_pillow` or `from_array` of it."""
    if isinstance(image, Raster):
        return image if metadata else Raster(image.levels, image.grey, image.alpha)
    if isinstance(image, Image.Image):
        return from_pillow(image, note, metadata=metadata)
    return from_array(np.asarray(image))


def from_array(array: npt.NDArray[np.generic]) -> Raster:
    """A raster of uint8 in the shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4); PictureError for anything else."""
    if array.dtype != np.uint8:
        raise PictureError(f"an array of {array.dtype}, expected uint8")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise PictureError(
            f"an array of shape {array.shape}, expected (h, w), (h, w, 1), (h, w, 3) or (h, w, 4)"
        )
    check_size(array.shape[1], array.shape[0])
    grey = array.shape[2] == 1
    alpha = array[:, :, 3] if array.shape[2] == 4 else None
    levels = np.repeat(array, 3, axis=2) if grey else array[:, :, :3]
    return Raster(np.ascontiguousarray(levels, np.uint8), grey, _transparent(alpha))


def from_pillow(image: Image.Image, note: Note = silent, *, metadata: bool = True) -> Raster:
    """A raster of an image in any mode but floating point; PictureError if it is broken, or has too many pixels.

    metadata: keep EXIF and XMP, and a profile other than sRGB's. Colours that are not RGB or grey are converted to
    sRGB either way.
    """
    check_size(image.width, image.height)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd EXIF, of transparency in palettes: it is decided here
            return _from_pillow(image, note, metadata)
    except PictureError:
        raise
    except MemoryError as error:
        raise no_memory(image) from error
    except Exception as error:  # Pillow's many ways to say that a file is broken, or a mode has no way to RGB
        raise PictureError(f"the picture's data is broken: {words(error)}") from error


def to_pillow(raster: Raster) -> Image.Image:
    """An image of mode L, LA, RGB or RGBA, with icc_profile, exif and xmp in its info, as Pillow's plug-ins have them."""
    image = Image.fromarray(raster.levels[:, :, 0] if raster.grey else raster.levels)
    if raster.alpha is not None:
        image.putalpha(Image.fromarray(raster.alpha))
    image.info.update(info_of(raster.icc, raster.exif, raster.xmp))
    return image


def info_of(icc: bytes | None, exif_data: bytes | None, xmp: bytes | None) -> dict[str, bytes]:
    """What Pillow's plug-ins put in an image's info."""
    found = {"icc_profile": icc, "exif": exif.PREFIX + exif_data if exif_data else None, "xmp": xmp}
    return {name: value for name, value in found.items() if value}


def _from_pillow(image: Image.Image, note: Note, metadata: bool) -> Raster:
    wide = _has_wide_samples(image)
    image.load()
    profile = image.info.get("icc_profile") or None
    exif_data = _exif_of(image)
    try:
        upright = ImageOps.exif_transpose(image)
        exif_data = exif.upright_exif(exif_data) if exif_data else None
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever is broken in the EXIF block, the pixels are here
        note("unreadable EXIF dropped")
        exif_data = None
        upright = image if image.getbbox is None else image
    xmp = _xmp_of(image)
    if wide:
        note("16 bits rounded to 8")
    return Raster(np.empty((1, 1, 3), np.uint8))
