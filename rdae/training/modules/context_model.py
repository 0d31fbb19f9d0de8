"""The context model: four steps, each telling mean and scale of a quarter of ŷ from the hyper features and ŷ so far.

`rdae.networks.layers` says which step codes which group of channels at which cell of the 2x2, and of which layers the
networks are: an entry each, a trunk each or one for all, a head for each step and group.

Latents enter, and means leave, divided by a reference scale per channel and quality (`rdae.networks.normaliser`), so
that the same numbers mean the same thing at every quality.

One after the other the heads and writes of a step would be dozens of small convolutions and scattered copies, whose
launches cost several times their arithmetic.  Here a step's four cells are a batch of four: step i codes group
(c - i) mod 4 at cell c, so what a cell knows at step i is what its own earlier steps gave, and entry and heads are
batched matrix products.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rdae.networks.architecture import GROUPS, Architecture
from rdae.networks.layers import CONTEXT_MAX, UNIT, prior_layers
from rdae.training.modules.cells import by_group, by_step, from_cells, group_of, to_cells
from rdae.training.modules.layers import RelaxedLayer, round_straight_through
from rdae.training.modules.trunk import Trunk


class ContextModel(nn.Module):
    """The networks of the four steps."""

    def __init__(self, architecture: Architecture) -> None:
        """Start at random weights."""
        super().__init__()
        self.group_size = architecture.latents // GROUPS
        specs = prior_layers(architecture)

        def made(kind: str, count: int) -> nn.ModuleList:
            return nn.ModuleList(RelaxedLayer(specs[f"context.{kind}.{i}"]) for i in range(count))

        self.entries = made("entries", GROUPS)
        self.trunks = nn.ModuleList(
            Trunk(architecture, number) for number in range(architecture.context_trunks)
        )
        self.means, self.indices = made("means", GROUPS * GROUPS), made("indices", GROUPS * GROUPS)

    def forward(self, y: Tensor, scale: Tensor, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run the four steps on latents that are known, each reading what the earlier ones rounded.

        y: (B, latents, h, w), in steps; scale: (B, latents, 1, 1), `reference_scale`; features: (B, hyper_width, h, w).
        Returns ŷ and means, in steps, and scale indices before the reference scale's: all (B, latents, h, w).
        """
        height, width = y.shape[2:]
        limit = CONTEXT_MAX / UNIT
        latents = by_step(to_cells(y))
        scales = by_step(scale.flatten(1)[None, :, None, None].expand(GROUPS, -1, -1, -1, -1))
        seen = to_cells(features).flatten(1, 3)  # (cells, N, hyper_width), N = B·h/2·w/2
        known: list[Tensor] = []
        values: list[Tensor] = []
        means: list[Tensor] = []
        indices: list[Tensor] = []
        for step in range(GROUPS):
            shape = latents[step].shape  # (cells, B, h/2, w/2, latents/4)
            a = _entry(self, step, seen, known).unflatten(1, shape[1:4])
            a = self.trunks[step % len(self.trunks)](from_cells(a)[:, :, :height, :width])
            mean, index = _heads(self, step, to_cells(a).flatten(1, 3))
            mu = mean.view(shape) * scales[step]
            value = round_straight_through(latents[step] - mu) + mu
            known.append((value / scales[step]).clamp(-limit, limit).flatten(1, 3))
            values.append(value)
            means.append(mu)
            indices.append(index.view(shape))
        y_hat, mu, index = (
            from_cells(by_group(found))[:, :, :height, :width] for found in (values, means, indices)
        )
        return y_hat, mu, index


def _entry(context: ContextModel, step: int, seen: Tensor, known: list[Tensor]) -> Tensor:
    """Compute the entry of a step: features (cells, N, hyper_width) and the values so far -> (cells, N, width)."""
    layer = context.entries[step]
    assert isinstance(layer, RelaxedLayer)
    groups = context.group_size
    of_known, of_seen, of_cell = layer.weight.split([GROUPS * groups, seen.shape[2], GROUPS], dim=1)
    bias = (layer.bias[:, None] + of_cell).T[:, None]  # (cells, 1, width)
    pairs = [(seen, of_seen.T.expand(GROUPS, -1, -1))]
    if known:
        of_group = of_known.split(groups, dim=1)
        rows = [
            torch.cat([of_group[group_of(past, cell)] for past in range(step)], dim=1)
            for cell in range(GROUPS)
        ]
        pairs.append((torch.cat(known, dim=2), torch.stack(rows).mT))
    return _product(layer, bias, pairs)


def _heads(context: ContextModel, step: int, a: Tensor) -> tuple[Tensor, Tensor]:
    """Compute means and scale indices of a step: (cells, N, width) -> two of (cells, N, latents/4)."""
    found = []
    for heads in (context.means, context.indices):
        chosen = (heads[step * GROUPS + group_of(step, cell)] for cell in range(GROUPS))
        layers = [layer for layer in chosen if isinstance(layer, RelaxedLayer)]
        weight = torch.stack([layer.weight for layer in layers]).mT
        bias = torch.stack([layer.bias for layer in layers])[:, None]
        found.append(_product(layers[0], bias, [(a, weight)]))
    return found[0], found[1]


def _product(layer: RelaxedLayer, bias: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Add products of (cells, N, in) and (cells, in, out) to a bias (cells, 1, out), as the relaxed layer would."""
    with torch.autocast(
        bias.device.type, enabled=not layer.exact_steps and torch.is_autocast_enabled(bias.device.type)
    ):
        total = bias
        for x, weight in pairs:
            total = torch.baddbmm(total, x.float() if layer.exact_steps else x, weight)
    return layer.finish(total)
