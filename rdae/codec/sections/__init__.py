"""Auxiliary data, what a file holds of a picture beside its latents: a raster's alpha and metadata, to sections and
back.
"""

from dataclasses import dataclass

import numpy as np

from rdae.codec.container import ALPHA_TYPES, Container, Section, SectionType
from rdae.codec.sections import alpha, metadata, pixels
from rdae.codec.sections.alpha import Plane
from rdae.pictures.raster import Raster


@dataclass(frozen=True, eq=False)
class AuxiliaryData:
    """Alpha, uint8 (h, w), and metadata, as they are in a Raster."""

    alpha: Plane | None
    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None

    def are_of(self, raster: Raster) -> bool:
        """Whether they are what a raster has."""
        pairs = ((self.icc, raster.icc), (self.exif, raster.exif), (self.xmp, raster.xmp))
        if any((mine or None) != (theirs or None) for mine, theirs in pairs):
            return False
        if self.alpha is None or raster.alpha is None:
            return self.alpha is raster.alpha
        return np.array_equal(self.alpha, raster.alpha)


def before(raster: Raster) -> list[Section]:
    """Metadata, which is to be had without reading on to the latents."""
    kinds = ((SectionType.ICC, raster.icc), (SectionType.EXIF, raster.exif), (SectionType.XMP, raster.xmp))
    # Without its profile the picture has other colours.
    return [
        Section(kind, metadata.encode(data), skippable=kind != SectionType.ICC)
        for kind, data in kinds
        if data
    ]


def after(raster: Raster) -> list[Section]:
    """Alpha, if there is any."""
    return [] if raster.alpha is None else [alpha.smallest(raster.alpha)]


def read(parsed: Container) -> AuxiliaryData:
    """The auxiliary data of a file; CorruptError if any of it is not what an encoder writes."""
    header = parsed.header
    section = next((each for each in parsed.sections if each.type in ALPHA_TYPES), None)
    plane: Plane | None = None
    if section is not None and section.type == SectionType.PIXELS_ALPHA:
        plane = pixels.decode(section, header).alpha
    elif section is not None:
        plane = alpha.read(section, header.width, header.height)
    return AuxiliaryData(
        plane,
        *(metadata_of(parsed, kind) for kind in (SectionType.ICC, SectionType.EXIF, SectionType.XMP)),
    )


def metadata_of(parsed: Container, kind: SectionType) -> bytes | None:
    """A profile or note, if the file has one; CorruptError."""
    payloads = parsed.payloads(kind)
    return metadata.decode(payloads[0]) if payloads else None
