"""What the descent on R + βD needs of the networks: relaxed context steps and the synthesis, each with its gradient.

The context steps are those of `rdae.networks.prior` in real numbers: the exact integers, not rounded in between.  Their
rate agrees with that of the file within 0.3 %; they serve to find latents, never to code them.

Latents are sorted as the context model codes them, (cells, steps, latents / 4, ceil(h/2), ceil(w/2)): at [cell, step]
is what a step codes at a cell of each 2x2 of positions (`rdae.networks.layers.cells`).  Beside an odd height or width
that has positions which do not exist; they hold zeros, and nothing comes of them.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from rdae.networks import normaliser
from rdae.networks.architecture import GROUPS, PATCH
from rdae.networks.graphs import STEPS
from rdae.networks.model import Model

Floats = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]
_Number = TypeVar("_Number", bound=np.generic)

SIDE = 8
"""Pixels of the side of what the synthesis makes of one position of its last features."""


def sort(planes: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """(latents, h, w) -> (cells, steps, latents / 4, ceil(h/2), ceil(w/2))."""
    latents, height, width = planes.shape
    found = np.zeros((GROUPS, GROUPS, latents // GROUPS, -(-height // 2), -(-width // 2)), planes.dtype)
    for cell, step, part in _places(planes):
        found[cell, step, :, : part.shape[1], : part.shape[2]] = part
    return found


def unsort(latents: npt.NDArray[_Number], planes: npt.NDArray[_Number]) -> None:
    """Put sorted latents into planes (latents, h, w): the other way round."""
    for cell, step, part in _places(planes):
        part[...] = latents[cell, step, :, : part.shape[1], : part.shape[2]]


def _places(planes: npt.NDArray[_Number]) -> list[tuple[int, int, npt.NDArray[_Number]]]:
    """Return (cell, step, part): where in planes (latents, h, w) a step codes at a cell."""
    size = planes.shape[0] // GROUPS
    slots = []
    for cell in range(GROUPS):
        row, column = divmod(cell, 2)
        for step in STEPS:
            group = (cell - step) % GROUPS
            slots.append((cell, step, planes[group * size : (group + 1) * size, row::2, column::2]))
    return slots


@dataclasses.dataclass(frozen=True, eq=False)
class Scales:
    """What belongs to a quality index, float32 (cells, steps, latents / 4, 1, 1) each.

    to_context: what ŷ in steps is multiplied by before the context model sees it.  from_mean: what its means are
    multiplied by to be in steps.  offset: what is added to its scale indices.
    """

    to_context: Floats
    from_mean: Floats
    offset: Floats


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """What a relaxed step says: means and scale indices of the network, float32 (cells, latents / 4, ...).

    inside: where its layers are between their bounds, by the names that the way back has for them.
    """

    means: Floats
    indices: Floats
    inside: dict[str, npt.NDArray[np.bool_]]


class RelaxedPrior:
    """The context steps of a model at a quality index, for latents of one size with their hyper features."""

    def __init__(self, model: Model, index: int, features: Floats) -> None:
        """Take hyper features, float32 (hyper_width, h, w), of a part that begins at an even row and column."""
        self._graphs = model.graphs
        height, width = features.shape[1:]
        self.scales = _scales(model, index)
        halves = (-(-height // 2), -(-width // 2))
        cells = np.zeros((GROUPS, len(features), *halves), np.float32)
        for cell in range(GROUPS):
            row, column = divmod(cell, 2)
            part = features[:, row::2, column::2]
            cells[cell, :, : part.shape[1], : part.shape[2]] = part
        self._features = cells.reshape(1, -1, *halves)
        self._shape = (GROUPS, -1, *halves)
        self._sizes = {
            "size": np.array([height, width], np.int64),
            "odd": np.array([0, 0, 0, 0, 0, 0, height % 2, width % 2], np.int64),
        }
        self._first = self._predicted(0)

    def predict(self, step: int, known: Floats) -> Prediction:
        """Say what is expected of what a step codes; known: sorted normalised latents, of which it sees some."""
        if not step:  # nothing is known yet, so this is always the same
            return self._first
        return self._predicted(
            step, known=np.ascontiguousarray(known[:, :step]).reshape(1, -1, *known.shape[-2:])
        )

    def _predicted(self, step: int, **known: Floats) -> Prediction:
        inputs: dict[str, npt.NDArray[Any]] = {"features": self._features, **self._sizes, **known}
        means, indices, *inside = self._graphs[f"gradient.context.{step}"].run(**inputs)
        return Prediction(
            means.reshape(self._shape),
            indices.reshape(self._shape),
            {f"inside.{number}": mask for number, mask in enumerate(inside)},
        )

    def back(self, step: int, prediction: Prediction, of_means: Floats, of_indices: Floats) -> Floats:
        """Return the gradient of what a step 1..3 knew, (cells, step, latents / 4, ...), of those of what it said."""
        one = (1, -1, *of_means.shape[-2:])
        (found,) = self._graphs[f"gradient.context.{step}.back"].run(
            of_means=of_means.reshape(one),
            of_indices=of_indices.reshape(one),
            **self._sizes,
            **prediction.inside,
        )
        gradient: Floats = found.reshape(GROUPS, step, *of_means.shape[1:])
        return gradient


def _scales(model: Model, index: int) -> Scales:
    tables, row = model.prior.tables, normaliser.row(index)
    one = 2.0**normaliser.TABLE_SHIFT

    def sorted_by(table: npt.NDArray[Any]) -> Floats:
        groups = table.reshape(GROUPS, -1, 1, 1)
        cells = [[groups[(cell - step) % GROUPS] for step in STEPS] for cell in range(GROUPS)]
        return np.array(cells, np.float32)

    return Scales(
        to_context=sorted_by(tables.to_context[row] * (normaliser.STEP_UNIT / one)),
        from_mean=sorted_by(tables.from_mean[row] / (one * normaliser.STEP_UNIT)),
        offset=sorted_by(tables.index_offset[row]),
    )


class SquaredError:
    """How far what a model's synthesis makes of latents is from a target, at a quality index, with its gradient."""

    def __init__(self, model: Model, index: int, pixels: tuple[int, int], size: tuple[int, int]) -> None:
        """Take the height and width of the levels that count, of at most 16 times `size`, (h, w) of the latents.

        Beyond them anything may be decoded.
        """
        self._missing = (PATCH * size[0] - pixels[0], PATCH * size[1] - pixels[1])
        self._pixels = pixels
        gains = model.transforms.gains
        self._graph = model.graphs["gradient.synthesis"]
        self._inputs = {
            "restore": gains.restore[index].reshape(1, -1, 1, 1),
            "gain": gains.synthesis[index].reshape(1, -1, 1, 1),
            "inside": np.ones((1, 1, 1, 1), np.float32),
        }
        if any(self._missing):
            self._inputs["inside"] = self._padded(np.ones((*pixels, 3), np.uint8))

    def aim_at(self, target: Levels | Floats) -> None:
        """From now on measure how far it is to a target, levels (H, W, 3)."""
        self._inputs["target"] = self._padded(target)

    def measure(self, y_hat: Floats) -> tuple[float, Floats, Floats]:
        """Return the sum of squared errors of real levels around 0..255, its gradient for ŷ, and these as patches.

        y_hat: in quantisation steps, float32 (latents, h, w); the gradient has its shape.  Patches: for `levels`.
        """
        squares, gradient, patches = self._graph.run(y=y_hat[None], **self._inputs)
        return float(squares), gradient[0], patches

    def levels(self, patches: Floats) -> Levels:
        """Return what a file has of patches that were measured: uint8 (H, W, 3)."""
        height, width = self._pixels
        return _picture(patches)[:height, :width]

    def _padded(self, levels: npt.NDArray[Any]) -> Floats:
        return _patches(np.pad(levels, ((0, self._missing[0]), (0, self._missing[1]), (0, 0))))


def _patches(levels: npt.NDArray[Any]) -> Floats:
    """(16 h, 16 w, 3) -> float32 (1, 192, 2 h, 2 w): 8x8 patches, (3, 8, 8) along channels."""
    height, width = levels.shape[0] // SIDE, levels.shape[1] // SIDE
    patches = levels.reshape(height, SIDE, width, SIDE, 3).transpose(4, 1, 3, 0, 2)
    return patches.reshape(1, -1, height, width).astype(np.float32)


def _picture(patches: Floats) -> Levels:
    """The other way round, rounded as in a file: float32 (1, 192, 2 h, 2 w) -> uint8 (16 h, 16 w, 3)."""
    height, width = patches.shape[2:]
    levels = np.clip(np.rint(patches), 0, 255).astype(np.uint8)
    picture = levels.reshape(3, SIDE, SIDE, height, width).transpose(3, 1, 4, 2, 0)
    return picture.reshape(height * SIDE, width * SIDE, 3)
