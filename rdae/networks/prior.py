"""The prior P(ẑ)·P(ŷ|ẑ): from ẑ and the quality to means, scale indices and tables, the same integers on every machine.

Encoder and decoder go the same way: `begin` with ẑ and the quality, then for each of four steps `predict` what the step
codes and `place` what was coded, of which the next steps know.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from rdae.networks import normaliser
from rdae.networks.architecture import GROUPS, HYPER_STRIDE, Architecture
from rdae.networks.layers import UNIT, Z_MAX, cells
from rdae.networks.runtime import Graph
from rdae.networks.tables import Tables
from rdae.quality import anchor_weights

SYMBOL_MAX = 2**20
"""Largest magnitude of a coded residual; a decoder that meets a larger one refuses the file."""

WINDOW = 1 << 12
"""Positions of latents that the context model works on at a time; more would only take memory."""

Int32s = npt.NDArray[np.int32]
Slot = tuple[slice, slice, slice]
Number = TypeVar("Number", bound=np.generic)


@dataclasses.dataclass(frozen=True)
class NormaliserTables:
    """What latents, means and scale indices are multiplied by or raised by: int64 (ROWS, latents) each.

    See `rdae.networks.normaliser`, which says what the rows are.
    """

    to_context: npt.NDArray[np.int64]
    from_mean: npt.NDArray[np.int64]
    index_offset: npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """What a step of the context model says of the N latents that the step codes, in the order of coding.

    means: int32 (N,), in 1/64 of the quantisation step.  scales: uint8 (N,), scale indices 0..63.
    """

    step: int
    means: Int32s
    scales: npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, eq=False)
class Progress:
    """How far the coding of a tile is: its latents, as far as they are coded, and what the prior knows of them.

    y64: ŷ in 1/64 step, int32 (latents, h, w), 0 where not yet coded.  The rest is the prior's own: its row of the
    normaliser's tables, hyper features (1, hyper_width, h, w), and normalised ŷ (1, latents, h, w), float32.
    """

    y64: Int32s
    row: int
    features: npt.NDArray[np.float32]
    known: npt.NDArray[np.float32]


class Prior:
    """The prior of one model, in inference."""

    def __init__(
        self,
        architecture: Architecture,
        graphs: Mapping[str, Graph],
        normaliser_tables: NormaliserTables,
        y_tables: Tables,
        z_tables: Tables,
        skip_below: int,
    ) -> None:
        """Take a model's parts.

        y_tables: a row per scale index; z_tables: a row per hyper-latent channel.
        skip_below: latents whose scale index is smaller are not coded, their residual is 0.
        """
        self.architecture = architecture
        self.tables = normaliser_tables
        self.y_tables, self.z_tables, self.skip_below = y_tables, z_tables, skip_below
        self._graphs = graphs
        # Both depthwise layers of a pair's trunk look one row further; a window begins at the first of two rows.
        pairs = 2 + architecture.context_deeper
        self._reach = pairs + pairs % 2

    def z_shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        """Return the shape of ẑ, (hyper_latents, h/4, w/4) rounded up, of latents of size (h, w)."""
        height, width = (-(-side // HYPER_STRIDE) for side in size)
        return (self.architecture.hyper_latents, height, width)

    def to_context(self, index: int) -> npt.NDArray[np.int64]:
        """Return what ŷ·64 of each channel is multiplied by, (latents,), in 2^-14, at a quality index 0..800."""
        entries: npt.NDArray[np.int64] = self.tables.to_context[normaliser.row(index)]
        return entries

    def begin(self, z: Int32s, index: int, size: tuple[int, int]) -> Progress:
        """Begin with decoded hyper-latents: nothing of ŷ is known.

        z: int32 (hyper_latents, ceil(h/4), ceil(w/4)); index: quality index 0..800; size: (h, w).
        """
        height, width = size
        anchors = np.array(anchor_weights(index), np.float32).reshape(1, -1, 1, 1)
        z = np.clip(z, -Z_MAX, Z_MAX)[None]
        (features,) = self._graphs["hyper_synthesis"].run(z=z, anchors=anchors)
        shape = (self.architecture.latents, height, width)
        return Progress(
            y64=np.zeros(shape, np.int32),
            row=normaliser.row(index),
            features=np.ascontiguousarray(features[:, :, :height, :width]),
            known=np.zeros((1, *shape), np.float32),
        )

    def predict(self, progress: Progress, step: int) -> Prediction:
        """Say what is expected of the latents that step 0..3 codes, when those of the steps before are placed."""
        groups = (GROUPS, -1, 1, 1)
        from_mean = self.tables.from_mean[progress.row].reshape(groups).astype(np.float64)
        offset = self.tables.index_offset[progress.row].reshape(groups).astype(np.float32)
        channels, height, width = progress.y64.shape
        means = np.empty((GROUPS, channels // GROUPS, -(-height // 2), -(-width // 2)), np.int32)
        scales = np.empty(means.shape, np.uint8)
        for top, bottom in self._windows(height, width):
            start, end = max(0, top - self._reach), min(height, bottom + self._reach)
            inputs = {
                "features": progress.features[:, :, start:end],
                "planes": _cell_planes(end - start, width),
                "from_mean": from_mean,
                "offset": offset,
                "odd": np.array([0, 0, 0, 0, 0, 0, (end - start) % 2, width % 2], np.int64),
            }
            if step:
                inputs["known"] = progress.known[:, :, start:end]
            here = self._graphs[f"context.{step}"].run(**inputs)
            first, last = (top - start) // 2, -(-(bottom - start) // 2)
            for whole, part in zip((means, scales), here, strict=True):
                whole[:, :, top // 2 : -(-bottom // 2)] = part[:, :, first:last]
        inside = [
            (group, slice(None), slice(-(-(height - row) // 2)), slice(-(-(width - column) // 2)))
            for group, row, column in cells(step)
        ]
        return Prediction(step, _in_order(means, inside), _in_order(scales, inside))

    def slots(self, step: int) -> list[Slot]:
        """Return where in (latents, h, w) a step's latents are, in the order of coding."""
        size = self.architecture.latents // GROUPS
        return [
            (slice(group * size, (group + 1) * size), slice(row, None, 2), slice(column, None, 2))
            for group, row, column in cells(step)
        ]

    def take(self, planes: npt.NDArray[Number], step: int) -> npt.NDArray[Number]:
        """Return those of (latents, h, w) that a step codes, (N,), in the order of coding."""
        return _in_order(planes, self.slots(step))

    def put(self, planes: npt.NDArray[Number], step: int, values: npt.NDArray[Number]) -> None:
        """Write what `take` returns back."""
        start = 0
        for slot in self.slots(step):
            target = planes[slot]
            target[...] = values[start : start + target.size].reshape(target.shape)
            start += target.size

    def place(self, progress: Progress, prediction: Prediction, residuals: Int32s) -> None:
        """Say what was coded, int32 (N,): 0 wherever the scale index is below `skip_below`."""
        coded = residuals * np.int32(normaliser.STEP_UNIT)
        coded += prediction.means
        to_context = self.tables.to_context[progress.row]
        start = 0
        for slot in self.slots(prediction.step):
            target = progress.y64[slot]
            target[...] = coded[start : start + target.size].reshape(target.shape)
            progress.known[0][slot] = normaliser.to_context(target, to_context[slot[0], None, None])
            start += target.size

    @staticmethod
    def _windows(height: int, width: int) -> Iterator[tuple[int, int]]:
        """Cut rows into windows of an even number of rows."""
        rows = max(2, WINDOW // width // 2 * 2)
        for top in range(0, height, rows):
            yield top, min(top + rows, height)


def _in_order(planes: npt.NDArray[Number], slots: Sequence[tuple[Any, ...]]) -> npt.NDArray[Number]:
    """Return slots of an array, flattened, one after the other."""
    return np.concatenate([planes[slot].ravel() for slot in slots])


def _cell_planes(height: int, width: int) -> npt.NDArray[np.float32]:
    """Return (1, 4, height, width): UNIT where a position is in that cell of its 2x2, else 0."""
    planes = np.zeros((1, GROUPS, height, width), np.float32)
    for cell in range(GROUPS):
        row, column = divmod(cell, 2)
        planes[:, cell, row::2, column::2] = UNIT
    return planes
