import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdae.metrics import MS_SSIM_MIN_SIDE, Picture, ms_ssim, mse, psnr, psnr_y


def picture(height: int, width: int, seed: int = 0) -> Picture:
    """A smooth gradient with seeded noise on it."""
    rows, columns = np.mgrid[:height, :width]
    smooth = np.stack([rows * 200 / height, columns * 200 / width, (rows + columns) % 200], axis=2)
    noise = np.random.default_rng(seed).normal(0, 12, smooth.shape)
    made: Picture = np.clip(smooth + noise + 20, 0, 255).astype(np.uint8)
    return made


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_mse_is_the_plain_mean_of_squares(height: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = (random.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(2))
    squares = [(int(x) - int(y)) ** 2 for x, y in zip(a.ravel(), b.ravel(), strict=True)]
    assert mse(a, b) == sum(squares) / len(squares)


def test_psnr_of_one_level_everywhere_is_the_known_48_13_db() -> None:
    black = np.zeros((4, 4, 3), np.uint8)
    assert psnr(black, black + np.uint8(1)) == pytest.approx(20 * math.log10(255))
    assert psnr(black, black) == math.inf
    assert psnr(black, black + np.uint8(255)) == 0


def test_psnr_y_is_of_the_luma_that_jpeg_codes() -> None:
    a, b = picture(24, 40), picture(24, 40, seed=1)
    lumas = [p @ np.array([0.299, 0.587, 0.114]) for p in (a, b)]
    assert psnr_y(a, b) == pytest.approx(10 * math.log10(255**2 / np.mean((lumas[0] - lumas[1]) ** 2)))
    grey = [np.repeat(p[..., :1], 3, axis=2) for p in (a, b)]
    assert psnr_y(*grey) == pytest.approx(psnr(*grey))
    assert psnr_y(a, a) == math.inf


@pytest.mark.parametrize(("height", "width"), [(161, 161), (176, 203), (256, 192)])
def test_ms_ssim_equals_pytorch_msssim(height: int, width: int) -> None:
    package = pytest.importorskip("pytorch_msssim")
    torch = pytest.importorskip("torch")
    a, b = picture(height, width), picture(height, width, seed=1)
    tensors = [torch.from_numpy(np.ascontiguousarray(p.transpose(2, 0, 1)))[None].double() for p in (a, b)]
    # The package's own window is rounded to float32 and so does not quite sum to 1, which shifts variances.
    window = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    window = (window / window.sum()).expand(3, 1, 1, 11)
    reference = package.ms_ssim(*tensors, data_range=255, win=window).item()
    assert ms_ssim(a, b) == pytest.approx(reference, abs=1e-10)
    assert ms_ssim(a, b) == pytest.approx(package.ms_ssim(*tensors, data_range=255).item(), abs=2e-5)


def test_ms_ssim_is_one_for_equal_pictures_and_falls_with_noise() -> None:
    a = picture(170, 180)
    assert ms_ssim(a, a) == pytest.approx(1)
    random = np.random.default_rng(0).normal(0, 1, a.shape)
    values = [ms_ssim(a, np.clip(a + level * random, 0, 255).astype(np.uint8)) for level in (2, 8, 32)]
    assert all(value is not None for value in values)
    assert sorted(values, key=lambda value: value or 0, reverse=True) == values


def test_ms_ssim_of_a_picture_too_small_for_its_scales_is_none() -> None:
    small = picture(MS_SSIM_MIN_SIDE - 1, 300)
    assert ms_ssim(small, small) is None


def test_pictures_of_different_shape_or_type_are_refused() -> None:
    a = picture(8, 8)
    for other in (picture(8, 9), a.astype(np.float32), a[..., 0]):
        with pytest.raises(ValueError, match=r"expected uint8|different size"):
            mse(a, other)  # type: ignore[arg-type]
