"""The synthesis in exact arithmetic: pixels that are the same on every machine, for about four times the work.

As in the exact prior, all numbers are integers, here held in float64: of 2^-16 for features, of 2^-b for weights.
Each sum stays below 2^52, so it is exact in any order, with or without fused multiply-add.  What is computed is the
float synthesis with every intermediate result rounded to 2^-16, halves up; the few operations that are not sums of
products are single IEEE additions, multiplications and divisions, which are the same everywhere.

For each quantity (real value, bound, unit):

    latents, features x      ±128    2^-16     y = ŷ·64 (integer) * restore / 64, a float32
    expanded features e      ±4096   2^-16
    value, gate              ±8, 0..6  2^-16   of the depthwise convolution; gate is clamp(d + 3, 0, 6)
    value * gate             ±48     2^-16     the gate's division by 6 is in W2
    pixels                   ±4      2^-16     level = floor(255 * (p + 1/2) + 1/2), clamped to 0..255

A layer's b is the largest up to 24 at which its sums keep the bound.  Weights are the file's float16 and float32
numbers; a block's W1 / scale and W2 * reach / 6 are rounded once, from float64.  reach, the geometric mean of scale,
needs logarithms, of which no two C libraries agree: Python's decimals round them correctly.

A picture goes through in bands of rows.  Of each block the last two rows are carried over to the next band: the row
that waits for the one below, and the row above that.  Features are (rows, columns, channels), so that a 1x1 convolution
is a product of matrices, and a band goes through each step of a block piece by piece, in a processor's cache.
"""

from __future__ import annotations

import contextlib
import dataclasses
import decimal
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from rdae.networks.architecture import PATCH

Float64s = npt.NDArray[np.float64]
Levels = npt.NDArray[np.uint8]
Slot = tuple[slice, slice]  # rows and columns

UNIT_BITS = 16
UNIT = float(1 << UNIT_BITS)
"""Integers per 1.0 of a feature."""

FEATURE_MAX = 128 * UNIT
EXPANDED_MAX = 4096 * UNIT
VALUE_MAX = 8 * UNIT
GATE_MAX, GATE_ADDED = 6 * UNIT, 3 * UNIT
GATED_MAX = 48 * UNIT
PIXEL_MAX = 4 * UNIT

SUM_BOUND = 2.0**52
_MAX_WEIGHT_BITS = 24

CHUNK_ROWS = 16
"""Rows of latents that a column of a wide picture goes through at a time."""

COLUMN = 256
"""Latents across that go through at a time, and those beside them on which they depend."""

BAND_BYTES = 3 << 20
"""Of the expanded features of a band, at 1/8, for each thread: enough rows for products of matrices to be quick."""

