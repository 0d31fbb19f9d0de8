"""rdae.prior against slow_prior: the same integers, also where weights, activations and latents are at their limits."""

import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import slow_prior
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_model import SKIP_BELOW, blank_prior, random_layer
from torch import Tensor

from rdae import rows
from rdae.networks.architecture import TINY
from rdae.prior.exact import SYMBOL_MAX, ExactPrior, Places
from rdae.training.modules import normaliser
from rdae.training.modules.context_model import CONTEXT_MAX, MEAN_MAX, cell_planes, cells
from rdae.training.modules.layers import EXACT_BOUND, HIDDEN_MAX, ExactLayer, LayerSpec, exact_float32

Ints = npt.NDArray[np.int64]
Parts = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]
MakeLayer = Callable[[LayerSpec, np.random.Generator], Parts]

Z = TINY.hyper_latents
Y = TINY.latents


def tight_layer(spec: LayerSpec, rng: np.random.Generator) -> Parts:
    """Weight, bias and shift of a layer whose sums just stay below 2**24: a bias larger by one breaks the bound."""
    shape = spec.weight_shape
    weight, bias = np.zeros(shape), np.zeros(shape[0])
    shift = rng.integers(1, 24, shape[0]) if rng.random() < 0.2 else rng.integers(8, 15, shape[0])
    for channel in range(shape[0]):
        room = EXACT_BOUND - 1 - 2 ** (int(shift[channel]) - 1)
        fan = int(np.prod(shape[1:]))
        shares = rng.multinomial(room // spec.max_in, rng.dirichlet(np.full(fan, 0.5)))
        # Now and then all of one sign, so that the bound is not only kept but reached.
        signs = rng.choice([-1, 1], fan) if rng.random() < 0.7 else rng.choice([-1, 1])
        weight[channel] = (shares * signs).reshape(shape[1:])
        bias[channel] = (room - shares.sum() * spec.max_in) * rng.choice([-1, 1])
    return weight, bias, shift.astype(np.float64)


def layer_of(spec: LayerSpec, parts: Parts) -> ExactLayer:
    layer = ExactLayer(spec)
    names = ("weight", "bias", "shift")
    state = {name: torch.from_numpy(part).float() for name, part in zip(names, parts, strict=True)}
    layer.load_state_dict(state)
    layer.check()
    return layer


def random_prior(seed: int, make: MakeLayer = random_layer) -> ExactPrior:
    rng = np.random.default_rng(seed)
    prior = blank_prior(replace(TINY, context_deeper=seed % 3, context_trunks=(1, 4)[seed % 2]))
    for module in prior.modules():
        if isinstance(module, ExactLayer):
            parts = make(module.spec, rng)
            for name, part in zip(("weight", "bias", "shift"), parts, strict=True):
                getattr(module, name).copy_(torch.from_numpy(part))
    spread = torch.from_numpy(np.exp(rng.uniform(-2.5, 2.5, Y)))
    for name, table in zip(
        ("to_context", "from_mean", "index_offset"), normaliser.integer_tables(spread), strict=True
    ):
        getattr(prior, name).copy_(table)
    prior.check()
    return prior


def network_of(prior: ExactPrior) -> slow_prior.Network:
    return {name: tensor.long().tolist() for name, tensor in prior.state_dict().items()}


def run_fast(
    prior: ExactPrior, z: Ints, index: int, residuals: Ints
) -> tuple[list[list[slow_prior.Coded]], Ints]:
    """Each step's latents in the order in which rdae.prior tells them, and ŷ·64."""
    wanted = torch.from_numpy(residuals.copy()).int()
    positions = torch.from_numpy(np.indices(residuals.shape))
    steps: list[list[slow_prior.Coded]] = []

    def code(places: Places, means: Tensor, scales: Tensor) -> Tensor:
        columns = [*(places.take(axis).numpy() for axis in positions), means.numpy(), scales.numpy()]
        steps.append([slow_prior.Coded(*map(int, row)) for row in zip(*columns, strict=True)])
        return places.take(wanted) * (scales >= prior.skip_below)

    height, width = residuals.shape[1:]
    y64 = prior.run(torch.from_numpy(z), index, (height, width), code)
    return steps, y64.numpy()


def compare(prior: ExactPrior, z: Ints, index: int, residuals: Ints) -> slow_prior.Run:
    slow = slow_prior.run(network_of(prior), z.tolist(), index, residuals.tolist(), SKIP_BELOW)
    steps, y64 = run_fast(prior, z, index, residuals)
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
@given(
    seed=st.integers(0, 2**32),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    index=st.integers(0, 800),
    make=st.sampled_from([random_layer, tight_layer]),
)
def test_means_scales_and_latents_are_those_of_plain_integers(
    seed: int, size: tuple[int, int], index: int, make: MakeLayer
) -> None:
    compare(random_prior(seed, make), *with_index(draw_latents(seed, *size), index))


def with_index(latents: tuple[Ints, Ints], index: int) -> tuple[Ints, int, Ints]:
    return latents[0], index, latents[1]


def test_the_comparison_reaches_the_ends_of_all_ranges() -> None:
    """Otherwise the property above would say little."""
    hyper, hidden, context, scales, ends = set(), set(), set(), set(), set()
    for seed in range(8):
        make = (random_layer, tight_layer)[seed % 2]
        prior, index = random_prior(seed, make), 100 * seed
        z, residuals = draw_latents(seed, 5, 6)
        hyper |= set(z.ravel().tolist())
        run = compare(prior, z, index, residuals)
        hidden |= set(np.ravel(run.features).tolist())
        context |= set(np.ravel(run.context).tolist())
        # A mean is what the network said, times an entry of the tables: what do the largest that it may say become?
        entries = prior.from_mean[normaliser.row(index)].tolist()
        for coded in itertools.chain.from_iterable(run.steps):
            scales.add(coded.scale)
            ends |= {
                end
                for end in (-MEAN_MAX, MEAN_MAX)
                if coded.mean == (end * entries[coded.channel] + 2**13) // 2**14
            }
    assert {-128, -127, 127, 300} <= hyper  # 127 is the limit
    assert {0, HIDDEN_MAX} <= hidden
    assert len(hidden) > 100
    assert {-CONTEXT_MAX, CONTEXT_MAX} <= context
    assert ends == {-MEAN_MAX, MEAN_MAX}
    assert set(range(64)) <= scales


@pytest.mark.parametrize("spread", [0.0, 1e-3, 1e4])
def test_the_normaliser_s_tables_may_be_extreme(spread: float) -> None:
    """A channel that never has a latent, and one that has larger ones than any picture gives."""
    prior = random_prior(5, tight_layer)
    tables = normaliser.integer_tables(torch.full((Y,), spread, dtype=torch.float64))
    for name, table in zip(("to_context", "from_mean", "index_offset"), tables, strict=True):
        getattr(prior, name).copy_(table)
    prior.check()
    for index in (0, 800):
        compare(prior, *with_index(draw_latents(index, 3, 3), index))


@settings(max_examples=10)
@given(
    seed=st.integers(0, 2**32),
    size=st.tuples(st.integers(3, 9), st.integers(1, 3)),
    make=st.sampled_from([random_layer, tight_layer]),
)
def test_bands_of_rows_change_nothing(seed: int, size: tuple[int, int], make: MakeLayer) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rows._BYTES, "cpu", 1)  # two rows each
        patch.setattr(rows, "_LEAST", 2)
        assert list(rows.bands(5, 9, torch.device("cpu"))) == [(0, 2), (2, 4), (4, 5)]
        compare(random_prior(seed, make), *with_index(draw_latents(seed, *size), 500))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32), kernel=st.sampled_from([0, 3]), context=st.booleans(), output=st.booleans()
)
def test_a_layer_at_its_bound_is_exact(seed: int, kernel: int, context: bool, output: bool) -> None:
    rng = np.random.default_rng(seed)
    spec = LayerSpec(name="layer", channels_in=5, channels_out=5 if kernel else 3, kernel=kernel)
    if context and not kernel:
        spec = replace(spec, max_in=CONTEXT_MAX)
    if output and not kernel:
        spec = replace(spec, low=-32767, high=32767)
    weight, bias, shift = parts = tight_layer(spec, rng)
    lowest = -spec.max_in if context and not kernel else 0
    x = rng.integers(lowest, spec.max_in + 1, (5, 4, 3))
    x = np.where(rng.random(x.shape) < 0.4, rng.choice([lowest, spec.max_in], x.shape), x)
    if not kernel:  # one position where a sum is as large as it can be, and one where it is as small
        x[:, 0, 0] = np.where(weight[0] > 0, spec.max_in, lowest)
        x[:, 0, 1] = np.where(weight[0] < 0, spec.max_in, lowest)
    network: dict[str, Any] = {
        "a.weight": weight.astype(int).tolist(),
        "a.bias": bias.astype(int).tolist(),
        "a.shift": shift.astype(int).tolist(),
    }
    if kernel:
        slow = slow_prior.depthwise(x.tolist(), network, "a")
    else:
        slow = slow_prior.pointwise(x.tolist(), network, "a", spec.low, spec.high)
    fast = layer_of(spec, parts)(torch.from_numpy(x).float()[None])[0]
    assert fast.long().tolist() == slow


