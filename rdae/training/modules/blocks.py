"""What both transforms are built from: 1x1 convolutions and the gated depthwise block."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

VALUE_MAX = 8.0
"""Bound of a block's gated values, far beyond what pictures give: without it, one picture of unusual contrast can
make the features grow from block to block, and a training at a high rate diverge."""


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
        weight = self.weight[:, :, None, None]
        if torch.is_inference_mode_enabled() and x.dtype == torch.float32 and _onednn(x.device.type):
            # conv2d takes another library for one thread than for several.  That rounds sums of 768 products in another
            # way, and then what an encoder writes would depend on the number of threads.
            return torch.mkldnn_convolution(x, weight, self.bias, [0, 0], [1, 1], [1, 1], 1)
        return F.conv2d(x, weight, self.bias)


def _onednn(device: str) -> bool:
    """Tell if oneDNN could do this device's convolutions, and autocast has no other wish."""
    return device == "cpu" and torch.backends.mkldnn.is_available() and not torch.is_autocast_enabled(device)


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
        self._folded = False

    def fold(self) -> None:
        """Multiply the feature scales into the weights, for inference; the block computes the same afterwards."""
        reach = self._reach()
        self.expand.weight.data.div_(self.scale)
        self.project.weight.data.mul_(reach)
        self.project.bias.data.mul_(reach)
        self.scale.fill_(1.0)
        self._folded = True

    def _reach(self) -> Tensor:
        return self.scale.log().mean().exp()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        expand: Tensor = self.expand.weight
        project: Tensor = self.project.weight
        project_bias: Tensor = self.project.bias
        if not self._folded:
            reach = self._reach()
            expand, project, project_bias = expand / self.scale, project * reach, project_bias * reach
        h = F.conv2d(x, expand[:, :, None, None], self.expand.bias)  # (B, 2C, H, W)
        h = F.conv2d(h, self.depthwise, self.depthwise_bias, padding=1, groups=h.shape[1])
        value, gate = h.chunk(2, dim=1)
        h = F.hardtanh(value, -VALUE_MAX, VALUE_MAX) * F.hardsigmoid(gate)  # (B, C, H, W)
        return x + F.conv2d(h, project[:, :, None, None], project_bias)
