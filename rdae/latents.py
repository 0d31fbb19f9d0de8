"""A picture's latents as integers, and the bytes of them in a file: where prior and range coder work hand in hand.

The prior tells the coder how probable each integer is, and needs the integers before to tell, so neither can go
first; this module holds the loop.  It knows no picture and no container.
"""

from __future__ import annotations

import dataclasses
import hashlib
import zlib

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdae.clock import Clock
from rdae.codec.range_coding import SymbolDecoder, SymbolEncoder
from rdae.errors import CorruptError
from rdae.networks.architecture import HYPER_STRIDE
from rdae.networks.tables import Tables
from rdae.prior.exact import SYMBOL_MAX, ExactPrior, Places
from rdae.training.modules.hyperprior import Z_MAX
from rdae.training.modules.normaliser import STEP_UNIT

Int32s = npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False)
class Latents:
    """ẑ and ŷ.

    z: int32, (hyper-latents · h/4 · w/4,), by channel, row and column; y64: ŷ in 1/64 step, int32 (latents, h, w).
    """

    z: Int32s
    y64: Tensor

    def _arrays(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """What checksum and hash are over: ẑ, then ŷ in 1/64 step, int32 little-endian by channel, row and column.

        ŷ is the sum of what was coded and of the prior's means, so a machine whose prior differs is caught, whatever
        the difference did to the coded residuals.
        """
        return self.z.astype("<i4", copy=False), _int32(self.y64).astype("<i4", copy=False)

    @property
    def checksum(self) -> int:
        """CRC-32 of these integers."""
        z, y64 = self._arrays()
        return zlib.crc32(y64.data, zlib.crc32(z.data))


class Digest:
    """Checksum and hash of the latents of all tiles, one after the other."""

    def __init__(self) -> None:
        self.checksum = 0
        self._sha256 = hashlib.sha256()

    def add(self, latents: Latents) -> None:
        """Count in the next tile."""
        for array in latents._arrays():  # noqa: SLF001
            self.checksum = zlib.crc32(array.data, self.checksum)
            self._sha256.update(array.data)

    @property
    def sha256(self) -> str:
        """A name for the integers that two programs can compare."""
        return self._sha256.hexdigest()


@dataclasses.dataclass(frozen=True, eq=False)
class Coded:
    """Latents, and the integers that are coded of them, in the order of coding: (symbols, rows, tables).

    positions: of ẑ, for each of which there is at least a byte.
    """

    latents: Latents
    parts: list[tuple[Int32s, Int32s, Tables]]
    positions: int

    def payload(self) -> bytes:
        """The coded bytes."""
        coder = SymbolEncoder()
        for part in self.parts:
            coder.put(*part)
        return coder.finish(least=self.positions)

    def rate_bits(self) -> float:
        """The ideal code length, -log2 P(ẑ, ŷ)."""
        return sum(tables.bits(symbols, rows) for symbols, rows, tables in self.parts)


def quantise(y: Tensor, z: Tensor, prior: ExactPrior, index: int) -> Coded:
    """Round latents to what is coded of them.

    y: float (latents, h, w), in quantisation steps; z: int64 (hyper_latents, ceil(h/4), ceil(w/4)), as the model's
    analysis gives them; index: quality index 0..800.
    """
    z = z.clamp(-Z_MAX, Z_MAX)
    parts = [(_int32(z), _z_rows(z.shape), prior.z_tables)]

    def code(places: Places, means: Tensor, scales: Tensor) -> Tensor:
        distance64 = places.take(y).double().mul_(STEP_UNIT).sub_(means)
        residuals = distance64.div_(STEP_UNIT).round_().clamp_(-SYMBOL_MAX, SYMBOL_MAX).int()
        residuals *= scales >= prior.skip_below
        rows = _int32(scales)
        coded = np.flatnonzero(rows >= prior.skip_below)
        parts.append((_int32(residuals)[coded], rows[coded], prior.y_tables))
        return residuals

    decoded64 = prior.run(z, index, (y.shape[1], y.shape[2]), code)
    return Coded(Latents(parts[0][0], decoded64), parts, z.shape[1] * z.shape[2])


def read(
    payload: bytes, prior: ExactPrior, index: int, size: tuple[int, int], clock: Clock | None = None
) -> Latents:
    """Decode what `Coded.payload` wrote; CorruptError for bytes that it never writes.

    size: (h, w) of the latents.
    """
    clock = clock or Clock()
    z_shape = (prior.architecture.hyper_latents, *(-(-n // HYPER_STRIDE) for n in size))
    with clock.stage("coding"):
        coder = SymbolDecoder(payload)
        z_symbols = coder.get(_z_rows(z_shape), prior.z_tables)
    if np.abs(z_symbols).max(initial=0) > Z_MAX:
        raise CorruptError("a hyper-latent is out of range: the file is damaged")
    device = prior.to_context.device
    z = torch.from_numpy(z_symbols.astype(np.int64)).view(z_shape).to(device)

    def code(_places: Places, _means: Tensor, scales: Tensor) -> Tensor:
        rows = _int32(scales)
        coded = np.flatnonzero(rows >= prior.skip_below)
        with clock.stage("coding"):
            symbols = coder.get(rows[coded], prior.y_tables)
        if np.abs(symbols).max(initial=0) > SYMBOL_MAX:
            raise CorruptError("a latent is out of range: the file is damaged")
        residuals = np.zeros_like(rows)
        residuals[coded] = symbols
        return torch.from_numpy(residuals).to(device)

    with clock.stage("prior"):
        y64 = prior.run(z, index, size, code)
    with clock.stage("coding"):
        coder.finish(least=z_shape[1] * z_shape[2])
    return Latents(z_symbols, y64)


def _z_rows(shape: tuple[int, ...] | torch.Size) -> Int32s:
    """The table row of each hyper-latent of (channels, h, w), flattened: its channel."""
    return np.repeat(np.arange(shape[0], dtype=np.int32), shape[1] * shape[2])


def _int32(numbers: Tensor) -> Int32s:
    return numbers.flatten().to(torch.int32).cpu().numpy()
