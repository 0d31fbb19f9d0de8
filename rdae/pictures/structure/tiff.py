"""The tags of a TIFF, and so of EXIF, by what they are about (TIFF 6.0, its technical notes, EXIF)."""

from __future__ import annotations

from rdae.pictures.structure import exif

XMP, IPTC, RESOURCES, PROFILE, LAYERS = 700, 33723, 34377, 34675, 37724
FOREIGN = frozenset({XMP, IPTC, RESOURCES, PROFILE, LAYERS})
"""What has a format of its own; resources and layers are Photoshop's."""

BASELINE = range(254, 533)
DESCRIPTIVE = frozenset({269, 270, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316})
"""Of those of the baseline and its extensions: names, maker, resolution, software, time, author, computer."""

STORAGE = frozenset(
    {
        *range(254, 260),  # kind of image, sides, bits, compression
        *range(262, 267),  # colours, halftoning, order of bits
        *(273, 274, 277, 278, 279, 284, 317),  # strips, orientation, samples, planes, predictor
        *(280, 281, 336, *range(338, 343)),  # ranges and formats of samples
        *range(288, 294),  # free bytes, grey response, fax
        *(297, 320, 321),  # page, palette, halftone hints
        *(*range(322, 326), 328, 347, *range(512, 522)),  # tiles, fax, JPEG
        *(332, 334, *range(529, 533)),  # inks, YCbCr
    }
)
"""Those that say how the samples are stored."""

KEPT = (270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432, *exif.IFDS)
"""Those that become EXIF: they are about the picture rather than about its bytes in that file."""


def says_how_it_is_stored(tag: int) -> bool:
    """Whether a tag of EXIF is about the file that the EXIF was in, and not about the picture."""
    return tag in FOREIGN or (tag in BASELINE and tag not in DESCRIPTIVE)
