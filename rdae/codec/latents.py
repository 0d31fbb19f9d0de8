"""A tile's latents as integers, and the bytes of them in a file: where prior and range coder work hand in hand.

The prior tells the coder how probable each integer is, and needs the integers before to tell, so neither can go
first: `go_through` is the loop of both directions.  It knows no picture and no container.
"""

from __future__ import annotations

import dataclasses
import hashlib
import zlib
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rdae.clock import Clock
from rdae.codec.range_coding import SymbolDecoder, SymbolEncoder
from rdae.errors import CorruptError
from rdae.networks.graphs import STEPS
from rdae.networks.layers import Z_MAX
from rdae.networks.normaliser import STEP_UNIT
from rdae.networks.prior import SYMBOL_MAX, Prediction, Prior
from rdae.networks.tables import Tables

Int32s = npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False)
class Latents:
    """ẑ and ŷ of a tile.

    z: int32 (hyper_latents, ceil(h/4), ceil(w/4)); y64: ŷ in 1/64 of the quantisation step, int32 (latents, h, w).
    """

    z: Int32s
    y64: Int32s

    def arrays(self) -> tuple[Int32s, Int32s]:
        """What checksum and hash are over: ẑ, then ŷ in 1/64 step, int32 little-endian by channel, row and column.

        ŷ is the sum of what was coded and of the prior's means, so a machine whose prior differs is caught, whatever
        the difference did to the coded residuals.
        """
        z, y64 = (np.ascontiguousarray(each).astype("<i4", copy=False) for each in (self.z, self.y64))
        return z, y64

    @property
    def checksum(self) -> int:
        """CRC-32 of these integers."""
        z, y64 = self.arrays()
        return zlib.crc32(y64.data, zlib.crc32(z.data))


class Digest:
    """Checksum and hash of the latents of all tiles, one after the other."""

    def __init__(self) -> None:
        self.checksum = 0
        self._sha256 = hashlib.sha256()

    def add(self, latents: Latents) -> None:
        """Count in the next tile."""
        for array in latents.arrays():
            self.checksum = zlib.crc32(array.data, self.checksum)
            self._sha256.update(array.data)

    @property
    def sha256(self) -> str:
        """A name for the integers that two programs can compare."""
        return self._sha256.hexdigest()


@dataclasses.dataclass(frozen=True, eq=False)
class Symbols:
    """Integers to be coded, in the order of coding, and the row of the tables that each is coded with: 1-D both."""

    symbols: Int32s
    rows: npt.NDArray[np.integer[Any]]
    tables: Tables


@dataclasses.dataclass(frozen=True, eq=False)
class Quantised:
    """Latents, and the symbols that are coded of them: those of ẑ, then those of each step."""

    latents: Latents
    symbols: tuple[Symbols, ...]

    def payload(self) -> bytes:
        """The coded bytes."""
        coder = SymbolEncoder()
        for part in self.symbols:
            coder.put(part.symbols, part.rows, part.tables)
        return coder.finish(least=_least_bytes(self.latents.z.shape))

    def rate_bits(self) -> float:
        """The ideal code length, -log2 P(ẑ, ŷ)."""
        return sum(part.tables.bits(part.symbols, part.rows) for part in self.symbols)


class Residuals(Protocol):
    """Where the residuals of a step come from: an encoder rounds them, a decoder reads them."""

    def of(self, prediction: Prediction) -> Int32s:
        """Return what is coded of latents about which this was predicted, (N,); 0 for those that are not coded."""


def quantise(y: npt.NDArray[np.float32], z: Int32s, prior: Prior, index: int) -> Quantised:
    """Round latents to what is coded of them.

    y: float32 (latents, h, w), in quantisation steps; z: int32 (hyper_latents, ceil(h/4), ceil(w/4)), as the model's
    analysis gives them; index: quality index 0..800.
    """
    z = np.clip(z, -Z_MAX, Z_MAX)
    rounding = _Rounding(y, prior)
    y64 = go_through(prior, z, index, (y.shape[1], y.shape[2]), rounding)
    of_z = Symbols(z.ravel(), z_rows(z.shape), prior.z_tables)
    return Quantised(Latents(z, y64), (of_z, *rounding.symbols))


def read(
    payload: bytes, prior: Prior, index: int, size: tuple[int, int], clock: Clock | None = None
) -> Latents:
    """Decode what `Quantised.payload` wrote; CorruptError for bytes that it never writes.

    size: (h, w) of the latents.  clock: gets the seconds of "coding" and "prior".
    """
    clock = clock or Clock()
    shape = prior.z_shape(size)
    with clock.stage("coding"):
        coder = SymbolDecoder(payload)
        z = coder.get(z_rows(shape), prior.z_tables).reshape(shape)
    if np.abs(z).max(initial=0) > Z_MAX:
        raise CorruptError("a hyper-latent is out of range: the file is damaged")
    with clock.stage("prior"):
        y64 = go_through(prior, z, index, size, _Reading(coder, prior, clock))
    with clock.stage("coding"):
        coder.finish(least=_least_bytes(shape))
    return Latents(z, y64)


def go_through(prior: Prior, z: Int32s, index: int, size: tuple[int, int], residuals: Residuals) -> Int32s:
    """Code all of ŷ step by step, each with what the steps before have told; return ŷ·64, int32 (latents, h, w).

    z: int32 (hyper_latents, ceil(h/4), ceil(w/4)); index: quality index 0..800; size: (h, w).
    """
    progress = prior.begin(z, index, size)
    for step in STEPS:
        prediction = prior.predict(progress, step)
        prior.place(progress, prediction, residuals.of(prediction))
    return progress.y64


class _Rounding:
    """An encoder's residuals: how far y is from what was predicted, rounded."""

    def __init__(self, y: npt.NDArray[np.float32], prior: Prior) -> None:
        self._y, self._prior = y, prior
        self.symbols: list[Symbols] = []

    def of(self, prediction: Prediction) -> Int32s:
        distance64 = self._prior.take(self._y, prediction.step).astype(np.float64)
        distance64 *= STEP_UNIT
        distance64 -= prediction.means
        distance64 /= STEP_UNIT
        np.rint(distance64, out=distance64)
        residuals = np.clip(distance64, -SYMBOL_MAX, SYMBOL_MAX, out=distance64).astype(np.int32)
        coded = prediction.scales >= self._prior.skip_below
        residuals *= coded
        self.symbols.append(Symbols(residuals[coded], prediction.scales[coded], self._prior.y_tables))
        return residuals


class _Reading:
    """A decoder's residuals: those that its range decoder reads."""

    def __init__(self, coder: SymbolDecoder, prior: Prior, clock: Clock) -> None:
        self._coder, self._prior, self._clock = coder, prior, clock

    def of(self, prediction: Prediction) -> Int32s:
        coded = prediction.scales >= self._prior.skip_below
        with self._clock.stage("coding"):
            symbols = self._coder.get(prediction.scales[coded], self._prior.y_tables)
        if np.abs(symbols).max(initial=0) > SYMBOL_MAX:
            raise CorruptError("a latent is out of range: the file is damaged")
        residuals = np.zeros(len(prediction.scales), np.int32)
        residuals[coded] = symbols
        return residuals


def _least_bytes(z_shape: tuple[int, ...]) -> int:
    """The positions of ẑ, for each of which a payload has at least a byte."""
    return z_shape[1] * z_shape[2]


def z_rows(shape: tuple[int, ...]) -> Int32s:
    """The table row of each hyper-latent of (channels, h, w), flattened: its channel."""
    return np.repeat(np.arange(shape[0], dtype=np.int32), shape[1] * shape[2])
