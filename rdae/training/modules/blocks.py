"""What both transforms are built from: 1x1 convolutions and the gated depthwise block."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdae.networks.layers import VALUE_MAX


class Pointwise(nn.Module):
    """A 1x1 convolution whose weight is kept as the matrix (out, in) that it is, for optimisers of matrices."""

    def __init__(self, channels_in: int, channels_out: int, *, std: float | None = None) -> None:
        """Start at normal weights of standard deviation `std` (default: 1/sqrt(channels_in)) and zero bias."""
        super().__init__()
        weight = torch.empty(channels_out, channels_in)
        nn.init.normal_(weight, std=channels_in**-0.5 if std is None else std)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W)."""
        return F.conv2d(x, self.weight[:, :, None, None], self.bias)


class Block(nn.Module):
    """x + W₂·gate(dw(W₁·x)): the unit of both transforms.

    W₁ widens C to 2C, a 3x3 depthwise convolution mixes positions, one half, clamped, is gated by the other through a
    hard sigmoid (cheap, bounded, and exact in integers if ever needed), W₂ brings C back and starts at zero.

    The features are transform coefficients whose magnitudes span three decades.  `scale` (C) is their magnitude: the
    block reads x / scale, so that W₁ sees comparable numbers, and writes at the geometric mean of scale, the same for
    all channels, as an error costs the same in each.  It is set once from data (`rdae.training.start`), not trained,
    and folds into W₁ and W₂.
    """

    scale: Tensor

    def __init__(self, channels: int) -> None:
        """Build a block of C = channels that starts as the identity."""
        super().__init__()
        self.expand = Pointwise(channels, 2 * channels)
        depthwise = torch.zeros(2 * channels, 1, 3, 3)
        depthwise[:, :, 1, 1] = 1.0
        self.depthwise = nn.Parameter(depthwise + 0.1 * torch.randn_like(depthwise))
        self.depthwise_bias = nn.Parameter(torch.zeros(2 * channels))
        self.project = Pointwise(channels, channels, std=0.0)
        self.register_buffer("scale", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        reach = self.scale.log().mean().exp()
        expand, project = self.expand.weight / self.scale, self.project.weight * reach
        h = F.conv2d(x, expand[:, :, None, None], self.expand.bias)  # (B, 2C, H, W)
        h = F.conv2d(h, self.depthwise, self.depthwise_bias, padding=1, groups=h.shape[1])
        value, gate = h.chunk(2, dim=1)
        h = F.hardtanh(value, -VALUE_MAX, VALUE_MAX) * F.hardsigmoid(gate)  # (B, C, H, W)
        return x + F.conv2d(h, project[:, :, None, None], self.project.bias * reach)
