"""A picture as rdae understands it: 8-bit RGB levels, and what else there is to it. From Pillow, arrays, and back.

What is not kept as it came is said through `note`, a short line for each: more than 8 bits, other colour spaces, EXIF
that cannot be read.  Orientation from EXIF is applied to the pixels, and the EXIF kept says that it was.
"""

import dataclasses
import re
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from rdae.errors import PictureError
from rdae.limits import MAX_PIXELS, counted_pixels
from rdae.pictures import exif, profiles
from rdae.pictures.spool import Collector

Levels = npt.NDArray[np.uint8]  # (h, w, 3)
Plane = npt.NDArray[np.uint8]  # (h, w)
Note = Callable[[str], None]

METADATA = frozenset({"icc", "exif", "xmp"})
"""The kinds of it, as Raster names them."""

ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
GREY_MODES = frozenset({"1", "L", "LA", "La"})
PALETTE_MODES = frozenset({"P", "PA"})
SIXTEEN_BIT_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
RGB_MODES = frozenset({"RGB", "RGBX", "RGBA", "RGBa"})
ROUNDED = "{} bits rounded to 8"
AVIF_HEAD = 1 << 16  # bytes in which an AVIF's properties are looked for
# What EXIF's orientations ask for, other than 1, which is upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = frozenset(TURNS[n] for n in (5, 6, 7, 8))  # their rows are columns of the file,
BACKWARDS = frozenset(
    TURNS[n] for n in (3, 4, 7, 8)
)  # the first of these that of the last, or of the last row
BAND_PIXELS = 1 << 21  # that are converted at once
IFD_TAGS = (34665, 34853)  # EXIF proper, GPS
# Of a TIFF's tags those that are about the picture rather than about its bytes in that file.
KEPT_TAGS = (270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432, *IFD_TAGS)


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
        raise PictureError(f"the picture is {width} x {height}, expected at most {MAX_PIXELS} pixels")


def to_raster(
    image: "Image.Image | npt.NDArray[np.generic] | Raster",
    note: Note = silent,
    *,
    metadata: bool | Collection[str] = True,
) -> Raster:
    """A picture in memory, of whatever kind: the raster itself, or `from_pillow` or `from_array` of it."""
    if isinstance(image, Raster):
        kept = kept_kinds(metadata)
        return dataclasses.replace(
            image,
            icc=image.icc if "icc" in kept else None,
            exif=image.exif if "exif" in kept else None,
            xmp=image.xmp if "xmp" in kept else None,
        )
    if isinstance(image, Image.Image):
        return from_pillow(image, note, metadata=metadata)
    return from_array(np.asarray(image))


def kept_kinds(metadata: bool | Collection[str]) -> frozenset[str]:
    """The kinds of METADATA that are kept: all, none, or some by name; ValueError for a name that is none of them."""
    if isinstance(metadata, bool):
        return METADATA if metadata else frozenset()
    kinds = frozenset(metadata)
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
    return Raster(np.ascontiguousarray(levels, np.uint8), grey, _transparent(alpha))


def from_pillow(
    image: Image.Image, note: Note = silent, *, metadata: bool | Collection[str] = True
) -> Raster:
    """A raster of an image in any mode but floating point; PictureError if it is broken, or has too many pixels.

    metadata: keep EXIF and XMP, and a profile other than sRGB's; or which of METADATA are kept. Without its profile a
    picture is converted to sRGB; colours that are not RGB or grey are so either way.
    """
    kept = kept_kinds(metadata)
    check_size(image.width, image.height)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd EXIF, of transparency in palettes: it is decided here
            return _from_pillow(image, note, kept)
    except PictureError:
        raise
    except MemoryError as error:
        raise no_memory(image) from error
    except Exception as error:  # Pillow's many ways to say that a file is broken, or a mode has no way to RGB
        raise PictureError(f"the picture's data is broken: {words(error)}") from error


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


