"""Refinement finds better latents than the analysis, says nothing untrue of them, and knows when to stop."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tiny_model

from rdae.codec import latents
from rdae.codec.refinement import (
    Aim,
    Box,
    Plan,
    Progress,
    Refined,
    Report,
    better,
    plans,
    refine,
    steps,
    tiles_with_neighbours,
    windows,
)
from rdae.codec.refinement.code_lengths import CodeLengths
from rdae.codec.refinement.rounding import Rounding, soft_round
from rdae.codec.refinement.windows import CORE, HALO, WHOLE
from rdae.codec.tiles import Grid
from rdae.effort import MAX_EFFORT
from rdae.networks.model import Model
from rdae.networks.tables import Tables
from rdae.objective import Objective
from rdae.ssimulacra2 import Original

INDEX = 400
SHORT, LONG = plans(2)

Floats = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny_model.opened(tmp_path_factory.mktemp("model"))


def analysed(model: Model, picture: Levels, index: int = INDEX) -> Floats:
    bands = model.transforms.latents(model.transforms.features(picture), index)
    return np.concatenate(list(bands), axis=1)


def whole_of(y: Floats) -> Box:
    return Box(0, 0, *y.shape[1:])


def searched(model: Model, picture: Levels, plan: Plan, report: Report | None = None) -> Refined:
    aim = plan.aim(INDEX)
    y = analysed(model, picture, aim.index)
    return refine(model, picture, y, whole_of(y), aim, plan.stages, report)


@pytest.fixture(scope="module")
def seeing(model: Model) -> Model:
    """The same, as if it had been trained by SSIMULACRA2."""
    return dataclasses.replace(model, objective=Objective("ssimulacra2", (0.8, 0.3, 0.3)))


def cost_of(model: Model, picture: Levels, found: latents.Quantised, aim: Aim) -> float:
    """Bits + β·distortion of what a decoder makes of it."""
    bands = model.transforms.synthesise([found.latents.y64], aim.index)
    levels = np.concatenate(list(bands))[: picture.shape[0], : picture.shape[1]]
    weights = model.objective.weights(aim.asked)
    distortion = weights.squares * float(np.square(levels.astype(float) - picture).sum()) / 3
    if weights.seen and min(picture.shape[:2]) < 8:
        distortion /= weights.squares  # they alone count then
    elif weights.seen:
        distortion += weights.seen * picture[..., 0].size * Original(picture).error(levels)
    return found.rate_bits() + aim.beta * distortion


# What searches do


@pytest.mark.parametrize("plan", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("size", [(96, 128), (1, 1), (17, 33), (16, 48), (40, 70)])
def test_a_search_is_never_worse_than_what_it_began_with(
    model: Model, size: tuple[int, int], plan: Plan
) -> None:
    picture, aim = tiny_model.photo(*size), plan.aim(INDEX)
    found = searched(model, picture, plan)
    assert len(found.history) == len(found.seconds) == len(plan.stages) + 1
    assert not found.stopped
    costs = [each.cost for each in found.history]
    assert all(later <= earlier for earlier, later in itertools.pairwise(costs))
    assert list(found.seconds) == sorted(found.seconds)
    for each in (found.plain, found.best):
        assert each.cost == pytest.approx(cost_of(model, picture, each.quantised, aim), rel=1e-9)
        assert each.bits == each.quantised.rate_bits()


@pytest.mark.parametrize("plan", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("size", [(96, 128), (1, 1), (17, 33), (40, 70)])
def test_a_model_trained_to_be_looked_at_is_searched_by_what_is_seen(
    seeing: Model, size: tuple[int, int], plan: Plan
) -> None:
    picture, aim = tiny_model.photo(*size), plan.aim(INDEX)
    found = searched(seeing, picture, plan)
    costs = [each.cost for each in found.history]
    assert all(later <= earlier for earlier, later in itertools.pairwise(costs))
    for each in (found.plain, found.best):
        assert each.cost == pytest.approx(cost_of(seeing, picture, each.quantised, aim), rel=1e-6)


def test_a_search_by_what_is_seen_finds_what_one_by_squares_does_not(model: Model, seeing: Model) -> None:
    picture, aim = tiny_model.photo(96, 128), LONG.aim(INDEX)
    found, other = (searched(each, picture, LONG) for each in (seeing, model))
    saved, elsewhere = (
        found.plain.cost - cost_of(seeing, picture, each.best.quantised, aim) for each in (found, other)
    )
    assert saved > 1.2 * elsewhere
    assert saved > 0.01 * found.plain.bits


def test_a_search_saves_something(model: Model) -> None:
    short, long = (searched(model, tiny_model.photo(96, 128), plan) for plan in (SHORT, LONG))
    assert short.best.cost < short.plain.cost - 0.002 * short.plain.bits
    assert long.best.cost < long.plain.cost - 0.01 * long.plain.bits


def test_the_plain_encoding_is_that_of_the_analysis(model: Model) -> None:
    picture = tiny_model.photo(50, 70)
    y = analysed(model, picture)
    expected = latents.quantise(y, model.hyper_analyse(y, INDEX), model.prior, INDEX)
    found = searched(model, picture, Plan(()))
    assert found.best is found.plain
    assert found.plain.quantised.payload() == expected.payload()


def test_a_search_leaves_the_latents_that_it_was_given(model: Model) -> None:
    picture = tiny_model.photo(48, 48)
    y = analysed(model, picture)
    before = y.copy()
    refine(model, picture, y, whole_of(y), SHORT.aim(INDEX), SHORT.stages)
    assert np.array_equal(y, before)


def test_the_same_search_gives_the_same_bytes_on_any_number_of_threads(tmp_path: Path) -> None:
    plan = plans(3)[1]  # with noise
    payloads = set()
    for threads in (1, 1, 2):
        model = tiny_model.opened(tmp_path, threads=threads)
        payloads.add(searched(model, tiny_model.photo(64, 80), plan).best.quantised.payload())
    assert len(payloads) == 1


def test_large_tiles_are_refined_by_windows(model: Model) -> None:
    """As well as at once, and no worse next to the windows' borders."""
    picture = tiny_model.photo(832, 816)
    aim = SHORT.aim(INDEX)
    y = analysed(model, picture)
    assert len(windows(whole_of(y), whole_of(y))) == 4
    found = refine(model, picture, y, whole_of(y), aim, SHORT.stages)
    small = searched(model, picture[:640, :640], SHORT)
    saved = (found.plain.cost - found.best.cost) / found.plain.bits
    assert saved > 0.8 * (small.plain.cost - small.best.cost) / small.plain.bits > 0.002


