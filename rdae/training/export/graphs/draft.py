"""A graph that is being written: operations by name, tensors by their names in the weights file.

What no input changes (folding scales into matrices, powers of two) the runtime computes once, when it opens a graph.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from rdae import __version__
from rdae.networks import graphs

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
