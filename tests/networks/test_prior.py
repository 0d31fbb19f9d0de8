"""rdae.networks.prior against slow_prior: the same integers, also where weights, activations and latents are at their
limits.
"""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pytest
import slow_prior
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small_graphs import SKIP_BELOW, Parts, prior_of, tight_layer
from tiny_model import random_layer

from rdae.codec.latents import go_through
from rdae.networks import normaliser, prior
from rdae.networks.architecture import TINY, Architecture
from rdae.networks.layers import (
    CONTEXT_MAX,
    HIDDEN_MAX,
    MEAN_MAX,
    LayerSpec,
    cells,
    prior_layers,
)
from rdae.networks.prior import SYMBOL_MAX, Prediction, Prior

Ints = npt.NDArray[np.int64]
Tables = dict[str, npt.NDArray[np.int32]]
MakeLayer = Callable[[LayerSpec, np.random.Generator], Parts]

Z = TINY.hyper_latents
Y = TINY.latents


@dataclass
class Numbers:
    """What a prior is made of; changed by those tests that need other tables."""

    architecture: Architecture
    layers: dict[str, Parts]
    tables: Tables

    def prior(self) -> Prior:
        return prior_of(self.architecture, self.layers, self.tables)

    def network(self) -> slow_prior.Network:
        network: slow_prior.Network = {name: table.tolist() for name, table in self.tables.items()}
        for name, parts in self.layers.items():
            for part, values in zip(("weight", "bias", "shift"), parts, strict=True):
                network[f"{name}.{part}"] = values.astype(int).tolist()
        return network


def random_numbers(seed: int, make: MakeLayer = random_layer) -> Numbers:
    rng = np.random.default_rng(seed)
    architecture = replace(TINY, context_deeper=seed % 3, context_trunks=(1, 4)[seed % 2])
    layers = {name: make(spec, rng) for name, spec in prior_layers(architecture).items()}
    return Numbers(architecture, layers, normaliser.integer_tables(np.exp(rng.uniform(-2.5, 2.5, Y))))


@dataclass
class Wanted:
    """Residuals that were chosen before, and what was predicted of them."""

    prior: Prior
    residuals: Ints
    predictions: list[Prediction] = field(default_factory=list)

    def of(self, prediction: Prediction) -> npt.NDArray[np.int32]:
        self.predictions.append(prediction)
        coded = prediction.scales >= self.prior.skip_below
        return self.prior.take(self.residuals, prediction.step).astype(np.int32) * coded


def run_fast(
    numbers: Numbers, z: Ints, index: int, residuals: Ints
) -> tuple[list[list[slow_prior.Coded]], npt.NDArray[np.int32]]:
    """Each step's latents in the order in which rdae.networks.prior tells them, and ŷ·64."""
    fast = numbers.prior()
    wanted = Wanted(fast, residuals)
    height, width = residuals.shape[1:]
    y64 = go_through(fast, z.astype(np.int32), index, (height, width), wanted)
    positions: list[Ints] = list(np.indices(residuals.shape))
    steps = []
    for step, prediction in enumerate(wanted.predictions):
        assert prediction.step == step
        columns = [*(fast.take(axis, step) for axis in positions), prediction.means, prediction.scales]
        steps.append([slow_prior.Coded(*map(int, row)) for row in zip(*columns, strict=True)])
    return steps, y64


def compare(numbers: Numbers, z: Ints, index: int, residuals: Ints) -> slow_prior.Run:
    slow = slow_prior.run(numbers.network(), z.tolist(), index, residuals.tolist(), SKIP_BELOW)
    steps, y64 = run_fast(numbers, z, index, residuals)
    assert steps == slow.steps
    assert y64.tolist() == slow.y64
    return slow


