"""A judge counts errors as the model's training did, and says which way is nearer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import tiny_model

from rdae.codec.refinement.judging import Judge
from rdae.metrics import psnr_y
from rdae.objective import Objective, Weights
from rdae.ssimulacra2 import MIN_SIDE, Original

Levels = npt.NDArray[np.uint8]
BOTH, ALL = Weights(0.3, seen=6.0), Weights(0.3, 2.0, 6.0)


def made_of(picture: Levels) -> Levels:
    """A picture near another one."""
    grain = np.random.default_rng(1).normal(0, 6, picture.shape)
    return np.clip(np.rint(picture + grain), 0, 255).astype(np.uint8)


def squares(first: npt.NDArray[np.generic], second: npt.NDArray[np.generic]) -> float:
    return float(np.square(first.astype(float) - second.astype(float)).sum())


def test_squares_alone_aim_at_the_original() -> None:
    picture = tiny_model.photo(40, 50)
    judge, made = Judge(picture, Weights()), made_of(picture)
    assert judge.squares_alone
    assert judge.distortion(made) == pytest.approx(squares(picture, made) / 3)
    assert np.array_equal(judge.target(made), picture)


def test_both_errors_count_by_their_weights() -> None:
    picture = tiny_model.photo(70, 50)
    judge, made = Judge(picture, BOTH), made_of(picture)
    expected = 0.3 * squares(picture, made) / 3 + 6.0 * 70 * 50 * Original(picture).error(made)
    assert not judge.squares_alone
    assert judge.distortion(made) == pytest.approx(expected)
    assert judge.distortion(picture) == pytest.approx(0, abs=1e-2)
    luma = 255**2 * 70 * 50 * 10 ** (-psnr_y(picture, made) / 10)
    assert Judge(picture, ALL).distortion(made) == pytest.approx(expected + 2.0 * luma)


@pytest.mark.parametrize("weights", [BOTH, ALL])
def test_the_squared_error_from_the_target_has_the_distortions_gradient(weights: Weights) -> None:
    picture = tiny_model.photo(96, 80)
    judge, made = Judge(picture, weights), made_of(picture)
    target = judge.target(made)
    away = 2 * (made - target)  # the gradient of the squared error from it
    for seed in range(3):
        chosen = np.random.default_rng(seed).random((96, 80, 1)) < 0.05
        step = (np.sign(away) * chosen).astype(int)
        above, below = (
            judge.distortion(np.clip(made + sign * step, 0, 255).astype(np.uint8)) for sign in (1, -1)
        )
        inside = (made > 0) & (made < 255)
        assert 3 * (above - below) == pytest.approx(2 * float((away * step * inside).sum()), rel=0.05)


def test_a_target_found_ahead_is_the_one_that_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tiny_model.photo(96, 80)
    judge, made, other = Judge(picture, ALL), made_of(picture), made_of(picture[::-1])[::-1]
    expected, elsewhere = judge.target(made), judge.target(other)
    distortion = judge.distortion(made)
    assert judge.distortion(made, ahead=True) == distortion
    assert np.array_equal(judge.target(other), elsewhere)  # not the one that was prepared for
    assert judge.distortion(made, ahead=True) == distortion
    with monkeypatch.context() as patched:
        patched.delattr(Original, "gradient")
        assert np.array_equal(judge.target(made.copy()), expected)
    assert np.array_equal(judge.target(made), expected)  # found anew, as it was taken away


def test_a_part_too_small_for_ssimulacra2_is_judged_by_squares() -> None:
    picture = tiny_model.photo(MIN_SIDE - 1, 50)
    judge, made = Judge(picture, BOTH), made_of(picture)
    assert judge.squares_alone
    assert judge.distortion(made) == pytest.approx(squares(picture, made) / 3)


# What a model was trained for


def test_a_manifest_says_what_a_model_was_trained_for() -> None:
    assert Objective.of_manifest({}) == Objective("mse")
    assert Objective.of_manifest({"training": {"objective": "mse", "mse_share": [0.8, 0.3]}}) == Objective()
    assert Objective.of_manifest({"training": {"objective": "ms-ssim"}}).weights(400) == (1.0, 0.0, 0.0)
    found = Objective.of_manifest({"training": {"objective": "ssimulacra2", "mse_share": [0.8, 0.3]}})
    assert found == Objective("ssimulacra2", (0.8, 0.3, 0.3))
    assert found.weights(0) == pytest.approx((0.8, 0, 0.2 * 6))
    assert found.weights(200) == pytest.approx((0.55, 0, 0.45 * 6.375))
    assert found.weights(800) == pytest.approx((0.3, 0, 0.7 * 12))
    shares = {"mse_share": [0.8, 0.3], "luma_share": [0, 0.7]}
    found = Objective.of_manifest({"training": {"objective": "ssimulacra2", **shares}})
    assert found == Objective("ssimulacra2", (0.8, 0.3, 0.3), (0, 0.7, 0.7))
    assert found.weights(0) == pytest.approx((0.8, 0, 0.2 * 6))
    assert found.weights(200) == pytest.approx((0.55 * 0.65, 0.55 * 0.35, 0.45 * 6.375))
    shares = {"mse_share": [0.8, 0.3, 0.5], "luma_share": [0, 0.7, 0.4]}
    found = Objective.of_manifest({"training": {"objective": "ssimulacra2", **shares}})
    assert found.weights(200) == pytest.approx((0.55 * 0.65, 0.55 * 0.35, 0.45 * 6.375))
    assert found.weights(640) == pytest.approx((0.3 * 0.3, 0.3 * 0.7, 0.7 * 9.84))
    assert found.weights(720) == pytest.approx((0.4 * 0.45, 0.4 * 0.55, 0.6 * (6 + 6 * 0.81)))
    assert found.weights(800) == pytest.approx((0.5 * 0.6, 0.5 * 0.4, 0.5 * 12))


@pytest.mark.parametrize("share", [None, [0.5], [0.5, 1.5], ["a", 1], [0.1, 0.2, -0.1], [0.1, 0.2, 0.3, 0.4]])
def test_a_manifest_that_says_it_wrongly_is_refused(share: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        Objective.of_manifest({"training": {"objective": "ssimulacra2", "mse_share": share}})
    shares = {"mse_share": [0, 0, 0], "luma_share": share}
    with pytest.raises((TypeError, ValueError)):
        Objective.of_manifest({"training": {"objective": "ssimulacra2", **shares}})
