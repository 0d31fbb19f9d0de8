"""What a model costs: multiply-accumulates per pixel, counted from the sizes of its networks."""

from __future__ import annotations

import math

from rdae.networks.architecture import GROUPS, HYPER_STRIDE, PATCH, Architecture
from rdae.networks.layers import LayerSpec, prior_layers, trunk_layers
from rdae.quality import ANCHORS


def kmac_per_pixel(shape: Architecture) -> dict[str, float]:
    """Return thousands of multiply-accumulates per pixel of each part, at sizes that need no padding."""
    at_8, at_16, at_32, at_64 = ((PATCH * side) ** 2 for side in (0.5, 1, 2, HYPER_STRIDE))
    to_patches, to_coarse = 192 * shape.fine / at_8, 4 * shape.fine * shape.latents / at_16
    fine, coarse = _block(shape.fine) / at_8, _block(shape.latents) / at_16
    width = max(1, shape.hyper_width * 3 // 4)
    macs = {
        "analysis": to_patches + to_coarse + shape.analysis_fine * fine + shape.analysis_coarse * coarse,
        "hyper_analysis": (shape.latents * width + _block(width)) / at_16
        + (4 * width * width + _block(width)) / at_32
        + 4 * width * shape.hyper_latents / at_64,
        "synthesis": to_patches + to_coarse + shape.synthesis_fine * fine + shape.synthesis_coarse * coarse,
        "prior": _prior(shape),
    }
    return {name: each / 1000 for name, each in macs.items()}


def _block(channels: int) -> int:
    """Multiply-accumulates a position: C to 2C, nine taps of each, C to C."""
    return 2 * channels * channels + 9 * 2 * channels + channels * channels


def _prior(shape: Architecture) -> float:
    layers = prior_layers(shape)
    sides = {
        "hyper.widen": 4, "hyper.spread_64": 4, "hyper.to_32": 4,
        "hyper.spread_32": 2, "hyper.to_16": 2,
        "hyper.spread_16": 1, "hyper.mix": 1,
    }  # fmt: skip
    total = sum(_layer(layers[name]) / (PATCH * side) ** 2 for name, side in sides.items())
    total -= shape.hyper_width * ANCHORS / PATCH**2  # the quality's part is the same everywhere
    for step in range(GROUPS):
        entry = _layer(layers[f"context.entries.{step}"])
        # Nothing is known in the first step: it leaves the latents' part of its entry out.
        entry -= 0 if step else shape.latents * shape.context_width
        trunk = sum(
            _layer(each) for pair in trunk_layers(shape, step % shape.context_trunks) for each in pair
        )
        # A head works on the positions of one cell: a quarter.
        heads = sum(
            _layer(layers[f"context.{kind}.{step * GROUPS + group}"]) / 4
            for kind in ("means", "indices")
            for group in range(GROUPS)
        )
        total += (entry + trunk + heads) / PATCH**2
    return total


def _layer(spec: LayerSpec) -> int:
    return math.prod(spec.weight_shape)
