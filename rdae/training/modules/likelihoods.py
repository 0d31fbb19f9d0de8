"""The likelihoods of a training: a learned density for ẑ, a Gaussian for ŷ, each as the mass of a step's width.

Both are those of Ballé, Minnen, Singh, Hwang and Johnston 2018, "Variational image compression with a scale
hyperprior", arXiv:1802.01436, as CompressAI computes them, and the density's parameters have their names from there.
Export freezes them to integer tables.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LIKELIHOOD_MIN = 1e-9
"""Smaller likelihoods count as this much: 30 bits."""

_INIT_SCALE = 8.0
"""About how many steps wide the density of ẑ is at the start."""

_FILTERS = (1, 3, 3, 3, 3, 1)
"""Widths of the network whose logistic is the density's cumulative (appendix 6.1)."""


class FactorisedDensity(nn.Module):
    """The density of each channel of z, whatever its form: 58 numbers a channel."""

    def __init__(self, channels: int) -> None:
        """Start wide, and a little different from channel to channel."""
        super().__init__()
        scale = _INIT_SCALE ** (1 / (len(_FILTERS) - 1))
        self.matrices, self.biases, self.factors = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        for number, (before, after) in enumerate(itertools.pairwise(_FILTERS)):
            self.matrices.append(
                torch.full((channels, after, before), math.log(math.expm1(1 / scale / after)))
            )
            self.biases.append(torch.empty(channels, after, 1).uniform_(-0.5, 0.5))
            if number < len(_FILTERS) - 2:
                self.factors.append(torch.zeros(channels, after, 1))
        # Where CompressAI's tables would begin and end. The middle is the median, which stays 0, so that rounding is to
        # integers; it is kept for those who read a checkpoint or weights file with it.
        ends = torch.tensor([-_INIT_SCALE, 0.0, _INIT_SCALE]).repeat(channels, 1, 1)
        self.quantiles = nn.Parameter(ends, requires_grad=False)

    def forward(self, z: Tensor, noise: Tensor | None, *, rounded: bool = False) -> Tensor:
        """Return the likelihoods of z + noise, or without noise of z rounded: all (B, C, h, w).

        rounded: likelihoods of z rounded, whose gradients are those of z + noise.
        """
        if rounded and noise is not None:
            return _joined(self(z, None).detach(), self(z, noise))
        # Under autocast neighbouring integers of a wide density would differ by less than the last bit of bf16.
        with torch.autocast(z.device.type, enabled=False):
            values = (z.float().round() if noise is None else z.float() + noise).transpose(
                0, 1
            )  # (C, B, h, w)
            flat = values.reshape(z.shape[1], 1, -1)
            mass = self._logits(flat + 0.5).sigmoid() - self._logits(flat - 0.5).sigmoid()
            return lower_bound(mass, LIKELIHOOD_MIN).reshape(values.shape).transpose(0, 1)

    def _logits(self, x: Tensor) -> Tensor:
        """The cumulative's logits of (C, 1, n), rising with x: positive matrices, and factors above -1."""
        for number, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            x = F.softplus(matrix) @ x + bias
            if number < len(self.factors):
                x = x + self.factors[number].tanh() * x.tanh()
        return x


def gaussian_likelihood(
    y: Tensor, scales: Tensor, means: Tensor, noise: Tensor | None, *, scale_min: float, rounded: bool = False
) -> Tensor:
    """Return the likelihoods of y + noise, or without noise of y rounded, under a Gaussian: all (B, C, h, w).

    scale_min: smaller scales count as this.
    rounded: likelihoods of y rounded, with their gradient for the scales, and for y and means, which get none from
    integers, that of y + noise.
    """
    if rounded and noise is not None:
        exact = gaussian_likelihood(y.detach(), scales, means.detach(), None, scale_min=scale_min)
        noisy = gaussian_likelihood(y, scales.detach(), means, noise, scale_min=scale_min)
        return _joined(exact, noisy)
    # The left tail has both ends, where both terms are small and their difference exact.
    far = ((y - means).round() if noise is None else y + noise - means).abs()
    scales = lower_bound(scales, scale_min)
    mass = _normal_cdf((0.5 - far) / scales) - _normal_cdf((-0.5 - far) / scales)
    return lower_bound(mass, LIKELIHOOD_MIN)


def _normal_cdf(x: Tensor) -> Tensor:
    return 0.5 * torch.erfc(-(2**-0.5) * x)


def _joined(rounded: Tensor, noisy: Tensor) -> Tensor:
    """Likelihoods of the value of `rounded`, whose logarithm has the gradients of both logarithms."""
    return rounded * (noisy / noisy.detach())


def lower_bound(x: Tensor, bound: float) -> Tensor:
    """max(x, bound), whose gradient still passes where a step along it would lift x."""
    found: Tensor = _LowerBound.apply(x, bound)  # type: ignore[no-untyped-call]
    return found


class _LowerBound(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp_min(bound)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradient * ((x >= ctx.bound) | (gradient < 0)), None
