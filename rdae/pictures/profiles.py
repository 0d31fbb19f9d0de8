"""Colour profiles: which colours one is about, whether it is sRGB by another name, and the way from it to sRGB.

Pillow's ImageCms does the work (LittleCMS). Where Pillow was built without, no profile is known to be sRGB, and
nothing is converted through one.
"""

import hashlib
import io
from enum import Enum

import numpy as np
from PIL import Image, ImageCms, features

HEADER_BYTES = 128
SPACES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK", b"Lab ": "LAB"}
SAME_LEVELS = 1  # a profile that moves no colour by more is sRGB: as much as rounding does
MOST_KNOWN = 1024  # profiles whose kind is remembered
LATTICE = (0, 1, 8, 24, 51, 96, 128, 160, 204, 240, 254, 255)


def space(profile: bytes) -> str | None:
    """Pillow's mode of the colours that a profile is about; None if it is no profile, or of other colours."""
    if len(profile) <= HEADER_BYTES or profile[36:40] != b"acsp":
        return None
    return SPACES.get(profile[16:20])


class Kind(Enum):
    """What is to be made of a profile."""

    BROKEN = "broken"
    SRGB = "sRGB"
    OTHER = "other"


def kind(profile: bytes) -> Kind:
    """Of a profile of RGB or grey. It is sRGB if it does to a lattice of colours what sRGB does, whatever its name."""
    digest = hashlib.sha256(profile).digest()
    found = _known.get(digest)
    if found is None:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        found = _known[digest] = _kind(profile)
    return found


# By SHA-256, as profiles may have megabytes.
_known: dict[bytes, Kind] = {}


def _kind(profile: bytes) -> Kind:
    mode = space(profile)
    if mode == "L":
        colours = np.arange(256, dtype=np.uint8)[None]
    elif mode == "RGB":
        axes = np.meshgrid(*[np.array(LATTICE, np.uint8)] * 3, indexing="ij")
        colours = np.stack(axes, axis=-1).reshape(1, -1, 3)
    else:
        return Kind.BROKEN
    if not features.check("littlecms2"):
        return Kind.OTHER
    try:
        moved = to_srgb(Image.fromarray(colours), profile)
    except ValueError:
        return Kind.BROKEN
    wanted = np.asarray(Image.fromarray(colours).convert("RGB"), np.int16)
    close = int(np.abs(np.asarray(moved, np.int16) - wanted).max()) <= SAME_LEVELS
    return Kind.SRGB if close else Kind.OTHER


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The image as RGB in sRGB; ValueError if its profile does not fit, or is broken.

    profile: None for LAB, which is a colour by itself.
    """
    try:
        lab = profile is None
        source = (
            ImageCms.createProfile("LAB") if lab else ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        )
        found = ImageCms.profileToProfile(
            image,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except MemoryError:
        raise
    except Exception as error:  # Pillow passes on more kinds than its own
        raise ValueError(f"the colour profile cannot be used: {error}") from error
    assert found is not None  # as it is not done in place
    return found
