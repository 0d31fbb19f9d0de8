"""The relaxed context steps are the exact ones, and gradients are those that finite differences give."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tiny_model

from rdae.codec import latents
from rdae.codec.refinement import Box
from rdae.codec.refinement.code_lengths import CodeLengths
from rdae.codec.refinement.descent import Cost, gradient, relax
from rdae.codec.refinement.judging import Judge, Pursuit
from rdae.codec.refinement.rounding import Rounding
from rdae.networks.architecture import TINY, Architecture
from rdae.networks.gradient import RelaxedPrior, SquaredError, sort, unsort
from rdae.networks.graphs import STEPS
from rdae.networks.model import Model
from rdae.objective import Weights

DEEP = dataclasses.replace(TINY, synthesis_coarse=2, synthesis_fine=0, context_deeper=2, context_trunks=4)
WIDE = dataclasses.replace(TINY, fine=32, latents=64, hyper_width=16, context_width=16)
"""Wide enough for the runtime's own order of features."""

INDEX = 400
HARD = Rounding(steepness=1.0, temperature=0.01, noise=False)
NONE = Rounding(steepness=1.0, temperature=1.0, noise=False)  # σ(logit(x)) is x
SOFT = Rounding(steepness=3.0, temperature=0.8, noise=False)
NOISY = Rounding(steepness=4.0, temperature=0.9, noise=True)

Floats = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module", params=[TINY, DEEP, WIDE], ids=["tiny", "deep", "wide"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny_model.opened(tmp_path_factory.mktemp("model"), request.param)


def analysed(model: Model, height: int, width: int) -> Floats:
    picture = tiny_model.photo(height, width)
    bands = model.transforms.latents(model.transforms.features(picture), INDEX)
    return np.concatenate(list(bands), axis=1)


def error_from(model: Model, levels: Levels, size: tuple[int, ...]) -> SquaredError:
    """The squared error from levels (H, W, 3), of latents (h, w)."""
    error = SquaredError(model, INDEX, (levels.shape[0], levels.shape[1]), (size[0], size[1]))
    error.aim_at(levels)
    return error


def relaxed_cost(
    cost: Cost, error: SquaredError, y: Floats, rounding: Rounding, source: np.random.Generator
) -> float:
    """Bits + weight * squares, of which `gradient` is the gradient."""
    now = relax(cost, y, rounding, source)
    unsort(now.y_hat, cost.place.cut(cost.view))
    exist = np.broadcast_to(sort(np.ones((4, *cost.place.size), bool))[:, :1], y.shape)
    bits = cost.code_lengths.bits(now.symbols[exist], now.rows[exist])
    return bits + cost.weight * error.measure(cost.view)[0]


def cost_of(model: Model, y: Floats, levels: Levels, weight: float, core: Box | None = None) -> Cost:
    size = (y.shape[1], y.shape[2])
    whole = Box(0, 0, *size)
    z = model.hyper_analyse(y, INDEX)
    features = model.prior.begin(z, INDEX, size).features[0]
    return Cost(
        prior=RelaxedPrior(model, INDEX, features),
        code_lengths=CodeLengths.of(model.prior.y_tables),
        pursuit=Pursuit(error_from(model, levels, size), Judge(levels, Weights()), levels),
        weight=weight,
        skip_below=model.prior.skip_below,
        core=core or whole,
        place=whole,
        view=np.zeros_like(y),
    )


def test_sorted_latents_are_in_the_order_of_coding(model: Model) -> None:
    y = np.random.default_rng(0).normal(size=(model.architecture.latents, 6, 8)).astype(np.float32)
    found = sort(y)
    for step in STEPS:
        # The prior goes through groups, and codes group j at cell (step + j) mod 4.
        groups = [found[(step + group) % 4, step] for group in range(4)]
        assert np.array_equal(np.concatenate([each.ravel() for each in groups]), model.prior.take(y, step))


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 4)])
def test_sorting_is_undone(model: Model, size: tuple[int, int]) -> None:
    y = np.random.default_rng(0).normal(size=(model.architecture.latents, *size)).astype(np.float32)
    again = np.zeros_like(y)
    unsort(sort(y), again)
    assert np.array_equal(again, y)


@pytest.mark.parametrize("size", [(96, 128), (80, 48)])
def test_the_relaxed_rate_is_the_files(model: Model, size: tuple[int, int]) -> None:
    picture = tiny_model.photo(*size)
    y = analysed(model, *size)
    cost = cost_of(model, y, picture, 0.0)
    bits = relaxed_cost(
        cost, error_from(model, picture, y.shape[1:]), sort(y), HARD, np.random.default_rng(0)
    )
    quantised = latents.quantise(y, model.hyper_analyse(y, INDEX), model.prior, INDEX)
    of_z, *of_y = quantised.symbols
    exact = sum(part.tables.bits(part.symbols, part.rows) for part in of_y)
    # Scale indices are between two rows here, and what is not coded costs a little.
    assert bits == pytest.approx(exact, rel=0.05)
    assert len(of_z.symbols) > 0
    near = np.abs(cost.view - quantised.latents.y64 / 64) < 0.1
    assert near.mean() > 0.9


