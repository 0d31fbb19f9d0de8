"""Picture <-> .rdae bytes: the one place where transforms, prior, coding and container meet.

picture -> analysis -> y, z -> prior: means and table rows -> coding -> container -> bytes
        <- synthesis <- y <-                               <-        <-           <-
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from rdae import container
from rdae.architecture import HYPER_STRIDE, PATCH
from rdae.coding import SymbolDecoder, SymbolEncoder, Tables
from rdae.container import Container, Header, Section, SectionType
from rdae.errors import CorruptError, PictureError, StreamError, VersionError, WeightsError
from rdae.model import Model
from rdae.prior.exact import SYMBOL_MAX
from rdae.prior.hyperprior import Z_MAX
from rdae.prior.layers import exact_float32
from rdae.prior.normaliser import STEP_UNIT

Picture = npt.NDArray[np.uint8]
Int32s = npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A compressed picture, with what the encoder knows about it.

    data: the whole file. reconstruction: what it decodes to, uint8 (h, w, 3).
    rate_bits: the ideal code length -log2 P(ẑ, ŷ) of its integers under the model's tables.
    latents_sha256: of ẑ and ŷ as integers. seconds: by stage.
    """

    data: bytes
    reconstruction: Picture
    rate_bits: float
    latents_sha256: str
    seconds: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A decompressed picture, uint8 (h, w, 3), with the hash of ẑ and ŷ and the seconds by stage."""

    picture: Picture
    latents_sha256: str
    seconds: dict[str, float]


class _Clock:
    """Seconds by stage; a stage inside another is counted once, as its own."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        outer_inner, self._inner = self._inner, 0.0
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent - self._inner
            self._inner = outer_inner + spent


@dataclasses.dataclass(frozen=True)
class Latents:
    """A picture as the integers that are coded, in the order of coding.

    z: hyper-latents and their table rows; y: residuals and their table rows, for each of the four context steps;
    all int32, 1-D.  y64: ŷ in 1/64 step, int64 (latents, h, w), from which the picture is synthesised.
    """

    z: tuple[Int32s, Int32s]
    y: list[tuple[Int32s, Int32s]]
    y64: Tensor


@torch.inference_mode()
def quantise(picture: Picture, model: Model, quality_index: int, clock: _Clock | None = None) -> Latents:
    """Analyse and round a picture, uint8 (h, w, 3), at a quality index 0..800."""
    clock = clock or _Clock()
    with clock.stage("analysis"):
        y, z = model.analyse(_to_tensor(picture, model.device), quality_index)
        z = z.clamp(-Z_MAX, Z_MAX)
        wanted64 = (y.double() * STEP_UNIT).flatten()
    steps = []

    def code(where: Tensor, means: Tensor, scales: Tensor) -> Tensor:
        residuals = ((wanted64[where] - means) / STEP_UNIT).round().clamp(-SYMBOL_MAX, SYMBOL_MAX).long()
        coded = scales >= model.prior.skip_below
        residuals *= coded
        steps.append((_int32(residuals[coded]), _int32(scales[coded])))
        return residuals

    with clock.stage("prior"):
        y64 = model.prior.run(z, quality_index, (y.shape[1], y.shape[2]), code)
    return Latents((_int32(z), _z_rows(z.shape)), steps, y64)


@torch.inference_mode()
@exact_float32()
def compress(picture: Picture, model: Model, quality_index: int) -> bytes:
    """Compress an RGB picture, uint8 (h, w, 3) of any size from 1x1, at a quality index 0..800, to a file's bytes."""
    with _memory_for(*picture.shape[:2]):
        return _write(picture.shape, quantise(picture, model, quality_index), model, quality_index, _Clock())


@torch.inference_mode()
@exact_float32()
def encode(picture: Picture, model: Model, quality_index: int) -> Encoded:
    """Compress like `compress`, and say all that the encoder knows: its reconstruction, ideal rate and times."""
    clock = _Clock()
    height, width = picture.shape[:2]
    with _memory_for(height, width):
        latents = quantise(picture, model, quality_index, clock)
        data = _write(picture.shape, latents, model, quality_index, clock)
        with clock.stage("account"):
            rate_bits = sum(tables.bits(symbols, rows) for (symbols, rows), tables in _coded(latents, model))
            sha256 = hashlib.sha256(_latents_bytes(latents.z[0], latents.y64)).hexdigest()
        with clock.stage("synthesis"):
            reconstruction = _to_picture(model.synthesise(latents.y64, quality_index), height, width)
    return Encoded(data, reconstruction, rate_bits, sha256, clock.seconds)


def _coded(latents: Latents, model: Model) -> list[tuple[tuple[Int32s, Int32s], Tables]]:
    """Return all (symbols, rows) in the order of coding, with their tables: the decoder picks y's rows from z."""
    return [(latents.z, model.prior.z_tables), *((step, model.prior.y_tables) for step in latents.y)]


def _write(shape: tuple[int, ...], latents: Latents, model: Model, quality_index: int, clock: _Clock) -> bytes:
    with clock.stage("coding"):
        coder = SymbolEncoder()
        for (symbols, rows), tables in _coded(latents, model):
            coder.put(symbols, rows, tables)
        payload = coder.finish()
        checksum = zlib.crc32(_latents_bytes(latents.z[0], latents.y64))
    header = Header(width=shape[1], height=shape[0], model=model.model_id, quality_index=quality_index)
    sections = (Section(SectionType.LATENTS, payload),)
    return container.pack(Container(header, sections, latent_checksum=checksum))


