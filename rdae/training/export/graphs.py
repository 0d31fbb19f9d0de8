"""Graphs of a model for the runtime: what its networks compute, written down as ONNX with the weights left outside.

Each function below describes one graph with a `Draft`: operations by name, tensors by their names in the weights file.
What no input changes (folding scales into matrices, powers of two) the runtime computes once, when it opens a graph.

Pictures are of any height: those graphs that look at neighbouring rows take bands of rows, from top to bottom.  Every
block keeps its last two rows, `carried`, and puts them before the rows of the next band; `first` is 1, and `last` -1,
where a band has a neighbour above, and below, and so its outer row is only looked at (`rdae.networks.transforms`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from rdae import __version__
from rdae.errors import WeightsError
from rdae.networks import graphs, registry, runtime, weights
from rdae.networks.architecture import GROUPS, Architecture
from rdae.networks.layers import (
    HIDDEN_MAX,
    INDEX_MAX,
    MEAN_MAX,
    UNIT,
    VALUE_MAX,
    Z_MAX,
    LayerSpec,
    cells,
    prior_layers,
    trunk_layers,
)
from rdae.networks.normaliser import SCALES, TABLE_SHIFT
from rdae.quality import ANCHORS
from rdae.storage.files import write_atomically

OPSET = 18
IR_VERSION = 9  # of ONNX 1.14, which all runtimes that rdae allows can read

WEIGHTS_FILE = "weights.safetensors"
"""What graphs call the file that their tensors are in, whatever it is called today."""

_TYPES = {
    "F16": (TensorProto.FLOAT16, np.float16),
    "F32": (TensorProto.FLOAT, np.float32),
    "I16": (TensorProto.INT16, np.int16),
    "I32": (TensorProto.INT32, np.int32),
    "U8": (TensorProto.UINT8, np.uint8),
}


@dataclasses.dataclass(frozen=True)
class Stored:
    """Where a weights file holds a tensor: safetensors' type and shape, and bytes from the file's beginning."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


Value = str
"""The name of a tensor in a graph."""

Shape = list[int | str]
"""Sizes, and names of those that a caller chooses."""


