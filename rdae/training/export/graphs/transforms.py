"""The graphs of both transforms, and of the hyper-analysis.

Pictures are of any height: graphs that look at neighbouring rows take bands of rows, from top to bottom.  Every block
keeps its last two rows, `carried`, and puts them before the rows of the next band; `first` is 1, and `last` -1, where a
band has a neighbour above, and below, and so its outer row is only looked at (`rdae.networks.transforms`).
"""

from __future__ import annotations

import dataclasses

from onnx import TensorProto

from rdae.networks.architecture import Architecture
from rdae.networks.layers import (
    VALUE_MAX,
    Z_MAX,
)
from rdae.training.export.graphs.draft import Draft, Shape, Value


def features(draft: Draft, architecture: Architecture) -> None:
    """Levels -> the features at 1/8 that no gain has entered: the half of the analysis that all qualities share."""
    # (h, 8, w, 8, 3): the picture's rows and columns cut into eights.
    levels = draft.input("levels", ["height", 8, "width", 8, 3], TensorProto.UINT8)
    patches = draft.op("Transpose", levels, perm=[4, 1, 3, 0, 2])
    shape = draft.op(
        "Concat",
        draft.integers(1, 192),
        draft.op("Shape", levels, start=0, end=1),
        draft.op("Shape", levels, start=2, end=3),
        axis=0,
    )
    h = draft.cast(draft.op("Reshape", patches, shape), TensorProto.FLOAT)
    h = draft.op("Sub", draft.op("Div", h, draft.constant(255)), draft.constant(0.5))
    h = draft.pointwise(h, "analysis.from_pixels")
    h = _blocks(draft, h, "analysis.fine", architecture.fine, architecture.analysis_fine)
    draft.output("features", h)


def latents(draft: Draft, architecture: Architecture) -> None:
    """Features -> y in quantisation steps: the other half of the analysis, with the gains of a quality."""
    h = draft.input("features", [1, architecture.fine, "height", "width"])
    gain = draft.input("gain", [1, architecture.fine, 1, 1])
    quantise = draft.input("quantise", [1, architecture.latents, 1, 1])
    h = _unshuffle(draft, draft.op("Mul", h, gain), architecture.fine)
    h = draft.pointwise(h, "analysis.to_coarse")
    h = _blocks(draft, h, "analysis.coarse", architecture.latents, architecture.analysis_coarse)
    draft.output("y", draft.op("Mul", h, quantise))


def synthesis(draft: Draft, architecture: Architecture) -> None:
    """ŷ·64 -> the features of which `levels` makes pixels."""
    y64 = draft.input("y64", [1, architecture.latents, "height", "width"], TensorProto.INT32)
    restore = draft.input("restore", [1, architecture.latents, 1, 1])
    gain = draft.input("gain", [1, architecture.fine, 1, 1])
    h = draft.op("Mul", draft.cast(y64, TensorProto.FLOAT), restore)
    h = _blocks(draft, h, "synthesis.coarse", architecture.latents, architecture.synthesis_coarse)
    h = draft.op("DepthToSpace", draft.pointwise(h, "synthesis.to_fine"), blocksize=2, mode="CRD")
    h = draft.op("Mul", h, gain)
    h = _blocks(
        draft,
        h,
        "synthesis.fine",
        architecture.fine,
        architecture.synthesis_fine,
        before=architecture.synthesis_coarse,
    )
    draft.output("features", h)


def levels(draft: Draft, architecture: Architecture) -> None:
    """Features -> levels, (h, 8, w, 8, 3) of 8 h by 8 w pixels."""
    h = draft.input("features", [1, architecture.fine, "height", "width"])
    weight, bias = draft.real("synthesis.to_pixels.weight"), draft.real("synthesis.to_pixels.bias")
    h = draft.op("Add", draft.op("Conv", h, weight, bias), draft.constant(0.5))
    h = draft.clip(draft.op("Round", draft.op("Mul", h, draft.constant(255))), 0, 255)
    h = draft.cast(h, TensorProto.UINT8)
    sizes = draft.op("Shape", h, start=2)
    h = draft.op("Reshape", h, draft.op("Concat", draft.integers(3, 8, 8), sizes, axis=0))
    draft.output("levels", draft.op("Transpose", h, perm=[3, 1, 4, 2, 0]), TensorProto.UINT8)


