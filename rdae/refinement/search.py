"""The search for better latents of a tile: stages of descent, and after each a measurement of what it brought."""

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
from rdae.networks.architecture import PATCH
from rdae.prior.exact import ExactPrior
from rdae.refinement.descent import Descent, Place, Scene
from rdae.refinement.effort import Aim, Stage
from rdae.refinement.synthesis import Decoder
from rdae.refinement.twin import Twin
from rdae.refinement.windows import Box, windows
from rdae.training.modules import normaliser
from rdae.transforms.processor import bfloat16_is_fast

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
class Found:
    """An encoding: what is coded, ideal bits, and bits + β·distortion."""

    coded: Coded
    bits: float
    cost: float


def better(cost: float, before: float, bits: float) -> bool:
    """Tell if a cost is less than one before, of an encoding of so many bits, beyond doubt."""
    return cost < before - _DOUBT * bits


class Refinement:
    """A tile at one quality: a picture, or one of its tiles with what is beside it."""

    plain: Found
    """The plain encoding, once the search has begun."""
    best: Found
    """The best one so far."""

    def __init__(self, model: Model, levels: npt.NDArray[np.uint8], y: Tensor, tile: Box, aim: Aim) -> None:
        """Take what the analysis gave.

        levels: uint8 (h, w, 3).  y: float32 (latents, H, W), in quantisation steps; it stays as it is.  tile: what is
        coded, and all that the prior sees; other latents are neighbours for the synthesis, as they are.
        """
        with torch.inference_mode(mode=False):
            self._y = y.clone()
        self._model, self._levels, self._aim = model, levels, aim
        self._whole, self._tile = Box(0, 0, *self._y.shape[1:]), tile

    def run(self, plan: Sequence[Stage], listener: Listener | None = None) -> Coded:
        """Go through the stages; return the best encoding found.

        That is the one with the least bits + β·distortion of 8-bit levels, the plain one included.
        """
        for _ in self.each(plan, listener):
            pass
        return self.best.coded

    def each(self, plan: Sequence[Stage], listener: Listener | None = None) -> Iterator[Found]:
        """Yield the plain encoding, and after each stage the best so far: what each level of effort gives."""
        with torch.inference_mode(mode=False), torch.no_grad():
            z = self._model.hyper_analyse(self._tile.of(self._y), self._aim.index)
            self.plain = self.best = found = self._encoded(z)
            scene = Scene(self._levels, self._whole, self._aim)
            descent = Descent(scene, *_parts_of(self._model))
        yield self.best
        places = sum(1 for _ in windows(self._tile, self._whole))
        total, done = places * sum(each.steps for each in plan), 0
        for number, stage in enumerate(plan):
            # Not around a yield: what the caller does in between is none of this.
            with torch.inference_mode(mode=False), torch.no_grad():
                for _ in self._descended(number, stage, descent, z, found):
                    done += 1
                    if listener and listener(self._progress(done, total)):
                        return
                found = self._encoded(z)
                if better(found.cost, self.best.cost, self.best.bits):
                    self.best = found
            yield self.best

    def _progress(self, done: int, total: int) -> Progress:
        return Progress(done, total, self.plain.bits, self.plain.cost - self.best.cost)

    def _descended(
        self, number: int, stage: Stage, descent: Descent, z: Tensor, found: Found
    ) -> Iterator[None]:
        """Make a stage's steps everywhere, in the latents themselves; found: what there was before."""
        y_hat = self._decoded(found)
        source = torch.Generator(self._y.device)
        features = descent.features(z, self._tile)
        for turn, window in enumerate(windows(self._tile, self._whole)):
            source.manual_seed(number * 1_000_003 + turn)
            place = Place(window, self._tile, features, window.view.of(y_hat))
            yield from descent.steps(stage, place, self._y, source)

    def _encoded(self, z: Tensor) -> Found:
        """Round the latents as they are now, and measure what comes of it."""
        coded = latents.quantise(self._tile.of(self._y), z, self._model.prior, self._aim.index)
        bits = coded.rate_bits()
        return Found(coded, bits, bits + self._aim.beta * self._squares(coded))

    def _squares(self, coded: Coded) -> float:
        """Sum of squared errors over the tile's pixels, mean over their three levels, of what a decoder makes.

        Not over those beside it: theirs are counted with their own tiles.
        """
        y64 = (self._y * normaliser.STEP_UNIT).round().int()
        self._tile.of(y64).copy_(coded.latents.y64)
        tile = Box(*(PATCH * edge for edge in self._tile))
        total, top = 0, 0
        for band in self._model.synthesise([y64], self._aim.index, narrow=True):
            first, last = max(tile.top - top, 0), max(min(tile.bottom - top, len(band)), 0)
            wanted = torch.tensor(self._levels[top + first : top + last, tile.left : tile.right])
            made = band[first : first + len(wanted), tile.left : tile.left + wanted.shape[1]].cpu()
            total += int((made.int() - wanted.int()).square_().sum())
            top += len(band)
        return total / 3

    def _decoded(self, found: Found) -> Tensor:
        """ŷ in steps, (latents, H, W)."""
        y_hat = self._y.clone()
        self._tile.of(y_hat).copy_(found.coded.latents.y64 / normaliser.STEP_UNIT)
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
