"""A file on its way to levels: its latents, a row of tiles at a time, and the part of its picture that is wanted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from rdae import latents
from rdae.clock import Clock
from rdae.codec import container
from rdae.codec import sections as extras
from rdae.codec.bands import Picture, cut_levels, memory_for
from rdae.codec.container import SectionType
from rdae.codec.sections.alpha import means
from rdae.codec.tiles import Grid, Region, window
from rdae.errors import CorruptError, WeightsError
from rdae.heap import trim
from rdae.latents import Digest, Latents
from rdae.model import Model
from rdae.networks.architecture import PATCH
from rdae.pictures.raster import Raster
from rdae.rows import Span, join

SCALES = (1, 2, 4, 8)
"""How many pixels to a side one pixel of a reduced decode stands for."""


class Decoder:
    """A file on its way to latents, a row of tiles at a time: all of it that is exact."""

    def __init__(self, data: bytes, model: Model, max_pixels: int | None, clock: Clock) -> None:
        parsed = container.parse(data, max_pixels=max_pixels)
        self.header = parsed.header
        if self.header.model != model.model_id:
            needed = self.header.model.hex()
            raise WeightsError(f"needs model {needed}, but {model.name} is {model.model_id.hex()}")
        self.grid = Grid.of(self.header.height, self.header.width, self.header.tile)
        self.digest = Digest()
        self._parsed = parsed
        self._tiles = 0  # how many were decoded
        self.model, self._clock = model, clock

    def skim(self) -> None:
        """Decode everything and keep nothing; CorruptError if it is not what was encoded."""
        with memory_for(self.header.height, self.header.width):
            for _ in self.rows((0, self.grid.height), (0, self.grid.width)):
                pass

    def extras(self) -> extras.AuxiliaryData:
        """Return what is there beside latents; CorruptError."""
        return extras.read(self._parsed)

    def compare(self, raster: Raster) -> None:
        """CorruptError if the extras are not a raster's."""
        if not self.extras().are_of(raster):
            raise CorruptError("alpha or metadata are not those that were encoded")

    def rows(self, vertical: Span, horizontal: Span) -> Iterator[Tensor]:
        """Yield ŷ·64, int32 (latents, k, w), of a window of latents, a row of tiles at a time, decoding what it needs.

        CorruptError, at the end at the latest, if what was decoded is not what was encoded; of a part of the tiles only
        damage can be told that the range coder notices.
        """
        payloads = self._parsed.payloads(SectionType.LATENTS)
        checksum = self._parsed.latent_checksum
        columns = self.grid.columns()
        for at, (top, bottom) in enumerate(self.grid.rows()):
            down = slice(max(top, vertical[0]) - top, min(bottom, vertical[1]) - top)
            if down.start < down.stop:
                if len(columns) > 1:
                    trim()
                here = payloads[at * len(columns) : (at + 1) * len(columns)]
                tiles = self._row_of_tiles(here, bottom - top, horizontal)
                row = join((y64[:, down] for y64 in tiles), horizontal[1] - horizontal[0], dim=2)
                if len(columns) > 1:
                    trim()
                # In two, so that nobody has to wait for the next row to know that this is not all.
                yield from (
                    row.split(row.shape[1] - row.shape[1] // 2, dim=1) if bottom < vertical[1] else [row]
                )
                del row
        if checksum is not None and self._tiles == len(payloads) and checksum != self.digest.checksum:
            raise CorruptError("the decoded latents are not those that were encoded")

    def _row_of_tiles(self, payloads: list[bytes], height: int, horizontal: Span) -> Iterator[Tensor]:
        """Decode a row of tiles, so many latents high, as far as it is in a span of columns; yield the tiles' ŷ·64."""
        for payload, (left, right) in zip(payloads, self.grid.columns(), strict=True):
            across = slice(max(left, horizontal[0]) - left, min(right, horizontal[1]) - left)
            if across.start < across.stop:
                yield self._tile(payload, (height, right - left)).y64[:, :, across]

    def _tile(self, payload: bytes, size: tuple[int, int]) -> Latents:
        index = self.header.quality_index
        decoded = latents.read(payload, self.model.prior, index, size, self._clock)
        self.digest.add(decoded)
        self._tiles += 1
        return decoded


class View:
    """A region of a file's picture at a scale; ValueError if there is none such. See `decode`."""

    def __init__(self, decoder: Decoder, region: Region | None, scale: int) -> None:
        header = decoder.header
        if scale not in SCALES:
            raise ValueError(f"scale is {scale}, expected 1, 2, 4 or 8")
        if region is None:
            region = Region(0, 0, header.width, header.height)
        if not region.inside(header.width, header.height):
            size = f"{header.width} x {header.height}"
            raise ValueError(f"region {tuple(region)} is not inside of {size} pixels")
        self.decoder, self._scale = decoder, scale
        self._region, self._boxes = region, region.boxes(scale)
        self.height, self.width = self._boxes.height, self._boxes.width
        with memory_for(header.height, header.width):
            self.extras = decoder.extras()
            plane = self.extras.alpha
            self.alpha = None if plane is None else np.ascontiguousarray(self._boxes.of(means(plane, scale)))

    def levels(self, *, exact: bool) -> Iterator[Picture]:
        """Yield its rows, top to bottom: uint8 (k, width, 3), or (k, width, 1) of a grey picture."""
        region, boxes, decoder, model = self._region, self._boxes, self.decoder, self.decoder.model
        # A window of latents, of which those at its borders only serve as neighbours.
        top, bottom = window(region.y, region.height, decoder.grid.height, model.reach)
        left, right = window(region.x, region.width, decoder.grid.width, model.reach)
        side = PATCH // self._scale
        rows = decoder.rows((top, bottom), (left, right))
        stream = model.synthesise(rows, decoder.header.quality_index, exact=exact, scale=self._scale)
        size, origin = (boxes.height, boxes.width), (boxes.y - top * side, boxes.x - left * side)
        return cut_levels(stream, size, origin, grey=decoder.header.grey)