class Draft:
    """A graph that is being written: each method adds a node and returns the name of what it computes."""

    def __init__(self, name: str, stored: Mapping[str, Stored]) -> None:
        """Begin an empty graph; stored: the tensors of its model."""
        self._name, self._stored = name, stored
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._shapes: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: Sequence[int | str], dtype: int = TensorProto.FLOAT) -> Value:
        """Declare an input, or use it again; sizes that a caller chooses have names."""
        if all(declared.name != name for declared in self._inputs):
            self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name: str, value: Value, dtype: int = TensorProto.FLOAT) -> None:
        """Declare an output: another name for `value`."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, dtype, None))

    def op(self, kind: str, *inputs: Value, **attributes: Any) -> Value:
        """Add a node with one output."""
        (made,) = self.ops(kind, 1, *inputs, **attributes)
        return made

    def ops(self, kind: str, outputs: int, *inputs: Value, **attributes: Any) -> list[Value]:
        """Add a node with several outputs."""
        made = [f"{len(self._nodes)}.{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), made, **attributes))
        return made

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> Value:
        """Return a small constant."""
        array = np.asarray(value, dtype)
        name = f"{array.dtype}{array.tolist()}"
        if name not in self._tensors:
            self._tensors[name] = numpy_helper.from_array(array, name)
        return name

    def integers(self, *values: int) -> Value:
        """Return a list of int64, as shapes and axes are."""
        return self.constant(list(values), np.int64)

    def stored(self, name: str) -> Value:
        """Return a tensor of the weights file as it is there; matrices as (out, in, 1, 1), for convolutions."""
        if name not in self._tensors:
            at = self._stored[name]
            tensor = onnx.TensorProto(
                name=name, data_type=_TYPES[at.dtype][0], dims=graphs.given_shape(name, at.shape)
            )
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (
                ("location", WEIGHTS_FILE),
                ("offset", str(at.start)),
                ("length", str(at.end - at.start)),
            ):
                tensor.external_data.add(key=key, value=value)
            self._tensors[name] = tensor
        return name

    def real(self, name: str) -> Value:
        """Return a tensor of the weights file as float32."""
        if self._stored[name].dtype == "F32":
            return self.stored(name)
        return self.cast(self.stored(name), TensorProto.FLOAT)

    def cast(self, value: Value, dtype: int) -> Value:
        """Convert to another type."""
        return self.op("Cast", value, to=dtype)

    def clip(self, value: Value, low: float, high: float, dtype: npt.DTypeLike = np.float32) -> Value:
        """Clamp to low..high."""
        return self.op("Clip", value, self.constant(low, dtype), self.constant(high, dtype))

    def along_channels(self, vector: Value) -> Value:
        """(C,) -> (1, C, 1, 1)."""
        return self.op("Reshape", vector, self.integers(1, -1, 1, 1))

    def pointwise(self, x: Value, name: str) -> Value:
        """Apply a 1x1 convolution of a transform."""
        return self.op("Conv", x, self.real(f"{name}.weight"), self.real(f"{name}.bias"))

    def conv(
        self,
        x: Value,
        weight: Value,
        bias: Value | None = None,
        *,
        shape: Shape,
        side: int = 0,
        groups: int = 1,
    ) -> Value:
        """Convolve, and state the shape, (channels, height, width), of what comes of it: see `shaped`.

        side: of the kernel of a depthwise convolution, zeros around; 0 for a 1x1 one over the channels of a group.
        """
        own = {"group": shape[0], "pads": [side // 2] * 4} if side else {"group": groups}
        made = self.op("Conv", x, weight, *([] if bias is None else [bias]), **own)
        return self.shaped(made, *shape)

    def shaped(self, value: Value, *shape: int | str) -> Value:
        """State a shape (channels, height, width) that the runtime does not find out by itself.

        It knows features with the same names of sizes to be of the same shape.
        """
        if all(known.name != value for known in self._shapes):
            self._shapes.append(helper.make_tensor_value_info(value, TensorProto.FLOAT, [1, *shape]))
        return value

    def transposed(self, weight: Value) -> Value:
        """Return the weight of a 1x1 convolution the other way round: of its gradient."""
        return self.op("Transpose", weight, perm=[1, 0, 2, 3])

    def turned(self, kernels: Value) -> Value:
        """Return depthwise kernels turned by half a turn: of their convolution's gradient."""
        steps = self.integers(-1, -1)
        return self.op("Slice", kernels, steps, self.integers(-9, -9), self.integers(2, 3), steps)

    def finish(self) -> bytes:
        """Return the bytes of the model, the same for the same graph."""
        graph = helper.make_graph(
            self._nodes,
            self._name,
            self._inputs,
            self._outputs,
            list(self._tensors.values()),
            value_info=self._shapes,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="rdae",
            producer_version=__version__,
        )
        data: bytes = model.SerializeToString(deterministic=True)
        return data


def all_graphs(architecture: Architecture, stored: Mapping[str, Stored]) -> dict[str, bytes]:
    """Return every graph of a model by name."""
    makers: dict[str, Callable[[Draft], None]] = {graphs.CHECK: _check}
    makers["features"] = lambda draft: _features(draft, architecture)
    makers["latents"] = lambda draft: _latents(draft, architecture)
    makers["hyper_analysis"] = lambda draft: _hyper_analysis(draft, architecture)
    makers["hyper_synthesis"] = lambda draft: _hyper_synthesis(draft, architecture)
    for step in graphs.STEPS:
        makers[f"context.{step}"] = lambda draft, step=step: _context(draft, architecture, step)  # type: ignore[misc]
    makers["synthesis"] = lambda draft: _synthesis(draft, architecture)
    for scale in graphs.SCALES:
        makers[f"levels.{scale}"] = lambda draft, scale=scale: _levels(draft, architecture, scale)  # type: ignore[misc]
    makers["gradient.synthesis"] = lambda draft: _gradient_synthesis(draft, architecture)
    for step in graphs.STEPS:
        makers[f"gradient.context.{step}"] = lambda draft, step=step: _relaxed_context(
            draft, architecture, step
        )  # type: ignore[misc]
    for step in graphs.STEPS[1:]:  # what the first step says depends on no latent
        makers[f"gradient.context.{step}.back"] = lambda draft, step=step: _context_back(
            draft, architecture, step
        )  # type: ignore[misc]
    made = {}
    for name, make in makers.items():
        draft = Draft(name, stored)
        make(draft)
        made[name] = draft.finish()
    return made


