"""The layers of the prior's networks: their shapes, units and ranges (DESIGN, section 4).

A layer is a 1x1 or a depthwise convolution of integers, followed by rounding to a fixed step and clamping:

    clamp(floor((w·a + b + 2^(s-1)) · 2^-s), low, high)

One integer stands for 1/unit of a real value.  Training wires relaxed layers of these shapes, export writes them down
as graphs, and `check` says of a model's integers that float32 computes them exactly.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from rdae.networks.architecture import GROUPS, Architecture
from rdae.quality import ANCHOR_UNIT, ANCHORS

VALUE_MAX = 8.0
"""Bound of the gated values of a transform's block, far beyond what pictures give: without it, one picture of unusual
contrast can make the features grow from block to block, and a training at a high rate diverge."""

UNIT = 128
"""Integers per 1.0 of a hidden activation."""

HIDDEN_MAX = 1023
"""Largest hidden activation: they lie in 0..1023, that is 0..7.99."""

Z_MAX = 127
"""Hyper-latents are clamped to -127..127 by the encoder; a decoder refuses a file with larger ones."""

CONTEXT_MAX = 2047
"""Largest magnitude of a latent as the context model sees it, in units of 1/128 of the reference scale."""

MEAN_UNIT = 2048
MEAN_MAX = 2**15 - 1
"""Means leave the network as integers of 1/2048 of the reference scale, in -32767..32767."""

INDEX_MAX = 127
"""Scale indices leave the network as -127..127, before the reference scale's own index is added."""

EXACT_BOUND = 2**24
"""Integers below this are exact in float32; every partial sum of a layer stays below it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """One layer: shape, the units of its input and output, and the range its output is clamped to.

    name: where its tensors are kept, below "prior.".
    channels_in, channels_out: of the convolution; equal if depthwise.
    kernel: 0 for a 1x1 convolution over all channels, 3 or 5 for a depthwise one of that size, zero-padded.
    unit_in, unit_out: integers per 1.0.
    max_in: largest magnitude of an input integer.
    low, high: the output integers' range, both ends included.
    """

    name: str
    channels_in: int
    channels_out: int
    kernel: int = 0
    unit_in: int = UNIT
    unit_out: int = UNIT
    max_in: int = HIDDEN_MAX
    low: int = 0
    high: int = HIDDEN_MAX

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(out, in) of a 1x1 convolution, (channels, 1, kernel, kernel) of a depthwise one."""
        if self.kernel:
            return (self.channels_out, 1, self.kernel, self.kernel)
        return (self.channels_out, self.channels_in)

    def check(
        self, weight: npt.NDArray[np.int16], bias: npt.NDArray[np.int32], shift: npt.NDArray[np.uint8]
    ) -> None:
        """Raise ValueError unless every partial sum of a layer of these integers is exact in float32.

        Per output channel, L1(w) * max_in + |b| + 2^(s-1) < 2^24: then each partial sum is an integer that float32
        holds, in whatever order and with or without fused multiply-add.
        """
        for label, array, shape in (
            ("weight", weight, self.weight_shape),
            ("bias", bias, (self.channels_out,)),
            ("shift", shift, (self.channels_out,)),
        ):
            if not np.issubdtype(array.dtype, np.integer):
                raise ValueError(f"{self.name}.{label} is not made of integers")
            if array.shape != shape:
                raise ValueError(f"{self.name}.{label} is {array.shape}, expected {shape}")
        if shift.size and not (shift.min() >= 1 and shift.max() <= 23):
            raise ValueError(f"{self.name}.shift is outside 1..23")
        l1 = np.abs(weight.reshape(len(weight), -1).astype(np.int32)).sum(axis=1, dtype=np.int64)
        reach = l1 * self.max_in + np.abs(bias.astype(np.int64)) + (1 << (shift.astype(np.int64) - 1))
        if not bool((reach < EXACT_BOUND).all()):
            raise ValueError(f"{self.name}: a sum may reach {int(reach.max())}, beyond 2^24")


def prior_layers(architecture: Architecture) -> dict[str, LayerSpec]:
    """Return all layers of a prior by name: those of the hyper-synthesis, then those of the context model."""
    specs = [*hyper_layers(architecture), *context_layers(architecture)]
    return {spec.name: spec for spec in specs}


