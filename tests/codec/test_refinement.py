"""Refinement finds better latents than the analysis, says nothing untrue of them, and knows when to stop."""

from __future__ import annotations

import gc
import io
import itertools
import weakref
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

import rdae
from rdae import codec, weights
from rdae.codec import container
from rdae.codec.tiles import Grid
from rdae.effort import MAX_EFFORT
from rdae.model import Model
from rdae.networks.tables import Tables
from rdae.quality import beta
from rdae.refinement import Progress, Refinement, plans, steps
from rdae.refinement.effort import COARSER, Aim
from rdae.refinement.lengths import Lengths
from rdae.refinement.rounding import Rounding
from rdae.refinement.synthesis import Decoder, Target
from rdae.refinement.twin import Twin
from rdae.refinement.windows import CORE, HALO, WHOLE, Box, windows
from rdae.training.modules.layers import exact_float32

EXAMPLE = Path(__file__).resolve().parents[2] / "data" / "example.png"
Levels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def model() -> Model:
    return weights.load(None)


def example(height: int = 96, width: int = 128, top: int = 150, left: int = 200) -> Levels:
    with Image.open(EXAMPLE) as image:
        return np.asarray(image.convert("RGB"))[top : top + height, left : left + width].copy()


def cost(
    picture: Levels, model: Model, index: int, effort: int, tile: int | None = None
) -> tuple[float, float]:
    """Bits + β·squared errors of a real file's decoded levels, and the bits."""
    found = codec.encode(picture, model, index, effort=effort, tile=tile)
    assert np.array_equal(codec.decode(found.data, model).picture, found.reconstruction)
    squares = float(np.square(found.reconstruction.astype(float) - picture).sum()) / 3
    return found.rate_bits + beta(index) * squares, found.rate_bits


@pytest.mark.parametrize("index", [80, 400, 720])
def test_each_level_is_no_worse_than_the_one_below_and_saves_something(model: Model, index: int) -> None:
    costs = [cost(example(), model, index, effort)[0] for effort in range(4)]
    _, plain_bits = cost(example(), model, index, 0)
    assert all(later <= earlier for earlier, later in itertools.pairwise(costs))
    assert costs[1] < costs[0] - 0.005 * plain_bits
    assert costs[3] < costs[0] - 0.02 * plain_bits


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (16, 48), (40, 70)])
def test_small_and_odd_sizes(model: Model, size: tuple[int, int]) -> None:
    picture = example(*size)
    costs = [cost(picture, model, 400, effort)[0] for effort in (0, 1, 3)]
    assert costs[2] <= costs[1] <= costs[0]


def test_tiles_are_refined_without_seams(model: Model) -> None:
    """A picture of twelve tiles saves about what it saves as one, and no worse next to the tiles' borders."""
    picture = example(384, 512, 0, 0)
    index = 400
    plain, plain_bits = cost(picture, model, index, 0, tile=None)
    whole, _ = cost(picture, model, index, 2, tile=None)
    plain_tiled, _ = cost(picture, model, index, 0, tile=4)
    tiled, _ = cost(picture, model, index, 2, tile=4)
    assert plain_tiled - tiled > 0.7 * (plain - whole) > 0.01 * plain_bits
    found = codec.encode(picture, model, index, effort=2, tile=4).reconstruction.astype(float)
    errors = np.square(found - picture).mean(axis=2)
    beside = np.zeros(errors.shape, bool)
    for border in (256, 512):
        beside[border - 2 : border + 2] = True
        beside[:, border - 2 : border + 2] = True
    before = np.square(
        codec.encode(picture, model, index, tile=4).reconstruction.astype(float) - picture
    ).mean(axis=2)
    assert errors[beside].mean() / before[beside].mean() < 1.15 * errors.mean() / before.mean()


def test_windows_cover_each_latent_of_a_tile_once_and_begin_at_even_places() -> None:
    picture = Box(0, 0, 200, 301)
    for tile in (Box(0, 0, 64, 64), Box(64, 128, 128, 192), Box(0, 0, 200, 301), Box(128, 0, 200, 301)):
        seen = np.zeros(tile.size, int)
        for core, sight, view in windows(tile, picture):
            inside = core.seen_from(tile)
            seen[inside.top : inside.bottom, inside.left : inside.right] += 1
            for each, within in ((sight, tile), (view, picture)):
                assert each == each.grown(0, within)
                assert core.grown(HALO, within) == each or core == tile == each
            assert (sight.top - tile.top) % 2 == (sight.left - tile.left) % 2 == 0
            assert core.size[0] * core.size[1] <= max(CORE**2, WHOLE)
        assert (seen == 1).all()