def draw_latents(seed: int, height: int, width: int) -> tuple[Ints, Ints]:
    """z and residuals, a good part of them at the ends of their ranges or, for z, beyond."""
    rng = np.random.default_rng(seed)
    z = rng.integers(-6, 7, (Z, -(-height // 4), -(-width // 4)))
    z = np.where(rng.random(z.shape) < 0.3, rng.choice([-128, -127, 127, 300], z.shape), z)
    residuals = rng.integers(-4, 5, (Y, height, width))
    ends = rng.choice([-SYMBOL_MAX, -300, 300, SYMBOL_MAX], residuals.shape)
    return z, np.where(rng.random(residuals.shape) < 0.2, ends, residuals)


@settings(max_examples=40)
@example(seed=0, size=(1, 1), index=0, make=tight_layer)
@example(seed=1, size=(1, 1), index=800, make=tight_layer)
@example(seed=2, size=(1, 5), index=800, make=tight_layer)
@example(seed=3, size=(5, 1), index=0, make=random_layer)
@example(seed=4, size=(3, 5), index=796, make=tight_layer)  # the first index of the tables' last row
@example(
    seed=5, size=(2, 3), index=437, make=tight_layer
)  # with these: 1 and 4 trunks, none, one and two pairs more
@given(
    seed=st.integers(0, 2**32),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    index=st.integers(0, 800),
    make=st.sampled_from([random_layer, tight_layer]),
)
def test_means_scales_and_latents_are_those_of_plain_integers(
    seed: int, size: tuple[int, int], index: int, make: MakeLayer
) -> None:
    compare(random_numbers(seed, make), *with_index(draw_latents(seed, *size), index))


def with_index(latents: tuple[Ints, Ints], index: int) -> tuple[Ints, int, Ints]:
    return latents[0], index, latents[1]


def test_the_comparison_reaches_the_ends_of_all_ranges() -> None:
    """Otherwise the property above would say little."""
    hyper, hidden, context, scales, ends = set(), set(), set(), set(), set()
    architectures = set()
    for seed in range(8):
        make = (random_layer, tight_layer)[seed % 2]
        numbers, index = random_numbers(seed, make), 100 * seed
        architectures.add((numbers.architecture.context_deeper, numbers.architecture.context_trunks))
        z, residuals = draw_latents(seed, 5, 6)
        hyper |= set(z.ravel().tolist())
        run = compare(numbers, z, index, residuals)
        hidden |= set(np.ravel(run.features).tolist())
        context |= set(np.ravel(run.context).tolist())
        # A mean is what the network said, times an entry of the tables: what do the largest that it may say become?
        entries = numbers.tables["from_mean"][normaliser.row(index)].tolist()
        for coded in itertools.chain.from_iterable(run.steps):
            scales.add(coded.scale)
            ends |= {
                end
                for end in (-MEAN_MAX, MEAN_MAX)
                if coded.mean == (end * entries[coded.channel] + 2**13) // 2**14
            }
    assert architectures == set(itertools.product((0, 1, 2), (1, 4)))
    assert {-128, -127, 127, 300} <= hyper  # 127 is the limit
    assert {0, HIDDEN_MAX} <= hidden
    assert len(hidden) > 100
    assert {-CONTEXT_MAX, CONTEXT_MAX} <= context
    assert ends == {-MEAN_MAX, MEAN_MAX}
    assert set(range(64)) <= scales


@pytest.mark.parametrize("spread", [0.0, 1e-3, 1e4])
def test_the_normaliser_s_tables_may_be_extreme(spread: float) -> None:
    """A channel that never has a latent, and one that has larger ones than any picture gives."""
    numbers = random_numbers(5, tight_layer)
    numbers.tables = normaliser.integer_tables(np.full(Y, spread))
    for index in (0, 800):
        compare(numbers, *with_index(draw_latents(index, 3, 3), index))


@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**32),
    size=st.tuples(st.integers(3, 9), st.integers(1, 3)),
    make=st.sampled_from([random_layer, tight_layer]),
)
def test_windows_of_rows_change_nothing(seed: int, size: tuple[int, int], make: MakeLayer) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prior, "WINDOW", 1)  # two rows each
        assert list(Prior._windows(5, 9)) == [(0, 2), (2, 4), (4, 5)]
        compare(random_numbers(seed, make), *with_index(draw_latents(seed, *size), 500))


@pytest.mark.parametrize("seed", range(6))
def test_windows_reach_as_far_as_the_networks_look(seed: int) -> None:
    """Many rows, and in each all that a context step may see: compared with one window, which needs no reach."""
    numbers = random_numbers(seed)
    z, residuals = draw_latents(seed, 21, 2)
    whole = run_fast(numbers, z, 300, residuals)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prior, "WINDOW", 8)  # four rows each
        cut = run_fast(numbers, z, 300, residuals)
    assert cut[0] == whole[0]
    assert np.array_equal(cut[1], whole[1])


