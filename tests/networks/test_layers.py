"""rdae.networks.layers: what keeps the bounds is exact, at the bounds too, and what does not keep them is refused."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import slow_prior
from hypothesis import given, settings
from hypothesis import strategies as st
from small_graphs import integers, layer_graph, tight_layer

from rdae.networks.architecture import TINY, Architecture
from rdae.networks.layers import CONTEXT_MAX, HIDDEN_MAX, LayerSpec, prior_layers

Ints = npt.NDArray[np.int64]

DEEP = dataclasses.replace(TINY, context_deeper=2, context_trunks=4)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32), kernel=st.sampled_from([0, 3]), context=st.booleans(), output=st.booleans()
)
def test_a_layer_at_its_bound_is_exact(seed: int, kernel: int, context: bool, output: bool) -> None:
    rng = np.random.default_rng(seed)
    spec = LayerSpec(name="layer", channels_in=5, channels_out=5 if kernel else 3, kernel=kernel)
    if context and not kernel:
        spec = dataclasses.replace(spec, max_in=CONTEXT_MAX)
    if output and not kernel:
        spec = dataclasses.replace(spec, low=-32767, high=32767)
    weight, bias, shift = parts = tight_layer(spec, rng)
    spec.check(**integers(parts))
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
    (fast,) = layer_graph(spec, parts).run(x=x[None].astype(np.float32))
    assert fast[0].tolist() == slow


def wide_sums(weight: Ints, x: Ints) -> Ints:
    """The sums of a 1x1 or a depthwise 3x3 convolution, (C, h, w), in 64 bits."""
    if weight.ndim == 2:
        return np.asarray(np.einsum("oi,ihw->ohw", weight, x))
    height, width = x.shape[1:]
    bordered = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    shifted = [
        weight[:, 0, i, j, None, None] * bordered[:, i : i + height, j : j + width]
        for i, j in itertools.product(range(3), range(3))
    ]
    return np.asarray(np.sum(shifted, axis=0))


LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kernel", [0, 3])
def test_a_wide_layer_is_exact(
    kernel: int, level: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As wide as a real one, so that the runtime takes the kernels that it takes there."""
    rng = np.random.default_rng(kernel)
    width = 256
    spec = LayerSpec(name="wide", channels_in=width, channels_out=width, kernel=kernel)
    parts = tight_layer(spec, rng)
    x = rng.integers(0, HIDDEN_MAX + 1, (width, 21, 34))
    x[:, :4] = HIDDEN_MAX
    weight, bias, shift = (part.astype(np.int64) for part in parts)
    total = wide_sums(weight, x) + bias[:, None, None] + (1 << shift - 1)[:, None, None]
    expected = (total >> shift[:, None, None]).clip(0, HIDDEN_MAX)
    assert ((expected > 0) & (expected < HIDDEN_MAX)).mean() > 0.1
    ordinary = onnxruntime.SessionOptions

    def options() -> onnxruntime.SessionOptions:
        made = ordinary()
        made.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        return made

    monkeypatch.setattr(onnxruntime, "SessionOptions", options)
    (found,) = layer_graph(spec, parts, threads).run(x=x[None].astype(np.float32))
    assert np.array_equal(found[0], expected)


@pytest.mark.parametrize(
    ("total", "shift", "expected"),
    [(3, 1, 2), (-3, 1, -1), (-1, 1, 0), (-2, 2, 0), (-3, 2, -1), (5, 23, 0), (-(2**23) + 1, 23, -1)],
)
def test_halves_are_rounded_up_and_negative_sums_by_floor(total: int, shift: int, expected: int) -> None:
    spec = LayerSpec(name="layer", channels_in=1, channels_out=1, max_in=1, low=-127, high=127)
    graph = layer_graph(spec, (np.zeros((1, 1)), np.array([float(total)]), np.array([float(shift)])))
    (found,) = graph.run(x=np.ones((1, 1, 1, 1), np.float32))
    assert found.item() == expected
    assert slow_prior.finish(total, shift, -127, 127) == expected


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("kernel", [0, 3])
def test_a_layer_beyond_the_bound_is_refused(kernel: int, sign: int) -> None:
    spec = LayerSpec(name="layer", channels_in=3, channels_out=3, kernel=kernel, max_in=CONTEXT_MAX)
    made = integers(tight_layer(spec, np.random.default_rng(0)))
    made["bias"] = sign * np.abs(made["bias"])
    spec.check(**made)  # just within
    made["bias"] += sign
    with pytest.raises(ValueError, match=r"layer: a sum may reach 16777216, beyond 2\^24"):
        spec.check(**made)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("weight", np.zeros((2, 1), np.float32), r"layer\.weight is not made of integers"),
        ("bias", np.zeros(2, np.float16), r"layer\.bias is not made of integers"),
        ("weight", np.zeros((2, 1, 1, 1), np.int16), r"layer\.weight is \(2, 1, 1, 1\), expected \(2, 1\)"),
        ("bias", np.zeros(1, np.int32), r"layer\.bias is \(1,\), expected \(2,\)"),
        ("bias", np.full(2, -(2**31), np.int32), r"layer: a sum may reach 2147484672, beyond 2\^24"),
        ("weight", np.full((2, 1), -(2**15), np.int16), r"layer: a sum may reach 33521665, beyond 2\^24"),
        ("shift", np.array([1, 0], np.uint8), r"layer\.shift is outside 1\.\.23"),
        ("shift", np.array([1, 24], np.uint8), r"layer\.shift is outside 1\.\.23"),
    ],
)
def test_a_layer_of_other_numbers_is_refused(name: str, value: npt.NDArray[Any], words: str) -> None:
    spec = LayerSpec(name="layer", channels_in=1, channels_out=2)
    made: dict[str, npt.NDArray[Any]] = {
        "weight": np.ones((2, 1), np.int16),
        "bias": np.zeros(2, np.int32),
        "shift": np.ones(2, np.uint8),
    }
    spec.check(**made)
    made[name] = value
    with pytest.raises(ValueError, match=words):
        spec.check(**made)


@pytest.mark.parametrize("architecture", [TINY, DEEP, Architecture()])
def test_no_layer_hands_on_more_than_the_next_may_be_given(architecture: Architecture) -> None:
    """The bound of a layer's sums rests on the range of what comes in."""
    layers = prior_layers(architecture)
    hidden = [spec for name, spec in layers.items() if ".means." not in name and ".indices." not in name]
    branches = [spec for spec in hidden if "deeper_mix" in spec.name]
    assert len(branches) == architecture.context_deeper * architecture.context_trunks
    for spec in hidden:
        assert (spec.low, spec.high) == ((-HIDDEN_MAX, HIDDEN_MAX) if spec in branches else (0, HIDDEN_MAX))
    assert {spec.max_in for spec in layers.values()} == {127, HIDDEN_MAX, CONTEXT_MAX}
    for name, spec in layers.items():
        given_latents = name.startswith("context.entries.")
        assert spec.max_in == (127 if name == "hyper.widen" else CONTEXT_MAX if given_latents else HIDDEN_MAX)