def test_a_tile_is_searched_with_its_neighbours(model: Model) -> None:
    """Only what is coded changes, only its pixels count, and neighbours count for what they do to these."""
    picture = tiny_model.photo(176, 192)
    y, tile, aim = analysed(model, picture), Box(4, 6, 8, 11), SHORT.aim(INDEX)
    found = refine(model, picture, y, tile, aim, SHORT.stages)
    y64 = np.rint(64 * y).astype(np.int32)
    tile.cut(y64)[...] = found.best.quantised.latents.y64
    (levels,) = model.transforms.synthesise([y64], INDEX)
    error = levels[64:128, 96:176].astype(float) - picture[64:128, 96:176]
    cost = found.best.bits + aim.beta * float(np.square(error).sum()) / 3
    assert found.best.cost == pytest.approx(cost, rel=1e-9)
    assert found.best.cost < found.plain.cost
    assert found.best.quantised.latents.y64.shape[1:] == (4, 5)


# Who is told


def two_tiles() -> tuple[Levels, Grid]:
    return tiny_model.photo(256, 512), Grid.of(256, 512, 4)


def search_all(
    model: Model, report: Report, picture: Levels, grid: Grid, searches: tuple[Plan, ...]
) -> list[list[Refined]]:
    found: list[list[Refined]] = []
    for plan in searches:
        report.begin(plan)
        aim = plan.aim(INDEX)
        found.append([])
        for each in tiles_with_neighbours(picture, [analysed(model, picture, aim.index)], grid):
            found[-1].append(refine(model, each.levels, each.y, each.tile, aim, plan.stages, report))
            report.add(found[-1][-1])
    return found