# The transforms


def _features(draft: Draft, architecture: Architecture) -> None:
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


def _latents(draft: Draft, architecture: Architecture) -> None:
    """Features -> y in quantisation steps: the other half of the analysis, with the gains of a quality."""
    h = draft.input("features", [1, architecture.fine, "height", "width"])
    gain = draft.input("gain", [1, architecture.fine, 1, 1])
    quantise = draft.input("quantise", [1, architecture.latents, 1, 1])
    h = _unshuffle(draft, draft.op("Mul", h, gain), architecture.fine)
    h = draft.pointwise(h, "analysis.to_coarse")
    h = _blocks(draft, h, "analysis.coarse", architecture.latents, architecture.analysis_coarse)
    draft.output("y", draft.op("Mul", h, quantise))


def _synthesis(draft: Draft, architecture: Architecture) -> None:
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


def _levels(draft: Draft, architecture: Architecture, scale: int) -> None:
    """Features -> levels, (h, n, w, n, 3) of h·n by w·n pixels: patches of n = 8 / scale pixels to a side.

    The last layer is linear, so that means of its rows give means of boxes of its 8x8 pixels.
    """
    h = draft.input("features", [1, architecture.fine, "height", "width"])
    side = graphs.SCALES[-1] // scale
    weight, bias = draft.real("synthesis.to_pixels.weight"), draft.real("synthesis.to_pixels.bias")
    if scale > 1:
        boxes = (3, side, scale, side, scale, -1)
        weight = draft.op(
            "ReduceMean", draft.op("Reshape", weight, draft.integers(*boxes)), draft.integers(2, 4)
        )
        weight = draft.op("Reshape", weight, draft.integers(3 * side**2, -1, 1, 1))
        bias = draft.op(
            "ReduceMean", draft.op("Reshape", bias, draft.integers(*boxes[:-1])), draft.integers(2, 4)
        )
        bias = draft.op("Reshape", bias, draft.integers(-1))
    h = draft.op("Add", draft.op("Conv", h, weight, bias), draft.constant(0.5))
    h = draft.clip(draft.op("Round", draft.op("Mul", h, draft.constant(255))), 0, 255)
    h = draft.cast(h, TensorProto.UINT8)
    sizes = draft.op("Shape", h, start=2)
    h = draft.op("Reshape", h, draft.op("Concat", draft.integers(3, side, side), sizes, axis=0))
    draft.output("levels", draft.op("Transpose", h, perm=[3, 1, 4, 2, 0]), TensorProto.UINT8)


def _hyper_analysis(draft: Draft, architecture: Architecture) -> None:
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
class _BlockWeights:
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


