"""The four context steps as training runs them: the cells of the 2x2 side by side, all heads of a step in one product.

`rdae.prior.context` says what is computed: 4 entries and 32 heads, each at the positions of one cell.  One after the
other these are dozens of small convolutions and scattered writes, whose launches and copies cost several times their
arithmetic.  Here a step's four cells are a batch of four: step i codes group (c - i) mod 4 at cell c, so what a cell
knows at step i is what its own earlier steps gave, and entry and heads are batched matrix products.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rdae.architecture import GROUPS
from rdae.prior.context import CONTEXT_MAX, ContextModel
from rdae.prior.layers import UNIT
from rdae.training.relaxed import RelaxedLayer, round_straight_through


def context_steps(
    context: ContextModel, y: Tensor, scale: Tensor, features: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the four steps on latents that are known, each reading what the earlier ones rounded.

    context: of RelaxedLayers.  y: (B, latents, h, w), in steps; scale: (B, latents, 1, 1), `reference_scale`;
    features: (B, hyper_width, h, w).
    Returns ŷ and means, in steps, and scale indices before the reference scale's: all (B, latents, h, w).
    """
    height, width = y.shape[2:]
    limit = CONTEXT_MAX / UNIT
    latents = _by_step(_to_cells(y))
    scales = _by_step(scale.flatten(1)[None, :, None, None].expand(GROUPS, -1, -1, -1, -1))
    seen = _to_cells(features).flatten(1, 3)  # (cells, N, hyper_width), N = B·h/2·w/2
    known: list[Tensor] = []
    values: list[Tensor] = []
    means: list[Tensor] = []
    indices: list[Tensor] = []
    for step in range(GROUPS):
        shape = latents[step].shape  # (cells, B, h/2, w/2, latents/4)
        a = _entry(context, step, seen, known).unflatten(1, shape[1:4])
        a = context.body(_from_cells(a)[:, :, :height, :width])
        mean, index = _heads(context, step, _to_cells(a).flatten(1, 3))
        mu = mean.view(shape) * scales[step]
        value = round_straight_through(latents[step] - mu) + mu
        known.append((value / scales[step]).clamp(-limit, limit).flatten(1, 3))
        values.append(value)
        means.append(mu)
        indices.append(index.view(shape))
    y_hat, mu, index = (
        _from_cells(_by_group(found))[:, :, :height, :width] for found in (values, means, indices)
    )
    return y_hat, mu, index


def _to_cells(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (cells, B, h/2, w/2, C), with zeros beside an odd height or width."""
    height, width = x.shape[2:]
    if height % 2 or width % 2:
        x = F.pad(x, (0, width % 2, 0, height % 2))
    x = x.permute(0, 2, 3, 1).unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
    return x.permute(2, 4, 0, 1, 3, 5).flatten(0, 1)


def _from_cells(x: Tensor) -> Tensor:
    """(cells, B, h/2, w/2, C) -> (B, C, h, w), channels last."""
    x = x.unflatten(0, (2, 2)).permute(2, 3, 0, 4, 1, 5)
    return x.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def _group(step: int, cell: int) -> int:
    """Return the group that a step codes at a cell (or, the other way round, the step that codes a group there)."""
    return (cell - step) % GROUPS


def _by_step(x: Tensor) -> list[Tensor]:
    """Sort the channels of cells by the step that codes them: (cells, ..., C) -> 4 of (cells, ..., C/4)."""
    pieces = [cell.unflatten(-1, (GROUPS, -1)).unbind(-2) for cell in x.unbind()]
    return [
        torch.stack([pieces[cell][_group(step, cell)] for cell in range(GROUPS)]) for step in range(GROUPS)
    ]


def _by_group(steps: list[Tensor]) -> Tensor:
    """Undo `_by_step`."""
    pieces = [step.unbind() for step in steps]
    return torch.stack(
        [
            torch.cat([pieces[_group(group, cell)][cell] for group in range(GROUPS)], dim=-1)
            for cell in range(GROUPS)
        ],
    )


def _entry(context: ContextModel, step: int, seen: Tensor, known: list[Tensor]) -> Tensor:
    """Compute the entry of a step: features (cells, N, hyper_width) and the values so far -> (cells, N, width)."""
    layer = _relaxed(context.entries[step])
    groups = context.group_size
    of_known, of_seen, of_cell = layer.weight.split([GROUPS * groups, seen.shape[2], GROUPS], dim=1)
    bias = (layer.bias[:, None] + of_cell).T[:, None]  # (cells, 1, width)
    pairs = [(seen, of_seen.T.expand(GROUPS, -1, -1))]
    if known:
        of_group = of_known.split(groups, dim=1)
        rows = [
            torch.cat([of_group[_group(past, cell)] for past in range(step)], dim=1) for cell in range(GROUPS)
        ]
        pairs.append((torch.cat(known, dim=2), torch.stack(rows).mT))
    return _product(layer, bias, pairs)


def _heads(context: ContextModel, step: int, a: Tensor) -> tuple[Tensor, Tensor]:
    """Compute means and scale indices of a step: (cells, N, width) -> two of (cells, N, latents/4)."""
    found = []
    for heads in (context.means, context.indices):
        layers = [_relaxed(heads[step * GROUPS + _group(step, cell)]) for cell in range(GROUPS)]
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


def _relaxed(layer: torch.nn.Module) -> RelaxedLayer:
    if not isinstance(layer, RelaxedLayer):
        raise TypeError("the context model is not the one that trains")
    return layer