def wide_samples(image: Image.Image) -> int:
    """How many bits samples have in the file of an image that is not loaded yet, if Pillow makes 8 of them; else 0."""
    if image.mode in SIXTEEN_BIT_MODES:
        return 0
    for tile in getattr(image, "tile", None) or ():
        if ";16" in str(tile[3]):
            return 16
        if image.format == "PPM" and isinstance(tile[3], tuple) and tile[3][-1] > 255:  # the largest level
            return int(tile[3][-1]).bit_length()
    return _avif_bits(image) if image.format == "AVIF" else 0


def _avif_bits(image: Image.Image) -> int:
    """10 or 12 if an AVIF says so, 0 if it does not: Pillow gives 8 of them and tells nobody."""
    file = getattr(image, "fp", None)
    if file is None:
        return 0
    place = file.tell()
    file.seek(0)
    head = file.read(AVIF_HEAD)
    file.seek(place)
    # The property av1C, of the picture or its alpha: marker and version, profile and level, then flags: tier, more than
    # 8 bits, 12 of them.
    flags = [head[at.end() + 1] for at in re.finditer(rb"av1C\x81(?=..)", head, re.DOTALL)]
    return max((12 if flag & 0x20 else 10 if flag & 0x40 else 0 for flag in flags), default=0)


def words(error: Exception) -> str:
    """What an error says, or else its kind."""
    return str(error) or type(error).__name__


def no_memory(image: Image.Image) -> PictureError:
    """The error that says how large the image is."""
    return PictureError(f"not enough memory for {image.width} x {image.height} pixels")


