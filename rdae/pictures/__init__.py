"""Picture files in and out: the one place that knows which formats there are, and what each has a place for.

reading:  facts, left_behind (both by structure) -> images (samples, metadata, colours, profiles) -> raster
writing:  bands or an image -> png, or Pillow

What cannot be taken or kept is said: each function that may drop something takes `note`, which is called with a short
line for it. What pictures are in memory is for `rdae.pictures.raster` to say.
"""

from rdae.pictures.formats import FORMATS, SUFFIXES
from rdae.pictures.images import NOT_KEPT, SRGB_LEFT_OUT
from rdae.pictures.reading import Picture, picture_in, raster_in, read_picture, read_raster, to_rgb_array
from rdae.pictures.writing import check_quality, format_of, picture_bytes, picture_chunks, write_picture

__all__ = [
    "FORMATS",
    "NOT_KEPT",
    "SRGB_LEFT_OUT",
    "SUFFIXES",
    "Picture",
    "check_quality",
    "format_of",
    "picture_bytes",
    "picture_chunks",
    "picture_in",
    "raster_in",
    "read_picture",
    "read_raster",
    "to_rgb_array",
    "write_picture",
]
