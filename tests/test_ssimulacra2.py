"""SSIMULACRA2 of our own is that of the package, and its gradient is that of finite differences."""

import io

import numpy as np
import numpy.typing as npt
import pytest
import tiny_model
from PIL import Image

from rdae.ssimulacra2 import MIN_SIDE, Original, score, ssimulacra2

Levels = npt.NDArray[np.uint8]


def as_jpeg(picture: Levels, quality: int) -> Levels:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def as_ppm(picture: Levels) -> io.BytesIO:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PPM")
    buffer.seek(0)
    return buffer


# Six scales from 225 pixels on; below, the program shifts its weights.
@pytest.mark.parametrize(
    "size", [(8, 8), (9, 40), (15, 15), (31, 77), (64, 64), (113, 200), (224, 300), (225, 225), (271, 259)]
)
@pytest.mark.parametrize("quality", [10, 50, 90, 98])
def test_it_is_the_packages(size: tuple[int, int], quality: int) -> None:
    package = pytest.importorskip("ssimulacra2")
    first = tiny_model.photo(*size)
    second = as_jpeg(first, quality)
    expected = package.compute_ssimulacra2(as_ppm(first), as_ppm(second))
    assert ssimulacra2(first, second) == pytest.approx(expected, abs=0.005)


def test_equal_pictures_score_100() -> None:
    picture = tiny_model.noise(0, 70, 90)
    assert ssimulacra2(picture, picture) == 100
    error, gradient = Original(picture).gradient(picture)
    assert error == pytest.approx(0, abs=1e-4)
    assert np.abs(gradient).max() < 1e-4


def test_a_score_falls_as_the_error_grows() -> None:
    scores = [score(error) for error in (0.0, 0.5, 1.3, 5.9, 10.6, 40.0)]
    assert scores == sorted(scores, reverse=True)
    assert scores[:1] + scores[2:5] == pytest.approx([100, 80, 50, 30], abs=0.6)


def test_what_is_too_small_has_no_score() -> None:
    picture = tiny_model.photo(MIN_SIDE - 1, 40)
    assert ssimulacra2(picture, picture) is None
    with pytest.raises(ValueError, match="a picture of 40 x 7 pixels"):
        Original(picture)


def test_pictures_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match="different size"):
        ssimulacra2(tiny_model.photo(40, 40), tiny_model.photo(40, 41))


@pytest.mark.parametrize("size", [(256, 256), (61, 83), (9, 40)])
@pytest.mark.parametrize("quality", [20, 80])
def test_the_gradient_is_that_of_finite_differences(size: tuple[int, int], quality: int) -> None:
    """Along whole levels, some of which change by one: of pictures there are no others."""
    first = tiny_model.photo(*size)
    second = as_jpeg(first, quality)
    original = Original(first)
    error, gradient = original.gradient(second)
    assert error == pytest.approx(original.error(second))
    assert gradient.shape == second.shape
    for seed in range(3):
        # More often the way that the gradient points to, so that there is something to see.
        chosen = np.random.default_rng(seed).random(size) < 0.05
        step = (np.sign(gradient) * chosen[..., None]).astype(int)
        above, below = (
            original.error(np.clip(second + sign * step, 0, 255).astype(np.uint8)) for sign in (1, -1)
        )
        inside = (second > 0) & (second < 255)
        expected = 2 * float((gradient * step * inside).sum())
        assert above - below == pytest.approx(expected, rel=0.05)
