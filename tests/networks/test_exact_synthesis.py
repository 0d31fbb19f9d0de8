"""rdae.transforms.exact against slow_synthesis: the same pixels, also where numbers are at the ends of their ranges."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import slow_synthesis
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import MINI, SMALL, model_tensors, photo
from torch import Tensor

from rdae import codec, rows
from rdae.model import Model
from rdae.transforms import exact
from rdae.transforms.exact import ExactSynthesis

CPU = torch.device("cpu")


def synthesis_state(seed: int, *, loud: float = 1.0) -> dict[str, Tensor]:
    """A random synthesis' tensors as a weights file holds them.  loud: multiplies all weights."""
    tensors = model_tensors(MINI, seed)
    state = {
        name.removeprefix("synthesis."): t for name, t in tensors.items() if name.startswith("synthesis.")
    }
    rng = np.random.default_rng(seed)
    for name, tensor in state.items():
        if name.startswith("to_") and name.endswith("bias"):
            tensor.copy_(torch.from_numpy(rng.normal(0, 0.1, tensor.shape)))
        if not name.endswith("scale"):
            tensor.mul_(loud)
    return state


def compare(
    state: dict[str, Tensor], y64: np.ndarray[Any, Any], restore: Tensor, fine_gain: Tensor
) -> slow_synthesis.Run:
    numbers = {name: tensor.double().tolist() for name, tensor in state.items()}
    slow = slow_synthesis.run(numbers, y64.tolist(), restore.tolist(), fine_gain.tolist())
    fast = torch.cat(list(ExactSynthesis(state, CPU).run([torch.from_numpy(y64).int()], restore, fine_gain)))
    assert fast.dtype == torch.uint8
    assert fast.tolist() == slow.levels
    return slow


def draw(seed: int, height: int, width: int, size: float) -> tuple[np.ndarray[Any, Any], Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    y64 = np.round(rng.normal(0, 64 * 20 * size, (MINI.latents, height, width))).astype(np.int64)
    ends = rng.choice([-(2**26), 2**26], y64.shape)
    y64 = np.where(rng.random(y64.shape) < 0.1, ends, y64) if size >= 1 else y64
    restore = torch.from_numpy(np.exp(rng.normal(-3, 0.5, MINI.latents))).float()
    return y64, restore, torch.from_numpy(np.exp(rng.normal(0, 0.2, MINI.fine))).float()


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**32),
    size=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    loud=st.sampled_from([0.3, 1.0, 30.0]),
    spread=st.sampled_from([0.0, 0.3, 4.0]),
)
def test_pixels_are_those_of_plain_integers(
    seed: int, size: tuple[int, int], loud: float, spread: float
) -> None:
    compare(synthesis_state(seed, loud=loud), *draw(seed, *size, spread))


def test_the_comparison_reaches_the_ends_of_all_ranges() -> None:
    """Otherwise the property above would say little."""
    seen: dict[str, set[int]] = {}
    levels: set[int] = set()
    for seed, (loud, spread) in enumerate([(1.0, 4.0), (30.0, 4.0), (200.0, 1.0), (1.0, 0.3)]):
        run = compare(synthesis_state(seed, loud=loud), *draw(seed, 2, 2, spread))
        for kind, values in run.seen.items():
            seen.setdefault(kind, set()).update(values)
        levels |= set(np.ravel(run.levels).tolist())
    one = slow_synthesis.ONE
    limits = {"latent": 128, "feature": 128, "expanded": 4096, "value": 8, "gated": 48, "pixel": 4}
    for kind, limit in limits.items():
        assert (min(seen[kind]), max(seen[kind])) == (-limit * one, limit * one), kind
    assert {0, 6 * one} <= seen["gate"]
    assert {0, 255} <= levels
    assert len(levels) > 100


def test_bands_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    state, inputs = synthesis_state(3), draw(3, 5, 3, 0.3)
    (whole,) = ExactSynthesis(state, CPU).run([torch.from_numpy(inputs[0]).int()], *inputs[1:])
    monkeypatch.setitem(rows._BYTES, "cpu", 1)  # two rows each
    monkeypatch.setattr(rows, "_LEAST", 2)
    compare(state, *inputs)
    parts = list(ExactSynthesis(state, CPU).run([torch.from_numpy(inputs[0]).int()], *inputs[1:]))
    assert len(parts) > 1
    assert torch.equal(torch.cat(parts), whole)


def test_exact_pixels_are_those_of_floats_but_for_a_level(tiny: Model) -> None:
    for index in (0, 400, 800):
        data = codec.compress(photo(61, 83), tiny, index)
        plain, exactly = codec.decode(data, tiny), codec.decode(data, tiny, exact=True)
        assert plain.latents_sha256 == exactly.latents_sha256
        assert np.abs(plain.picture.astype(int) - exactly.picture).max() <= 1
        assert exactly.picture.std() > 5


def test_a_wide_layer_at_its_bound_is_exact() -> None:
    """As wide as a real one, with sums that all but reach 2^52, so that torch takes the kernels that it takes there."""
    rng = np.random.default_rng(0)
    fan, out, limit = SMALL.latents * 6, 128, exact.FEATURE_MAX
    shares = rng.multinomial(int(2**52 / limit) - 2, np.full(fan, 1 / fan), out).T.astype(np.float64)
    weight = torch.from_numpy(shares * rng.choice([-1.0, 1.0], (fan, out)))
    bits = 10
    layer = exact._layer(weight / 2**bits, torch.zeros(out, dtype=torch.float64), limit, 2.0**60)
    assert layer.bits == bits  # one bit more would break the bound
    x = torch.from_numpy(rng.choice([-limit, limit, limit - 1, 12345.0], (7, 5, fan)))
    x[0, 0], x[0, 1] = limit * weight[:, 0].sign(), -limit * weight[:, 1].sign()
    total = x.long() @ weight.long()
    assert total.abs().max() > 0.999 * 2**52
    assert torch.equal(layer(x.clone()).long(), (total + 2 ** (bits - 1)) >> bits)


@given(st.lists(st.floats(2.0**-10, 2.0**10, width=32), min_size=1, max_size=30))
@settings(max_examples=60)
def test_the_geometric_mean_is_the_nearest_float(numbers: list[float]) -> None:
    assert exact._geometric_mean(numbers) == slow_synthesis.geometric_mean(numbers)


@pytest.mark.parametrize("value", [math.inf, math.nan, 0.0, 1e30])
def test_weights_beyond_the_bounds_are_refused(value: float) -> None:
    state = synthesis_state(0)
    name = "coarse.0.scale" if value == 0.0 else "to_fine.weight"
    state[name] = state[name].float()
    state[name][0] = value
    with pytest.raises(ValueError, match="too large for exact arithmetic"):
        ExactSynthesis(state, CPU)


def test_halves_are_rounded_up() -> None:
    assert [slow_synthesis.halves_up(Fraction(n, 2)) for n in (-3, -1, 1, 3)] == [-1, 0, 1, 2]
    layer = exact._Layer(torch.ones(1, 1).double(), torch.zeros(1).double(), 1, 100.0)
    assert layer(torch.tensor([[[-3.0]], [[-1.0]], [[1.0]], [[3.0]]]).double()).flatten().tolist() == [
        -1,
        0,
        1,
        2,
    ]
