"""The layers of the prior as training sees them: real weights, gradients, and the exact layers' ranges and steps."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdae.networks.layers import HIDDEN_MAX, UNIT, LayerSpec

_INDEX_MULTIPLIER = 8.0
"""Scale indices span 0..63, all other outputs a few units: this makes their weights comparable in size."""


def convolve(spec: LayerSpec, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply a layer's convolution: (B, in, H, W) -> (B, out, H, W), without rounding or clamping."""
    if spec.kernel:
        return F.conv2d(x, weight, bias, padding=spec.kernel // 2, groups=spec.channels_out)
    return F.conv2d(x, weight[:, :, None, None], bias)


def added(a: Tensor, more: Tensor) -> Tensor:
    """Add to hidden activations, and clamp to their range."""
    return (a + more).clamp(0, HIDDEN_MAX / UNIT)


def round_straight_through(x: Tensor) -> Tensor:
    """Round to integers; gradients pass as if nothing had happened."""
    return x + (x.round() - x).detach()


class RelaxedLayer(nn.Module):
    """A layer of `rdae.networks.layers` in real values: the same convolution and clamps, in units of 1.0.

    `exact_steps` rounds the output to the exact layer's step with straight-through gradients, for the last phase of a
    training and to see what the steps cost.
    """

    def __init__(self, spec: LayerSpec) -> None:
        """Start at scaled normal weights (1x1) or near the identity (depthwise)."""
        super().__init__()
        self.spec = spec
        self.exact_steps = False
        self.multiplier = _INDEX_MULTIPLIER if spec.unit_out == 1 else 1.0
        weight = torch.zeros(spec.weight_shape)
        if spec.kernel:
            weight[:, :, spec.kernel // 2, spec.kernel // 2] = 1.0
            weight += 0.5 / spec.kernel**2 * torch.randn_like(weight)
        elif spec.low < 0:
            # Outputs start at "don't know", not at noise.
            weight.normal_(std=0.1 * spec.channels_in**-0.5)
        else:
            weight.normal_(std=math.sqrt(2.0 / spec.channels_in))
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(spec.channels_out))

    def forward(self, x: Tensor) -> Tensor:
        """Real values (B, in, H, W) -> real values (B, out, H, W), clamped to the spec's range."""
        if self.exact_steps:
            # Steps of 1/128 up to 8 do not fit bf16's 8 bits.
            with torch.autocast(x.device.type, enabled=False):
                return self.finish(convolve(self.spec, x.float(), self.weight, self.bias))
        return self.finish(convolve(self.spec, x, self.weight, self.bias))

    def finish(self, y: Tensor) -> Tensor:
        """Turn what the convolution gives, of any shape, into the layer's output: scaled, rounded, clamped."""
        spec = self.spec
        if spec.low < 0:
            y = y.float()  # means and indices want more than bf16's 8 bits
        if self.multiplier != 1.0:
            y = y * self.multiplier
        if self.exact_steps:
            y = round_straight_through(y * spec.unit_out) / spec.unit_out
        return F.hardtanh(y, spec.low / spec.unit_out, spec.high / spec.unit_out)

    def real_weight(self) -> tuple[Tensor, Tensor]:
        """Return weight and bias as the convolution of real values that the layer is, in float64."""
        return self.weight.detach().double() * self.multiplier, self.bias.detach().double() * self.multiplier


def set_exact_steps(model: nn.Module, *, enabled: bool) -> None:
    """Let the relaxed layers of a model round as exact ones do, or not."""
    for module in model.modules():
        if isinstance(module, RelaxedLayer):
            module.exact_steps = enabled
