"""The graphs of the context model in real numbers, the way forward and the way back: between them lies the rounding."""

from __future__ import annotations

import dataclasses

import numpy as np
from onnx import TensorProto

from rdae.networks.architecture import GROUPS, Architecture
from rdae.networks.layers import (
    HIDDEN_MAX,
    INDEX_MAX,
    MEAN_MAX,
    UNIT,
    LayerSpec,
    prior_layers,
    trunk_layers,
)
from rdae.training.export.graphs.draft import Draft, Shape, Value
from rdae.training.export.graphs.prior import split
from rdae.training.export.graphs.transform_gradient import COARSE


@dataclasses.dataclass(frozen=True)
class _RelaxedLayer:
    """A layer of the prior in real numbers, as one convolution: weight and bias with their division by 2^s in them."""

    spec: LayerSpec
    weight: Value
    bias: Value

    def of(self, draft: Draft, x: Value, *size: str) -> Value:
        """Convolve, without bounds."""
        shape: Shape = [self.spec.channels_out, *size]
        return draft.conv(x, self.weight, self.bias, shape=shape, side=self.spec.kernel)

    def back(self, draft: Draft, gradient: Value, *size: str) -> Value:
        """Turn the gradient of what was convolved into that of the input."""
        turn = draft.turned if self.spec.kernel else draft.transposed
        shape: Shape = [self.spec.channels_in, *size]
        return draft.conv(gradient, turn(self.weight), shape=shape, side=self.spec.kernel)


def _relaxed_layer(draft: Draft, spec: LayerSpec) -> _RelaxedLayer:
    name = f"prior.{spec.name}"
    exponent = draft.op("Neg", draft.real(f"{name}.shift"))
    factor = draft.op("Pow", draft.constant(2), exponent)
    weight = draft.op(
        "Mul", draft.real(f"{name}.weight"), draft.op("Reshape", factor, draft.integers(-1, 1, 1, 1))
    )
    return _RelaxedLayer(spec, weight, draft.op("Mul", draft.real(f"{name}.bias"), factor))


NEARLY_MAX = float(np.nextafter(np.float32(HIDDEN_MAX), np.float32(0)))
"""Largest hidden activation below its bound."""

HALVES = ("half_height", "half_width")
"""What the sizes of cells are called: half those of latents, rounded up."""


@dataclasses.dataclass(frozen=True)
class _RelaxedStep:
    """A step of the context model in real numbers, on features sorted by the cells of each 2x2: (cells, C) as channels.

    At a cell one group of latents is coded, and one group was coded by each of the steps before, so that entry and
    heads are grouped convolutions of the cells, which compute nothing in vain.

    of_known: None in the first step.  means, indices: the heads.  pairs: of the trunk, which works on positions.
    """

    of_features: Value
    of_known: Value | None
    bias: Value
    pairs: list[tuple[_RelaxedLayer, _RelaxedLayer]]
    means: list[_RelaxedLayer]
    indices: list[_RelaxedLayer]


def _group_at(cell: int, step: int) -> int:
    """Return the group that a step codes at a cell: `rdae.networks.layers.cells` the other way round."""
    return (cell - step) % GROUPS


def _relaxed_step(draft: Draft, architecture: Architecture, step: int) -> _RelaxedStep:
    specs = prior_layers(architecture)
    latents, features = architecture.latents, architecture.hyper_width
    group = latents // GROUPS
    entry = _relaxed_layer(draft, specs[f"context.entries.{step}"])
    sizes = [*[group] * GROUPS, features, *[1] * GROUPS]
    of_groups = split(draft, entry.weight, sizes)
    of_features, of_cells = of_groups[GROUPS], of_groups[GROUPS + 1 :]
    unit = draft.constant(UNIT)
    biases = [
        draft.op("Add", entry.bias, draft.op("Mul", draft.op("Reshape", of_cell, draft.integers(-1)), unit))
        for of_cell in of_cells
    ]
    rows = [
        draft.op("Concat", *(of_groups[_group_at(cell, past)] for past in range(step)), axis=1)
        for cell in range(GROUPS)
        if step
    ]
    means, indices = (
        [
            _relaxed_layer(draft, specs[f"context.{kind}.{step * GROUPS + _group_at(cell, step)}"])
            for cell in range(GROUPS)
        ]
        for kind in ("means", "indices")
    )
    trunk = trunk_layers(architecture, step % architecture.context_trunks)
    return _RelaxedStep(
        of_features=draft.op("Concat", *[of_features] * GROUPS, axis=0),
        of_known=draft.op("Concat", *rows, axis=0) if step else None,
        bias=draft.op("Concat", *biases, axis=0),
        pairs=[(_relaxed_layer(draft, spread), _relaxed_layer(draft, mix)) for spread, mix in trunk],
        means=means,
        indices=indices,
    )