def test_a_listener_sees_all_tiles_and_searches_as_one(model: Model) -> None:
    seen: list[Progress] = []
    picture, grid = two_tiles()
    report = Report(seen.append, grid, plans(2))
    found = search_all(model, report, picture, grid, plans(2))
    assert [progress.step for progress in seen] == list(range(1, 2 * steps(2) + 1))
    assert {progress.steps for progress in seen} == {2 * steps(2)}
    assert not report.stopped
    assert report.plain_bits == pytest.approx(sum(each.plain.bits for each in found[0]))
    assert seen[-1].plain_bits == report.plain_bits
    saved = [progress.saved_bits for progress in seen]
    assert all(later >= earlier - 1e-6 for earlier, later in itertools.pairwise(saved))
    assert saved[0] == 0 < saved[-1]


@pytest.mark.parametrize("last", [1, 2, 5])
def test_a_listener_may_end_all_searches(model: Model, last: int) -> None:
    seen: list[Progress] = []

    def listen(progress: Progress) -> bool:
        seen.append(progress)
        return progress.step == last

    picture, grid = two_tiles()
    report = Report(listen, grid, plans(2))
    found = search_all(model, report, picture, grid, plans(2))
    assert len(seen) == last
    assert report.stopped
    # A stage that was not finished counts for nothing: plan 1 has a step a tile, plan 2 has one stage.
    assert [len(each.history) for each in found[0]] == [[1, 1], [2, 1], [2, 2]][min(2, last - 1)]
    assert [len(each.history) for each in found[1]] == [1, 1]
    assert found[1][1].stopped


# Windows and tiles


def test_windows_cover_each_latent_of_a_tile_once_and_begin_at_even_places() -> None:
    picture = Box(0, 0, 200, 301)
    for tile in (Box(0, 0, 64, 64), Box(64, 128, 128, 192), Box(0, 0, 200, 301), Box(128, 0, 200, 301)):
        seen = np.zeros(tile.size, int)
        for core, prior, synthesis in windows(tile, picture):
            core.relative_to(tile).cut(seen)[...] += 1
            for each, within in ((prior, tile), (synthesis, picture)):
                assert each == each.grown(0, within)
                assert core.grown(HALO, within) == each or core == tile == each
            assert (prior.top - tile.top) % 2 == (prior.left - tile.left) % 2 == 0
            assert (core.top - prior.top) % 2 == (core.left - prior.left) % 2 == 0
            assert core.size[0] * core.size[1] <= max(CORE**2, WHOLE)
        assert (seen == 1).all()


@pytest.mark.parametrize("tile", [None, 4])
def test_tiles_come_with_what_is_beside_them(tile: int | None) -> None:
    height, width = 640, 810
    grid = Grid.of(height, width, tile)
    levels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    y = np.random.default_rng(1).normal(size=(4, grid.height, grid.width)).astype(np.float32)
    rows = (y[:, top:bottom] for top, bottom in grid.rows())
    found = tiles_with_neighbours(levels, rows, grid)
    picture = whole_of(y)
    for top, bottom in grid.rows():
        for left, right in grid.columns():
            own = Box(top, left, bottom, right)
            seen = own.grown(HALO, picture)
            each = next(found)
            assert each.tile == own.relative_to(seen)
            assert np.array_equal(each.y, seen.cut(y))
            expected = levels[16 * seen.top : 16 * seen.bottom, 16 * seen.left : 16 * seen.right]
            assert np.array_equal(each.levels, expected)
    assert next(found, None) is None


