"""The graphs of the prior: integers held in float32, every sum of which stays below 2^24; `check` tries that."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from onnx import TensorProto

from rdae.networks import runtime
from rdae.networks.architecture import GROUPS, Architecture
from rdae.networks.layers import (
    HIDDEN_MAX,
    LayerSpec,
    cells,
    prior_layers,
    trunk_layers,
)
from rdae.networks.normaliser import SCALES, TABLE_SHIFT
from rdae.quality import ANCHORS
from rdae.training.export.graphs.draft import Draft, Value


@dataclasses.dataclass(frozen=True)
class _Layer:
    """An exact layer's tensors: weight and bias, with 2^(s-1) in it, as sums need them; and 2^-s along channels."""

    spec: LayerSpec
    weight: Value
    bias: Value
    factor: Value


def _layer(draft: Draft, spec: LayerSpec) -> _Layer:
    """Bring a layer's integers to what its sums need."""
    name = f"prior.{spec.name}"
    # 2^(s-1) by shifting: that is exact, where nobody promises it of a power.
    exponent = draft.op(
        "Sub", draft.cast(draft.stored(f"{name}.shift"), TensorProto.UINT32), draft.constant(1, np.uint32)
    )
    half = draft.op("BitShift", draft.constant(1, np.uint32), exponent, direction="LEFT")
    half = draft.cast(half, TensorProto.FLOAT)
    return _Layer(
        spec,
        draft.real(f"{name}.weight"),
        draft.op("Add", draft.real(f"{name}.bias"), half),
        draft.along_channels(draft.op("Div", draft.constant(0.5), half)),
    )


def exact_layer(draft: Draft, x: Value, spec: LayerSpec) -> Value:
    """Integers -> integers: clamp(floor((w·a + b + 2^(s-1)) · 2^-s)), each operation exact in float32."""
    layer = _layer(draft, spec)
    if spec.kernel:
        side = spec.kernel // 2
        total = draft.op(
            "Conv", x, layer.weight, layer.bias, group=spec.channels_out, pads=[side, side, side, side]
        )
    else:
        total = draft.op("Conv", x, layer.weight, layer.bias)
    return _settle(draft, total, layer)


def _settle(draft: Draft, total: Value, layer: _Layer) -> Value:
    """Divide sums by 2^s; round down and clamp."""
    shifted = draft.op("Floor", draft.op("Mul", total, layer.factor))
    return draft.clip(shifted, layer.spec.low, layer.spec.high)


def hyper_synthesis(draft: Draft, architecture: Architecture) -> None:
    """ẑ and the weights of the anchors -> features that tell the context model what to expect where.

    They are of as many positions as ẑ has, times HYPER_STRIDE; of those beyond the latents nobody takes notice.
    """
    specs = prior_layers(architecture)
    z = draft.input("z", [1, architecture.hyper_latents, "height", "width"], TensorProto.INT32)
    anchors = draft.input("anchors", [1, ANCHORS, 1, 1])
    a = draft.cast(z, TensorProto.FLOAT)
    for name in ("widen", "spread_64", "to_32"):
        a = exact_layer(draft, a, specs[f"hyper.{name}"])
    a = exact_layer(draft, draft.op("DepthToSpace", a, blocksize=2, mode="CRD"), specs["hyper.spread_32"])
    a = exact_layer(draft, a, specs["hyper.to_16"])
    a = exact_layer(draft, draft.op("DepthToSpace", a, blocksize=2, mode="CRD"), specs["hyper.spread_16"])
    mix = _layer(draft, specs["hyper.mix"])
    # The quality is the same everywhere: what it adds is computed once.  A part of a layer's sum is as exact as all.
    of_features, of_anchors = split(draft, mix.weight, [architecture.hyper_width, ANCHORS])
    total = draft.op("Add", draft.op("Conv", a, of_features), draft.op("Conv", anchors, of_anchors, mix.bias))
    draft.output("features", _settle(draft, total, mix))


def split(draft: Draft, weight: Value, sizes: list[int]) -> list[Value]:
    """Cut the matrix of a 1x1 convolution into the parts of its inputs."""
    return draft.ops("Split", len(sizes), weight, draft.integers(*sizes), axis=1)


