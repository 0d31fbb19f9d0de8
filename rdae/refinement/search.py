"""The search for better latents of one picture: stages of descent, and after each a measurement of what it brought."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdae import latents
from rdae.latents import Coded
from rdae.model import Model
from rdae.prior import normaliser
from rdae.prior.exact import ExactPrior
from rdae.quality import beta
from rdae.refinement.descent import Descent, Place, Scene
from rdae.refinement.effort import Stage
from rdae.refinement.synthesis import Decoder
from rdae.refinement.twin import Twin
from rdae.refinement.windows import Box, windows
from rdae.tiles import Grid
from rdae.transforms.branch import bfloat16_is_fast

SEED = 0

_DOUBT = 1e-3
"""What must be saved, of the bits, to be believed: costs are measured with the synthesis in bfloat16, whose error
differs between two encodings of a picture by less than 0.08 % of the bits."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a search is: steps done, of how many; bits of the plain encoding, and what the best one saves.

    saved_bits: of bits + β·distortion.
    """

    step: int
    steps: int
    plain_bits: float
    saved_bits: float


Listener = Callable[[Progress], bool | None]
"""Told after each step; True ends the search, with the best so far."""


@dataclasses.dataclass(frozen=True)
class _Found:
    """An encoding of all tiles: what is coded, ideal bits, and bits + β·distortion."""

    coded: list[Coded]
    bits: float
    cost: float


class Refinement:
    """One picture at one quality."""

    def __init__(
        self, model: Model, levels: npt.NDArray[np.uint8], y: Tensor, grid: Grid, index: int
    ) -> None:
        """Take what the analysis gave.

        levels: uint8 (h, w, 3).  y: float32 (latents, H, W), in quantisation steps; it stays as it is.  grid: the
        tiles, each of which the prior sees alone.  index: quality index 0..800.
        """
        with torch.inference_mode(mode=False):
            self._y = y.clone()
        self._model, self._levels, self._index = model, levels, index
        self._picture = Box(0, 0, *self._y.shape[1:])
        self._tiles = [
            Box(top, left, bottom, right) for top, bottom in grid.rows() for left, right in grid.columns()
        ]

    def run(self, plan: Sequence[Stage], listener: Listener | None = None) -> list[Coded]:
        """Go through the stages; return the best encoding found, by tile.

        That is the one with the least bits + β·distortion of 8-bit levels, the plain one included.
        """
        *_, best = self.each(plan, listener)
        return best

    def each(self, plan: Sequence[Stage], listener: Listener | None = None) -> Iterator[list[Coded]]:
        """Yield the plain encoding, and after each stage the best so far: what each level of effort gives."""
        with torch.inference_mode(mode=False), torch.no_grad():
            z = [self._model.hyper_analyse(tile.of(self._y), self._index) for tile in self._tiles]
            plain = best = found = self._encoded(z)
            descent = Descent(Scene(self._levels, self._picture, self._index), *_parts_of(self._model))
        yield best.coded
        places = sum(1 for tile in self._tiles for _ in windows(tile, self._picture))
        total, done = places * sum(each.steps for each in plan), 0
        for number, stage in enumerate(plan):
            # Not around a yield: what the caller does in between is none of this.
            with torch.inference_mode(mode=False), torch.no_grad():
                for _ in self._descended(number, stage, descent, z, found):
                    done += 1
                    if listener and listener(Progress(done, total, plain.bits, plain.cost - best.cost)):
                        return
                found = self._encoded(z)
                if found.cost < best.cost - _DOUBT * best.bits:
                    best = found
            yield best.coded

    def _descended(
        self, number: int, stage: Stage, descent: Descent, z: list[Tensor], found: _Found
    ) -> Iterator[None]:
        """Make a stage's steps everywhere, in the latents themselves; found: what they are decoded to before."""
        source = torch.Generator(self._y.device)
        turn = 0
        for tile, of_tile in zip(self._tiles, z, strict=True):
            features = descent.features(of_tile, tile)
            for window in windows(tile, self._picture):
                source.manual_seed((SEED * 1_000 + number) * 1_000_003 + turn)
                turn += 1
                around = self._decoded(found, window.view)
                yield from descent.steps(stage, Place(window, tile, features, around), self._y, source)

    def _encoded(self, z: list[Tensor]) -> _Found:
        """Round the latents as they are now, and measure what comes of it."""
        prior, index = self._model.prior, self._index
        coded = [
            latents.quantise(tile.of(self._y), each, prior, index)
            for tile, each in zip(self._tiles, z, strict=True)
        ]
        bits = sum(each.rate_bits() for each in coded)
        return _Found(coded, bits, bits + beta(index) * self._squares(coded))

    def _squares(self, coded: list[Coded]) -> float:
        """Sum of squared errors over all pixels, mean over their three levels, of what a decoder makes."""
        height, width = self._levels.shape[:2]
        total, top = 0, 0
        # A row of tiles at a time, as a decoder has them.
        rows = (self._row(coded, tile.top) for tile in self._tiles if tile.left == 0)
        for band in self._model.synthesise(rows, self._index, narrow=True):
            wanted = torch.tensor(self._levels[top : top + band.shape[0]])
            made = band[: wanted.shape[0], :width].cpu()
            total += int((made.int() - wanted.int()).square_().sum())
            top += band.shape[0]
        assert top >= height
        return total / 3

    def _row(self, coded: list[Coded], top: int) -> Tensor:
        """ŷ·64 of the row of tiles that begins at `top`."""
        return torch.cat(
            [each.latents.y64 for each, tile in zip(coded, self._tiles, strict=True) if tile.top == top],
            dim=2,
        )

    def _decoded(self, found: _Found, box: Box) -> Tensor:
        """ŷ in a box, in steps, (latents, h, w)."""
        y_hat = self._y.new_empty(self._y.shape[0], *box.size)
        for tile, coded in zip(self._tiles, found.coded, strict=True):
            common = tile.common(box)
            if common is not None:
                part = common.seen_from(tile).of(coded.latents.y64)
                common.seen_from(box).of(y_hat).copy_(part / normaliser.STEP_UNIT)
        return y_hat


_made: weakref.WeakKeyDictionary[ExactPrior, tuple[Twin, Decoder]] = weakref.WeakKeyDictionary()


def _parts_of(model: Model) -> tuple[Twin, Decoder]:
    """A model's prior and synthesis with gradients, made once."""
    found = _made.get(model.prior)
    if found is None:
        narrow = model.device.type != "cpu" or bfloat16_is_fast()
        dtype = torch.bfloat16 if narrow else torch.float32
        found = _made[model.prior] = Twin(model.prior, dtype), Decoder(model, dtype)
    return found