# Rounding and code lengths


@pytest.mark.parametrize("noise", [False, True])
def test_a_soft_round_lies_between_neighbours_and_its_slope_is_its_derivative(noise: bool) -> None:
    rounding = Rounding(steepness=3.0, temperature=0.8, noise=noise)
    x = np.random.default_rng(1).uniform(-4, 4, 200)
    x = x[np.abs(x - np.rint(x)) > 1e-3]
    soft, slope = soft_round(x, rounding, np.random.default_rng(3))
    assert ((soft >= np.floor(x)) & (soft <= np.ceil(x))).all()
    above, below = (soft_round(x + step, rounding, np.random.default_rng(3))[0] for step in (1e-6, -1e-6))
    assert slope == pytest.approx((above - below) / 2e-6, rel=1e-4, abs=1e-6)
    if not noise:
        assert np.array_equal(np.rint(soft), np.rint(x))


def test_a_drawn_round_rounds_up_as_often_as_its_share_says() -> None:
    x = np.full(20000, 0.7, np.float32)
    soft, _ = soft_round(x, Rounding(steepness=4.0, temperature=0.6, noise=True), np.random.default_rng(0))
    share = 1 / (1 + (0.3 / 0.7) ** 4)
    assert (soft > 0.5).mean() == pytest.approx(share, abs=0.01)


def test_bits_are_the_tables_at_integers_and_have_their_slopes_between() -> None:
    counts = np.array([[1, 5, 2**24 - 7, 1], [2**22, 2**22, 2**22, 2**22]], np.int32).ravel()
    tables = Tables(counts, np.array([1, 1], np.int32))
    lengths = CodeLengths.of(tables)
    symbols = np.array([-1, 0, 1, 1, 2], np.int32)
    rows = np.array([0, 0, 0, 1, 1], np.int32)
    exact = tables.bits(symbols, rows)
    assert lengths.bits(symbols.astype(np.float32), rows.astype(np.float32)) == pytest.approx(exact)
    precise = dataclasses.replace(
        lengths,
        **{name: getattr(lengths, name).astype(np.float64) for name in ("corner", "slope", "fall", "twist")},
    )
    x, row = np.array([0.25, -0.5, 1.75, 5.5]), np.array([0.5, 0.25, 0.75, 0.5])
    of_symbols, of_rows = precise.slopes(x, row)
    for number, step in enumerate(1e-6 * np.eye(4)):
        assert precise.bits(x + step, row) - precise.bits(x - step, row) == pytest.approx(
            2e-6 * of_symbols[number]
        )
        assert precise.bits(x, row + step) - precise.bits(x, row - step) == pytest.approx(
            2e-6 * of_rows[number]
        )


# Plans


def test_levels_begin_alike_and_grow() -> None:
    levels = [
        [(plan.coarser, stage) for plan in plans(effort) for stage in plan.stages] for effort in range(10)
    ]
    assert len(levels) == MAX_EFFORT + 1
    assert levels[0] == []
    for effort, (shorter, longer) in enumerate(itertools.pairwise(levels)):
        assert longer[:-1] == shorter
        assert steps(effort + 1) - steps(effort) == longer[-1][1].steps > 0
    for wrong in (-1, 10):
        with pytest.raises(ValueError, match="effort"):
            plans(wrong)


def test_long_searches_aim_at_coarser_steps_and_the_same_beta() -> None:
    assert SHORT.aim(INDEX) == Aim(INDEX, INDEX)
    assert LONG.aim(INDEX) == Aim(INDEX - LONG.coarser, INDEX)
    assert LONG.aim(10) == Aim(0, 10)


def test_a_cost_is_better_only_beyond_doubt() -> None:
    assert better(997.0, 1000.0, 1000.0)
    assert not better(999.5, 1000.0, 1000.0)
