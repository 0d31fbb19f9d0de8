"""Picture <-> .rdae bytes: the one place where transforms, latents and container meet.

picture -> analysis -> y, z -> latents (prior and range coder) -> payload -> container -> bytes
        <- synthesis <- ŷ   <-                                 <-         <-           <-
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch

from rdae import container, latents
from rdae.architecture import PATCH
from rdae.clock import Clock
from rdae.container import Container, Header, Section, SectionType, least_payload
from rdae.errors import CorruptError, PictureError, StreamError, VerifyError, VersionError, WeightsError
from rdae.latents import Coded, Latents
from rdae.model import Model
from rdae.prior.layers import exact_float32

Picture = npt.NDArray[np.uint8]


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


@torch.inference_mode()
def quantise(picture: Picture, model: Model, quality_index: int, clock: Clock | None = None) -> Coded:
    """Analyse and round a picture, uint8 (h, w, 3), at a quality index 0..800."""
    clock = clock or Clock()
    with clock.stage("analysis"):
        y, z = model.analyse(_padded(picture), quality_index)
    with clock.stage("prior"):
        return latents.quantise(y, z, model.prior, quality_index)


@torch.inference_mode()
@exact_float32()
def compress(picture: Picture, model: Model, quality_index: int, *, verify: bool = False) -> bytes:
    """Compress an RGB picture, uint8 (h, w, 3) of any size from 1x1, at a quality index 0..800, to a file's bytes.

    verify: decode the latents again and compare; VerifyError if they differ, which only a machine that computes
    wrongly can bring about.
    """
    with _memory_for(*picture.shape[:2]):
        data = _write(picture.shape, quantise(picture, model, quality_index), model, quality_index, Clock())
    if verify:
        try:
            _read(data, model, None, Clock())
        except StreamError as error:
            raise VerifyError(f"what was encoded does not decode here to what was meant: {error}") from error
    return data


@torch.inference_mode()
@exact_float32()
def encode(picture: Picture, model: Model, quality_index: int) -> Encoded:
    """Compress like `compress`, and say all that the encoder knows: its reconstruction, ideal rate and times."""
    clock = Clock()
    height, width = picture.shape[:2]
    with _memory_for(height, width):
        coded = quantise(picture, model, quality_index, clock)
        data = _write(picture.shape, coded, model, quality_index, clock)
        with clock.stage("account"):
            rate_bits, sha256 = coded.rate_bits(), coded.latents.sha256
        with clock.stage("synthesis"):
            reconstruction = _synthesise(coded.latents, model, quality_index, height, width, exact=False)
    return Encoded(data, reconstruction, rate_bits, sha256, clock.seconds)


@torch.inference_mode()
@exact_float32()
def decode(
    data: bytes, model: Model, max_pixels: int | None = container.MAX_PIXELS, *, exact: bool = False
) -> Decoded:
    """Decompress the bytes of a file; a StreamError or WeightsError if that cannot be done soundly.

    exact: synthesise in exact arithmetic, so that pixels are the same on every machine, at a few times the work.
    max_pixels: larger pictures are refused before anything is allocated; None: take any size.
    """
    clock = Clock()
    header, decoded = _read(data, model, max_pixels, clock)
    with _memory_for(header.height, header.width), clock.stage("synthesis"):
        picture = _synthesise(
            decoded, model, header.quality_index, header.height, header.width, exact=exact
        )
    return Decoded(picture, decoded.sha256, clock.seconds)


@torch.inference_mode()
@exact_float32()
def verify(data: bytes, model: Model, max_pixels: int | None = container.MAX_PIXELS) -> None:
    """Decode a file's latents, which is exact, and compare them with their checksum; the errors of `decode`."""
    _read(data, model, max_pixels, Clock())


def _write(shape: tuple[int, ...], coded: Coded, model: Model, quality_index: int, clock: Clock) -> bytes:
    height, width = shape[:2]
    with clock.stage("coding"):
        payload = coded.payload(least_payload(width, height))
        checksum = coded.latents.checksum
    header = Header(width=width, height=height, model=model.model_id, quality_index=quality_index)
    sections = (Section(SectionType.LATENTS, payload),)
    return container.pack(Container(header, sections, latent_checksum=checksum))


def _read(data: bytes, model: Model, max_pixels: int | None, clock: Clock) -> tuple[Header, Latents]:
    """Decode all of a file that is exact."""
    parsed = container.parse(data, max_pixels=max_pixels)
    header = parsed.header
    payload = _sole_latents(parsed)
    if header.model != model.model_id:
        raise WeightsError(f"needs model {header.model.hex()}, but {model.name} is {model.model_id.hex()}")
    size = (-(-header.height // PATCH), -(-header.width // PATCH))
    least = least_payload(header.width, header.height)
    with _memory_for(header.height, header.width):
        decoded = latents.read(payload, model.prior, header.quality_index, size, least=least, clock=clock)
    checksum = parsed.latent_checksum
    if checksum is not None and checksum != decoded.checksum:
        raise CorruptError("the decoded latents are not those that were encoded")
    return header, decoded


def _sole_latents(parsed: Container) -> bytes:
    if parsed.header.tile is not None or parsed.header.grey or parsed.payloads(SectionType.ALPHA):
        raise VersionError("the file uses tiles, grey or alpha, which this version does not decode")
    (payload,) = parsed.payloads(SectionType.LATENTS)
    return payload


def _synthesise(
    decoded: Latents, model: Model, quality_index: int, height: int, width: int, *, exact: bool
) -> Picture:
    """Return the upper left part of what the latents say: uint8 (height, width, 3)."""
    picture = np.empty((height, width, 3), np.uint8)
    top = 0
    for levels in model.synthesise(decoded.y64, quality_index, exact=exact):
        part = levels[: height - top, :width].cpu().numpy()
        picture[top : top + len(part)] = part
        top += len(part)
    return picture


def _padded(picture: Picture) -> torch.Tensor:
    """uint8 (h, w, 3) -> uint8 (H, W, 3), its sides extended to multiples of 16 by repeating the edge."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ValueError(f"picture is {picture.dtype} {picture.shape}, expected uint8 (h, w, 3)")
    height, width = picture.shape[:2]
    extended = np.pad(picture, ((0, -height % PATCH), (0, -width % PATCH), (0, 0)), mode="edge")
    return torch.from_numpy(extended)


@contextmanager
def _memory_for(height: int, width: int) -> Iterator[None]:
    """Turn the ways in which numpy and torch say that memory is short into one error that names the size."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise PictureError(f"not enough memory for {width} x {height} pixels") from error
        raise
