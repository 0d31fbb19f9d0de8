"""The graph of the synthesis' squared error and of its gradient for the latents.

The runtime keeps features in an order of its own from convolution to convolution.  Sums and products leave them so if
it can tell that both have the same shape, and so do bounds right after a convolution; all else brings features back
to the common order, which costs as much as a depthwise convolution.  Hence the forms of the element-wise steps below.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from onnx import numpy_helper

from rdae.networks.architecture import Architecture
from rdae.networks.layers import VALUE_MAX
from rdae.training.export.graphs.draft import Draft, Shape, Value
from rdae.training.export.graphs.transforms import BlockWeights, block_weights

STEEP = 1e6
"""Slope of what stands for a step from 0 to 1: the derivative of a bounded function."""

FINE, COARSE = ("rows", "columns"), ("height", "width")
"""What the sizes of features at 1/8 and 1/16 are called."""


GATE_MAX = 3.0
"""Bound of a gate's input: beyond it the gate is 0 or 1."""


@dataclasses.dataclass(frozen=True)
class _GatedBlock:
    """A block on its way back: its weights, and the features that its gradient depends on.

    value, gate: bounded, to VALUE_MAX and GATE_MAX; share: what the gate lets through, 0..1.
    """

    shape: Shape
    weights: BlockWeights
    value: Value
    gate: Value
    share: Value


def synthesis_gradient(draft: Draft, architecture: Architecture) -> None:
    """ŷ in steps -> the sum of squared errors of its levels, the gradient of that for ŷ, and these levels.

    Levels are real numbers around 0..255, as patches of 8x8 pixels, (3, 8, 8) along channels, which is how the last
    layer makes them.  target: what they should be.  inside: 1 for levels that count, else 0; one number if all do.
    """
    latents, fine = architecture.latents, architecture.fine
    y = draft.input("y", [1, latents, *COARSE])
    restore = draft.input("restore", [1, latents, 1, 1])
    gain = draft.input("gain", [1, fine, 1, 1])
    target = draft.input("target", [1, 192, *FINE])
    inside = draft.input("inside", [1, "inside_channels", "inside_rows", "inside_columns"])
    coarse, fines = [], []
    h = _entered(draft, draft.op("Mul", y, restore), [latents, *COARSE])
    for number in range(architecture.synthesis_coarse):
        h, block = _gated_block(draft, h, f"synthesis.coarse.{number}", [latents, *COARSE])
        coarse.append(block)
    # Channels of the shuffle in the order in which the runtime undoes it: (row, column, channel).
    to_fine = draft.op("Reshape", draft.real("synthesis.to_fine.weight"), draft.integers(fine, 4, latents))
    to_fine = draft.op("Transpose", to_fine, perm=[1, 0, 2])
    to_fine = draft.op("Reshape", to_fine, draft.integers(4 * fine, latents, 1, 1))
    bias = draft.op("Reshape", draft.real("synthesis.to_fine.bias"), draft.integers(fine, 4))
    bias = draft.op("Reshape", draft.op("Transpose", bias, perm=[1, 0]), draft.integers(4 * fine))
    h = draft.op(
        "DepthToSpace", draft.conv(h, to_fine, bias, shape=[4 * fine, *COARSE]), blocksize=2, mode="DCR"
    )
    h = _entered(draft, draft.op("Mul", h, gain), [fine, *FINE])
    for number in range(architecture.synthesis_fine):
        h, block = _gated_block(draft, h, f"synthesis.fine.{number}", [fine, *FINE])
        fines.append(block)
    levels = draft.constant(255)
    to_pixels = draft.op("Mul", draft.real("synthesis.to_pixels.weight"), levels)
    bias = draft.op(
        "Mul", draft.op("Add", draft.real("synthesis.to_pixels.bias"), draft.constant(0.5)), levels
    )
    made = draft.conv(h, to_pixels, bias, shape=[192, *FINE])
    error = draft.op("Mul", draft.op("Sub", made, target), inside)
    draft.output("squares", draft.op("ReduceSumSquare", error, keepdims=0))
    twice = draft.op("Add", to_pixels, to_pixels)
    g = draft.conv(error, draft.transposed(twice), shape=[fine, *FINE])
    for block in reversed(fines):
        g = _block_back(draft, g, block)
    g = draft.op("SpaceToDepth", draft.op("Mul", g, gain), blocksize=2)
    g = draft.conv(g, draft.transposed(to_fine), shape=[latents, *COARSE])
    for block in reversed(coarse):
        g = _block_back(draft, g, block)
    draft.output("gradient", draft.op("Mul", g, restore))
    draft.output("levels", made)


def _gated_block(draft: Draft, x: Value, name: str, shape: Shape) -> tuple[Value, _GatedBlock]:
    """Do what `_block` does with features of a shape, and keep what the way back needs."""
    weights = block_weights(draft, name)
    value, gate = (
        draft.clip(weights.half(draft, x, half, shape), -most, most)
        for half, most in enumerate((VALUE_MAX, GATE_MAX))
    )
    share = _scaled(draft, gate, shape, 1 / 6, 0.5)
    more = draft.conv(draft.op("Mul", value, share), weights.project, weights.project_bias, shape=shape)
    return draft.op("Add", more, x), _GatedBlock(shape, weights, value, gate, share)


def _block_back(draft: Draft, gradient: Value, block: _GatedBlock) -> Value:
    """Turn the gradient of a block's features into that of the features before it."""
    shape, weights = block.shape, block.weights
    g = draft.conv(gradient, draft.transposed(weights.project), shape=shape)
    halves = (
        draft.op("Mul", draft.op("Mul", g, block.share), _between(draft, block.value, shape, VALUE_MAX, 1.0)),
        draft.op("Mul", draft.op("Mul", g, block.value), _between(draft, block.gate, shape, GATE_MAX, 1 / 6)),
    )
    for own, expand, depthwise in zip(halves, weights.expand, weights.depthwise, strict=True):
        back = draft.conv(own, draft.turned(depthwise), shape=shape, side=3)
        back = draft.conv(back, draft.transposed(expand), shape=shape)
        gradient = draft.op("Add", back, gradient)
    return gradient


def _between(draft: Draft, x: Value, shape: Shape, most: float, slope: float) -> Value:
    """Return the slope where bounded features lie between their bounds -most and most, 0 where they are at one."""
    square = draft.op("Mul", x, x)
    return draft.clip(_scaled(draft, square, shape, -STEEP, STEEP * most**2), 0, slope)


def _entered(draft: Draft, x: Value, shape: Shape) -> Value:
    """Return x in the runtime's own order of features, which only a convolution brings about."""
    return _scaled(draft, x, shape, 1.0, 0.0)


def _scaled(draft: Draft, x: Value, shape: Shape, factor: float, added: float) -> Value:
    """Return factor * x + added, as a convolution."""

    def all_of(value: float, *sizes: int | str) -> Value:
        tensor = numpy_helper.from_array(np.array([value], np.float32))
        return draft.op("ConstantOfShape", draft.constant(sizes, np.int64), value=tensor)

    channels, *_ = shape
    return draft.conv(x, all_of(factor, channels, 1, 1, 1), all_of(added, channels), shape=shape, side=1)
