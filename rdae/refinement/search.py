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
from rdae.prior import normaliser
from rdae.prior.exact import ExactPrior
from rdae.quality import beta
from rdae.refinement.descent import Descent, Place, Scene
from rdae.refinement.effort import Stage
from rdae.refinement.synthesis import Decoder
from rdae.refinement.twin import Twin
from rdae.refinement.windows import Box, windows
from rdae.transforms.branch import bfloat16_is_fast

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
    """An encoding: what is coded, ideal bits, and bits + β·distortion."""

    coded: Coded
    bits: float
    cost: float


class Refinement:
    """A tile at one quality: a picture, or one of its tiles with what is beside it."""

    def __init__(self, model: Model, levels: npt.NDArray[np.uint8], y: Tensor, tile: Box, index: int) -> None:
        """Take what the analysis gave.

        levels: uint8 (h, w, 3).  y: float32 (latents, H, W), in quantisation steps; it stays as it is.  tile: what is
        coded, and all that the prior sees; other latents are neighbours for the synthesis, as they are.  index:
        quality index 0..800.
        """
        with torch.inference_mode(mode=False):
            self._y = y.clone()
        self._model, self._levels, self._index = model, levels, index
        self._whole, self._tile = Box(0, 0, *self._y.shape[1:]), tile

    def run(self, plan: Sequence[Stage], listener: Listener | None = None) -> Coded:
        """Go through the stages; return the best encoding found.

        That is the one with the least bits + β·distortion of 8-bit levels, the plain one included.
        """
        *_, best = self.each(plan, listener)
        return best

    def each(self, plan: Sequence[Stage], listener: Listener | None = None) -> Iterator[Coded]:
        """Yield the plain encoding, and after each stage the best so far: what each level of effort gives."""
        with torch.inference_mode(mode=False), torch.no_grad():
            z = self._model.hyper_analyse(self._tile.of(self._y), self._index)
            best = found = self._encoded(z)
            descent = Descent(Scene(self._levels, self._whole, self._index), *_parts_of(self._model))
        plain_bits, plain_cost = best.bits, best.cost
        yield best.coded
        places = sum(1 for _ in windows(self._tile, self._whole))
        total, done = places * sum(each.steps for each in plan), 0
        for number, stage in enumerate(plan):
            # Not around a yield: what the caller does in between is none of this.
            with torch.inference_mode(mode=False), torch.no_grad():
                for _ in self._descended(number, stage, descent, z, found):
                    done += 1
                    if listener and listener(Progress(done, total, plain_bits, plain_cost - best.cost)):
                        return
                found = self._encoded(z)
                if found.cost < best.cost - _DOUBT * best.bits:
                    best = found
            yield best.coded

    def _descended(
        self, number: int, stage: Stage, descent: Descent, z: Tensor, found: _Found
    ) -> Iterator[None]:
        """Make a stage's steps everywhere, in the latents themselves; found: what there was before."""
        y_hat = self._decoded(found)
        source = torch.Generator(self._y.device)
        features = descent.features(z, self._tile)
        for turn, window in enumerate(windows(self._tile, self._whole)):
            source.manual_seed(number * 1_000_003 + turn)
            place = Place(window, self._tile, features, window.view.of(y_hat))
            yield from descent.steps(stage, place, self._y, source)

    def _encoded(self, z: Tensor) -> _Found:
        """Round the latents as they are now, and measure what comes of it."""
        coded = latents.quantise(self._tile.of(self._y), z, self._model.prior, self._index)
        bits = coded.rate_bits()
        return _Found(coded, bits, bits + beta(self._index) * self._squares(coded))

    def _squares(self, coded: Coded) -> float:
        """Sum of squared errors over all pixels, mean over their three levels, of what a decoder makes."""
        y64 = (self._y * normaliser.STEP_UNIT).round().int()
        self._tile.of(y64).copy_(coded.latents.y64)
        total, top = 0, 0
        for band in self._model.synthesise([y64], self._index, narrow=True):
            wanted = torch.tensor(self._levels[top : top + band.shape[0]])
            made = band[: wanted.shape[0], : wanted.shape[1]].cpu()
            total += int((made.int() - wanted.int()).square_().sum())
            top += band.shape[0]
        return total / 3

    def _decoded(self, found: _Found) -> Tensor:
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