@pytest.mark.parametrize("kernel", [0, 3])
def test_a_wide_layer_is_exact(kernel: int) -> None:
    """As wide as a real one, in both memory layouts, so that torch takes the kernels that it takes there."""
    rng = np.random.default_rng(kernel)
    width = 256
    spec = LayerSpec(name="wide", channels_in=width, channels_out=width, kernel=kernel)
    parts = tight_layer(spec, rng)
    layer = layer_of(spec, parts)
    x = rng.integers(0, HIDDEN_MAX + 1, (width, 21, 34))
    x[:, :4] = HIDDEN_MAX
    weight, bias, shift = (part.astype(np.int64) for part in parts)
    if kernel:
        bordered = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        shifted = [
            weight[:, 0, i, j, None, None] * bordered[:, i : i + 21, j : j + 34]
            for i in range(3)
            for j in range(3)
        ]
        total = np.sum(shifted, axis=0)
    else:
        total = np.einsum("oi,ihw->ohw", weight, x)
    rounded = (total + bias[:, None, None] + (1 << shift - 1)[:, None, None]) >> shift[:, None, None]
    expected = torch.from_numpy(rounded.clip(0, HIDDEN_MAX))
    given_ = torch.from_numpy(x).float()[None]
    for layout in (torch.contiguous_format, torch.channels_last):
        with torch.inference_mode():
            assert torch.equal(layer(given_.contiguous(memory_format=layout))[0].long(), expected)


