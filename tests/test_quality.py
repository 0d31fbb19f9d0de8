"""rdae.quality: the user's scale, the file's index and β."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdae import quality


@given(st.integers(0, quality.MAX_INDEX))
def test_an_index_survives_the_way_through_quality(index: int) -> None:
    assert quality.to_index(quality.from_index(index)) == index


@given(st.floats(0, 100))
def test_an_index_is_the_nearest_eighth(value: float) -> None:
    index = quality.to_index(value)
    assert 0 <= index <= 800
    assert abs(quality.from_index(index) - value) <= 1 / 16


@pytest.mark.parametrize("value", [-0.001, 100.001, math.nan, math.inf, -math.inf])
def test_quality_outside_the_scale_is_a_value_error(value: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 100"):
        quality.to_index(value)


def test_beta_runs_over_three_decades_log_linearly() -> None:
    assert quality.beta(0) == pytest.approx(0.0004)
    assert quality.beta(400) == pytest.approx(0.0004 * 10**1.5)
    assert quality.beta(800) == pytest.approx(0.4)
    assert quality.beta(500) / quality.beta(300) == pytest.approx(quality.beta(300) / quality.beta(100))


@given(st.integers(0, 800), st.floats(0.5, 2.0))
def test_no_other_gain_costs_less_at_high_rate(index: int, factor: float) -> None:
    """Three coefficients a pixel, each log2(gain) bits and 1/(12 gain²) of squared error, of x in 0..1."""

    def loss(gain: float) -> float:
        return 3 * math.log2(gain) + quality.beta(index) * 255**2 / (12 * gain**2)

    best = quality.high_rate_gain(index)
    assert loss(best) <= loss(best * factor) + 1e-9


@given(st.integers(0, 800))
def test_anchor_weights_interpolate_between_two_neighbours(index: int) -> None:
    weights = quality.anchor_weights(index)
    assert len(weights) == quality.ANCHORS == 9
    assert sum(weights) == 128
    assert min(weights) >= 0
    used = [anchor for anchor, weight in enumerate(weights) if weight]
    assert used in ([used[0]], [used[0], used[0] + 1])
    # What they interpolate is the index itself, to the nearest 128th of the way between anchors.
    mean = sum(weight * anchor * quality.ANCHOR_SPACING for anchor, weight in enumerate(weights)) / 128
    assert abs(mean - index) <= 100 / 256


@given(st.integers(0, 8))
def test_an_anchor_has_all_the_weight_at_its_own_index(anchor: int) -> None:
    assert quality.anchor_weights(100 * anchor) == [128 * (other == anchor) for other in range(9)]


@pytest.mark.parametrize("index", [-1, 801])
def test_anchor_weights_of_no_index_are_a_value_error(index: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to 800"):
        quality.anchor_weights(index)