def hyper_layers(architecture: Architecture) -> list[LayerSpec]:
    """Return the layers of the hyper-synthesis in the order of their work: ẑ at 1/64 -> features at 1/16.

    Upsampling is a 1x1 convolution to four times the channels, then a pixel shuffle: a permutation, so exact.
    """
    z, width = architecture.hyper_latents, architecture.hyper_width
    half = max(1, width * 3 // 4)
    return [
        LayerSpec(name="hyper.widen", channels_in=z, channels_out=width, unit_in=1, max_in=Z_MAX),
        LayerSpec(name="hyper.spread_64", channels_in=width, channels_out=width, kernel=3),
        LayerSpec(name="hyper.to_32", channels_in=width, channels_out=4 * half),
        LayerSpec(name="hyper.spread_32", channels_in=half, channels_out=half, kernel=3),
        LayerSpec(name="hyper.to_16", channels_in=half, channels_out=4 * width),
        LayerSpec(name="hyper.spread_16", channels_in=width, channels_out=width, kernel=3),
        # The quality joins here, as the weights of its two neighbouring anchors in constant channels.
        LayerSpec(
            name="hyper.mix",
            channels_in=width + ANCHORS,
            channels_out=width,
            max_in=max(HIDDEN_MAX, ANCHOR_UNIT),
        ),
    ]


def context_layers(architecture: Architecture) -> list[LayerSpec]:
    """Return the layers of the context model: an entry a step, the trunks, and heads for each step and group."""
    latents, features, width = architecture.latents, architecture.hyper_width, architecture.context_width
    group = latents // GROUPS
    entries = [
        LayerSpec(
            name=f"context.entries.{step}",
            channels_in=latents + features + GROUPS,
            channels_out=width,
            max_in=max(CONTEXT_MAX, HIDDEN_MAX, UNIT),
        )
        for step in range(GROUPS)
    ]
    trunks = [
        layer
        for number in range(architecture.context_trunks)
        for pair in trunk_layers(architecture, number)
        for layer in pair
    ]
    heads = [
        spec
        for head in range(GROUPS * GROUPS)
        for spec in (
            LayerSpec(
                name=f"context.means.{head}",
                channels_in=width,
                channels_out=group,
                unit_out=MEAN_UNIT,
                low=-MEAN_MAX,
                high=MEAN_MAX,
            ),
            LayerSpec(
                name=f"context.indices.{head}",
                channels_in=width,
                channels_out=group,
                unit_out=1,
                low=-INDEX_MAX,
                high=INDEX_MAX,
            ),
        )
    ]
    return [*entries, *trunks, *heads]


def trunk_layers(architecture: Architecture, number: int) -> list[tuple[LayerSpec, LayerSpec]]:
    """Return the pairs of a depthwise and a 1x1 layer of a trunk; from the third on a pair adds to its input."""
    width, name = architecture.context_width, f"context.trunks.{number}"
    parts = [("spread", "mix", 0), ("spread_more", "mix_more", 0)]
    parts += [
        (f"deeper_spread.{i}", f"deeper_mix.{i}", -HIDDEN_MAX) for i in range(architecture.context_deeper)
    ]
    return [
        (
            LayerSpec(name=f"{name}.{spread}", channels_in=width, channels_out=width, kernel=3),
            LayerSpec(name=f"{name}.{mix}", channels_in=width, channels_out=width, low=low),
        )
        for spread, mix, low in parts
    ]


def cells(step: int) -> list[tuple[int, int, int]]:
    """Return (group, row, column): what step 0..3 codes where in each 2x2 of positions.

    The channels of y are in four groups, the positions in the four cells of each 2x2.  Step i codes group j at cell
    (i + j) mod 4: a quarter of the latents everywhere at once, and later steps see neighbours on all sides.

            cell  0 1      step 0 codes group  0 3     step 1  1 0     step 2  2 1     step 3  3 2
                  2 3                          2 1             3 2             0 3             1 0
    """
    return [(group, *divmod((step + group) % GROUPS, 2)) for group in range(GROUPS)]
