"""What users import: compress, decompress, and a model that stays open for many pictures."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from rdae import codec, weights
from rdae.pictures import to_rgb_array
from rdae.quality import to_index

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rdae import model as models
    from rdae.codec import Decoded, Encoded


class Model:
    """An opened model: weights are read once, then any number of pictures can be coded with it."""

    def __init__(self, loaded: models.Model) -> None:
        """Wrap a loaded model; users call `open_model`."""
        self.loaded = loaded

    @property
    def name(self) -> str:
        """The weights' name."""
        return self.loaded.name

    @property
    def model_id(self) -> bytes:
        """The four bytes by which files name this model."""
        return self.loaded.model_id

    def compress(self, image: Image.Image | npt.NDArray[np.uint8], quality: float = 50.0) -> bytes:
        """Return the bytes of an .rdae file.

        image: a Pillow image of any mode, or uint8 (h, w, 3) sRGB; quality: 0 (smallest) to 100 (best).
        ValueError if quality is out of range, PictureError if the image cannot be coded.
        """
        return codec.compress(to_rgb_array(image), self.loaded, to_index(quality))

    def decompress(self, data: bytes) -> Image.Image:
        """Return the picture, as an RGB image, of an .rdae file's bytes; a StreamError or WeightsError if not."""
        return Image.fromarray(self.decode(data).picture)

    def encode(self, picture: npt.NDArray[np.uint8], at: float) -> Encoded:
        """Compress uint8 (h, w, 3) at quality `at` and say all that the encoder knows."""
        return codec.encode(picture, self.loaded, to_index(at))

    def decode(self, data: bytes) -> Decoded:
        """Decompress and say all that the decoder knows."""
        return codec.decode(data, self.loaded)

    def kmac_per_pixel(self) -> dict[str, float]:
        """Return thousands of multiply-accumulates per pixel of each part."""
        return self.loaded.kmac_per_pixel()


_default: list[Model] = []
_lock = threading.Lock()


def open_model(path: str | Path | None = None) -> Model:
    """Read weights (default: those installed with rdae) for repeated use; WeightsError if they cannot be had."""
    return Model(weights.load(path))


def _default_model() -> Model:
    with _lock:
        if not _default:
            _default.append(open_model())
        return _default[0]


def compress(
    image: Image.Image | npt.NDArray[np.uint8],
    quality: float = 50.0,
    model: Model | None = None,
) -> bytes:
    """Return the bytes of an .rdae file: `Model.compress` with the given or the default model."""
    return (model or _default_model()).compress(image, quality)


def decompress(data: bytes, model: Model | None = None) -> Image.Image:
    """Return the picture of an .rdae file's bytes: `Model.decompress` with the given or the default model."""
    return (model or _default_model()).decompress(data)
