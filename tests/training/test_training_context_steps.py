"""Training's batched context steps give what the steps one by one give, and the same gradients."""

from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import torch
from torch import Tensor

from rdae.networks.architecture import GROUPS, TINY
from rdae.networks.layers import CONTEXT_MAX, UNIT, cells
from rdae.training.modules.context_model import ContextModel
from rdae.training.modules.layers import RelaxedLayer, round_straight_through

ARCHITECTURE = dataclasses.replace(
    TINY, latents=24, hyper_width=12, context_width=20, context_deeper=1, context_trunks=4
)


def one_by_one(
    context: ContextModel, y: Tensor, scale: Tensor, features: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The definition: each step's networks at all positions, and of what they give that of a cell."""
    height, width = y.shape[2:]
    planes = torch.zeros(len(y), GROUPS, height, width)
    for cell in range(GROUPS):
        planes[:, cell, cell // 2 :: 2, cell % 2 :: 2] = 1.0
    size = context.group_size
    limit = CONTEXT_MAX / UNIT
    known, y_hat, means, indices = (torch.zeros_like(y) for _ in range(4))
    for step in range(GROUPS):
        a = context.entries[step](torch.cat([known, features, planes], dim=1))
        a = context.trunks[step % len(context.trunks)](a)
        known, y_hat = known.clone(), y_hat.clone()
        for group, row, column in cells(step):
            inputs = a[:, :, row::2, column::2]
            if not inputs.numel():
                continue  # a single row or column has no such cell
            mean, index = (heads[step * GROUPS + group](inputs) for heads in (context.means, context.indices))
            channels = slice(group * size, (group + 1) * size)
            here = (slice(None), channels, slice(row, None, 2), slice(column, None, 2))
            mu = mean * scale[:, channels]
            value = round_straight_through(y[here] - mu) + mu
            y_hat[here] = value
            known[here] = (value / scale[:, channels]).clamp(-limit, limit)
            means[here] = mu
            indices[here] = index
    return y_hat, means, indices


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("size", [(4, 6), (5, 7), (1, 1), (2, 1)])
def test_the_batched_steps_are_the_steps_one_by_one(size: tuple[int, int], exact: bool) -> None:
    torch.manual_seed(
        2
    )  # with some seeds a sum is so near to a half that its order decides how it is rounded
    context = ContextModel(ARCHITECTURE)
    for layer in context.modules():
        if isinstance(layer, RelaxedLayer):
            layer.exact_steps = exact
            if layer.spec.low < 0:
                layer.weight.data.normal_(std=layer.spec.channels_in**-0.5)
    y = torch.randn(3, 24, *size) * 4
    features = torch.rand(3, 12, *size) * 4
    scale = torch.rand(3, 24, 1, 1) + 0.5
    weights = [torch.randn(3, 24, *size) for _ in range(3)]
    found = []
    for run in (one_by_one, ContextModel.forward):
        inputs = [tensor.clone().requires_grad_() for tensor in (y, features)]
        outputs = run(context, inputs[0], scale, inputs[1])
        context.zero_grad()
        torch.stack([(a * b).sum() for a, b in zip(outputs, weights, strict=True)]).sum().backward()
        gradients = [tensor.grad for tensor in inputs] + [p.grad for p in context.parameters()]
        found.append(([output.detach() for output in outputs], gradients))
    for ours, expected in zip(found[1][0], found[0][0], strict=True):
        assert ours.shape == expected.shape
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
    for ours_or_none, expected_or_none in zip(found[1][1], found[0][1], strict=True):
        # The heads of cells that a single row or column does not have get no gradient, or zeros.
        assert ours_or_none is not None
        expected = torch.zeros_like(ours_or_none) if expected_or_none is None else expected_or_none
        torch.testing.assert_close(ours_or_none, expected, rtol=1e-3, atol=1e-3)


def test_a_step_sees_nothing_that_is_coded_later() -> None:
    """A changed latent changes no mean or index of its own step or an earlier one."""
    torch.manual_seed(1)
    context = ContextModel(ARCHITECTURE)
    for layer in context.modules():
        if isinstance(layer, RelaxedLayer) and layer.spec.low < 0:
            layer.weight.data.mul_(10)
    y, features, scale = torch.randn(1, 24, 4, 4) * 4, torch.rand(1, 12, 4, 4) * 4, torch.ones(1, 24, 1, 1)
    step_of = torch.empty(24, 4, 4, dtype=torch.long)
    for step in range(GROUPS):
        for group, row, column in cells(step):
            step_of[group * 6 : group * 6 + 6, row::2, column::2] = step
    _, means, indices = context(y, scale, features)
    seen = 0
    for channel, row, column in [(0, 0, 0), (7, 1, 2), (13, 2, 1), (23, 3, 3)]:
        changed = y.clone()
        changed[0, channel, row, column] += 3.0
        _, other_means, other_indices = context(changed, scale, features)
        moved = ((means != other_means) | (indices != other_indices))[0]
        assert not moved[step_of <= step_of[channel, row, column]].any()
        seen += int(moved.any())
    assert seen >= 2