def context(draft: Draft, architecture: Architecture, step: int) -> None:
    """A step of the context model: what is known -> means and scale indices of what the step codes.

    Means and scales are of each group of `cells(step)`, (4, latents / 4, ceil(h/2), ceil(w/2)); beside an odd height or
    width a cell has positions that do not exist, which say nothing.
    """
    latents, features = architecture.latents, architecture.hyper_width
    specs = prior_layers(architecture)
    seen = draft.input("features", [1, features, "height", "width"])
    planes = draft.input("planes", [1, GROUPS, "height", "width"])
    from_mean = draft.input("from_mean", [GROUPS, latents // GROUPS, 1, 1], TensorProto.DOUBLE)
    offset = draft.input("offset", [GROUPS, latents // GROUPS, 1, 1])
    odd = draft.input("odd", [8], TensorProto.INT64)
    entry = _layer(draft, specs[f"context.entries.{step}"])
    inputs, weight = [seen, planes], entry.weight
    if step:
        inputs.insert(0, draft.input("known", [1, latents, "height", "width"]))
    else:  # nothing is known yet
        _, weight = split(draft, weight, [latents, features + GROUPS])
    a = _settle(draft, draft.op("Conv", draft.op("Concat", *inputs, axis=1), weight, entry.bias), entry)
    for pair, (spread, mix) in enumerate(trunk_layers(architecture, step % architecture.context_trunks)):
        more = exact_layer(draft, exact_layer(draft, a, spread), mix)
        a = more if pair < 2 else draft.clip(draft.op("Add", a, more), 0, HIDDEN_MAX)
    a = draft.op("Pad", a, odd)
    means, indices = [], []
    for group, row, column in cells(step):
        here = draft.op(
            "Slice",
            a,
            draft.integers(row, column),
            draft.integers(2**63 - 1, 2**63 - 1),
            draft.integers(2, 3),
            draft.integers(2, 2),
        )
        head = step * GROUPS + group
        of_mean, of_index = (_layer(draft, specs[f"context.{kind}.{head}"]) for kind in ("means", "indices"))
        total = draft.op(
            "Conv",
            here,
            draft.op("Concat", of_mean.weight, of_index.weight, axis=0),
            draft.op("Concat", of_mean.bias, of_index.bias, axis=0),
        )
        mean, index = draft.ops("Split", 2, total, axis=1, num_outputs=2)
        means.append(_settle(draft, mean, of_mean))
        indices.append(_settle(draft, index, of_index))
    # A mean times its table's entry needs 44 bits, which float64 has.
    mean = draft.cast(draft.op("Concat", *means, axis=0), TensorProto.DOUBLE)
    rounded = draft.op(
        "Add", draft.op("Mul", mean, from_mean), draft.constant(2.0 ** (TABLE_SHIFT - 1), np.float64)
    )
    mean64 = draft.op("Floor", draft.op("Mul", rounded, draft.constant(2.0**-TABLE_SHIFT, np.float64)))
    draft.output("means", draft.cast(mean64, TensorProto.INT32), TensorProto.INT32)
    scale = draft.clip(draft.op("Add", draft.op("Concat", *indices, axis=0), offset), 0, SCALES - 1)
    draft.output("scales", draft.cast(scale, TensorProto.UINT8), TensorProto.UINT8)


def check(draft: Draft) -> None:
    """A 1x1 and a depthwise convolution of known integers whose sums come close to 2^24, with all bits in use."""
    channels = runtime.CHECK_CHANNELS
    x = draft.input("x", [1, channels, "height", "width"])

    def known(numbers: runtime.KnownNumbers, *shape: int) -> Value:
        index = draft.op("Range", *(draft.constant(each, np.int64) for each in (0, math.prod(shape), 1)))
        scaled = draft.op("Mul", index, draft.constant(numbers.factor, np.int64))
        wrapped = draft.op("Mod", scaled, draft.constant(numbers.modulus, np.int64))
        centred = draft.op("Sub", wrapped, draft.constant(numbers.offset, np.int64))
        return draft.cast(draft.op("Reshape", centred, draft.integers(*shape)), TensorProto.FLOAT)

    mix = known(runtime.CHECK_MIX, channels, channels, 1, 1)
    spread = known(runtime.CHECK_SPREAD, channels, 1, 3, 3)
    draft.output("mixed", draft.op("Conv", x, mix))
    draft.output("spread", draft.op("Conv", x, spread, group=channels, pads=[1, 1, 1, 1]))
