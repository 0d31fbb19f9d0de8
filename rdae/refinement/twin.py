"""The prior's context steps in real numbers, with gradients: the exact prior's integers, not rounded in between.

Their rate agrees with that of the file within 0.2 %, in bfloat16 too.  It serves to find latents, never to code them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdae.networks.architecture import GROUPS
from rdae.prior.exact import ExactPrior
from rdae.quality import hats
from rdae.refinement.lengths import Lengths
from rdae.training.modules import normaliser
from rdae.training.modules.cells import by_group, by_step, from_cells, group_of, to_cells
from rdae.training.modules.context_model import CONTEXT_MAX, INDEX_MAX, MEAN_MAX
from rdae.training.modules.layers import HIDDEN_MAX, UNIT, ExactLayer
from rdae.training.modules.trunk import Trunk

Rounder = Callable[[int, Tensor], Tensor]
"""round(step, distances from the means) -> symbols, both (cells, B, h/2, w/2, latents/4)."""


@dataclasses.dataclass(frozen=True)
class _Step:
    """A step's entry and heads as products of the cells: biases (cells, 1, out), weights (cells, in, out).

    seen: of the hyper features, the same in all cells; known: of what the earlier steps coded, in their order.
    """

    bias: Tensor
    seen: Tensor
    known: Tensor | None
    head_bias: Tensor
    heads: Tensor


@dataclasses.dataclass(frozen=True)
class Scales:
    """What latents and means are multiplied by, and added to indices, by step: (cells, 1, 1, 1, latents/4)."""

    to_context: list[Tensor]
    from_mean: list[Tensor]
    offset: list[Tensor]


class Twin:
    """One model's context steps, for one number type."""

    def __init__(self, prior: ExactPrior, dtype: torch.dtype) -> None:
        """Take the prior's integers; dtype: bfloat16 or float32, of what its layers multiply."""
        self.dtype = dtype
        # Its parts, not the prior, which whoever keeps this for a prior may want to be rid of.
        self._hyper, self._context, self._skip_below = prior.hyper, prior.context, prior.skip_below
        self._tables = (prior.to_context, prior.from_mean, prior.index_offset)
        self._split = [prior.architecture.latents, prior.architecture.hyper_width, GROUPS]
        self.lengths = Lengths(prior.y_tables, prior.to_context.device)
        context = prior.context
        self._steps = [self._step(step) for step in range(GROUPS)]
        self._trunks = [self._trunk(context.trunk_of(step)) for step in range(GROUPS)]

    def _trunk(self, trunk: Trunk) -> list[list[Tensor]]:
        pairs = trunk.pairs()
        return [[tensor.to(self.dtype) for layer in pair for tensor in _real(layer)] for pair in pairs]

    def _step(self, step: int) -> _Step:
        context = self._context
        weight, bias = _real(context.entries[step])
        of_known, of_seen, of_cell = weight.split(self._split, dim=1)
        of_group = of_known.split(context.group_size, dim=1)
        known = None
        if step:
            rows = [
                torch.cat([of_group[group_of(past, cell)] for past in range(step)], dim=1)
                for cell in range(GROUPS)
            ]
            known = torch.stack(rows).mT.to(self.dtype).contiguous()
        layers = [
            [_real(heads[step * GROUPS + group_of(step, cell)]) for cell in range(GROUPS)]
            for heads in (context.means, context.indices)
        ]
        heads = torch.cat([torch.stack([each for each, _ in kind]) for kind in layers], dim=1).mT
        head_bias = torch.cat([torch.stack([each for _, each in kind]) for kind in layers], dim=1)[:, None]
        return _Step(
            bias=(bias[:, None] + UNIT * of_cell).T[:, None].to(self.dtype),
            seen=of_seen.T.to(self.dtype).contiguous().expand(GROUPS, -1, -1),
            known=known,
            head_bias=head_bias.to(self.dtype),
            heads=heads.to(self.dtype).contiguous(),
        )

    def scales(self, index: int) -> Scales:
        """Return what belongs to a quality index."""
        to_context, from_mean, offset = (table[normaliser.row(index)].double() for table in self._tables)
        one = 2.0**normaliser.TABLE_SHIFT
        tables = (
            to_context * normaliser.STEP_UNIT / one,
            from_mean / one / normaliser.STEP_UNIT,
            offset,
        )
        return Scales(*(by_step(table.float().expand(GROUPS, 1, 1, 1, -1)) for table in tables))

    def features(self, z: Tensor, index: int, size: tuple[int, int]) -> Tensor:
        """Return the hyper features (1, hyper_width, h, w) of z, int64 (hyper_latents, h/4, w/4); size: (h, w)."""
        weights = torch.tensor(hats(index), dtype=torch.float32, device=z.device)[None, :, None, None]
        found: Tensor = self._hyper(z.float()[None], weights, size)
        return found

    def seen(self, features: Tensor) -> Tensor:
        """Turn features, of a part that begins at an even row and column, into what `run` takes."""
        return to_cells(features).flatten(1, 3).to(self.dtype)

    def run(self, y: Tensor, seen: Tensor, scales: Scales, rounder: Rounder) -> tuple[Tensor, Tensor]:
        """Go through the four steps with latents y, (1, latents, h, w) in quantisation steps.

        seen: their features, by `seen`.  rounder: what stands for rounding.
        Returns the bits of ŷ, a number, and ŷ, (1, latents, h, w) in steps.
        """
        height, width = y.shape[2:]
        latents = by_step(to_cells(y))
        known: list[Tensor] = []
        found: list[Tensor] = []
        bits = y.new_zeros(())
        for step, values in enumerate(latents):
            shape = values.shape
            means, indices = self._predict(step, seen, known, (height, width))
            mu = means.view(shape) * scales.from_mean[step]
            rows = (indices.view(shape) + scales.offset[step]).clamp(0, normaliser.SCALES - 1)
            symbols = rounder(step, values - mu) * (rows.detach().round() >= self._skip_below)
            bits = bits + self.lengths.bits(symbols, rows)
            y_hat = symbols + mu
            found.append(y_hat)
            normal = (y_hat * scales.to_context[step]).clamp(-CONTEXT_MAX, CONTEXT_MAX)
            known.append(normal.flatten(1, 3).to(self.dtype))
        return bits, from_cells(by_group(found))[:, :, :height, :width]

    def _predict(
        self, step: int, seen: Tensor, known: list[Tensor], size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Return the network's means and scale indices of a step, (cells, N, latents/4) float32."""
        part = self._steps[step]
        a = torch.baddbmm(part.bias, seen, part.seen)
        if part.known is not None:
            a = torch.baddbmm(a, torch.cat(known, dim=2), part.known)
        halves = (-(-size[0] // 2), -(-size[1] // 2))
        a = from_cells(_hidden(a).unflatten(1, (1, *halves)))[:, :, : size[0], : size[1]]
        for place, (spread, spread_bias, mix, mix_bias) in enumerate(self._trunks[step]):
            more = _hidden(F.conv2d(a, spread, spread_bias, padding=1, groups=len(spread)))
            more = F.conv2d(more, mix[:, :, None, None], mix_bias)
            a = _hidden(more if place < 2 else a + more)
        found = torch.baddbmm(part.head_bias, to_cells(a).flatten(1, 3), part.heads).float()
        means, indices = found.chunk(2, dim=2)
        return means.clamp(-MEAN_MAX, MEAN_MAX), indices.clamp(-INDEX_MAX, INDEX_MAX)


def _hidden(a: Tensor) -> Tensor:
    return F.hardtanh(a, 0.0, float(HIDDEN_MAX))


def _real(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of an exact layer with its division by 2^s in them, float32."""
    assert isinstance(layer, ExactLayer)
    factor = 0.5 / layer.rounding()  # 2^-s
    return layer.weight * factor.view(-1, *[1] * (layer.weight.dim() - 1)), layer.bias * factor
