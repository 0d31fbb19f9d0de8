"""The synthesis' squared error, with a gradient for its latents and for nothing else."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from rdae.model import Model
from rdae.networks.architecture import PATCH
from rdae.training.modules.blocks import VALUE_MAX, Block, Pointwise
from rdae.transforms.branch import Weights, weights_of


class Target:
    """The levels that latents should become, as the synthesis' last layer puts them out."""

    def __init__(self, levels: npt.NDArray[np.uint8], size: tuple[int, int], device: torch.device) -> None:
        """Take levels, uint8 (h, w, 3), of at most 16 times `size`; beyond them anything may be decoded."""
        missing = (PATCH * size[0] - levels.shape[0], PATCH * size[1] - levels.shape[1])
        around = ((0, missing[0]), (0, missing[1]), (0, 0))
        self.patches = _patches(np.pad(levels, around)).to(device, torch.float32)
        self.inside: Tensor | None = None
        if any(missing):
            self.inside = _patches(np.pad(np.ones_like(levels), around)).to(device, torch.float32)


def _patches(levels: npt.NDArray[np.uint8]) -> Tensor:
    """(16 h, 16 w, 3) -> (1, 192, 2 h, 2 w), channels last: 8x8 patches, as `pixel_unshuffle` makes them."""
    height, width = levels.shape[0] // 8, levels.shape[1] // 8
    patches = levels.reshape(height, 8, width, 8, 3).transpose(0, 2, 4, 1, 3).reshape(1, height, width, 192)
    return torch.from_numpy(patches).permute(0, 3, 1, 2)


class Decoder:
    """What a model's synthesis makes of latents, for one number type.

    As in the analysis, bfloat16 is for what blocks add: the features themselves stay float32.  Gradients are of that
    type everywhere, as they need to be right but for some thousandths.
    """

    def __init__(self, model: Model, dtype: torch.dtype) -> None:
        """Take the model's blocks; dtype: bfloat16 or float32."""
        # Not the model, which whoever keeps this for a model may want to be rid of.
        synthesis = model.synthesis
        self.dtype, self.gains = dtype, model.gains
        self.coarse = [_Branch.of(block, dtype) for block in synthesis.coarse]
        self.to_fine = _Linear.of(synthesis.to_fine, dtype)
        self.fine = [_Branch.of(block, dtype) for block in synthesis.fine]
        self.to_pixels = _Linear.of(synthesis.to_pixels, dtype)

    def squares(self, y_hat: Tensor, target: Target, index: int) -> Tensor:
        """Return the sum of squared errors of real levels around 0..255, a number.

        y_hat: ŷ in quantisation steps, (1, latents, h, w); index: quality index.
        """
        squares: Tensor = _Squares.apply(y_hat, self, target, index)  # type: ignore[no-untyped-call]
        return squares


class _Linear(NamedTuple):
    """A 1x1 convolution, and its weight the other way round, for gradients."""

    weight: Tensor
    bias: Tensor
    back: Tensor

    @classmethod
    def of(cls, layer: Pointwise, dtype: torch.dtype) -> _Linear:
        weight, bias = layer.weight.detach()[:, :, None, None], layer.bias.detach()
        return cls(weight, bias, _turned(weight, dtype))

    def __call__(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias)


class _Branch(NamedTuple):
    """What a folded block adds to its features: its tensors, and those of its convolutions' gradients."""

    weights: Weights
    unexpand: Tensor
    undepthwise: Tensor
    unproject: Tensor

    @classmethod
    def of(cls, block: torch.nn.Module, dtype: torch.dtype) -> _Branch:
        assert isinstance(block, Block)
        own = Weights(*(tensor.detach().to(dtype) for tensor in weights_of(block)))
        flipped = own.depthwise.flip(2, 3).contiguous()
        return cls(own, _turned(own.expand, dtype), flipped, _turned(own.project, dtype))

    def added(self, x: Tensor, kept: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Return what the block adds; keep what `back` needs: both halves, and the gate between 0 and 1."""
        own = self.weights
        h = F.conv2d(x.to(own.expand.dtype), own.expand, own.expand_bias)
        h = F.conv2d(h, own.depthwise, own.depthwise_bias, padding=1, groups=h.shape[1])
        value, gate = h.chunk(2, dim=1)
        share = F.hardsigmoid(gate)
        kept.append((h, share))
        return F.conv2d(value.clamp_(-VALUE_MAX, VALUE_MAX) * share, own.project, own.project_bias)

    def back(self, gradient: Tensor, kept: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Turn the gradient of the block's features into that of the features before it."""
        h, share = kept.pop()
        value, gate = h.chunk(2, dim=1)
        g = F.conv2d(gradient, self.unproject)
        own = torch.empty_like(h)
        of_value, of_gate = own.chunk(2, dim=1)
        torch.mul(g, share, out=of_value)
        torch.mul(g, value, out=of_gate)
        aten = torch.ops.aten
        aten.hardtanh_backward(of_value, value, -VALUE_MAX, VALUE_MAX, grad_input=of_value)
        aten.hardsigmoid_backward(of_gate, gate, grad_input=of_gate)
        own = F.conv2d(own, self.undepthwise, padding=1, groups=len(self.undepthwise))
        return F.conv2d(own, self.unexpand).add_(gradient)


def _turned(weight: Tensor, dtype: torch.dtype) -> Tensor:
    return weight.transpose(0, 1).to(dtype).contiguous()


class _Squares(torch.autograd.Function):
    """The whole synthesis as one function, whose way back makes no gradient of weights."""

    @staticmethod
    def forward(ctx: Any, y_hat: Tensor, decoder: Decoder, target: Target, index: int) -> Tensor:
        gains = decoder.gains
        restore, gain = gains.restore[index][None, :, None, None], gains.synthesis[index][None, :, None, None]
        kept: list[tuple[Tensor, Tensor]] = []
        h = y_hat.contiguous(memory_format=torch.channels_last) * restore
        for branch in decoder.coarse:
            h += branch.added(h, kept)
        h = F.pixel_shuffle(decoder.to_fine(h), 2).mul_(gain)
        for branch in decoder.fine:
            h += branch.added(h, kept)
        error = decoder.to_pixels(h).add_(0.5).mul_(255).sub_(target.patches)
        if target.inside is not None:
            error *= target.inside
        ctx.kept, ctx.decoder, ctx.error = kept, decoder, error.to(decoder.dtype)
        ctx.save_for_backward(restore, gain)
        squares: Tensor = torch.linalg.vector_norm(error).square()
        return squares

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        restore, gain = ctx.saved_tensors
        kept, decoder = ctx.kept, ctx.decoder
        g = F.conv2d(ctx.error, decoder.to_pixels.back)
        for branch in reversed(decoder.fine):
            g = branch.back(g, kept)
        g = F.conv2d(F.pixel_unshuffle(g.mul_(gain), 2), decoder.to_fine.back)
        for branch in reversed(decoder.coarse):
            g = branch.back(g, kept)
        return g * (restore * (2 * 255 * gradients[0])), None, None, None