@contextmanager
def _memory_for(height: int, width: int) -> Iterator[None]:
    """Turn the ways in which numpy and torch say that memory is short into one error that names the size."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise PictureError(f"not enough memory for {width} x {height} pixels") from error
        raise


@torch.inference_mode()
@exact_float32()
def decode(data: bytes, model: Model, max_pixels: int | None = container.MAX_PIXELS) -> Decoded:
    """Decompress the bytes of a file; a StreamError or WeightsError if that cannot be done soundly."""
    clock = _Clock()
    parsed = container.parse(data, max_pixels=max_pixels)
    header = parsed.header
    payload = _sole_latents(parsed)
    if header.model != model.model_id:
        raise WeightsError(f"needs model {header.model.hex()}, but {model.name} is {model.model_id.hex()}")
    with _memory_for(header.height, header.width):
        return _read(header, payload, parsed.latent_checksum, model, clock)


def _read(header: Header, payload: bytes, checksum: int | None, model: Model, clock: _Clock) -> Decoded:
    index = header.quality_index
    size = (-(-header.height // PATCH), -(-header.width // PATCH))
    z_shape = (model.architecture.hyper_latents, *(-(-n // HYPER_STRIDE) for n in size))
    z_rows = _z_rows(z_shape)
    with clock.stage("coding"):
        coder = SymbolDecoder(payload)
        z_symbols = coder.get(z_rows, model.prior.z_tables)
    if np.abs(z_symbols).max(initial=0) > Z_MAX:
        raise CorruptError("a hyper-latent is out of range: the file is damaged")
    z = torch.from_numpy(z_symbols.astype(np.int64)).view(z_shape).to(model.device)

    def code(where: Tensor, means: Tensor, scales: Tensor) -> Tensor:
        del means
        coded = scales >= model.prior.skip_below
        with clock.stage("coding"):
            rows = _int32(scales[coded])
            symbols = coder.get(rows, model.prior.y_tables)
        if np.abs(symbols).max(initial=0) > SYMBOL_MAX:
            raise CorruptError("a latent is out of range: the file is damaged")
        residuals = torch.zeros_like(where)
        residuals[coded] = torch.from_numpy(symbols.astype(np.int64)).to(model.device)
        return residuals

    with clock.stage("prior"):
        y_hat64 = model.prior.run(z, index, size, code)
    with clock.stage("coding"):
        coder.finish()
    integers = _latents_bytes(z_symbols, y_hat64)
    if checksum is not None and checksum != zlib.crc32(integers):
        raise CorruptError("the decoded latents are not those that were encoded")
    with clock.stage("synthesis"):
        picture = _to_picture(model.synthesise(y_hat64, index), header.height, header.width)
    return Decoded(picture, hashlib.sha256(integers).hexdigest(), clock.seconds)


def _latents_bytes(z: Int32s, y64: Tensor) -> bytes:
    """Return what the latent checksum is over: ẑ, then ŷ in 1/64 step, int32 little-endian by channel, row, column.

    ŷ is the sum of what was coded and of the prior's means, so a machine whose prior differs is caught, whatever the
    difference did to the coded residuals.
    """
    return z.astype("<i4").tobytes() + _int32(y64).astype("<i4").tobytes()


def _sole_latents(parsed: Container) -> bytes:
    if parsed.header.tile is not None or parsed.header.grey or parsed.payloads(SectionType.ALPHA):
        raise VersionError("the file uses tiles, grey or alpha, which this version does not decode")
    payloads = parsed.payloads(SectionType.LATENTS)
    if len(payloads) != 1:
        raise StreamError(f"{len(payloads)} latents sections, expected 1")
    return payloads[0]


def _to_tensor(picture: Picture, device: torch.device) -> Tensor:
    """uint8 (h, w, 3) -> float32 (1, 3, H, W) in 0..1, its sides extended to multiples of 16 by repeating the edge."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ValueError(f"picture is {picture.dtype} {picture.shape}, expected uint8 (h, w, 3)")
    height, width = picture.shape[:2]
    x = torch.tensor(np.ascontiguousarray(picture)).to(device).permute(2, 0, 1)[None].float() / 255
    x = F.pad(x, (0, -width % PATCH, 0, -height % PATCH), mode="replicate")
    return x.contiguous(memory_format=torch.channels_last)


def _to_picture(x_hat: Tensor, height: int, width: int) -> Picture:
    """float32 (3, H, W) around 0..1 -> uint8 (height, width, 3), its upper left part."""
    levels = (x_hat[:, :height, :width] * 255).round_().clamp_(0, 255).to(torch.uint8)
    return levels.permute(1, 2, 0).contiguous().cpu().numpy()


def _z_rows(shape: tuple[int, ...] | torch.Size) -> Int32s:
    """The table row of each hyper-latent of (channels, h, w), flattened: its channel."""
    return np.repeat(np.arange(shape[0], dtype=np.int32), shape[1] * shape[2])


def _int32(numbers: Tensor) -> Int32s:
    return numbers.flatten().to(torch.int32).cpu().numpy()