def _block_weights(draft: Draft, name: str) -> _BlockWeights:
    scale = draft.stored(f"{name}.scale")
    reach = draft.op("Exp", draft.op("ReduceMean", draft.op("Log", scale), keepdims=0))
    expand = draft.op("Div", draft.real(f"{name}.expand.weight"), draft.along_channels(scale))

    def halves(both: Value) -> list[Value]:
        return draft.ops("Split", 2, both, axis=0, num_outputs=2)

    return _BlockWeights(
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
    weights = _block_weights(draft, name)
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


# Gradients: graphs that go the way forward and the way back, or that part of it which lies before the rounding
#
# The runtime keeps features in an order of its own from convolution to convolution.  Sums and products leave them so if
# it can tell that both have the same shape, and so do bounds right after a convolution; all else brings features back
# to the common order, which costs as much as a depthwise convolution.  Hence the forms of the element-wise steps below.

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
    weights: _BlockWeights
    value: Value
    gate: Value
    share: Value


def _gradient_synthesis(draft: Draft, architecture: Architecture) -> None:
    """ŷ in steps -> the sum of squared errors of its levels, real numbers, and the gradient of that for ŷ.

    target: levels as patches of 8x8 pixels, (3, 8, 8) along channels, as the last layer makes them.  inside: 1 for
    levels that count, else 0; one number if all of them do.
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
    error = draft.op("Sub", draft.conv(h, to_pixels, bias, shape=[192, *FINE]), target)
    error = draft.op("Mul", error, inside)
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


def _gated_block(draft: Draft, x: Value, name: str, shape: Shape) -> tuple[Value, _GatedBlock]:
    """Do what `_block` does with features of a shape, and keep what the way back needs."""
    weights = _block_weights(draft, name)
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
    of_groups = _split(draft, entry.weight, sizes)
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


def _relaxed_context(draft: Draft, architecture: Architecture, step: int) -> None:
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


def _context_back(draft: Draft, architecture: Architecture, step: int) -> None:
    """The way back through a step: gradients of its means and indices -> that of what it knew.

    All of them as in `_relaxed_context`, from which size, odd and inside come.
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


# The prior: integers held in float32, of which every sum stays below 2^24


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


def _exact(draft: Draft, x: Value, spec: LayerSpec) -> Value:
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


def _hyper_synthesis(draft: Draft, architecture: Architecture) -> None:
    """ẑ and the weights of the anchors -> features that tell the context model what to expect where.

    They are of as many positions as ẑ has, times HYPER_STRIDE; of those beyond the latents nobody takes notice.
    """
    specs = prior_layers(architecture)
    z = draft.input("z", [1, architecture.hyper_latents, "height", "width"], TensorProto.INT32)
    anchors = draft.input("anchors", [1, ANCHORS, 1, 1])
    a = draft.cast(z, TensorProto.FLOAT)
    for name in ("widen", "spread_64", "to_32"):
        a = _exact(draft, a, specs[f"hyper.{name}"])
    a = _exact(draft, draft.op("DepthToSpace", a, blocksize=2, mode="CRD"), specs["hyper.spread_32"])
    a = _exact(draft, a, specs["hyper.to_16"])
    a = _exact(draft, draft.op("DepthToSpace", a, blocksize=2, mode="CRD"), specs["hyper.spread_16"])
    mix = _layer(draft, specs["hyper.mix"])
    # The quality is the same everywhere: what it adds is computed once.  A part of a layer's sum is as exact as all.
    of_features, of_anchors = _split(draft, mix.weight, [architecture.hyper_width, ANCHORS])
    total = draft.op("Add", draft.op("Conv", a, of_features), draft.op("Conv", anchors, of_anchors, mix.bias))
    draft.output("features", _settle(draft, total, mix))


def _split(draft: Draft, weight: Value, sizes: list[int]) -> list[Value]:
    """Cut the matrix of a 1x1 convolution into the parts of its inputs."""
    return draft.ops("Split", len(sizes), weight, draft.integers(*sizes), axis=1)


def _context(draft: Draft, architecture: Architecture, step: int) -> None:
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
        _, weight = _split(draft, weight, [latents, features + GROUPS])
    a = _settle(draft, draft.op("Conv", draft.op("Concat", *inputs, axis=1), weight, entry.bias), entry)
    for pair, (spread, mix) in enumerate(trunk_layers(architecture, step % architecture.context_trunks)):
        more = _exact(draft, _exact(draft, a, spread), mix)
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


def _check(draft: Draft) -> None:
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


def of_weights(data: bytes) -> dict[str, bytes]:
    """Return every graph of a weights file's bytes by name; ValueError if they are not of this version."""
    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    meta = header.pop("__metadata__")
    stored = {}
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        stored[weights.current_name(name)] = Stored(entry["dtype"], tuple(entry["shape"]), start, end)
    return all_graphs(Architecture.from_dict(json.loads(meta["architecture"])), stored)


def digests(made: Mapping[str, bytes]) -> dict[str, str]:
    """Return what a manifest states of graphs: the SHA-256 of each."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(made.items())}


def add(path: Path) -> int:
    """Make the graphs of a weights file that has none, or others; return how many there are.

    Its manifest is written anew, with what it says of graphs.  WeightsError if the weights are not what the manifest
    says, or not of this version; nothing is written then.
    """
    try:
        data = path.read_bytes()
        manifest = registry.manifest_of(path)
    except OSError as error:
        raise WeightsError(f"{error.filename}: {error.strerror or error}") from error
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != manifest["sha256"]:
        raise WeightsError(f"{path}: {registry.damage(sha256, manifest['sha256'])}")
    try:
        made = of_weights(data)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: not weights of this version: {error}") from error
    for name, graph in made.items():
        write_atomically(graphs.path_of(path, name), graph, force=True)
    stated = json.dumps({**manifest, "graphs": digests(made)}, indent=1) + "\n"
    write_atomically(path.with_suffix(".json"), stated.encode(), force=True)
    return len(made)
