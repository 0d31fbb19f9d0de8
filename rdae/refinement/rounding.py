"""Rounding with a gradient: what stands for round(x) while latents are looked for."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

_EDGE = 1e-4
"""How near to an integer the logarithms are still taken."""


@dataclasses.dataclass(frozen=True)
class Rounding:
    """A soft round: floor(x) + σ((steepness · logit(x - floor(x)) + noise) / temperature).

    Its derivative is large halfway between two integers and small at them: latents that are about to round otherwise
    are told apart from those that are not.  A straight-through gradient does not tell them apart, and ruins a picture.
    noise: logistic, so that this is a sample of the relaxed choice between the two neighbours of x, rounding up with
    the probability σ(steepness · logit): the "sigmoid scaled logit" that Perugachi-Diaz et al. (2024, arXiv:2401.17789)
    found better for this than the arctanh of stochastic Gumbel annealing.
    """

    steepness: float
    temperature: float
    noise: bool

    def __call__(self, x: Tensor, source: torch.Generator) -> Tensor:
        """Round real numbers of any shape."""
        drawn = None
        if self.noise:
            u = torch.rand(x.shape, generator=source, device=x.device).clamp_(1e-6, 1 - 1e-6)
            drawn = torch.logit(u)
        rounded: Tensor = _SoftRound.apply(x, drawn, self.steepness, self.temperature)  # type: ignore[no-untyped-call]
        return rounded


class _SoftRound(torch.autograd.Function):
    """Keeps but its derivative for the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, noise: Tensor | None, steepness: float, temperature: float) -> Tensor:
        lower = x.floor()
        inside = (x - lower).clamp_(_EDGE, 1 - _EDGE)
        logit = torch.logit(inside).mul_(steepness)
        if noise is not None:
            logit += noise
        share = logit.div_(temperature).sigmoid_()
        slope = share * (1 - share)
        slope.mul_(steepness / temperature).div_(inside * (1 - inside))
        ctx.save_for_backward(slope)
        return lower.add_(share)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (slope,) = ctx.saved_tensors
        return slope * gradients[0], None, None, None
