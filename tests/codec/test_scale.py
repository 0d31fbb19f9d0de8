"""A reduced decode is the picture's means over boxes of pixels, whatever else is asked for."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from tiny_model import photo

import rdae
from rdae import codec
from rdae.codec.tiles import Region
from rdae.model import Model
from rdae.pictures.raster import Raster
from rdae.training.modules.normaliser import STEP_UNIT

SCALES = (2, 4, 8)


def box_means(pixels: npt.NDArray[np.generic], scale: int) -> npt.NDArray[np.float64]:
    """Means over boxes of scale x scale of (h, w, 3), whose sides are multiples of it."""
    height, width, channels = pixels.shape
    boxes = pixels.astype(np.float64).reshape(height // scale, scale, width // scale, scale, channels)
    return np.asarray(boxes.mean(axis=(1, 3)))


@pytest.mark.parametrize("scale", SCALES)
def test_it_is_the_box_average_of_the_full_decode_in_floats(tiny: Model, scale: int) -> None:
    picture, index = photo(70, 90), 700
    y64 = codec.quantise(picture, tiny, index).latents.y64
    with torch.inference_mode():
        y = y64[None] * (tiny.gains.restore[index] / STEP_UNIT)[:, None, None]
        full = tiny.synthesis(y, tiny.gains.synthesis[index][None, :, None, None])[0].permute(1, 2, 0)
    expected = 255 * box_means(full.numpy(), scale).clip(0, 1)
    found = codec.decode(codec.compress(picture, tiny, index), tiny, scale=scale).picture
    assert found.shape == (-(-70 // scale), -(-90 // scale), 3)
    assert np.abs(found - expected[: found.shape[0], : found.shape[1]]).max() < 0.501


@pytest.mark.parametrize("scale", SCALES)
def test_an_exact_one_is_the_average_of_the_exact_levels(tiny: Model, scale: int) -> None:
    data = codec.compress(photo(64, 96), tiny, 500)
    levels = codec.decode(data, tiny, exact=True).picture
    found = codec.decode(data, tiny, exact=True, scale=scale).picture
    np.testing.assert_array_equal(found, np.floor(box_means(levels, scale) + 0.5))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("region", [(0, 0, 1, 1), (33, 17, 50, 41), (250, 280, 50, 20)])
def test_a_reduced_region_is_cut_from_the_reduced_picture(
    tiny: Model, region: tuple[int, int, int, int], scale: int
) -> None:
    alpha = np.add.outer(np.arange(300), np.arange(300)).astype(np.uint8)
    data = codec.compress(Raster(photo(300, 300), alpha=alpha), tiny, 400, tile=4)
    whole = codec.decode(data, tiny, scale=scale).raster
    part = codec.decode(data, tiny, region=Region(*region), scale=scale).raster
    x, y, width, height = region
    rows, columns = slice(y // scale, -(-(y + height) // scale)), slice(x // scale, -(-(x + width) // scale))
    assert whole.alpha is not None
    assert part.alpha is not None
    # The same numbers in another order of summing.
    assert np.abs(part.levels.astype(int) - whole.levels[rows, columns]).max() <= 1
    np.testing.assert_array_equal(part.alpha, whole.alpha[rows, columns])
    assert abs(int(whole.alpha[5, 7]) - alpha[5 * scale : 6 * scale, 7 * scale : 8 * scale].mean()) <= 0.5


def test_grey_stays_grey_and_what_is_beside_the_pixels_stays(tiny_path: Path) -> None:
    model = rdae.open_model(tiny_path)
    image = Image.fromarray(photo(41, 23)).convert("L")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.info["xmp"] = b"<x/>"
    found = model.decompress(model.compress(image), scale=4)
    assert (found.mode, found.size, found.info["xmp"]) == ("LA", (6, 11), b"<x/>")
    data = model.compress(photo(1, 1))
    assert rdae.decompress(data, model, scale=8).size == (1, 1)
    for scale in (0, 3, 16, -2):
        with pytest.raises(ValueError, match=f"scale is {scale}, expected 1, 2, 4 or 8"):
            model.decompress(data, scale=scale)
