"""A reduced decode is the picture's means over boxes of pixels, whatever else is asked for."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from slow_transforms import box_means
from tiny_model import photo

import rdae
from rdae.codec import decode, encode
from rdae.codec.tiles import Region
from rdae.networks.model import Model
from rdae.pictures.raster import Raster

SCALES = (2, 4, 8)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("exact", [False, True], ids=["floats", "exact"])
def test_it_is_the_average_of_the_levels_of_the_full_decode(tiny: Model, scale: int, *, exact: bool) -> None:
    # Black and white, so that many pixels would be beyond 0 and 255: means are those of what is shown.
    picture = np.where(photo(64, 96) > 127, 255, 0).astype(np.uint8)
    data = encode.compress(picture, tiny, 500, choose=False)
    levels = decode.decode(data, tiny, exact=exact).picture
    assert float(((levels == 0) | (levels == 255)).mean()) > 0.1
    found = decode.decode(data, tiny, exact=exact, scale=scale).picture
    np.testing.assert_array_equal(found, np.floor(box_means(levels.astype(float), scale) + 0.5))


def test_of_a_grey_picture_too(tiny: Model) -> None:
    grey = np.repeat(photo(64, 96)[:, :, :1], 3, axis=2)
    data = encode.compress(Raster(grey, grey=True), tiny, 200, choose=False)
    levels, found = (decode.decode(data, tiny, scale=scale).picture for scale in (1, 4))
    np.testing.assert_array_equal(found, np.floor(box_means(levels.astype(float), 4) + 0.5))


def test_an_odd_picture_is_reduced_with_its_size_rounded_up(tiny: Model) -> None:
    found = decode.decode(encode.compress(photo(70, 90), tiny, 700), tiny, scale=8).picture
    assert found.shape == (9, 12, 3)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("region", [(0, 0, 1, 1), (33, 17, 50, 41), (250, 280, 50, 20)])
def test_a_reduced_region_is_cut_from_the_reduced_picture(
    tiny: Model, region: tuple[int, int, int, int], scale: int
) -> None:
    alpha = np.add.outer(np.arange(300), np.arange(300)).astype(np.uint8)
    data = encode.compress(Raster(photo(300, 300), alpha=alpha), tiny, 400, tile=4)
    whole = decode.decode(data, tiny, scale=scale).raster
    part = decode.decode(data, tiny, region=Region(*region), scale=scale).raster
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
