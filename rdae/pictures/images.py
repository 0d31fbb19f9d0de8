"""Images of Pillow's as rasters: upright, in bands, with their colours, alpha and metadata.

What is not kept as it came is said through `note`, a short line for each: more than 8 bits, other colour spaces, EXIF
that cannot be read, and what a container has no place for.  Orientation is applied to the pixels, and the EXIF and XMP
kept say that it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt
from PIL import Image

from rdae.errors import PictureError
from rdae.pictures import profiles, samples
from rdae.pictures.colours import Colours
from rdae.pictures.facts import ROUNDED, SIXTEEN_BIT_MODES, Facts, facts_of
from rdae.pictures.metadata import metadata_of
from rdae.pictures.raster import (
    Levels,
    Note,
    Plane,
    Raster,
    check_size,
    from_array,
    kept_kinds,
    silent,
    transparent,
)
from rdae.pictures.spool import Collector

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
NOT_KEPT = "not kept: "
"""What the note begins with that names metadata for which a container has no place."""

SRGB_LEFT_OUT = "sRGB profile left out: colours are sRGB's unless a profile says otherwise"


def to_raster(
    image: Image.Image | npt.NDArray[np.generic] | Raster,
    note: Note = silent,
    *,
    metadata: bool | Collection[str] = True,
) -> Raster:
    """A picture in memory, of whatever kind: the raster itself, or `from_pillow` or `from_array` of it.

    PictureError for a raster that says it is grey and is not, and for an array of which something is masked.
    """
    if isinstance(image, Raster):
        kept = kept_kinds(metadata)
        if image.grey and not _is_grey(image.levels):
            raise PictureError("a grey raster whose channels differ, expected three equal ones")
        return dataclasses.replace(
            image,
            alpha=transparent(image.alpha),
            icc=image.icc if "icc" in kept else None,
            exif=image.exif if "exif" in kept else None,
            xmp=image.xmp if "xmp" in kept else None,
        )
    if isinstance(image, Image.Image):
        return from_pillow(image, note, metadata=metadata)
    if np.ma.is_masked(image):  # asarray would show what lies under the mask
        raise PictureError("an array with masked pixels, expected filled ones")
    return from_array(np.asarray(image))


def from_pillow(
    image: Image.Image,
    note: Note = silent,
    *,
    metadata: bool | Collection[str] = True,
    facts: Facts | None = None,
    left_behind: Iterable[str] | None = None,
) -> Raster:
    """A raster of an image in any mode but floating point; PictureError if it is broken, or has too many pixels.

    metadata: keep EXIF and XMP, and a profile other than sRGB's; or which of METADATA are kept. Without its profile a
    picture is converted to sRGB; colours that are not RGB or grey are so either way. facts: of the image, if they are
    known; else it is asked. left_behind: what else its file holds, to be noted with all that is not kept; None: nothing
    of that is noted.
    """
    kept = kept_kinds(metadata)
    check_size(image.width, image.height)
    try:
        raster, not_kept = _from_pillow(image, note, kept, facts or facts_of(image), left_behind or ())
    except PictureError:
        raise
    except MemoryError as error:
        raise no_memory(image) from error
    except Exception as error:  # Pillow's many ways to say that a file is broken, or a mode has no way to RGB
        raise PictureError(f"the picture's data is broken: {words(error)}") from error
    if left_behind is not None:
        for line in not_kept:
            note(line)
    return raster


def _is_grey(levels: Levels) -> bool:
    """Whether all channels are equal; in bands, as what is compared takes a third of the levels."""
    rows = max(1, BAND_PIXELS // levels.shape[1])
    bands = (levels[top : top + rows] for top in range(0, len(levels), rows))
    return all(bool((band[:, :, 1:] == band[:, :, :1]).all()) for band in bands)


def words(error: Exception) -> str:
    """What an error says, or else its kind."""
    return str(error) or type(error).__name__


def no_memory(image: Image.Image) -> PictureError:
    """The error that says how large the image is."""
    return PictureError(f"not enough memory for {image.width} x {image.height} pixels")


def _from_pillow(
    image: Image.Image, note: Note, kept: frozenset[str], facts: Facts, left_behind: Iterable[str]
) -> tuple[Raster, list[str]]:
    """The raster, and lines about what there is no place for in it."""
    if facts.refused:
        raise PictureError(facts.refused)
    for line in facts.notes:
        note(line)
    image.load()
    check_size(image.width, image.height)  # of some formats (ICO, ICNS) it is known only now
    if image.mode in SIXTEEN_BIT_MODES:
        note(ROUNDED.format(facts.stretched or (facts.bits if facts.bits > 8 else 16)))
    metadata = metadata_of(image, facts)
    if metadata.note:
        note(metadata.note)
    turn = TURNS.get(metadata.orientation)
    colours = _Colours.of(image, facts)
    width, height = image.size if turn not in SIDEWAYS else image.size[::-1]
    collector, grey = Collector(height, width), False
    alpha: Plane | None = None
    say = note
    # In bands, as each conversion makes a copy.
    for top in range(0, height, rows := max(1, BAND_PIXELS // width)):
        bottom = min(top + rows, height)
        low = None if facts.low is None else _rows_of(facts.low, turn, top, bottom)
        base, transparency = samples.separate(_rows_of(image, turn, top, bottom), low, facts)
        base = colours.known(base, say, keep="icc" in kept)
        grey = base.mode == "L"
        collector.add(np.asarray(base))
        if transparency is not None:
            if alpha is None:
                alpha = np.full((height, width), 255, np.uint8)
            alpha[top:bottom] = transparency
        say = silent  # all bands have the same to say
    named = ", ".join(left_behind)
    not_kept = [NOT_KEPT + named] if kept and named else []
    if colours.srgb_profile and "icc" in kept:
        not_kept.append(SRGB_LEFT_OUT)
    raster = Raster(
        collector.levels(),
        grey,
        transparent(alpha),
        colours.kept,
        metadata.exif if "exif" in kept else None,
        metadata.xmp if "xmp" in kept else None,
    )
    return raster, not_kept


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


class _Colours:
    """What the levels of an image mean, and the profile that is kept of that."""

    def __init__(self, profile: bytes | None, described: Colours | None) -> None:
        self._profile, self._described = profile, described
        self.kept: bytes | None = None
        self.srgb_profile = False

    @classmethod
    def of(cls, image: Image.Image, facts: Facts) -> _Colours:
        """Of an image: by its profile, else by what its file describes, else sRGB. CICP goes before a profile."""
        found = facts.icc or image.info.get("icc_profile")
        profile = found if isinstance(found, bytes) else None
        return cls(None if facts.described_first else profile, facts.colours)

    def known(self, image: Image.Image, note: Note, *, keep: bool) -> Image.Image:
        """The image in mode L or RGB, in sRGB or in the colours of `kept`."""
        profile = self._profile or self._made(image.mode, note)
        space = profiles.space(profile) if profile else None
        if image.mode not in ("L", "RGB"):
            return _converted(image, profile if space == image.mode else None, note)
        if not profile:
            return image
        kind = profiles.kind(profile) if space in (image.mode, "RGB") else profiles.Kind.BROKEN
        if kind is profiles.Kind.BROKEN:
            note("unusable colour profile dropped")
            return image
        if kind is profiles.Kind.SRGB:
            self.srgb_profile = self._profile is not None
            return image
        if keep and space == image.mode:
            self.kept = profile
            return image
        found = profiles.to_srgb(image.convert(space), profile)
        note("colours converted to sRGB by the profile")
        return found.convert(image.mode)

    def _made(self, mode: str, note: Note) -> bytes | None:
        """A profile of what is described, for images of a mode; None where that is sRGB, or nothing."""
        if self._described is None or self._described.are_srgb or mode not in ("L", "RGB"):
            return None
        try:
            return self._described.profile(mode)
        except ValueError as error:
            note(f"unusable colours dropped: {error}")
            return None


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
