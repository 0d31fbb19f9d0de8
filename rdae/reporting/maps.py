"""Where the bits of a file went: -log2 P of each latent by position and channel, and pictures of it.

`rdae inspect` writes these maps as files, `rdae report` puts them on its page.  What is counted is what a decoder is
told: the file is decoded, and the prior is run once more over the integers that were found, which gives for each of
them the table row that the range coder used.  The sum over all positions is the file's ideal length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rdae.codec import container, decode, latents
from rdae.codec.container import Header, SectionType
from rdae.codec.latents import Latents
from rdae.codec.tiles import Grid
from rdae.networks.architecture import HYPER_STRIDE, PATCH
from rdae.networks.model import Model
from rdae.networks.normaliser import LOG_SCALE_STEP, SCALE_MIN, STEP_UNIT
from rdae.networks.prior import Prediction, Prior

Floats = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]
Colours = Sequence[tuple[int, int, int]]

INFERNO: Colours = (
    (0, 0, 4), (27, 12, 65), (74, 12, 107), (120, 28, 109), (165, 44, 96),
    (207, 68, 70), (237, 105, 37), (251, 155, 6), (247, 209, 61), (252, 255, 164),
)  # fmt: skip
"""Matplotlib's map of that name at ten places: dark is little, and it prints and is seen alike by all eyes."""

BLUE_RED: Colours = ((33, 102, 172), (146, 197, 222), (247, 247, 247), (244, 165, 130), (178, 24, 43))
"""ColorBrewer's RdBu, reversed: blue below zero, red above."""


@dataclass(frozen=True, eq=False)
class Maps:
    """What a file spends where, and what its latents are.

    header, file_bytes: of the file. picture: what it decodes to, uint8 (height, width, 3).
    y_bits, z_bits: -log2 P of each latent, float32 (latents, h, w) and (hyper-latents, ceil(h/4), ceil(w/4)).
    y: ŷ in quantisation steps, float32 (latents, h, w). scales: the standard deviation that the prior expected of
    each, in steps, float32 (latents, h, w); where it was below the model's bound nothing is coded.
    """

    header: Header
    file_bytes: int
    picture: Levels
    y_bits: Floats
    z_bits: Floats
    y: Floats
    scales: Floats

    @property
    def y_total(self) -> float:
        """Bits of ŷ."""
        return float(self.y_bits.sum(dtype=np.float64))

    @property
    def z_total(self) -> float:
        """Bits of ẑ."""
        return float(self.z_bits.sum(dtype=np.float64))

    @property
    def rest(self) -> float:
        """Bits of the file that are neither: header, checksums, lengths, alpha, metadata, and the coder's rounding."""
        return 8 * self.file_bytes - self.y_total - self.z_total

    def y_by_position(self) -> Floats:
        """Bits of ŷ at each position, float32 (h, w)."""
        bits: Floats = self.y_bits.sum(axis=0)
        return bits

    def z_by_position(self) -> Floats:
        """Bits of ẑ at each of its positions, float32 (ceil(h/4), ceil(w/4))."""
        bits: Floats = self.z_bits.sum(axis=0)
        return bits

    def by_position(self) -> Floats:
        """All bits at each position of ŷ, float32 (h, w); those of ẑ are spread evenly over the positions it covers."""
        z = self.z_by_position()
        height, width = self.y_bits.shape[1:]
        spread = np.repeat(np.repeat(z, HYPER_STRIDE, 0), HYPER_STRIDE, 1)[:height, :width]
        rows, columns = (_covered(length) for length in (height, width))
        return self.y_by_position() + spread / (rows[:, None] * columns)

    def y_by_channel(self) -> npt.NDArray[np.float64]:
        """Bits of ŷ in each channel, (latents,)."""
        bits: npt.NDArray[np.float64] = self.y_bits.sum(axis=(1, 2), dtype=np.float64)
        return bits

    def z_by_channel(self) -> npt.NDArray[np.float64]:
        """Bits of ẑ in each channel, (hyper-latents,)."""
        bits: npt.NDArray[np.float64] = self.z_bits.sum(axis=(1, 2), dtype=np.float64)
        return bits

    def energies(self) -> npt.NDArray[np.float64]:
        """Mean square of ŷ in each channel, in squared quantisation steps, (latents,)."""
        energies: npt.NDArray[np.float64] = np.square(self.y, dtype=np.float64).mean(axis=(1, 2))
        return energies


