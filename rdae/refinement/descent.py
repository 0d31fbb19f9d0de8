"""Steps of descent on R + βD for the latents of one window."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from rdae.networks.architecture import PATCH
from rdae.refinement.effort import Aim, Stage
from rdae.refinement.synthesis import Decoder, Target
from rdae.refinement.twin import Scales, Twin
from rdae.refinement.windows import Box, Window
from rdae.training.modules.cells import by_step, to_cells

_EPSILON = 1e-12


@dataclasses.dataclass(frozen=True)
class Scene:
    """A picture, uint8 (h, w, 3), the box of all its latents, and what is aimed at."""

    levels: npt.NDArray[np.uint8]
    picture: Box
    aim: Aim


@dataclasses.dataclass(frozen=True)
class Place:
    """A window, its tile, that tile's hyper features, (1, hyper_width, h, w), and ŷ in view before, (latents, h, w)."""

    window: Window
    tile: Box
    features: Tensor
    around: Tensor


class Descent:
    """Descends on the latents of one scene."""

    def __init__(self, scene: Scene, twin: Twin, decoder: Decoder) -> None:
        """Take a scene, and the prior and synthesis to be differentiated."""
        self._scene, self._twin, self._decoder = scene, twin, decoder
        self._scales: Scales = twin.scales(scene.aim.index)

    def features(self, z: Tensor, tile: Box) -> Tensor:
        """Return the hyper features of a tile, (1, hyper_width, h, w), of its z."""
        return self._twin.features(z, self._scene.aim.index, tile.size)

    def steps(
        self,
        stage: Stage,
        place: Place,
        y: Tensor,
        source: torch.Generator,
    ) -> Iterator[None]:
        """Make a stage's steps for the core of a place's window, in y itself; yield after each.

        y: (latents, H, W) of the picture.  source: of the noise in rounding.
        """
        window = place.window
        seen = self._twin.seen(window.sight.seen_from(place.tile).of(place.features))
        core = window.core.seen_from(window.sight)
        target = self._target(window.view, y.device)
        around, margins = self._around(place)
        held = None if window.core == window.sight else self._held(window, y)
        found = window.sight.of(y)[None].contiguous(memory_format=torch.channels_last)
        mean = torch.zeros_like(core.of(found))
        square = torch.zeros_like(mean)

        def rounder(step: int, x: Tensor) -> Tensor:
            soft = stage.rounding(x, source)
            return soft if held is None else torch.where(held[step], x.detach().round(), soft)

        for number in range(stage.steps):
            with torch.enable_grad():
                found.requires_grad_()
                bits, decoded = self._twin.run(found, seen, self._scales, rounder)
                decoded = F.pad(decoded, margins) if any(margins) else decoded
                decoded = decoded if around is None else decoded + around
                squares = self._decoder.squares(decoded, target, self._scene.aim.index)
                cost = bits + self._scene.aim.beta / 3 * squares
                (gradient,) = torch.autograd.grad(cost, found)
            gradient = core.of(gradient)
            share = number / max(1, stage.steps - 1)
            rate = stage.rate * (1 - (1 - stage.rest) * share)
            mean.lerp_(gradient, 1 - stage.memory)
            square.lerp_(gradient.square(), 1 - stage.spread_memory)
            usual = square / (1 - stage.spread_memory ** (number + 1))
            # Adam's own divisor moves latents with tiny gradients as far as others, the channel's leaves outliers.
            size = (usual * usual.mean(dim=(2, 3), keepdim=True)).sqrt_().sqrt_().add_(_EPSILON)
            found = found.detach()
            core.of(found).sub_(mean.div(size).mul_(rate / (1 - stage.memory ** (number + 1))))
            window.core.of(y).copy_(core.of(found)[0])
            yield

    def _target(self, view: Box, device: torch.device) -> Target:
        """Return what a view should become, as far as the picture goes."""
        part = self._scene.levels[
            PATCH * view.top : PATCH * view.bottom, PATCH * view.left : PATCH * view.right
        ]
        return Target(part, view.size, device)

    @staticmethod
    def _around(place: Place) -> tuple[Tensor | None, tuple[int, int, int, int]]:
        """Return ŷ of a view, from which the synthesis takes what is not in sight, with zeros where it is.

        Also how many latents beside sight the view has, in `F.pad`'s order.
        """
        inside = place.window.sight.seen_from(place.window.view)
        height, width = place.window.view.size
        margins = (inside.left, width - inside.right, inside.top, height - inside.bottom)
        if not any(margins):
            return None, margins
        around = place.around[None].clone()
        inside.of(around).zero_()
        return around, margins

    @staticmethod
    def _held(window: Window, y: Tensor) -> list[Tensor]:
        """Return where latents in sight are beside the core, as the twin's rounder sees them."""
        mask = torch.ones(1, y.shape[0], *window.sight.size, dtype=torch.bool, device=y.device)
        window.core.seen_from(window.sight).of(mask).fill_(value=False)
        return [each != 0 for each in by_step(to_cells(mask.float()))]