def _from_pillow(image: Image.Image, note: Note, kept: frozenset[str]) -> Raster:
    if bits := wide_samples(image):
        note(ROUNDED.format(bits))
    image.load()
    check_size(image.width, image.height)  # of some formats (ICO, ICNS) it is known only now
    turn, exif_data = _upright(image, note)
    profile = image.info.get("icc_profile")
    profile = profile if isinstance(profile, bytes) else None
    width, height = image.size if turn not in SIDEWAYS else image.size[::-1]
    collector, grey, icc = Collector(height, width), False, None
    alpha: Plane | None = None
    # In bands, as each conversion makes a copy.
    for top in range(0, height, rows := max(1, BAND_PIXELS // width)):
        bottom = min(top + rows, height)
        base, transparency = _separate(_rows_of(image, turn, top, bottom), note)
        base, icc = _in_known_colours(base, profile, note, keep="icc" in kept)
        grey = base.mode == "L"
        collector.add(np.asarray(base))
        if transparency is not None:
            if alpha is None:
                alpha = np.full((height, width), 255, np.uint8)
            alpha[top:bottom] = transparency
        note = silent  # all bands have the same to say
    return Raster(
        collector.levels(),
        grey,
        alpha,
        icc,
        exif_data if "exif" in kept else None,
        _xmp_of(image) if "xmp" in kept else None,
    )


def _upright(image: Image.Image, note: Note) -> tuple[Image.Transpose | None, bytes | None]:
    """How the image is to be turned to be seen as it should be, and its EXIF, which says that it was."""
    try:
        found = _exif_of(image)
        turn = TURNS.get(image.getexif().get(exif.ORIENTATION, 1))
        return turn, exif.upright_exif(found) if found else None
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever is broken in the EXIF block, the pixels are here
        note("unreadable EXIF dropped")
        return None, None


def _rows_of(image: Image.Image, turn: Image.Transpose | None, top: int, bottom: int) -> Image.Image:
    """Rows of the image as it is when it was turned."""
    if turn is None and (top, bottom) == (0, image.height):
        return image
    sideways = turn in SIDEWAYS
    length = image.width if sideways else image.height
    start, end = (length - bottom, length - top) if turn in BACKWARDS else (top, bottom)
    box = (start, 0, end, image.height) if sideways else (0, start, image.width, end)
    part = image.crop(box)
    return part if turn is None else part.transpose(turn)


def _exif_of(image: Image.Image) -> bytes | None:
    """EXIF as it is in the file, or made of a TIFF's own tags."""
    found = image.info.get("exif")
    if isinstance(found, bytes):
        return found
    if "Raw profile type exif" in image.info:  # a text in a PNG, as ImageMagick writes it
        return image.getexif().tobytes()
    if image.format != "TIFF":
        return None
    tags, kept = image.getexif(), Image.Exif()
    for tag in KEPT_TAGS:
        value = tags.get_ifd(tag) if tag in IFD_TAGS and tag in tags else tags.get(tag)
        if value:
            kept[tag] = value
    return kept.tobytes() if len(kept) else None


def _xmp_of(image: Image.Image) -> bytes | None:
    found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(found, str):
        found = found.encode("utf-8", "surrogateescape")
    return exif.upright_xmp(found) if isinstance(found, bytes) and found else None


def _separate(image: Image.Image, note: Note) -> tuple[Image.Image, Plane | None]:
    """The image without alpha, as L or RGB or in its other colours, and its alpha, if not all is opaque."""
    if image.mode == "F":
        raise PictureError("a floating-point picture, expected integers")
    if image.mode in SIXTEEN_BIT_MODES:
        levels = np.asarray(image)
        rounded = Image.fromarray(_from_sixteen_bits(levels))
        note(ROUNDED.format(16))
        key = image.info.get("transparency")
        alpha = np.where(levels == key, 0, 255).astype(np.uint8) if isinstance(key, int) else None
        return rounded, _transparent(alpha)
    if image.mode not in GREY_MODES | PALETTE_MODES | RGB_MODES:
        return image, None
    grey = image.mode in GREY_MODES or (image.mode in PALETTE_MODES and _is_grey_palette(image))
    plain = "L" if grey else "RGB"
    if image.mode not in ALPHA_MODES and "transparency" not in image.info:
        return image.convert(plain), None
    if image.mode == "La":
        image = image.convert("LA")
    # By way of RGBA: from a palette with transparency Pillow goes elsewhere only under protest.
    image = image.convert("RGBA")
    alpha = np.asarray(image.getchannel("A"))
    return image.getchannel("R") if grey else image.convert("RGB"), _transparent(alpha)


def _is_grey_palette(image: Image.Image) -> bool:
    entries = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return bool((entries == entries[:, :1]).all())


def _in_known_colours(
    image: Image.Image, profile: bytes | None, note: Note, *, keep: bool
) -> tuple[Image.Image, bytes | None]:
    """An image of mode L or RGB with the profile that its levels are in; None is sRGB."""
    space = profiles.space(profile) if profile else None
    if image.mode not in ("L", "RGB"):
        return _converted(image, profile if space == image.mode else None, note), None
    if not profile:
        return image, None
    kind = profiles.kind(profile) if space in (image.mode, "RGB") else profiles.Kind.BROKEN
    if kind is profiles.Kind.BROKEN:
        note("unusable colour profile dropped")
        return image, None
    if kind is profiles.Kind.SRGB:
        return image, None
    if keep and space == image.mode:
        return image, profile
    found = profiles.to_srgb(image.convert(space), profile)
    note("colours converted to sRGB by the profile")
    return found.convert(image.mode), None


def _converted(image: Image.Image, profile: bytes | None, note: Note) -> Image.Image:
    """RGB, in sRGB, of an image in other colours: by its profile if it has one that fits, else as Pillow does."""
    if profile or image.mode == "LAB":
        try:
            found = profiles.to_srgb(image, profile)
        except ValueError:
            pass
        else:
            note(f"{image.mode} converted to sRGB" + (" by its profile" if profile else ""))
            return found
    note(f"{image.mode} converted to RGB without a profile")
    return image.convert("RGB")


def _transparent(alpha: Plane | None) -> Plane | None:
    """Alpha that says something: not all 255."""
    return None if alpha is None or bool((alpha == 255).all()) else np.ascontiguousarray(alpha)


def _from_sixteen_bits(levels: npt.NDArray[np.integer]) -> Plane:
    """uint8 (h, w) of grey levels 0..65535, row by row: whole pictures of int64 would be large."""
    low, high = levels.min(), levels.max()
    if low < 0 or high > 65535:
        raise PictureError(f"levels from {low} to {high}, expected 0 to 65535")
    picture = np.empty(levels.shape, np.uint8)
    for row, line in zip(picture, levels, strict=True):
        row[:] = (line.astype(np.int64) * 255 + 32767) // 65535
    return picture
