"""Analysis and synthesis of pictures of any size, in memory that does not grow with their height.

A picture goes through a transform in bands of rows, from top to bottom.  A block of a transform looks at the row above
and the row below: what it cannot finish for want of the next row waits, in `carried`, for the next band.  Wide pictures
go through in columns, each with as many positions beside it as a transform looks at.

What is computed does not depend on how a picture is cut, up to float rounding.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rdae.networks.architecture import HYPER_STRIDE, PATCH, Architecture
from rdae.networks.graphs import LEVELS
from rdae.networks.runtime import Graph

Array = npt.NDArray[Any]
Levels = npt.NDArray[np.uint8]
Span = tuple[int, int]  # first, and one past the last

BAND_BYTES = 4 << 20
"""Of a band's widest array, the expanded features of a block at 1/8."""

COLUMN = 128
"""Latents across that go through a transform at a time, and those beside them."""

EDGE = np.iinfo(np.int64).max


@dataclasses.dataclass(frozen=True)
class Gains:
    """Gains by quality index, float32 with 801 rows: the model's meaning of quality.

    quantise (latents): y * quantise is what gets rounded.  restore (latents): ŷ * restore enters the synthesis.
    analysis, synthesis (fine): feature gains inside the two transforms.
    """

    quantise: npt.NDArray[np.float32]
    restore: npt.NDArray[np.float32]
    analysis: npt.NDArray[np.float32]
    synthesis: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class _Stage:
    """A graph that takes bands of rows: its blocks, and what its input's rows are.

    blocks: channels of each, and the rows and columns of its features that a row and a column of the input have.
    reach: how many columns beside it a column of the input is seen from, a whole number of latents.
    """

    graph: Graph
    blocks: tuple[tuple[int, int], ...]
    reach: int

    @property
    def first_rows(self) -> int:
        """How many rows of input a picture's first band needs, if it is not all of it: each block holds one back."""
        held = 0.0
        for _, rows in self.blocks:
            held += 1 / rows
        return int(held) + 2

    def run(
        self, inputs: Mapping[str, Array], carried: Sequence[Array] | None, width: int, *, last: bool
    ) -> list[Array]:
        """Return what is carried over to the next band, then the graph's output.

        carried: from the band above; None: this is the first.  width: of the input, in columns.
        """
        if carried is None:
            carried = [np.empty((1, channels, 0, rows * width), np.float32) for channels, rows in self.blocks]
            first = 0
        else:
            first = 1
        edges = {"first": np.array([first]), "last": np.array([EDGE if last else -1])} if self.blocks else {}
        named = {f"carried.{number}": rows for number, rows in enumerate(carried)}
        return self.graph.run(**inputs, **edges, **named)