@pytest.mark.parametrize("size", [(64, 96), (51, 83), (16, 16), (3, 40)])
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_the_squared_error_has_its_gradient(model: Model, size: tuple[int, int], spread: float) -> None:
    picture = tiny_model.photo(*size)
    y_hat = np.rint(spread * analysed(model, *size))
    error = error_from(model, picture, y_hat.shape[1:])
    _, found, _ = error.measure(y_hat)
    assert found.shape == y_hat.shape
    rng = np.random.default_rng(1)
    for way in (found, rng.normal(size=y_hat.shape) * np.abs(found)):
        direction = (way / np.linalg.norm(way)).astype(np.float32)
        step = 2e-3 * np.linalg.norm(y_hat)
        above, *_ = error.measure(y_hat + step * direction)
        below, *_ = error.measure(y_hat - step * direction)
        expected = float(np.vdot(found, direction))
        scale = max(abs(expected), 0.2 * float(np.linalg.norm(found)))
        assert abs((above - below) / (2 * step) - expected) < 0.02 * scale


def test_the_squared_error_is_that_of_the_levels_a_decoder_makes(model: Model) -> None:
    picture = tiny_model.photo(70, 90)
    y_hat = np.rint(analysed(model, 70, 90))
    measured = error_from(model, picture, (5, 6))
    squares, _, patches = measured.measure(y_hat)
    (levels,) = model.transforms.synthesise([(64 * y_hat).astype(np.int32)], INDEX)
    error = levels[:70, :90].astype(float) - picture
    inside = (levels[:70, :90] > 0) & (levels[:70, :90] < 255)  # the search does not clip
    assert inside.mean() > 0.9
    assert squares == pytest.approx(np.square(error).sum(), rel=0.1)
    assert (
        np.abs(measured.levels(patches).astype(int) - levels[:70, :90]).max() <= 1
    )  # the synthesis sums up in another order


@pytest.mark.parametrize("size", [(64, 96), (80, 48), (17, 33), (16, 16)])
@pytest.mark.parametrize("weight", [0.0, 0.01])
def test_rate_and_distortion_have_their_gradient(model: Model, size: tuple[int, int], weight: float) -> None:
    """Without rounding, whose own derivative is tested by itself, and with nothing that is not coded."""
    y = analysed(model, *size)
    cost = dataclasses.replace(cost_of(model, y, tiny_model.photo(*size), weight), skip_below=0)
    start, error = sort(y), error_from(model, tiny_model.photo(*size), y.shape[1:])
    found = gradient(cost, start, NONE, np.random.default_rng(0))
    errors = []
    for seed in range(5):
        way = np.random.default_rng(seed).normal(size=found.shape) * np.abs(found)
        direction = (way / np.linalg.norm(way)).astype(np.float32)
        step = np.float32(2e-3)
        above, below = (
            relaxed_cost(cost, error, start + sign * step * direction, NONE, np.random.default_rng(0))
            for sign in (1, -1)
        )
        expected = float(np.vdot(found, direction))
        scale = max(abs(expected), 0.2 * float(np.linalg.norm(found)))
        errors.append(abs((above - below) / (2 * float(step)) - expected) / scale)
    # Code lengths have corners, and some differences go round one.
    assert np.median(errors) < 0.06
    assert min(errors) < 0.02


def test_latents_beside_the_core_are_rounded_as_they_are(model: Model) -> None:
    y = analysed(model, 96, 96)
    cost = cost_of(model, y, tiny_model.photo(96, 96), 0.01, core=Box(2, 2, 4, 6))
    found = np.zeros_like(y)
    unsort(gradient(cost, sort(y), SOFT, np.random.default_rng(0)), found)
    inside = np.zeros(y.shape, bool)
    inside[:, 2:4, 2:6] = True
    assert not found[~inside].any()
    assert found[inside].any()


def test_gradients_do_not_depend_on_threads(tmp_path: Path) -> None:
    found = []
    for threads in (1, 2):
        model = tiny_model.opened(tmp_path, WIDE, threads=threads)
        y = analysed(model, 64, 80)
        cost = cost_of(model, y, tiny_model.photo(64, 80), 0.01)
        found.append(gradient(cost, sort(y), NOISY, np.random.default_rng(0)))
    assert np.array_equal(found[0], found[1])


def test_architectures_that_no_convolution_divides_have_gradients(tmp_path: Path) -> None:
    odd = Architecture(
        fine=6,
        latents=8,
        hyper_latents=2,
        analysis_fine=1,
        analysis_coarse=1,
        synthesis_coarse=1,
        synthesis_fine=1,
        hyper_width=6,
        context_width=6,
    )
    model = tiny_model.opened(tmp_path, odd)
    y = analysed(model, 33, 50)
    cost = cost_of(model, y, tiny_model.photo(33, 50), 0.01)
    assert np.isfinite(gradient(cost, sort(y), SOFT, np.random.default_rng(0))).all()