def context(draft: Draft, architecture: Architecture, step: int) -> None:
    """A step of the context model in real numbers: the exact integers of `_context`, not rounded in between.

    features: hyper features; known: normalised latents of the steps before; both sorted by cells.  size: h and w.
    odd: how many rows and columns cells have beyond them, as `Pad` takes it.
    means, indices: (1, cells * latents / 4, ceil(h/2), ceil(w/2)), bounded.  inside.0, 1, ...: where the entry and the
    trunk's layers are between their bounds, which is all that the way back needs to know of them.
    """
    width, group = architecture.context_width, architecture.latents // GROUPS
    parts = _relaxed_step(draft, architecture, step)
    seen = draft.input("features", [1, GROUPS * architecture.hyper_width, *HALVES])
    size = draft.input("size", [2], TensorProto.INT64)
    odd = draft.input("odd", [8], TensorProto.INT64)
    shape: Shape = [GROUPS * width, *HALVES]
    a = draft.conv(seen, parts.of_features, parts.bias, shape=shape, groups=GROUPS)
    if parts.of_known is not None:
        known = draft.input("known", [1, GROUPS * group * step, *HALVES])
        a = draft.op("Add", a, draft.conv(known, parts.of_known, shape=shape, groups=GROUPS))
    inside = []

    def bounded(total: Value) -> Value:
        found = draft.clip(total, 0, HIDDEN_MAX)
        if step:
            within = draft.clip(found, float(np.finfo(np.float32).tiny), NEARLY_MAX)
            inside.append(draft.op("Equal", found, within))
        return found

    a = _cropped(draft, draft.op("DepthToSpace", bounded(a), blocksize=2, mode="DCR"), size, width)
    for number, (spread, mix) in enumerate(parts.pairs):
        more = mix.of(draft, bounded(spread.of(draft, a, *COARSE)), *COARSE)
        a = bounded(more if number < 2 else draft.op("Add", a, more))
    a = draft.op("SpaceToDepth", draft.op("Pad", a, odd), blocksize=2)
    for name, heads, most in (("means", parts.means, MEAN_MAX), ("indices", parts.indices, INDEX_MAX)):
        weight, bias = (
            draft.op("Concat", *values, axis=0)
            for values in ([head.weight for head in heads], [head.bias for head in heads])
        )
        total = draft.conv(a, weight, bias, shape=[GROUPS * group, *HALVES], groups=GROUPS)
        draft.output(name, draft.clip(total, -most, most))
    for number, mask in enumerate(inside):
        draft.output(f"inside.{number}", mask, TensorProto.BOOL)


def context_back(draft: Draft, architecture: Architecture, step: int) -> None:
    """The way back through a step: gradients of its means and indices -> that of what it knew.

    All of them as in `context`, from which size, odd and inside come.
    """
    width, group = architecture.context_width, architecture.latents // GROUPS
    parts = _relaxed_step(draft, architecture, step)
    assert parts.of_known is not None
    size = draft.input("size", [2], TensorProto.INT64)
    odd = draft.input("odd", [8], TensorProto.INT64)

    def within(gradient: Value, number: int) -> Value:
        shape: Shape = [1, width, *COARSE] if number else [1, GROUPS * width, *HALVES]
        mask = draft.input(f"inside.{number}", shape, TensorProto.BOOL)
        return draft.op("Mul", draft.cast(mask, TensorProto.FLOAT), gradient)

    of_heads = [
        draft.conv(
            draft.input(f"of_{name}", [1, GROUPS * group, *HALVES]),
            draft.op("Concat", *(draft.transposed(head.weight) for head in heads), axis=0),
            shape=[GROUPS * width, *HALVES],
            groups=GROUPS,
        )
        for name, heads in (("means", parts.means), ("indices", parts.indices))
    ]
    g = draft.op("DepthToSpace", draft.op("Add", *of_heads), blocksize=2, mode="DCR")
    g = _cropped(draft, g, size, width)
    for number, (spread, mix) in reversed(list(enumerate(parts.pairs))):
        g = within(g, 2 * number + 2)
        more = within(mix.back(draft, g, *COARSE), 2 * number + 1)
        more = spread.back(draft, more, *COARSE)
        g = more if number < 2 else draft.op("Add", g, more)
    g = within(draft.op("SpaceToDepth", draft.op("Pad", g, odd), blocksize=2), 0)
    cells = draft.ops("Split", GROUPS, parts.of_known, axis=0, num_outputs=GROUPS)
    weight = draft.op("Concat", *(draft.transposed(cell) for cell in cells), axis=0)
    draft.output("gradient", draft.conv(g, weight, shape=[GROUPS * group * step, *HALVES], groups=GROUPS))


def _cropped(draft: Draft, a: Value, size: Value, channels: int) -> Value:
    """Take away the rows and columns that cells have beyond a height and width."""
    return draft.shaped(
        draft.op("Slice", a, draft.integers(0, 0), size, draft.integers(2, 3)), channels, *COARSE
    )