def test_a_prior_at_the_bounds_of_its_tables_is_exact() -> None:
    numbers = random_numbers(7, tight_layer)
    for name in ("to_context", "from_mean"):
        numbers.tables[name][:, ::2] = 2**29
        numbers.tables[name][:, 1::4] = -(2**29)
    numbers.tables["index_offset"][:, ::3] = 2**29
    numbers.tables["index_offset"][:, 1::3] = -(2**29)
    compare(numbers, *with_index(draw_latents(7, 5, 6), 300))


@given(st.integers(-(2**26), 2**26), st.integers(0, 2**16))
def test_latents_are_normalised_as_plain_integers_are(y64: int, entry: int) -> None:
    fast = normaliser.to_context(np.array([y64], np.int32), np.array([entry]))
    assert fast == slow_prior.clamp((y64 * entry + 2**13) // 2**14, -2047, 2047)
    assert fast.dtype == np.float32


def test_the_normaliser_undoes_itself() -> None:
    made = normaliser.integer_tables(np.array([0.1, 1.0, 7.0]))
    to_context, from_mean, offset = (made[name] for name in ("to_context", "from_mean", "index_offset"))
    assert to_context.shape == from_mean.shape == offset.shape == (101, 3)
    assert to_context.dtype == from_mean.dtype == offset.dtype == np.int32
    # The network's unit is 1/128 going in and 1/2048 coming out: the product of both ways is 1, but for rounding.
    product = to_context.astype(float) * from_mean * (2048 / 128) / 2**28
    assert np.abs(product - 1).max() < 0.01
    # At the lowest quality a deviation of 7 steps and the step itself make sqrt(50) steps.
    assert from_mean[0, 2] == round(2**14 * 64 / 2048 * 50**0.5)
    # A reference scale of one step is no offset at all, and the offset is in the steps of the scale's index.
    assert offset[0, 0] == 0
    assert offset[100, 2] == round(np.log((7000**2 / 31.6227766**2 + 1) ** 0.5) / normaliser.LOG_SCALE_STEP)


def test_table_rows_are_whole_qualities() -> None:
    found = [normaliser.row(index) for index in (0, 3, 4, 11, 12, 400, 796, 800)]
    assert found == [0, 0, 1, 1, 2, 50, 100, 100]


def test_the_four_steps_code_each_group_at_each_cell_once() -> None:
    slots = [slot for step in range(4) for slot in cells(step)]
    assert len(slots) == len(set(slots)) == 16
    for step in range(4):
        assert len({(row, column) for _, row, column in cells(step)}) == 4
    for group, row, column in cells(0):
        assert slow_prior.step_of(group, row, column) == 0


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (5, 2)])
def test_what_a_step_takes_is_put_back_where_it_was(size: tuple[int, int]) -> None:
    tiny = random_numbers(0).prior()
    planes = np.arange(Y * size[0] * size[1]).reshape(Y, *size)
    again = np.zeros_like(planes) - 1
    for step in range(4):
        taken = tiny.take(planes, step)
        wanted = [planes[where] for where in slow_prior.positions(step, Y, *size)]
        assert taken.tolist() == wanted
        tiny.put(again, step, taken)
    assert np.array_equal(again, planes)


def test_cell_planes_say_where_in_its_2x2_a_position_is() -> None:
    planes = prior._cell_planes(3, 5)
    assert planes.shape == (1, 4, 3, 5)
    assert np.array_equal(planes.sum(axis=1), np.full((1, 3, 5), 128.0))
    assert [plane[2, 3] for plane in planes[0]] == [0, 128, 0, 0]


def test_what_is_not_coded_yet_changes_nothing_coded_before() -> None:
    """The order of decoding: a step's means and scales are known before its residuals."""
    numbers = random_numbers(3)
    z, residuals = draw_latents(3, 4, 4)
    before, _ = run_fast(numbers, z, 300, residuals)
    for step in range(4):
        changed = residuals.copy()
        for coded in before[step]:
            changed[coded.channel, coded.row, coded.column] += random.Random(step).choice([-9, 9])
        after, _ = run_fast(numbers, z, 300, changed)
        assert after[: step + 1] == before[: step + 1]
        if step < 3:
            assert after[step + 1] != before[step + 1]
