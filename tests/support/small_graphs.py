"""Graphs of chosen integers, without a weights file round them: a prior, or one exact layer by itself."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from tiny_model import z_rows

from rdae.networks import graphs, weights
from rdae.networks.architecture import Architecture
from rdae.networks.devices import CPU
from rdae.networks.layers import EXACT_BOUND, LayerSpec, prior_layers
from rdae.networks.prior import NormaliserTables, Prior
from rdae.networks.runtime import Graph
from rdae.training.export import tables
from rdae.training.export.graphs import prior
from rdae.training.export.graphs.draft import Draft, Stored

Array = npt.NDArray[Any]
Parts = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Weight, bias and shift of a layer: whole numbers."""

SKIP_BELOW = 2

_NAMES = {"float16": "F16", "float32": "F32", "int16": "I16", "int32": "I32", "uint8": "U8"}


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


def stored(tensors: Mapping[str, Array]) -> dict[str, Stored]:
    """What a maker of graphs wants to know of tensors; they lie nowhere, so a runtime has to be given them."""
    return {
        name: Stored(_NAMES[str(value.dtype)], value.shape, 0, value.nbytes)
        for name, value in tensors.items()
    }


def graph_of(data: bytes, tensors: Mapping[str, Array], threads: int = 1) -> Graph:
    """A graph, which gets these tensors by name."""
    given = {name: weights.as_given(name, value) for name, value in tensors.items()}
    return Graph(lambda: (data, given), threads, CPU)


def integers(parts: Parts) -> dict[str, Array]:
    """A layer's weight, bias and shift; weights have room for all that the bound allows, 32 bits."""
    weight, bias, shift = parts
    return {"weight": weight.astype(np.int32), "bias": bias.astype(np.int32), "shift": shift.astype(np.uint8)}


def layer_graph(spec: LayerSpec, parts: Parts, threads: int = 1) -> Graph:
    """The exact layer of these integers: x, float32 (1, C, h, w) -> y."""
    tensors = {f"prior.{spec.name}.{part}": value for part, value in integers(parts).items()}
    draft = Draft("layer", stored(tensors))
    x = draft.input("x", [1, spec.channels_in, "height", "width"])
    draft.output("y", prior.exact_layer(draft, x, spec))
    return graph_of(draft.finish(), tensors, threads)


@cache
def prior_graphs(architecture: Architecture) -> dict[str, bytes]:
    """The graphs of every prior of such sizes: numbers are not in them."""
    shapes = {
        name: np.zeros(shape, dtype)
        for spec in prior_layers(architecture).values()
        for name, shape, dtype in (
            (f"prior.{spec.name}.weight", spec.weight_shape, np.int32),
            (f"prior.{spec.name}.bias", (spec.channels_out,), np.int32),
            (f"prior.{spec.name}.shift", (spec.channels_out,), np.uint8),
        )
    }
    made = {}
    for name in graphs.EXACT - {graphs.CHECK}:
        draft = Draft(name, stored(shapes))
        if name == "hyper_synthesis":
            prior.hyper_synthesis(draft, architecture)
        else:
            prior.context(draft, architecture, int(name.removeprefix("context.")))
        made[name] = draft.finish()
    return made


def prior_of(
    architecture: Architecture, layers: Mapping[str, Parts], normaliser_tables: Mapping[str, Array]
) -> Prior:
    """The prior of these integers, by the layers' names; ValueError if a layer does not keep its bound."""
    tensors = {}
    for name, spec in prior_layers(architecture).items():
        made = integers(layers[name])
        spec.check(**made)
        tensors.update({f"prior.{name}.{part}": value for part, value in made.items()})
    needed = graphs.names(architecture)
    opened = {
        name: graph_of(data, {key: tensors[key] for key in graphs.needed(needed[name], tensors)})
        for name, data in prior_graphs(architecture).items()
    }
    return Prior(
        architecture,
        opened,
        NormaliserTables(**{name: table.astype(np.int64) for name, table in normaliser_tables.items()}),
        y_tables=tables.join(tables.gaussian_rows()),
        z_tables=tables.join(z_rows(architecture.hyper_latents)),
        skip_below=SKIP_BELOW,
    )