@pytest.mark.parametrize(
    ("total", "shift", "expected"),
    [(3, 1, 2), (-3, 1, -1), (-1, 1, 0), (-2, 2, 0), (-3, 2, -1), (5, 23, 0), (-(2**23) + 1, 23, -1)],
)
def test_halves_are_rounded_up_and_negative_sums_by_floor(total: int, shift: int, expected: int) -> None:
    spec = LayerSpec(name="layer", channels_in=1, channels_out=1, max_in=1, low=-127, high=127)
    layer = layer_of(spec, (np.zeros((1, 1)), np.array([float(total)]), np.array([float(shift)])))
    assert layer(torch.ones(1, 1, 1, 1)).item() == expected
    assert slow_prior.finish(total, shift, -127, 127) == expected


def test_a_layer_beyond_the_bound_is_refused() -> None:
    spec = LayerSpec(name="layer", channels_in=3, channels_out=2, max_in=CONTEXT_MAX)
    weight, bias, shift = tight_layer(spec, np.random.default_rng(0))
    layer = layer_of(spec, (weight, bias, shift))  # just within
    layer.bias += layer.bias.sign()
    with pytest.raises(ValueError, match=r"layer: a sum may reach 16777216, beyond 2\^24"):
        layer.check()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("weight", 0.5, "integers"),
        ("bias", float("nan"), "integers"),
        ("bias", float("inf"), "beyond"),
        ("shift", 0.0, "shift"),
        ("shift", 24.0, "shift"),
    ],
)
def test_a_layer_of_other_numbers_is_refused(name: str, value: float, words: str) -> None:
    layer = ExactLayer(LayerSpec(name="layer", channels_in=1, channels_out=2))
    layer.check()
    getattr(layer, name)[-1] = value
    with pytest.raises(ValueError, match=words):
        layer.check()


@pytest.mark.parametrize("name", ["to_context", "from_mean", "index_offset"])
def test_a_prior_refuses_tables_with_which_int32_would_overflow(name: str) -> None:
    prior = random_prior(0)
    getattr(prior, name)[-1, -1] = -(2**29)
    prior.check()  # at the bound
    getattr(prior, name)[-1, -1] -= 1
    with pytest.raises(ValueError, match=rf"{name} has entries beyond 2\^29"):
        prior.check()


