"""A decoded picture that comes a band of rows at a time, and files that are written as it comes.

PNG and PPM are: a picture of 100 megapixels goes from latents to its file without ever being whole. For the other
formats, and for pictures that are small, the bands are put together, and Pillow writes them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from rdae.errors import PictureError
from rdae.pictures import png

FLOWING_FORMATS = frozenset({"PNG", "PPM"})
FLOWING_PIXELS = 1 << 18
"""Larger pictures are written as they come."""


@dataclass
class Bands:
    """Rows of a picture, top to bottom, which can be had once.

    mode: L, LA, RGB or RGBA; info: what is to be in the info of Pillow's image; rows: uint8 (k, width, channels).
    What is wrong with a file may be noticed as late as at its last band, by one of the errors of `rdae.decompress`.
    """

    width: int
    height: int
    mode: str
    info: dict[str, bytes]
    rows: Iterator[npt.NDArray[np.uint8]]

    def image(self) -> Image.Image:
        """All of them, as an image."""
        found = Image.new(self.mode, (self.width, self.height))
        top = 0
        for rows in self.rows:
            found.paste(image_of(rows), (0, top))
            top += len(rows)
        found.info.update(self.info)
        return found

    def flow_as(self, form: str) -> bool:
        """Whether a file of the format that Pillow calls `form` is written as they come."""
        return form in FLOWING_FORMATS and self.width * self.height > FLOWING_PIXELS

    def sample(self) -> Image.Image:
        """An image of one row that has the mode and the info."""
        found = Image.new(self.mode, (self.width, 1))
        found.info.update(self.info)
        return found


def image_of(rows: npt.NDArray[np.uint8]) -> Image.Image:
    """The image, of mode L, LA, RGB or RGBA, of uint8 (k, w, 1 to 4)."""
    return Image.fromarray(rows[:, :, 0] if rows.shape[2] == 1 else rows)


def flow(bands: Bands, sample: bytes, form: str) -> Iterator[bytes]:
    """A file of one of FLOWING_FORMATS, in parts.

    sample: what Pillow wrote of `bands.sample()`, which has all that is to be there beside pixels.
    """
    return png.flow(sample, bands.height, bands.rows) if form == "PNG" else _ppm(bands, sample)


def _ppm(bands: Bands, sample: bytes) -> Iterator[bytes]:
    channels = {b"P5": 1, b"P6": 3}.get(sample[:2])
    if channels is None:
        raise PictureError(f"cannot be written as PPM: {sample[:2]!r}")
    yield sample[:2] + f"\n{bands.width} {bands.height}\n255\n".encode()
    for rows in bands.rows:
        yield np.ascontiguousarray(rows[:, :, :channels]).tobytes()