class Transforms:
    """The transforms of one model, in inference."""

    def __init__(self, architecture: Architecture, graphs: Mapping[str, Graph], gains: Gains) -> None:
        """Take a model's parts."""
        self.architecture, self.gains = architecture, gains
        fine, latents = architecture.fine, architecture.latents
        self._graphs = graphs
        # The features at 1/8 have two rows and columns for one of latents.
        analysis, synthesis = architecture.analysis_fine, architecture.synthesis_fine
        self._features = _Stage(graphs["features"], ((fine, 2),) * analysis, -(-analysis // 2))
        self._latents = _Stage(
            graphs["latents"], ((latents, 1),) * architecture.analysis_coarse, architecture.analysis_coarse
        )
        self.reach = architecture.synthesis_coarse + -(-synthesis // 2)
        self._synthesis = _Stage(
            graphs["synthesis"],
            ((latents, 1),) * architecture.synthesis_coarse + ((fine, 2),) * synthesis,
            self.reach,
        )

    def features(self, picture: Levels) -> Iterator[Array]:
        """Do that half of the analysis which is the same for all qualities.

        picture: uint8 (h, w, 3) of any size, whose edge is repeated up to a multiple of PATCH.
        Yields bands of features, float32 (1, fine, 2 k, 2 w / PATCH), w rounded up.
        """
        height, width = (-(-side // PATCH) for side in picture.shape[:2])
        stage = self._features
        columns = _columns(width, stage.reach)
        rows = self._band_rows(columns, stage)
        carried: list[list[Array] | None] = [None] * len(columns)
        for top, bottom, last in _bands(height, rows):
            whole: Array | None = None
            for number, column in enumerate(columns):
                levels = _eighths(_padded(picture, (top, bottom), column.seen))
                *carried[number], made = stage.run(
                    {"levels": levels}, carried[number], column.width, last=last
                )
                whole = _filled(whole, made, column, 2 * width, 2)
            assert whole is not None
            yield whole

    def latents(self, features: Iterable[Array], index: int) -> Iterator[Array]:
        """Do the other half of the analysis, with what `features` gave, which stays as it is.

        Yields bands of y in quantisation steps, float32 (latents, k, w).
        """
        gains = self.gains
        named = {"gain": _vector(gains.analysis[index]), "quantise": _vector(gains.quantise[index])}
        stage = self._latents
        columns: list[_Column] = []
        carried: list[list[Array] | None] = []
        for band, last in _regrouped(features, 2 * stage.first_rows, 2):
            width = band.shape[3] // 2
            if not columns:
                columns = _columns(width, stage.reach)
                carried = [None] * len(columns)
            whole: Array | None = None
            for number, column in enumerate(columns):
                left, right = column.seen
                part = band[:, :, :, 2 * left : 2 * right]
                *carried[number], made = stage.run(
                    {"features": part, **named}, carried[number], column.width, last=last
                )
                whole = _filled(whole, made, column, width, 1)
            assert whole is not None
            yield whole[0]

    def hyper_analyse(self, y: Array, to_context: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Return z rounded, int32 (hyper_latents, ceil(h/4), ceil(w/4)), of y in steps, float32 (latents, h, w).

        to_context: the prior's table at this quality, (latents,): its integers are of 2^-14, of 1/64 step and 1/128.
        """
        scale = (to_context * (0.5 / 2**14)).astype(np.float32)
        height, width = y.shape[1:]
        # Replication costs fewer bits at the border than zeros would.
        padding = ((0, 0), (0, -height % HYPER_STRIDE), (0, -width % HYPER_STRIDE))
        padded = np.pad(y, padding, mode="edge") if any(sum(padding, ())) else y
        (z,) = self._graphs["hyper_analysis"].run(y=padded[None], scale=_vector(scale))
        found: npt.NDArray[np.int32] = z[0]
        return found

    def synthesise(self, y64: Iterable[Array], index: int) -> Iterator[Levels]:
        """Turn bands of ŷ·64, int32 (latents, k, w), into bands of levels: uint8 (16 k, 16 w, 3), RGB."""
        restore = self.gains.restore[index] / np.float32(64)
        named = {"restore": _vector(restore), "gain": _vector(self.gains.synthesis[index])}
        stage, levels = self._synthesis, self._graphs[LEVELS]
        columns: list[_Column] = []
        carried: list[list[Array] | None] = []
        for chunk, last_chunk in _regrouped((rows[None] for rows in y64), stage.first_rows, 1):
            height, width = chunk.shape[2:]
            if not columns:
                columns = _columns(width, stage.reach)
                carried = [None] * len(columns)
            for top, bottom, last in _bands(height, self._band_rows(columns, stage)):
                whole: Levels | None = None
                for number, column in enumerate(columns):
                    left, right = column.seen
                    part = chunk[:, :, top:bottom, left:right]
                    *carried[number], features = stage.run(
                        {"y64": part, **named}, carried[number], column.width, last=last and last_chunk
                    )
                    start = 2 * (column.core[0] - left)
                    own = features[:, :, :, start : start + 2 * (column.core[1] - column.core[0])]
                    (made,) = levels.run(features=own)
                    made = made.reshape(made.shape[0] * made.shape[1], -1, 3)
                    if len(columns) == 1:
                        whole = made
                        continue
                    if whole is None:
                        whole = np.empty((len(made), PATCH * width, 3), np.uint8)
                    whole[:, PATCH * column.core[0] : PATCH * column.core[1]] = made
                assert whole is not None
                yield whole

    def _band_rows(self, columns: Sequence[_Column], stage: _Stage) -> int:
        """Rows of latents of a band whose widest array is of BAND_BYTES, but as many as a stage needs first."""
        widest = max(column.width for column in columns)
        row_bytes = 2 * 2 * widest * 2 * self.architecture.fine * 4
        return max(stage.first_rows, BAND_BYTES // row_bytes)


@dataclasses.dataclass(frozen=True)
class _Column:
    """Columns of latents that go through together: those wanted, and those seen with them."""

    core: Span
    seen: Span

    @property
    def width(self) -> int:
        return self.seen[1] - self.seen[0]


def _columns(width: int, reach: int) -> list[_Column]:
    """Cut a width of latents into columns of like width."""
    count = max(1, round(width / COLUMN))
    edges = [width * number // count for number in range(count + 1)]
    return [
        _Column((left, right), (max(0, left - reach), min(width, right + reach)))
        for left, right in itertools.pairwise(edges)
    ]


def _bands(height: int, rows: int) -> Iterator[tuple[int, int, bool]]:
    """Cut rows 0..height into bands of like height, at least `rows` high if there are several: top, bottom, if last."""
    count = max(1, height // rows)
    for number in range(count):
        yield height * number // count, height * (number + 1) // count, number == count - 1


def _regrouped(bands: Iterable[Array], least: int, multiple: int) -> Iterator[tuple[Array, bool]]:
    """Join bands (1, C, k, w) until they have `least` rows, and a multiple of `multiple`; say which is the last."""
    held: list[Array] = []
    rows = 0
    for band in bands:
        # What is held is not the last: there are rows below it.
        if rows >= least and (ready := rows - rows % multiple):
            whole = _joined(held)
            held, rows = [whole[:, :, ready:]] if rows > ready else [], rows - ready
            yield whole[:, :, :ready], False
        held.append(band)
        rows += band.shape[2]
    if held:
        yield _joined(held), True


def _joined(bands: list[Array]) -> Array:
    return bands[0] if len(bands) == 1 else np.concatenate(bands, axis=2)


def _filled(whole: Array | None, made: Array, column: _Column, width: int, factor: int) -> Array:
    """Put what a column's core became into the whole's columns, of `factor` a latent; make the whole first."""
    left, right = column.core
    own = made[:, :, :, factor * (left - column.seen[0]) : factor * (right - column.seen[0])]
    if right - left == width // factor:
        return own
    if whole is None:
        whole = np.empty((*made.shape[:3], width), made.dtype)
    whole[:, :, :, factor * left : factor * right] = own
    return whole


def _padded(picture: Levels, rows: Span, columns: Span) -> Levels:
    """Cut latents' pixels out of a picture, its edge repeated where it has none."""
    part = picture[PATCH * rows[0] : PATCH * rows[1], PATCH * columns[0] : PATCH * columns[1]]
    missing = (
        PATCH * (rows[1] - rows[0]) - part.shape[0],
        PATCH * (columns[1] - columns[0]) - part.shape[1],
    )
    return np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge") if any(missing) else part


def _eighths(levels: Levels) -> Levels:
    """(8 h, 8 w, 3) -> (h, 8, w, 8, 3)."""
    height, width = levels.shape[0] // 8, levels.shape[1] // 8
    return np.ascontiguousarray(levels).reshape(height, 8, width, 8, 3)


def _vector(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return values.reshape(1, -1, 1, 1)
