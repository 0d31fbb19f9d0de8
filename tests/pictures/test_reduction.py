"""Means of boxes are counted in integers."""

from fractions import Fraction

import numpy as np
import pytest
import slow_synthesis

from rdae.pictures.reduction import SCALES, means


@pytest.mark.parametrize("scale", SCALES)
def test_means_are_rounded_halves_up(scale: int) -> None:
    levels = np.random.default_rng(scale).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    levels[:8, :8] = 255
    found = means(levels, scale)
    assert found.dtype == np.uint8
    for i, j, c in np.ndindex(*found.shape):
        box = levels[scale * i : scale * (i + 1), scale * j : scale * (j + 1), c]
        assert found[i, j, c] == slow_synthesis.halves_up(Fraction(int(box.astype(int).sum()), scale**2))


def test_boxes_at_the_border_are_of_the_pixels_that_there_are() -> None:
    levels = np.zeros((3, 5), np.uint8)
    levels[2, 4] = 200
    found = means(levels, 4)
    assert (found.shape, found[0, 0]) == ((1, 2), 0)
    assert abs(int(found[0, 1]) - 200 / 3) < 1