PIECE_BYTES = 1 << 20
"""Of the piece of a band that goes through a step of a block at a time: no more than a processor's cache holds."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Layer:
    """A 1x1 (in, out) or depthwise (3, 3, channels) convolution, followed by rounding and clamping.

    weight: multiples of 2^-bits.  offset: the bias and 1/2, for halves are rounded up, in units of features, (out,).
    low, high: of what is rounded, in units of features, (out,).  clamps: whether sums can be beyond these.
    """

    weight: Float64s
    offset: Float64s
    bits: int
    low: Float64s
    high: Float64s
    clamps: bool

    def of(self, x: Float64s) -> Float64s:
        """(h, w, in) -> (h, w, out), of a 1x1 convolution."""
        height, width, channels = x.shape
        total: Float64s = np.matmul(x.reshape(-1, channels), self.weight)
        return self._finished(total).reshape(height, width, -1)

    def spread(self, padded: Float64s) -> Float64s:
        """(h + 2, w + 2, C) -> (h, w, C), of a depthwise convolution."""
        height, width, channels = padded.shape
        row, column, channel = padded.strides
        windows = np.lib.stride_tricks.as_strided(
            padded,
            (height - 2, width - 2, channels, 3, 3),
            (row, column, channel, row, column),
            writeable=False,
        )
        # Nine shifted multiply-adds: einsum makes one pass of each.
        total: Float64s = np.einsum("ijcrs,rsc->ijc", windows, self.weight)
        return self._finished(total)

    def _finished(self, total: Float64s) -> Float64s:
        """Round sums, in place, and clamp them."""
        total += self.offset
        np.floor(total, out=total)
        return _clamp(total, self.low, self.high) if self.clamps else total


def _rounded(x: Float64s) -> Float64s:
    """Round in place, halves up."""
    x += 0.5
    return np.floor(x, out=x)


def _clamp(x: Float64s, low: Float64s, high: Float64s) -> Float64s:
    # Two passes with a bound for each channel: numpy is several times faster there than at one with numbers.
    np.maximum(x, low, out=x)
    return np.minimum(x, high, out=x)


Limits = tuple[Float64s, Float64s]
"""Smallest and largest output, in units of features, (outputs,) each."""


def _layer(
    weight: Float64s, bias: Float64s, max_in: float, limits: Limits, added: float | Float64s = 0.0
) -> _Layer:
    """Round a layer's real weights (..., outputs) and biases (outputs,).

    max_in: of inputs; limits: of outputs; added: to the outputs, an integer, before they are clamped.
    """
    axes = tuple(range(weight.ndim - 1))
    low, high = limits
    largest = float((np.abs(weight).sum(axis=axes) * max_in + np.abs(bias) * UNIT + 1).max())
    # At one more than this, were there no rounding, a sum would be beyond the bound.
    most = int(math.log2(SUM_BOUND / largest)) if largest < SUM_BOUND else -1
    for bits in range(min(_MAX_WEIGHT_BITS, most + 1), 0, -1):
        integers, constant = np.round(weight * 2.0**bits), np.round(bias * (UNIT * 2.0**bits))
        sums = np.abs(integers).sum(axis=axes) * max_in + np.abs(constant) + 2.0**bits
        if bool((sums < SUM_BOUND).all()):
            unit = 0.5**bits
            clamps = bool((sums * unit + np.abs(added) > np.minimum(-low, high)).any())
            return _Layer(integers * unit, constant * unit + (0.5 + added), bits, low, high, clamps)
    raise ValueError("weights of the synthesis are too large for exact arithmetic")


@dataclasses.dataclass(frozen=True, eq=False)
class _Carried:
    """What a block knows of the rows above a band: at most two of them, the lower of which is not finished.

    x: (0 to 2, w, C).  expanded: of these and, above the picture's first, a row of zeros: (1 or 2, w + 2, 2C), with a
    column of zeros on either side; None if it is to be computed again.
    """

    x: npt.NDArray[np.floating[Any]]
    expanded: Float64s | None = None

    def smaller(self) -> _Carried:
        """Return the same in a fifth of the memory: features are integers of 24 bits, which float32 holds."""
        return _Carried(self.x.astype(np.float32))


Work = Callable[[Slot], object]
Each = Callable[[Work, Sequence[Slot]], object]
"""Does some work for each of several pieces of a band."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Block:
    """A residual block, x + W2·(value * gate) of a depthwise convolution of W1·x.

    The depthwise layer's outputs are the values, clamped to ±8, and the gates, with 3 added and clamped to 0..6.
    """

    expand: _Layer
    depthwise: _Layer
    project: _Layer

    def start(self, width: int) -> _Carried:
        """Return what is known at the top of a picture."""
        return _Carried(np.empty((0, width, len(self.expand.weight))))

    def run(self, carried: _Carried, x: Float64s, each: Each, *, last: bool) -> tuple[_Carried, Float64s]:
        """Return what is to be carried over to the next band, and the rows that are finished.

        x: the rows of the band, (k, w, C).  last: there are none below.
        """
        above = carried.expanded
        if above is None:
            known = np.asarray(carried.x, np.float64)
            above = np.zeros((min(2, 1 + len(known)), x.shape[1] + 2, len(self.depthwise.offset)))
            self._expand_into(above[len(above) - len(known) :], known, each)
        expanded = np.empty((len(above) + len(x) + last, *above.shape[1:]))
        expanded[: len(above)] = above
        self._expand_into(expanded[len(above) : len(above) + len(x)], x, each)
        if last:
            expanded[-1] = 0
        zeros = len(above) - len(carried.x)  # rows of them above the picture
        x = np.concatenate([carried.x, x])
        done = max(0, len(expanded) - 2)
        finished = self._finished(expanded, x[1 - zeros : 1 - zeros + done], each)
        return _Carried(x[-2:].copy(), expanded[-2:].copy()), finished

    def _expand_into(self, target: Float64s, x: Float64s, each: Each) -> None:
        """Expand x, (k, w, C), into (k, w + 2, 2C), with a column of zeros on either side."""
        own = target[:, 1:-1]

        def work(slot: Slot) -> None:
            own[slot] = self.expand.of(x[slot])

        each(work, _pieces(own))
        target[:, 0] = 0
        target[:, -1] = 0

    def _finished(self, expanded: Float64s, x: Float64s, each: Each) -> Float64s:
        """Compute a block's output from expanded features (k + 2, w + 2, 2C) and its input (k, w, C)."""
        finished = np.empty(x.shape)
        channels = x.shape[2]

        def work(slot: Slot) -> None:
            rows, columns = slot
            spread = self.depthwise.spread(
                expanded[rows.start : rows.stop + 2, columns.start : columns.stop + 2]
            )
            gated = spread[:, :, :channels] * spread[:, :, channels:]
            gated *= 1 / UNIT
            branch = self.project.of(_rounded(gated))
            branch += x[slot]
            finished[slot] = _clamp(branch, self.project.low, self.project.high)

        each(work, _pieces(expanded[1:-1, 1:-1]))
        return finished


