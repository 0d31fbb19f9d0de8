"""A picture as rdae understands it: 8-bit RGB levels, and what else there is to it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from rdae.errors import PictureError
from rdae.limits import MAX_PIXELS, counted_pixels, size_in_words
from rdae.pictures.structure import exif

Levels = npt.NDArray[np.uint8]  # (h, w, 3)
Plane = npt.NDArray[np.uint8]  # (h, w)
Note = Callable[[str], None]

METADATA = frozenset({"icc", "exif", "xmp"})
"""The kinds of it, as Raster names them."""


@dataclass(frozen=True, eq=False)
class Raster:
    """A picture. ValueError if its parts do not fit together.

    levels: uint8 (h, w, 3), in the colours of `icc`, or sRGB; of a grey picture all three channels are equal.
    alpha: uint8 (h, w), or None if all is opaque.
    icc, exif, xmp: as in files of other formats; EXIF without the prefix that it has in a JPEG.
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
        return int(self.levels.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.levels.shape[0])

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
        raise PictureError(f"the picture has {size_in_words(width, height)}, expected at most {MAX_PIXELS}")


def kept_kinds(metadata: bool | Collection[str]) -> frozenset[str]:
    """The kinds of METADATA that are kept: all, none, one or some by name; ValueError for another name."""
    if isinstance(metadata, bool):
        return METADATA if metadata else frozenset()
    kinds = frozenset([metadata] if isinstance(metadata, str) else metadata)
    if not kinds <= METADATA:
        unknown = ", ".join(sorted(kinds - METADATA))
        raise ValueError(f"metadata {unknown}, expected {', '.join(sorted(METADATA))}")
    return kinds


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
    alpha = array[:, :, 3].astype(np.uint8) if array.shape[2] == 4 else None
    levels = np.repeat(array, 3, axis=2) if grey else array[:, :, :3]
    return Raster(np.ascontiguousarray(levels, np.uint8), grey, transparent(alpha))


def to_pillow(raster: Raster) -> Image.Image:
    """An image of mode L, LA, RGB or RGBA, with icc_profile, exif and xmp in its info, as Pillow has them."""
    image = Image.fromarray(raster.levels[:, :, 0] if raster.grey else raster.levels)
    if raster.alpha is not None:
        image.putalpha(Image.fromarray(raster.alpha))
    image.info.update(info_of(raster.icc, raster.exif, raster.xmp))
    return image


def info_of(icc: bytes | None, exif_data: bytes | None, xmp: bytes | None) -> dict[str, bytes]:
    """What Pillow's plug-ins put in an image's info."""
    found = {"icc_profile": icc, "exif": exif.PREFIX + exif_data if exif_data else None, "xmp": xmp}
    return {name: value for name, value in found.items() if value}


def transparent(alpha: Plane | None) -> Plane | None:
    """Alpha that says something: not all 255."""
    return None if alpha is None or bool((alpha == 255).all()) else np.ascontiguousarray(alpha)