def maps_of(data: bytes, model: Model) -> Maps:
    """Decode the bytes of a file and draw up where its bits went; the errors of `rdae.codec.decode.decode`.

    The maps take 16 bytes a latent: about 24 bytes a pixel for a model with 384 channels.
    """
    parsed = container.parse(data)
    decoded = decode.decode(parsed, model)
    header = parsed.header
    grid = Grid.of(header.height, header.width, header.tile)
    sizes = model.architecture.latents, model.architecture.hyper_latents
    z_size = (-(-grid.height // HYPER_STRIDE), -(-grid.width // HYPER_STRIDE))
    y_bits, y, scales = (np.zeros((sizes[0], grid.height, grid.width), np.float32) for _ in range(3))
    z_bits = np.zeros((sizes[1], *z_size), np.float32)
    payloads = iter(parsed.payloads(SectionType.LATENTS))
    for top, bottom in grid.rows():
        for left, right in grid.columns():
            size = (bottom - top, right - left)
            found = latents.read(next(payloads), model.prior, header.quality_index, size)
            here = (slice(None), slice(top, bottom), slice(left, right))
            y_bits[here], scales[here] = _y_account(found, model.prior, header.quality_index)
            y[here] = found.y64 / np.float32(STEP_UNIT)
            # Tiles' sides are multiples of what a hyper-latent covers, but for those at the end.
            lengths = model.prior.z_tables.code_lengths(found.z.ravel(), latents.z_rows(found.z.shape))
            z_top, z_left = top // HYPER_STRIDE, left // HYPER_STRIDE
            _, height, width = found.z.shape
            z_bits[:, z_top : z_top + height, z_left : z_left + width] = lengths.reshape(found.z.shape)
    return Maps(header, len(data), decoded.picture, y_bits, z_bits, y, scales)


class _Account:
    """The residuals of latents that are known; what each costs, and the deviation that was expected of it."""

    def __init__(self, y64: npt.NDArray[np.int32], prior: Prior) -> None:
        self._y64, self._prior = y64, prior
        self.bits, self.scales = np.zeros(y64.shape, np.float32), np.zeros(y64.shape, np.float32)

    def of(self, prediction: Prediction) -> npt.NDArray[np.int32]:
        prior, step, rows = self._prior, prediction.step, prediction.scales
        residuals = (prior.take(self._y64, step) - prediction.means) // np.int32(STEP_UNIT)
        coded = rows >= prior.skip_below
        lengths = np.zeros(len(rows), np.float32)
        lengths[coded] = prior.y_tables.code_lengths(residuals[coded], rows[coded])
        prior.put(self.bits, step, lengths)
        prior.put(self.scales, step, (SCALE_MIN * np.exp(LOG_SCALE_STEP * rows)).astype(np.float32))
        return residuals


def _y_account(found: Latents, prior: Prior, index: int) -> tuple[Floats, Floats]:
    """Bits of a tile's ŷ and the standard deviations expected of it, each (latents, h, w)."""
    account = _Account(found.y64, prior)
    latents.go_through(prior, found.z, index, (found.y64.shape[1], found.y64.shape[2]), account)
    return account.bits, account.scales


def _covered(length: int) -> npt.NDArray[np.int64]:
    """How many of `length` positions share the hyper-latent that covers a position, for each of them."""
    first = np.arange(length) // HYPER_STRIDE * HYPER_STRIDE
    return np.minimum(first + HYPER_STRIDE, length) - first


def coloured(values: npt.NDArray[np.floating], low: float, high: float, colours: Colours) -> Levels:
    """Values as colours, uint8 (..., 3): the first of `colours` at `low` and below, the last at `high` and above."""
    share = np.clip((values.astype(np.float64) - low) / max(high - low, 1e-12), 0, 1) * (len(colours) - 1)
    table = np.array(colours, np.float64)
    left = np.minimum(share.astype(np.intp), len(colours) - 2)
    part = (share - left)[..., None]
    colour: Levels = (table[left] * (1 - part) + table[left + 1] * part + 0.5).astype(np.uint8)
    return colour


def over_pixels(levels: Levels, size: tuple[int, int], side: int = PATCH) -> Levels:
    """Colours by position, (h, w, 3), as a picture of size (height, width) of which each covers side x side pixels."""
    return np.ascontiguousarray(np.repeat(np.repeat(levels, side, 0), side, 1)[: size[0], : size[1]])


def residual(original: Levels, decoded: Levels, gain: float) -> Levels:
    """What was lost, original - decoded, times `gain` about mid-grey: uint8 like both, 128 where they are equal."""
    difference = original.astype(np.float32) - decoded
    shown: Levels = np.clip(128.5 + gain * difference, 0, 255).astype(np.uint8)
    return shown


def mosaic(planes: Floats, order: Sequence[int]) -> Levels:
    """The channels `order` of (latents, h, w) side by side in reading order, a white line between: uint8 (H, W, 3).

    Blue below zero, red above.  Each is drawn to its own largest magnitude, and as the signed square root: most
    latents are small.
    """
    height, width = planes.shape[1:]
    across = max(1, math.ceil(math.sqrt(len(order) * height / width)))
    down = -(-len(order) // across)
    sheet = np.full((down * (height + 1) - 1, across * (width + 1) - 1, 3), 255, np.uint8)
    for i, channel in enumerate(order):
        row, column = divmod(i, across)
        plane = planes[channel]
        root = np.sign(plane) * np.sqrt(np.abs(plane))
        most = float(np.abs(root).max()) or 1.0
        top, left = row * (height + 1), column * (width + 1)
        sheet[top : top + height, left : left + width] = coloured(root, -most, most, BLUE_RED)
    return sheet
