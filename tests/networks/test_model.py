"""rdae.networks.model and complexity: what a model costs, and how latents and pictures pass through its gains."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import slow_transforms
from tiny_model import SMALL, photo, write

from rdae.networks import complexity, graphs, weights
from rdae.networks.architecture import GROUPS, TINY, Architecture
from rdae.networks.layers import prior_layers
from rdae.networks.model import Model
from rdae.networks.normaliser import STEP_UNIT
from rdae.networks.transforms import EDGE

Array = npt.NDArray[Any]

SIDE = 128  # pixels: no part needs padding
ROWS = SIDE // 16


def kmac(path: Path, name: str, model: Model, shapes: Mapping[str, tuple[int, ...]]) -> float:
    """Thousands of multiply-accumulates per pixel that a graph's convolutions make of inputs of such shapes."""
    graph = onnx.load_from_string(graphs.path_of(path, name).read_bytes())
    convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
    del graph.graph.output[:]
    for node in convolutions:  # what comes out, and the weights, however they were made
        for value in (node.output[0], node.input[1]):
            if all(value != output.name for output in graph.graph.output):
                graph.graph.output.append(onnx.helper.make_tensor_value_info(value, 0, None))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    needed = graphs.needed(graphs.names(model.architecture)[name], model.tensors)
    tensors = [weights.as_given(each, model.tensors[each]) for each in needed]
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(tensor) for tensor in tensors]
    options.add_external_initializers(needed, values)
    for output in graph.graph.output:
        output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    types = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}
    types |= {"tensor(int32)": np.int32, "tensor(uint8)": np.uint8}
    inputs = {each.name: np.zeros(shapes[each.name], types[each.type]) for each in session.get_inputs()}
    if "last" in inputs:
        inputs["last"][...] = EDGE  # the first band of a picture is the last, too
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(names, inputs), strict=True))
    macs = [
        math.prod(found[node.output[0]].shape) * math.prod(found[node.input[1]].shape[1:])
        for node in convolutions
    ]
    return int(sum(macs)) / SIDE**2 / 1000


def carried(blocks: list[int], columns: list[int]) -> dict[str, tuple[int, ...]]:
    """Shapes of what a graph of bands asks for beside its input: nothing is carried over to the first band."""
    rows: dict[str, tuple[int, ...]] = {
        f"carried.{number}": (1, channels, 0, width)
        for number, (channels, width) in enumerate(zip(blocks, columns, strict=True))
    }
    return {**rows, "first": (1,), "last": (1,)}


@pytest.mark.parametrize("architecture", [TINY, SMALL])
def test_the_stated_cost_is_what_the_graphs_multiply(architecture: Architecture, tmp_path: Path) -> None:
    path = write(tmp_path / "cost.safetensors", architecture)
    model = weights.load(path)
    fine, latents, width = architecture.fine, architecture.latents, architecture.hyper_width
    at_8, at_16 = (2 * ROWS, 2 * ROWS), (ROWS, ROWS)
    vectors: dict[str, tuple[int, ...]] = dict.fromkeys(("quantise", "restore", "scale"), (1, latents, 1, 1))
    vectors |= {"gain": (1, fine, 1, 1), "anchors": (1, 9, 1, 1), "odd": (8,)}
    groups = (GROUPS, latents // GROUPS, 1, 1)
    planes = {
        "features": (1, width, *at_16),
        "known": (1, latents, *at_16),
        "planes": (1, GROUPS, *at_16),
        "from_mean": groups,
        "offset": groups,
    }

    def cost(name: str, shapes: Mapping[str, tuple[int, ...]]) -> float:
        return kmac(path, name, model, {**vectors, **shapes})

    expected = {
        "analysis": cost("features", {"levels": (2 * ROWS, 8, 2 * ROWS, 8, 3), **carried([fine], [2 * ROWS])})
        + cost("latents", {"features": (1, fine, *at_8), **carried([latents], [ROWS])}),
        "hyper_analysis": cost("hyper_analysis", {"y": (1, latents, *at_16)}),
        "synthesis": cost(
            "synthesis", {"y64": (1, latents, *at_16), **carried([latents, fine], [ROWS, 2 * ROWS])}
        )
        + cost("levels.1", {"features": (1, fine, *at_8)}),
        "prior": cost("hyper_synthesis", {"z": (1, architecture.hyper_latents, ROWS // 4, ROWS // 4)})
        + sum(cost(f"context.{step}", planes) for step in graphs.STEPS),
    }
    # What the quality adds to the hyper features is computed once a picture: nothing a pixel.
    expected["prior"] -= 9 * prior_layers(architecture)["hyper.mix"].channels_out / SIDE**2 / 1000
    assert complexity.kmac_per_pixel(architecture) == pytest.approx(expected)


def test_a_decode_of_the_published_size_is_within_its_budget() -> None:
    """DESIGN, section 3: at most 30 kMAC per pixel, prior included."""
    for architecture in (Architecture(), weights.load().architecture):
        cost = complexity.kmac_per_pixel(architecture)
        assert 10 < cost["synthesis"] + cost["prior"] <= 30


def test_latents_are_counted_in_steps_of_their_gain(tiny: Model) -> None:
    levels, gains = photo(32, 48), tiny.transforms.gains
    plain = np.ones(TINY.latents, np.float32)
    (features,) = tiny.transforms.features(levels)
    for index in (0, 411, 800):
        (y,) = tiny.transforms.latents([features], index)
        z = tiny.hyper_analyse(y, index)
        unscaled = slow_transforms.analysis(levels, tiny.tensors, gains.analysis[index], plain)
        expected = unscaled * gains.quantise[index][:, None, None]
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
        assert y.shape == (TINY.latents, 2, 3)
        assert z.shape == (TINY.hyper_latents, 1, 1)


def test_synthesis_undoes_the_steps(tiny: Model) -> None:
    y64 = np.random.default_rng(0).integers(-500, 500, (TINY.latents, 2, 3), dtype=np.int32)
    gains = tiny.transforms.gains
    for index in (0, 411, 800):
        restored = y64 / STEP_UNIT * gains.restore[index][:, None, None] * STEP_UNIT
        plain = np.ones(TINY.latents)
        expected = slow_transforms.synthesis(restored, tiny.tensors, plain, gains.synthesis[index])
        assert expected.std() > 5
        found = np.concatenate(list(tiny.transforms.synthesise([y64], index)))
        assert found.shape == (32, 48, 3)
        assert np.abs(found - expected.clip(0, 255)).max() < 0.502


def test_the_exact_synthesis_is_prepared_once(tiny_path: Path) -> None:
    model = weights.load(tiny_path, threads=2)
    assert model.exact_synthesis is model.exact_synthesis
    assert model.exact_synthesis._threads == 2
