"""The two training likelihoods, from compressai."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rdae.training.compressai.importing import import_part


def likelihood_models(hyper_latents: int, scale_min: float) -> tuple[nn.Module, nn.Module]:
    """Return compressai's EntropyBottleneck for z and GaussianConditional for y.

    The bottleneck's medians stay at 0, so that its likelihoods at integers are those of round(z).  MissingExtraError
    without compressai.
    """
    models = entropy_models()
    bottleneck = models.EntropyBottleneck(hyper_latents, init_scale=8)
    bottleneck.quantiles.requires_grad_(requires_grad=False)
    return bottleneck, models.GaussianConditional(None, scale_bound=scale_min)


def bottleneck_likelihood(
    bottleneck: Any, z: Tensor, noise: Tensor | None, *, rounded: bool = False
) -> Tensor:
    """Likelihoods of z + noise, or without noise of z rounded, under an EntropyBottleneck: all (B, C, h, w).

    rounded: likelihoods of z rounded, whose gradients are those of z + noise.

    What its forward computes, without two things: that one permutes by tensors whose elements a GPU must hand over
    one by one, eight waits a step; and under autocast it multiplies in bf16, where neighbouring integers of a wide
    density differ by less than the last bit.
    """
    if rounded and noise is not None:
        exact = bottleneck_likelihood(bottleneck, z, None).detach()
        return _joined(exact, bottleneck_likelihood(bottleneck, z, noise))
    with torch.autocast(z.device.type, enabled=False):
        values = (z.float().round() if noise is None else z.float() + noise).transpose(0, 1)  # (C, B, h, w)
        flat = values.reshape(z.shape[1], 1, -1)
        likelihood, _, _ = bottleneck._likelihood(flat)  # noqa: SLF001 - its forward is the only public way
        likelihood = bottleneck.likelihood_lower_bound(likelihood)
    result: Tensor = likelihood.reshape(values.shape).transpose(0, 1)
    return result


def gaussian_likelihood(
    conditional: Any,
    y: Tensor,
    scales: Tensor,
    means: Tensor,
    noise: Tensor | None,
    *,
    rounded: bool = False,
) -> Tensor:
    """Likelihoods of y + noise, or without noise of y rounded, under a GaussianConditional: all (B, C, h, w).

    rounded: likelihoods of y rounded, with their gradient for the scales, and for y and means, which get none from
    integers, that of y + noise.

    What its forward computes, but that noise is given, so that a run on many devices can be that on one.
    """
    if rounded and noise is not None:
        exact = gaussian_likelihood(conditional, y.detach(), scales, means.detach(), None)
        return _joined(exact, gaussian_likelihood(conditional, y, scales.detach(), means, noise))
    values = (y - means).round() + means if noise is None else y + noise
    likelihood: Tensor = conditional.likelihood_lower_bound(conditional._likelihood(values, scales, means))  # noqa: SLF001
    return likelihood


def _joined(rounded: Tensor, noisy: Tensor) -> Tensor:
    """Likelihoods of the value of `rounded`, whose logarithm has the gradients of both logarithms."""
    return rounded * (noisy / noisy.detach())


def entropy_models() -> Any:
    """Import and return `compressai.entropy_models`; MissingExtraError without compressai."""
    return import_part("compressai.entropy_models", "training")
