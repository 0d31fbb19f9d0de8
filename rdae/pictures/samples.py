"""Samples of every depth and mode to 8-bit levels and alpha: rounded, not cut, and transparent where a file says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from rdae.errors import PictureError
from rdae.pictures.facts import SIXTEEN_BIT_MODES, Facts

Plane = npt.NDArray[np.uint8]  # (h, w)
Integers = npt.NDArray[np.integer[Any]]

ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
GREY_MODES = frozenset({"1", "L", "LA", "La"})
PALETTE_MODES = frozenset({"P", "PA"})
RGB_MODES = frozenset({"RGB", "RGBX", "RGBA", "RGBa"})


def separate(image: Image.Image, low: Image.Image | None, facts: Facts) -> tuple[Image.Image, Plane | None]:
    """The image without alpha, as L or RGB or in its other colours, and its alpha, if it has any.

    image, low: rows of a picture, and of what `facts.low` is, turned alike. PictureError for floating point.
    """
    if image.mode == "F":
        raise PictureError("a floating-point picture, expected integers")
    if image.mode in SIXTEEN_BIT_MODES:
        levels = np.asarray(image)
        alpha = _opaque_but(levels[:, :, None], _key(image, facts))
        return Image.fromarray(_grey_levels(levels, facts)), alpha
    if low is not None:
        return _separate_wide(_wide(image, low), facts)
    if image.mode not in GREY_MODES | PALETTE_MODES | RGB_MODES:
        return image, None
    if image.mode in PALETTE_MODES:
        return _separate_palette(image)
    plain = "L" if image.mode in GREY_MODES else "RGB"
    if image.mode not in ALPHA_MODES:
        found, key = image.convert(plain), _key(image, facts)
        if key is None:
            return found, None
        levels = np.asarray(found)
        return found, _opaque_but(levels if plain == "RGB" else levels[:, :, None], key)
    if image.mode == "La":
        image = image.convert("LA")
    image = image.convert("RGBA")
    return image.getchannel("R") if plain == "L" else image.convert("RGB"), np.asarray(image.getchannel("A"))


def _separate_palette(image: Image.Image) -> tuple[Image.Image, Plane | None]:
    entries = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    grey = bool((entries == entries[:, :1]).all())
    own = image.palette is not None and image.palette.mode.endswith("A")
    if not (own or image.mode == "PA" or "transparency" in image.info):
        return image.convert("L" if grey else "RGB"), None
    # By way of RGBA: from a palette with transparency Pillow goes elsewhere only under protest.
    image = image.convert("RGBA")
    return image.getchannel("R") if grey else image.convert("RGB"), np.asarray(image.getchannel("A"))


def _separate_wide(levels: npt.NDArray[np.uint16], facts: Facts) -> tuple[Image.Image, Plane | None]:
    """Of samples of 16 bits, uint16 (h, w, 2 to 4)."""
    grey, has_alpha = levels.shape[2] == 2, levels.shape[2] in (2, 4)
    rounded = _rounded(levels, 65535)
    if has_alpha:
        alpha: Plane | None = np.ascontiguousarray(rounded[:, :, -1])
    else:
        alpha = _opaque_but(levels, facts.key)
    colours = rounded[:, :, 0] if grey else rounded[:, :, :3]
    return Image.fromarray(np.ascontiguousarray(colours)), alpha


def _wide(high: Image.Image, low: Image.Image) -> npt.NDArray[np.uint16]:
    """Samples of 16 bits of their upper and lower bytes, uint16 (h, w, channels)."""
    lower: npt.NDArray[np.uint8] = np.asarray(low)
    if low.mode == "CMYK":  # which has all bytes of grey with alpha
        upper, lower = lower[:, :, ::2], lower[:, :, 1::2]
    else:
        upper = np.asarray(high.convert("RGB") if high.mode == "RGBX" else high)
    return upper * np.uint16(256) + lower[:, :, : upper.shape[2]]


def _grey_levels(levels: Integers, facts: Facts) -> Plane:
    """uint8 (h, w) of the levels of one of SIXTEEN_BIT_MODES."""
    most = 2**facts.bits - 1 if 8 < facts.bits < 16 else 65535
    low, high = levels.min(), levels.max()
    if low < 0 or high > most:
        raise PictureError(f"levels from {low} to {high}, expected 0 to {most}")
    found = _rounded(levels, most)
    return 255 - found if facts.inverted else found


def _rounded(levels: Integers, most: int) -> npt.NDArray[np.uint8]:
    """Levels 0..most as 0..255, row by row: whole pictures of int64 would be large."""
    found = np.empty(levels.shape, np.uint8)
    for row, line in zip(found, levels, strict=True):
        row[:] = (line.astype(np.int64) * 510 + most) // (2 * most)
    return found


def _key(image: Image.Image, facts: Facts) -> tuple[int, ...] | None:
    """The transparent colour in the levels that Pillow gives."""
    if facts.key is not None:
        most = 2**facts.bits - 1
        factor = 255 // most if facts.bits < 8 else 1
        return tuple((sample & most) * factor for sample in facts.key)
    found = image.info.get("transparency")
    if isinstance(found, int):
        return (found,)
    return tuple(found) if isinstance(found, tuple) else None


def _opaque_but(levels: Integers, key: tuple[int, ...] | None) -> Plane | None:
    """Alpha, 0 where levels (h, w, channels) have a colour; None if there is no such colour for them."""
    if key is None or len(key) != levels.shape[2]:
        return None
    return np.where((levels == np.array(key)).all(axis=2), 0, 255).astype(np.uint8)