def test_the_twin_tells_the_files_rate(model: Model) -> None:
    index, picture = 400, example(128, 192)
    twin = Twin(model.prior, torch.float32)
    grid = Grid.of(picture.shape[0], picture.shape[1], None)
    (y,) = model.analyse(picture, index, grid.rows())
    z = model.hyper_analyse(y, index)
    with torch.no_grad(), exact_float32():
        seen = twin.seen(twin.features(z, index, (y.shape[1], y.shape[2])))
        bits, y_hat = twin.run(y[None], seen, twin.scales(index), lambda _, x: x.round())
    coded = codec.quantise(picture, model, index)
    symbols, rows, tables = coded.parts[0]
    of_y = coded.rate_bits() - tables.bits(symbols, rows)
    assert float(bits) == pytest.approx(of_y, rel=0.003)
    exact = coded.latents.y64[None] / 64
    assert float((y_hat - exact).abs().gt(0.05).float().mean()) < 0.02


def test_bits_are_the_tables_at_integers_and_have_their_slopes_between() -> None:
    counts = np.array([[1, 5, 2**24 - 7, 1], [2**22, 2**22, 2**22, 2**22]], np.int32).flatten()
    tables = Tables(counts, np.array([1, 1], np.int32))
    lengths = Lengths(tables, torch.device("cpu"))
    symbols = np.array([-1, 0, 1, 1, 2], np.int32)
    rows = np.array([0, 0, 0, 1, 1], np.int32)
    exact = tables.bits(symbols, rows)
    assert float(lengths.bits(torch.tensor(symbols).float(), torch.tensor(rows).float())) == pytest.approx(
        exact
    )
    x = torch.tensor([0.25, -0.5, 1.75], dtype=torch.float64, requires_grad=True)
    row = torch.tensor([0.5, 0.25, 0.75], dtype=torch.float64, requires_grad=True)
    lengths.parts = lengths.parts.double()
    assert torch.autograd.gradcheck(lengths.bits, (x, row))