@dataclasses.dataclass
class _Column:
    """A column of a picture on its way: what is wanted of it, what is seen with it, and what its blocks carry.

    core: first latent, and one past the last; seen: likewise.
    waiting: rows of the last block's output, less than two, (0 or 1, 2 w, fine).
    """

    core: tuple[int, int]
    seen: tuple[int, int]
    coarse: list[_Carried]
    fine: list[_Carried]
    waiting: Float64s

    def wait(self, *, last: bool) -> None:
        """Need less memory until the next chunk, or none if there is none."""
        self.coarse = [] if last else [carried.smaller() for carried in self.coarse]
        self.fine = [] if last else [carried.smaller() for carried in self.fine]


class ExactSynthesis:
    """The synthesis of one model."""

    def __init__(self, tensors: Mapping[str, npt.NDArray[Any]], threads: int = 1) -> None:
        """Take a weights file's tensors by name, "synthesis.to_fine.weight" and so on, float16 or float32.

        threads: that share the pieces of a step, beside those that numpy's BLAS has for a product of matrices.
        ValueError if the weights do not fit the bounds; ArithmeticError if products of matrices are not exact here.
        """
        check_float64()
        self._threads = threads
        prefix = "synthesis."
        with np.errstate(all="ignore"):  # what is not finite does not keep the bounds
            state = {
                name.removeprefix(prefix): tensor.astype(np.float64)
                for name, tensor in tensors.items()
                if name.startswith(prefix)
            }
            self._coarse, self._fine = _blocks(state, "coarse"), _blocks(state, "fine")
            self._to_fine = _shuffled(state, "to_fine", FEATURE_MAX, 2)
            self._to_pixels = _shuffled(state, "to_pixels", PIXEL_MAX, 8)
        self._reach = len(self._coarse) + -(-len(self._fine) // 2)
        latents, fine = len(self._to_fine.weight), len(self._to_pixels.weight)
        self._latent_limits = _limits(latents, FEATURE_MAX)
        self._fine_limits = _limits(4 * fine, FEATURE_MAX)
        self._level_limits = (
            np.zeros(len(self._to_pixels.offset)),
            np.full(len(self._to_pixels.offset), 255.0),
        )

    def run(
        self,
        y64: Iterable[npt.NDArray[np.int32]],
        restore: npt.NDArray[np.float32],
        fine_gain: npt.NDArray[np.float32],
    ) -> Iterator[Levels]:
        """Turn bands of ŷ·64, int32 (latents, k, w), into bands of levels: uint8 (16 k', 16 w, 3), RGB.

        restore: float32 (latents,), what ŷ is multiplied by; fine_gain: float32 (fine,), what features at 1/8 are.
        Both are of one quality.
        """
        gains = restore.astype(np.float64) * (UNIT / 64), np.tile(fine_gain.astype(np.float64), 4)
        columns: list[_Column] = []
        with contextlib.ExitStack() as stack:
            each: Each = _one_by_one
            if self._threads > 1:
                each = partial(
                    _shared, stack.enter_context(ThreadPoolExecutor(self._threads - 1)), self._threads
                )
            for chunk, last in _chunks(y64):
                columns = columns or self._columns(chunk.shape[1])
                if len(columns) == 1:
                    yield from self._through(columns[0], chunk, gains, each, last=last)
                    continue
                made = []
                for column in columns:
                    levels = list(self._through(column, chunk, gains, each, last=last))
                    left, right = (PATCH * (edge - column.seen[0]) for edge in column.core)
                    made.append([each_band[:, left:right] for each_band in levels])
                    column.wait(last=last)
                if made[0]:
                    yield np.block([[np.concatenate(bands)] for bands in made])

    def _columns(self, width: int) -> list[_Column]:
        """Cut a picture of so many latents across into columns of like width."""
        count = max(1, round(width / COLUMN))
        edges = [width * number // count for number in range(count + 1)]
        columns = []
        for core in pairwise(edges):
            seen = max(0, core[0] - self._reach), min(width, core[1] + self._reach)
            across = seen[1] - seen[0]
            columns.append(
                _Column(
                    core,
                    seen,
                    [block.start(across) for block in self._coarse],
                    [block.start(2 * across) for block in self._fine],
                    np.empty((0, 2 * across, len(self._to_pixels.weight))),
                )
            )
        return columns

    def _through(
        self,
        column: _Column,
        chunk: npt.NDArray[np.int32],
        gains: tuple[Float64s, Float64s],
        each: Each,
        *,
        last: bool,
    ) -> Iterator[Levels]:
        """Take rows of ŷ·64, (k, width, latents), through a column, whose levels are yielded as they are finished."""
        left, right = column.seen
        row_bytes = 2 * 2 * (right - left) * 2 * len(self._to_pixels.weight) * 8
        rows = max(1, BAND_BYTES * self._threads // row_bytes)
        restore, fine_gain = gains
        for top in range(0, len(chunk), rows):
            end = last and top + rows >= len(chunk)
            x = self._restored(chunk[top : top + rows, left:right], restore, each)
            for number, block in enumerate(self._coarse):
                column.coarse[number], x = block.run(column.coarse[number], x, each, last=end)
            x = self._refined(x, fine_gain, each)
            for number, block in enumerate(self._fine):
                column.fine[number], x = block.run(column.fine[number], x, each, last=end)
            x = np.concatenate([column.waiting, x])
            ready = len(x) - len(x) % 2
            column.waiting = x[ready:].copy()
            if ready:
                yield self._levels(x[:ready], each)

    def _restored(self, y64: npt.NDArray[np.int32], restore: Float64s, each: Each) -> Float64s:
        """ŷ·64 (k, w, latents) -> features of the same shape."""
        x = np.empty(y64.shape)

        def work(slot: Slot) -> None:
            x[slot] = _clamp(_rounded(y64[slot] * restore), *self._latent_limits)

        each(work, _pieces(x))
        return x

    def _refined(self, x: Float64s, fine_gain: Float64s, each: Each) -> Float64s:
        """Features at 1/16 (k, w, latents) -> those at 1/8 (2 k, 2 w, fine)."""
        height, width, _ = x.shape
        channels = len(fine_gain) // 4
        fine = np.empty((height, 2, width, 2, channels))

        def work(slot: Slot) -> None:
            own = self._to_fine.of(x[slot])
            own *= fine_gain
            own = _clamp(_rounded(own), *self._fine_limits)
            fine[slot[0], :, slot[1]] = _square(own, 2)

        each(work, _pieces(x))
        return fine.reshape(2 * height, 2 * width, channels)

    def _levels(self, x: Float64s, each: Each) -> Levels:
        """Features at 1/8 (k, w, fine) -> levels (8 k, 8 w, 3)."""
        height, width, _ = x.shape
        levels = np.empty((height, 8, width, 8, 3), np.uint8)

        def work(slot: Slot) -> None:
            own = self._to_pixels.of(x[slot])
            own += UNIT / 2
            own *= 255 / UNIT
            own = _clamp(_rounded(own), *self._level_limits)
            levels[slot[0], :, slot[1]] = _square(own, 8)

        each(work, _pieces(x))
        made: Levels = levels.reshape(8 * height, 8 * width, 3)
        return made


def _square(x: Float64s, side: int) -> Float64s:
    """(h, w, side * side * C) -> (h, side, w, side, C): what a position becomes, in its place."""
    height, width, channels = x.shape
    return x.reshape(height, width, side, side, channels // side**2).transpose(0, 2, 1, 3, 4)


def _one_by_one(work: Work, slots: Sequence[Slot]) -> None:
    for slot in slots:
        work(slot)


def _shared(pool: ThreadPoolExecutor, threads: int, work: Work, slots: Sequence[Slot]) -> None:
    """Do a share of the work here, and the others in the pool's threads."""
    shares = [slots[number::threads] for number in range(min(threads, len(slots)))]
    others = [pool.submit(_one_by_one, work, share) for share in shares[1:]]
    _one_by_one(work, slots[::threads])
    for other in others:
        other.result()


def _pieces(x: Float64s) -> list[Slot]:
    """Cut (h, w, C) into pieces of about PIECE_BYTES: some rows, or a part of one."""
    height, width, channels = x.shape
    positions = max(1, PIECE_BYTES // (8 * channels))
    rows, columns = max(1, positions // width), min(width, positions)
    return [
        (slice(top, min(height, top + rows)), slice(left, min(width, left + columns)))
        for top in range(0, height, rows)
        for left in range(0, width, columns)
    ]


def _chunks(y64: Iterable[npt.NDArray[np.int32]]) -> Iterator[tuple[npt.NDArray[np.int32], bool]]:
    """Cut bands (latents, k, w) into chunks of few rows, (k, w, latents); say which is the last."""
    chunk: npt.NDArray[np.int32] | None = None
    for band in y64:
        for top in range(0, band.shape[1], CHUNK_ROWS):
            if chunk is not None:
                yield chunk, False
            # A copy, so that the band need not be kept until the next one is there.
            chunk = np.ascontiguousarray(band[:, top : top + CHUNK_ROWS].transpose(1, 2, 0))
    if chunk is not None:
        yield chunk, True


def _blocks(state: Mapping[str, Float64s], name: str) -> list[_Block]:
    numbers = sorted({int(key.split(".")[1]) for key in state if key.startswith(name + ".")})
    return [_block(state, f"{name}.{number}") for number in numbers]


def _block(state: Mapping[str, Float64s], name: str) -> _Block:
    scale = state[f"{name}.scale"]
    if not bool((np.isfinite(scale) & (scale > 0)).all()):
        raise ValueError(f"synthesis.{name}.scale is not positive")
    reach = _geometric_mean(scale.tolist())
    channels = len(scale)
    taps = state[f"{name}.depthwise"]  # (2C, 1, 3, 3)
    zeros, ones = np.zeros(channels), np.ones(channels)
    lowest = np.concatenate([-VALUE_MAX * ones, zeros])
    highest = np.concatenate([VALUE_MAX * ones, GATE_MAX * ones])
    return _Block(
        _layer(
            np.ascontiguousarray((state[f"{name}.expand.weight"] / scale).T),
            state[f"{name}.expand.bias"],
            FEATURE_MAX,
            _limits(2 * channels, EXPANDED_MAX),
        ),
        _layer(
            np.ascontiguousarray(taps[:, 0].transpose(1, 2, 0)),
            state[f"{name}.depthwise_bias"],
            EXPANDED_MAX,
            (lowest, highest),
            np.concatenate([zeros, GATE_ADDED * ones]),
        ),
        _layer(
            np.ascontiguousarray((state[f"{name}.project.weight"] * (reach / 6)).T),
            state[f"{name}.project.bias"] * reach,
            GATED_MAX,
            _limits(channels, FEATURE_MAX),
        ),
    )


def _shuffled(state: Mapping[str, Float64s], name: str, limit: float, side: int) -> _Layer:
    """A 1x1 convolution before a pixel shuffle, its outputs (C, side, side) reordered: (side, side, C)."""
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    order = np.arange(len(bias)).reshape(-1, side, side).transpose(1, 2, 0).ravel()
    return _layer(np.ascontiguousarray(weight[order].T), bias[order], FEATURE_MAX, _limits(len(bias), limit))


def _limits(channels: int, limit: float) -> Limits:
    return np.full(channels, -limit), np.full(channels, limit)


def _geometric_mean(numbers: Sequence[float]) -> float:
    """The same on every machine: the decimal module rounds logarithm and exponential correctly."""
    with decimal.localcontext(decimal.Context(prec=40, rounding=decimal.ROUND_HALF_EVEN)):
        mean = sum((decimal.Decimal(number).ln() for number in numbers), decimal.Decimal(0)) / len(numbers)
        return float(mean.exp())


@cache
def check_float64() -> None:
    """Raise ArithmeticError unless float64 products of matrices are exact where they can be.

    Some libraries emulate them.
    """
    size = 96
    numbers = np.arange(size * size, dtype=np.int64).reshape(size, size)
    a, b = numbers * 7919 % (1 << 24), numbers * 104729 % (1 << 21) - (1 << 20)
    if not np.array_equal(np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(np.int64), a @ b):
        raise ArithmeticError("float64 products of matrices are not exact here")
