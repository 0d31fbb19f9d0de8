"""A loaded model: the transforms, the gains by quality and the exact prior, under one name and hash."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdae.networks.architecture import GROUPS, HYPER_STRIDE, PATCH, Architecture
from rdae.prior.exact import ExactPrior
from rdae.rows import Span, Stream, join
from rdae.training.modules import normaliser
from rdae.training.modules.analysis import Analysis
from rdae.training.modules.blocks import Block, Pointwise
from rdae.training.modules.hyper_analysis import HyperAnalysis
from rdae.training.modules.layers import ExactLayer
from rdae.training.modules.synthesis import Synthesis
from rdae.transforms import inference
from rdae.transforms.exact import ExactSynthesis


@dataclasses.dataclass(frozen=True)
class GainTables:
    """Gains by quality index, float32 with 801 rows: the model's meaning of quality.

    quantise, restore: (801, latents); analysis, synthesis: (801, fine).  See `rdae.training.modules.gains`; restore is
    already divided by quantise.
    """

    quantise: Tensor
    restore: Tensor
    analysis: Tensor
    synthesis: Tensor


@dataclasses.dataclass(frozen=True)
class Model:
    """Everything that turns pictures into latents and back, on one device.

    name: what people call it; sha256: of its weights file, whose first four bytes a file carries.
    synthesis_state: the synthesis' tensors as that file holds them.
    """

    name: str
    sha256: str
    architecture: Architecture
    analysis: Analysis
    synthesis: Synthesis
    synthesis_state: dict[str, Tensor]
    hyper_analysis: HyperAnalysis
    prior: ExactPrior
    gains: GainTables

    @property
    def model_id(self) -> bytes:
        """The four bytes by which a file names its model."""
        return bytes.fromhex(self.sha256[:8])

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.gains.quantise.device

    def analyse(self, picture: npt.NDArray[np.uint8], index: int, rows: Iterable[Span]) -> Iterator[Tensor]:
        """Transform a picture, uint8 (h, w, 3) of any size, whose edge is repeated up to a multiple of 16.

        index: quality index; rows: how the rows of latents, top to bottom, are to be cut.
        Yields y in quantisation steps, float32 (latents, k, w), for each of `rows`.
        """
        rows = list(rows)
        return self.latents(self.features(picture, rows), index, rows)

    def features(self, picture: npt.NDArray[np.uint8], rows: Iterable[Span]) -> Stream:
        """Do that half of `analyse` which is the same for all qualities: bands of features, 12 bytes a pixel in all."""
        return inference.features(self.analysis, picture, rows)

    def latents(self, features: Iterable[Tensor], index: int, rows: Iterable[Span]) -> Iterator[Tensor]:
        """Do the other half, with what `features` gave for the same rows; it stays as it is."""
        steps = self.gains.quantise[index][:, None, None]
        stream = inference.latents(self.analysis, features, self.gains.analysis[index][None, :, None, None])
        bands = (y[0] for y in stream)
        for top, bottom in rows:
            yield join(bands, bottom - top, dim=1).mul_(steps)

    def hyper_analyse(self, y: Tensor, index: int) -> Tensor:
        """Return z rounded, int64 (hyper_latents, ceil(h/4), ceil(w/4)), of y in steps (latents, h, w)."""
        # What the prior multiplies latents by, in float: its integers are of 1/64 step and 1/128.
        scale = self.prior.to_context[normaliser.row(index)].float() * (0.5 / 2**normaliser.TABLE_SHIFT)
        z: Tensor = self.hyper_analysis((y * scale[:, None, None])[None])
        return z[0].round().long()

    def synthesise(
        self,
        y64: Iterable[Tensor],
        index: int,
        *,
        exact: bool = False,
        scale: int = 1,
        narrow: bool = False,
    ) -> Stream:
        """Turn bands of ŷ·64, int32 (latents, k, w), into bands of levels: uint8 (16 k / scale, 16 w / scale, 3), RGB.

        exact: by `rdae.transforms.exact`, the same on every machine.  scale: 1, 2, 4 or 8, for the means of so many by
        so many pixels; of an exact synthesis, of its levels, halves up.  narrow: about these levels, some off by one or
        more, in half the time where bfloat16 is fast.
        """
        restore, gain = self.gains.restore[index], self.gains.synthesis[index]
        if exact:
            stream = self._exact_synthesis.run(y64, restore, gain)
            return stream if scale == 1 else (_means(levels, scale) for levels in stream)
        steps, gains = restore / normaliser.STEP_UNIT, gain[None, :, None, None]
        return inference.synthesise(self.synthesis, y64, steps, gains, scale=scale, narrow=narrow)

    @property
    def reach(self) -> int:
        """How many latents beside it a pixel depends on."""
        return self.architecture.synthesis_coarse + -(-self.architecture.synthesis_fine // 2)

    @cached_property
    def _exact_synthesis(self) -> ExactSynthesis:
        return ExactSynthesis(self.synthesis_state, self.device)

    def kmac_per_pixel(self) -> dict[str, float]:
        """Return thousands of multiply-accumulates per pixel of each part, at sizes that need no padding."""
        return {
            "analysis": _kmac(self.analysis, fine_modules=("from_pixels", "fine")),
            "hyper_analysis": _kmac_hyper_analysis(self.hyper_analysis),
            "synthesis": _kmac(self.synthesis, fine_modules=("to_pixels", "fine")),
            "prior": _kmac_prior(self.prior),
        }


def _means(levels: Tensor, scale: int) -> Tensor:
    """Average boxes of scale x scale levels, uint8 (h, w, 3), with halves up."""
    height, width, channels = levels.shape
    boxes = levels.view(height // scale, scale, width // scale, scale, channels)
    return boxes.sum(dim=(1, 3)).add_(scale**2 // 2).div_(scale**2, rounding_mode="floor").to(torch.uint8)


def _macs(module: torch.nn.Module) -> int:
    """Multiply-accumulates at one position of all 1x1 convolutions and blocks inside."""
    total = 0
    for child in module.modules():
        if isinstance(child, Pointwise):
            total += child.weight.numel()
        elif isinstance(child, Block):
            total += child.depthwise.numel()
    return total


def _kmac(transform: Analysis | Synthesis, fine_modules: tuple[str, ...]) -> float:
    total = 0.0
    for name, child in transform.named_children():
        side = PATCH // 2 if name in fine_modules else PATCH
        total += _macs(child) / side**2
    return total / 1000


def _kmac_hyper_analysis(network: HyperAnalysis) -> float:
    sides = {"enter": PATCH, "coarse": PATCH, "to_32": 2 * PATCH, "coarser": 2 * PATCH, "to_64": 4 * PATCH}
    return sum(_macs(child) / sides[name] ** 2 for name, child in network.named_children()) / 1000


def _kmac_prior(prior: ExactPrior) -> float:
    hyper, context = prior.hyper, prior.context
    coarsest = PATCH * HYPER_STRIDE
    total = 0.0
    for layers, side in (
        ((hyper.widen, hyper.spread_64, hyper.to_32), coarsest),
        ((hyper.spread_32, hyper.to_16), coarsest // 2),
        ((hyper.spread_16, hyper.mix), PATCH),
    ):
        total += _layer_macs(layers) / side**2
    total += _layer_macs(context.entries) / PATCH**2
    total += sum(_layer_macs(context.trunk_of(step).modules()) for step in range(GROUPS)) / PATCH**2
    # Nothing is known in the first step: it leaves the latents' part of its entry out.
    total -= prior.architecture.latents * prior.architecture.context_width / PATCH**2
    # A head works on the positions of one cell: a quarter.
    total += (_layer_macs(context.means) + _layer_macs(context.indices)) / 4 / PATCH**2
    return total / 1000


def _layer_macs(layers: Iterable[torch.nn.Module]) -> int:
    return sum(layer.weight.numel() for layer in layers if isinstance(layer, ExactLayer))