@pytest.mark.parametrize("noise", [False, True])
def test_a_soft_round_lies_between_neighbours_and_its_gradient_is_its_slope(noise: bool) -> None:
    rounding = Rounding(steepness=3.0, temperature=0.8, noise=noise)

    def drawn(x: torch.Tensor) -> torch.Tensor:
        return rounding(x, torch.Generator().manual_seed(3))

    x = (
        torch.rand(200, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 8 - 4
    ).requires_grad_()
    soft = drawn(x)
    assert ((soft >= x.floor()) & (soft <= x.ceil())).all()
    assert torch.autograd.gradcheck(drawn, x)
    if not noise:
        assert torch.equal(soft.detach().round(), x.detach().round())


@pytest.mark.parametrize("size", [(64, 96), (51, 83)])
def test_the_squared_error_is_the_decoders_and_its_gradient_that_of_its_modules(
    model: Model, size: tuple[int, int]
) -> None:
    index, picture = 400, example(*size)
    (y,) = model.analyse(picture, index, [(0, 4)])
    y_hat, gains = y.round()[None].clone(), model.gains
    theirs = y_hat.clone().requires_grad_()
    made = model.synthesis(
        theirs * gains.restore[index][None, :, None, None], gains.synthesis[index][None, :, None, None]
    )
    errors = (made[0].permute(1, 2, 0) * 255)[: size[0], : size[1]] - torch.from_numpy(picture)
    expected = errors.square().sum()
    (wanted,) = torch.autograd.grad(expected, theirs)
    for dtype, error in ((torch.float32, 1e-4), (torch.bfloat16, 0.15)):
        own = y_hat.clone().requires_grad_()
        squares = Decoder(model, dtype).squares(own, Target(picture, (4, 6), own.device), index)
        (gradient,) = torch.autograd.grad(squares * 3, own)
        assert float(squares.detach()) == pytest.approx(float(expected.detach()), rel=error)
        assert float((gradient / 3 - wanted).norm()) < error * float(wanted.norm())


def test_the_same_effort_gives_the_same_bytes(model: Model) -> None:
    picture = example(64, 80)
    assert codec.compress(picture, model, 300, effort=3) == codec.compress(picture, model, 300, effort=3)


def test_what_is_written_is_verified_and_decodes() -> None:
    data = rdae.compress(example(), 40, effort=2, verify=True)
    assert rdae.decompress(data).size == (128, 96)
    assert len(data) < len(rdae.compress(example(), 40, effort=0)) * 1.02


def test_a_listener_sees_each_step_and_may_end_the_search(model: Model) -> None:
    seen: list[Progress] = []

    def listen(progress: Progress) -> bool:
        seen.append(progress)
        return len(seen) == 7

    data = codec.compress(example(), model, 400, effort=3, listener=listen)
    assert [progress.step for progress in seen] == list(range(1, 8))
    assert {progress.steps for progress in seen} == {steps(3)}
    assert all(later.saved_bits >= earlier.saved_bits for earlier, later in itertools.pairwise(seen))
    assert 0 < seen[-1].saved_bits < seen[-1].plain_bits
    # Seven steps are the first two levels and two steps of the third, which count for nothing.
    assert data == codec.compress(example(), model, 400, effort=2)
    ended = codec.compress(
        example(), model, 400, effort=4, listener=lambda progress: progress.step == steps(3) + 3
    )
    assert ended == codec.compress(example(), model, 400, effort=3) != data


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


def test_long_searches_write_coarser_steps_at_the_same_beta(model: Model) -> None:
    """Of any quality, also where there are none coarser, the file is the best of both searches."""
    for index in (0, 10, 400):
        coarser = max(0, index - COARSER)
        written = container.parse(codec.compress(example(), model, index, effort=3)).header.quality_index
        assert written in (coarser, index)
        costs = [cost(example(), model, index, effort)[0] for effort in (2, 3)]
        assert costs[1] <= costs[0]
    assert written == coarser


def test_a_search_leaves_the_latents_that_it_was_given(model: Model) -> None:
    picture = example(48, 48)
    grid = Grid.of(48, 48, None)
    with torch.inference_mode(), exact_float32():
        (y,) = model.analyse(picture, 400, grid.rows())
        before = y.clone()
        Refinement(model, picture, y, Box(0, 0, 3, 3), Aim(400, beta(400))).run(plans(2)[0].stages)
        assert torch.equal(y, before)


def test_targets_are_met_with_effort_too() -> None:
    picture = example(192, 256, 0, 0)
    plain = rdae.compress(picture, target=rdae.Target("size", 3000), effort=0)
    better = rdae.compress(picture, target=rdae.Target("size", 3000), effort=2)
    assert 2900 <= len(better) <= 3000
    error = [
        np.square(np.asarray(rdae.decompress(data)).astype(float) - picture).mean()
        for data in (plain, better)
    ]
    assert error[1] < error[0]


def test_pillow_takes_an_effort() -> None:
    import rdae.pillow

    image = Image.fromarray(example())
    files = []
    for effort in (0, 2):
        file = io.BytesIO()
        image.save(file, "RDAE", quality=40, effort=effort)
        files.append(file.getvalue())
    assert files[0] == rdae.compress(image, 40, effort=0)
    assert files[1] == rdae.compress(image, 40, effort=2)


def test_all_levels_of_a_search_are_the_files_of_these_levels(model: Model) -> None:
    picture = example(64, 96)
    files, seconds = zip(*codec.efforts(picture, model, 400, 3), strict=True)
    assert list(files) == [codec.compress(picture, model, 400, effort=effort) for effort in range(4)]
    assert list(seconds) == sorted(seconds)


def test_a_listener_sees_all_tiles_as_one_and_may_end_them_all(model: Model) -> None:
    picture = example(384, 300, 0, 0)
    seen: list[Progress] = []
    data = codec.compress(picture, model, 400, tile=4, effort=1, listener=seen.append)
    assert [progress.step for progress in seen] == [1, 2, 3, 4]
    assert {progress.steps for progress in seen} == {4}
    assert seen[-1].plain_bits > 1.2 * seen[0].plain_bits
    ended = codec.compress(picture, model, 400, tile=4, effort=1, listener=lambda _: True)
    assert ended == codec.compress(picture, model, 400, tile=4) != data


def test_what_is_kept_for_a_model_does_not_keep_the_model() -> None:
    opened = weights.load(None)
    codec.compress(example(32, 32), opened, 400, effort=1)
    prior = weakref.ref(opened.prior)
    del opened
    gc.collect()
    assert prior() is None