def hyper_analysis(draft: Draft, architecture: Architecture) -> None:
    """Latents y in steps -> ẑ, rounded and clamped; their height and width are multiples of HYPER_STRIDE."""
    y = draft.input("y", [1, architecture.latents, "height", "width"])
    scale = draft.input("scale", [1, architecture.latents, 1, 1])
    width = max(1, architecture.hyper_width * 3 // 4)
    h = draft.pointwise(draft.op("Mul", y, scale), "hyper_analysis.enter")
    h = _unshuffle(draft, _block(draft, h, "hyper_analysis.coarse", width), width)
    h = draft.pointwise(h, "hyper_analysis.to_32")
    h = _unshuffle(draft, _block(draft, h, "hyper_analysis.coarser", width), width)
    z = draft.clip(draft.op("Round", draft.pointwise(h, "hyper_analysis.to_64")), -Z_MAX, Z_MAX)
    draft.output("z", draft.cast(z, TensorProto.INT32), TensorProto.INT32)


def _blocks(draft: Draft, h: Value, name: str, channels: int, count: int, *, before: int = 0) -> Value:
    """Apply a row of blocks to a band of rows, each after the rows that it carried over from the band before.

    before: how many blocks the graph has already.
    """
    if not count:
        return h
    first, last = (draft.input(edge, [1], TensorProto.INT64) for edge in ("first", "last"))
    rows = draft.integers(2)  # the axis
    for number in range(count):
        at = before + number
        carried = draft.input(f"carried.{at}", [1, channels, f"rows.{at}", f"columns.{at}"])
        h = draft.op("Concat", carried, h, axis=2)
        end = draft.integers(2**63 - 1)
        draft.output(f"kept.{at}", draft.op("Slice", h, draft.integers(-2), end, rows))
        h = draft.op("Slice", _block(draft, h, f"{name}.{number}", channels), first, last, rows)
    return h


@dataclasses.dataclass(frozen=True)
class BlockWeights:
    """A block's weights with the scales of its features folded into them; of its two halves, value and gate, apart."""

    expand: list[Value]
    expand_bias: list[Value]
    depthwise: list[Value]
    depthwise_bias: list[Value]
    project: Value
    project_bias: Value

    def half(self, draft: Draft, x: Value, half: int, shape: Shape) -> Value:
        """Expand and spread features of a shape into one of the halves, without bounds."""
        h = draft.conv(x, self.expand[half], self.expand_bias[half], shape=shape)
        return draft.conv(h, self.depthwise[half], self.depthwise_bias[half], shape=shape, side=3)


def block_weights(draft: Draft, name: str) -> BlockWeights:
    """Fold a block's scale into the weights of its convolutions, so that the graph holds no step for it."""
    scale = draft.stored(f"{name}.scale")
    reach = draft.op("Exp", draft.op("ReduceMean", draft.op("Log", scale), keepdims=0))
    expand = draft.op("Div", draft.real(f"{name}.expand.weight"), draft.along_channels(scale))

    def halves(both: Value) -> list[Value]:
        return draft.ops("Split", 2, both, axis=0, num_outputs=2)

    return BlockWeights(
        expand=halves(expand),
        expand_bias=halves(draft.real(f"{name}.expand.bias")),
        depthwise=halves(draft.real(f"{name}.depthwise")),
        depthwise_bias=halves(draft.real(f"{name}.depthwise_bias")),
        project=draft.op("Mul", draft.real(f"{name}.project.weight"), reach),
        project_bias=draft.op("Mul", draft.real(f"{name}.project.bias"), reach),
    )


def _block(draft: Draft, x: Value, name: str, channels: int) -> Value:
    """Apply x + W₂·gate(dw(W₁·x)): `rdae.training.modules.blocks`."""
    shape: Shape = [channels, f"{name}.rows", f"{name}.columns"]
    weights = block_weights(draft, name)
    value = draft.clip(weights.half(draft, x, 0, shape), -VALUE_MAX, VALUE_MAX)
    gate = draft.op("HardSigmoid", weights.half(draft, x, 1, shape), alpha=1 / 6, beta=0.5)
    h = draft.op("Mul", value, gate)
    return draft.op("Add", x, draft.conv(h, weights.project, weights.project_bias, shape=shape))


def _unshuffle(draft: Draft, x: Value, channels: int) -> Value:
    """(1, C, 2 h, 2 w) -> (1, 4 C, h, w), channels by channel, row and column as PyTorch's pixel_unshuffle has them."""
    # ONNX's own puts the channel last: (row, column, channel).
    h = draft.op("SpaceToDepth", x, blocksize=2)
    sizes = draft.op("Shape", h, start=2)
    h = draft.op("Reshape", h, draft.op("Concat", draft.integers(4, channels), sizes, axis=0))
    h = draft.op("Transpose", h, perm=[1, 0, 2, 3])
    return draft.op("Reshape", h, draft.op("Concat", draft.integers(1, 4 * channels), sizes, axis=0))
