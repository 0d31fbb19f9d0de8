"""The synthesis with a gradient for its latents, and for nothing else."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rdae.model import Model
from rdae.transforms.blocks import VALUE_MAX, Block
from rdae.transforms.branch import weights_of


class Decoder:
    """What a model's synthesis makes of latents, for one number type.

    As in the analysis, bfloat16 is for what blocks add: the features themselves stay float32.
    """

    def __init__(self, model: Model, dtype: torch.dtype) -> None:
        """Take the model's blocks; dtype: bfloat16 or float32."""
        # Not the model, which whoever keeps this for a model may want to be rid of.
        self._synthesis, self._gains = model.synthesis, model.gains
        self._coarse = [_tensors(block, dtype) for block in model.synthesis.coarse]
        self._fine = [_tensors(block, dtype) for block in model.synthesis.fine]

    def levels(self, y_hat: Tensor, index: int) -> Tensor:
        """Return real levels around 0..255, (1, 3, 16 h, 16 w), of ŷ in quantisation steps, (1, latents, h, w)."""
        synthesis, gains = self._synthesis, self._gains
        h = y_hat.contiguous(memory_format=torch.channels_last) * gains.restore[index][None, :, None, None]
        for block in self._coarse:
            h = _AddBlock.apply(h, *block)  # type: ignore[no-untyped-call]
        h = _linear(h, synthesis.to_fine)
        h = F.pixel_shuffle(h, 2) * gains.synthesis[index][None, :, None, None]
        for block in self._fine:
            h = _AddBlock.apply(h, *block)  # type: ignore[no-untyped-call]
        return (F.pixel_shuffle(_linear(h, synthesis.to_pixels), 8) + 0.5) * 255


def _tensors(block: torch.nn.Module, dtype: torch.dtype) -> list[Tensor]:
    assert isinstance(block, Block)
    return [tensor.detach().to(dtype) for tensor in weights_of(block)]


def _linear(h: Tensor, layer: Any) -> Tensor:
    return F.conv2d(h, layer.weight.detach()[:, :, None, None], layer.bias.detach())


class _AddBlock(torch.autograd.Function):
    """A folded block, which keeps one array for the way back and makes no gradient of weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *tensors: Tensor) -> Tensor:
        expand, b1, depthwise, b2, project, b3 = tensors
        h = F.conv2d(x.to(expand.dtype), expand, b1)
        h = F.conv2d(h, depthwise, b2, padding=1, groups=h.shape[1])
        ctx.save_for_backward(h, expand, depthwise, project)
        value, gate = h.chunk(2, dim=1)
        gated = F.hardtanh(value, -VALUE_MAX, VALUE_MAX).mul_(F.hardsigmoid(gate))
        return x + F.conv2d(gated, project, b3)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        h, expand, depthwise, project = ctx.saved_tensors
        value, gate = h.chunk(2, dim=1)
        g = F.conv2d(gradient.to(expand.dtype), project.transpose(0, 1))
        own = torch.empty_like(h)
        of_value, of_gate = own.chunk(2, dim=1)
        torch.mul(g, F.hardsigmoid(gate), out=of_value)
        torch.mul(g, F.hardtanh(value, -VALUE_MAX, VALUE_MAX), out=of_gate)
        aten = torch.ops.aten
        aten.hardtanh_backward(of_value, value, -VALUE_MAX, VALUE_MAX, grad_input=of_value)
        aten.hardsigmoid_backward(of_gate, gate, grad_input=of_gate)
        own = F.conv2d(own, depthwise.flip(2, 3), padding=1, groups=len(depthwise))
        return gradient + F.conv2d(own, expand.transpose(0, 1)), None, None, None, None, None, None
