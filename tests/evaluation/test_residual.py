"""The residual of the account against coders that can really be built, and against the theory."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from rdae.evaluation import residual
from rdae.evaluation.residual import residual_bits

Picture = npt.NDArray[np.uint8]


def picture(seed: int = 0, low: int = 60, high: int = 200) -> Picture:
    return np.random.default_rng(seed).integers(low, high, (64, 96, 3), np.uint8)


def near(original: Picture, kind: str, scale: float, seed: int = 1) -> Picture:
    """Noise of that kind around a picture, not beyond its levels."""
    draw = getattr(np.random.default_rng(seed), kind)(0, scale, original.shape)
    noisy: Picture = np.clip(np.rint(original + draw), 0, 255).astype(np.uint8)
    return noisy


def test_an_equal_picture_costs_what_it_takes_to_say_so() -> None:
    assert residual_bits(picture(), picture()) == pytest.approx(residual.STATED_BITS, abs=1e-6)


@pytest.mark.parametrize("scale", [0.6, 2.0, 7.0, 20.0])
def test_gaussian_noise_costs_its_entropy(scale: float) -> None:
    decoded = picture()
    found = residual_bits(near(decoded, "normal", scale), decoded) / decoded.size
    assert found == pytest.approx(0.5 * math.log2(2 * math.pi * math.e * (scale**2 + 1 / 12)), abs=0.02)


def test_laplacian_noise_costs_less_than_a_gaussian_would(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = picture()
    original = near(decoded, "laplace", 4.0)
    found = residual_bits(original, decoded)
    assert found / decoded.size == pytest.approx(math.log2(2 * math.e * 4), abs=0.02)
    monkeypatch.setattr(residual, "_laplacian", residual._gaussian)
    assert residual_bits(original, decoded) > 1.02 * found


@pytest.mark.parametrize("family", [residual._gaussian, residual._laplacian])
@pytest.mark.parametrize("index", [0, 40, 90, residual.SCALES - 1])
def test_the_chances_of_all_levels_sum_to_one(family: object, index: int) -> None:
    for level in (0, 1, 128, 254, 255):
        total = 0.0
        for other in range(256):
            counts = np.zeros((256, 256))
            counts[level, other] = 1
            total += 2.0 ** -residual._bits(counts, family, index)  # type: ignore[arg-type]
        assert total == pytest.approx(1, abs=1e-9)


def test_any_pair_of_pictures_has_a_finite_residual() -> None:
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    assert 0 < residual_bits(black, white) < 8 * 8 * 3 * 9 + residual.STATED_BITS
    assert math.isfinite(residual_bits(picture(1, 0, 256), picture(2, 0, 256)))
