"""Colour profiles: which colours one is about, whether it is sRGB by another name, and the way from it to sRGB.

Pillow's ImageCms does the work (LittleCMS). Where Pillow was built without, no profile is known to be sRGB, and
nothing is converted through one.
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image

try:
    from PIL import ImageCms
except ImportError:  # a Pillow without LittleCMS
    ImageCms = None  # type: ignore[assignment]

HEADER_BYTES = 128
SPACES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK", b"Lab ": "LAB"}
SAME_LEVELS = 1  # a profile that moves no colour by more is sRGB: as much as rounding does
LATTICE = (0, 1, 8, 24, 51, 96, 128, 160, 204, 240, 254, 255)


def space(profile: bytes) -> str | None:
    """Pillow's mode of the colours that a profile is about; None if it is no profile, or of other colours."""
    if len(profile) <= HEADER_BYTES or profile[36:40] != b"acsp":
        return None
    return SPACES.get(profile[16:20])


@lru_cache(maxsize=32)
def is_srgb(profile: bytes) -> bool:
    """Whether a profile of RGB or grey means sRGB, whatever its name: by what it does to a lattice of colours."""
    mode = space(profile)
    if mode == "L":
        colours = np.arange(256, dtype=np.uint8)[None]
    elif mode == "RGB":
        axes = np.meshgrid(*[np.array(LATTICE, np.uint8)] * 3, indexing="ij")
        colours = np.stack(axes, axis=-1).reshape(1, -1, 3)
    else:
        return False
    try:
        moved = to_srgb(Image.fromarray(colours), profile)
    except ValueError:
        return False
    wanted = np.asarray(Image.fromarray(colours).convert("RGB"), np.int16)
    return int(np.abs(np.asarray(moved, np.int16) - wanted).max()) <= SAME_LEVELS


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The image as RGB in sRGB; ValueError if its profile does not fit, or is broken.

    profile: None for LAB, which is a colour by itself.
    """
    if ImageCms is None:
        raise ValueError("Pillow has no ImageCms here")
    try:
        source = ImageCms.createProfile("LAB") if profile is None else ImageCms.getOpenProfile(io.BytesIO(profile))
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
    except Exception as error:  # LittleCMS has many ways to say so, and Pillow passes on more than its own error
        raise ValueError(f"the colour profile cannot be used: {error}") from error
    assert found is not None  # as it is not done in place
    return found