def test_a_prior_at_the_bounds_of_its_tables_is_exact() -> None:
    prior = random_prior(7, tight_layer)
    for name in ("to_context", "from_mean"):
        getattr(prior, name)[:, ::2] = 2**29
        getattr(prior, name)[:, 1::4] = -(2**29)
    prior.index_offset[:, ::3] = 2**29
    prior.index_offset[:, 1::3] = -(2**29)
    prior.check()
    compare(prior, *with_index(draw_latents(7, 5, 6), 300))


def test_a_prior_refuses_a_layer_beyond_the_bound() -> None:
    prior = random_prior(0)
    layer = prior.context.means[7]
    assert isinstance(layer, ExactLayer)
    layer.weight[0, 0] += 2**14
    with pytest.raises(ValueError, match=r"context\.means\.1\.3"):
        prior.check()


@given(st.integers(-(2**26), 2**26), st.integers(0, 2**16))
def test_latents_are_normalised_as_plain_integers_are(y64: int, entry: int) -> None:
    fast = normaliser.to_context(torch.tensor(y64), torch.tensor(entry))
    assert fast == slow_prior.clamp((y64 * entry + 2**13) // 2**14, -2047, 2047)
    fast = normaliser.from_mean(torch.tensor(y64 >> 11), torch.tensor(entry))
    assert fast == ((y64 >> 11) * entry + 2**13) // 2**14


def test_the_normaliser_undoes_itself() -> None:
    spread = torch.tensor([0.1, 1.0, 7.0], dtype=torch.float64)
    to_context, from_mean, offset = normaliser.integer_tables(spread)
    assert to_context.shape == from_mean.shape == offset.shape == (101, 3)
    assert to_context.dtype == from_mean.dtype == offset.dtype == torch.int32
    # The network's unit is 1/128 going in and 1/2048 coming out: the product of both ways is 1, but for rounding.
    product = to_context.double() * from_mean.double() * (2048 / 128) / 2**28
    assert (product - 1).abs().max() < 0.01
    # At the lowest quality a deviation of 7 steps and the step itself make sqrt(50) steps.
    assert from_mean[0, 2] == round(2**14 * 64 / 2048 * 50**0.5)
    # A reference scale of one step is no offset at all, and the offset is in the steps of the scale's index.
    assert offset[0, 0] == 0
    assert offset[100, 2] == round(np.log((7000**2 / 31.6227766**2 + 1) ** 0.5) / normaliser.LOG_SCALE_STEP)


def test_table_rows_are_whole_qualities() -> None:
    assert [normaliser.row(index) for index in (0, 3, 4, 11, 12, 400, 796, 800)] == [
        0,
        0,
        1,
        1,
        2,
        50,
        100,
        100,
    ]


def test_the_four_steps_code_each_group_at_each_cell_once() -> None:
    slots = [slot for step in range(4) for slot in cells(step)]
    assert len(slots) == len(set(slots)) == 16
    for step in range(4):
        assert len({(row, column) for _, row, column in cells(step)}) == 4
    for group, row, column in cells(0):
        assert slow_prior.step_of(group, row, column) == 0


def test_cell_planes_say_where_in_its_2x2_a_position_is() -> None:
    planes = cell_planes(3, 5, 128.0, torch.zeros(1))
    assert planes.shape == (1, 4, 3, 5)
    assert torch.equal(planes.sum(dim=1), torch.full((1, 3, 5), 128.0))
    assert [plane[2, 3].item() for plane in planes[0]] == [0, 128, 0, 0]


def test_what_is_not_coded_yet_changes_nothing_coded_before() -> None:
    """The order of decoding: a step's means and scales are known before its residuals."""
    prior = random_prior(3)
    z, residuals = draw_latents(3, 4, 4)
    before, _ = run_fast(prior, z, 300, residuals)
    for step in range(4):
        changed = residuals.copy()
        for coded in before[step]:
            changed[coded.channel, coded.row, coded.column] += random.Random(step).choice([-9, 9])
        after, _ = run_fast(prior, z, 300, changed)
        assert after[: step + 1] == before[: step + 1]
        if step < 3:
            assert after[step + 1] != before[step + 1]


def test_the_guard_restores_what_it_found() -> None:
    torch.set_float32_matmul_precision("medium")
    try:
        with exact_float32():
            with exact_float32():
                pass
            a = torch.randint(0, 500, (64, 64), generator=torch.Generator().manual_seed(0)).float()
            with torch.autocast("cpu", dtype=torch.bfloat16), exact_float32():
                assert torch.equal((a @ a).double(), a.double() @ a.double())
            assert torch.equal((a @ a).double(), a.double() @ a.double())
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
