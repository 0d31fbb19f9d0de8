"""The synthesis in exact arithmetic: pixels that are the same on every machine, for about four times the work.

As in the exact prior, all numbers are integers, here held in float64: of 2^-16 for features, of 2^-b for weights.
Each sum stays below 2^52, so it is exact in any order, with or without fused multiply-add.  What is computed is the
float synthesis with every intermediate result rounded to 2^-16, halves up; the few operations that are not sums of
products are single IEEE additions, multiplications and divisions, which are the same everywhere.

For each quantity (real value, bound, unit):

    latents, features x      ±128    2^-16     y = ŷ·64 (integer) * restore / 64, a float32
    expanded features e      ±4096   2^-16
    value, gate              ±8, 0..6  2^-16   of the depthwise convolution; gate is clamp(d + 3, 0, 6)
    value * gate             ±48     2^-16     the gate's division by 6 is in W2
    pixels                   ±4      2^-16     level = floor(255 * (p + 1/2) + 1/2), clamped to 0..255

A layer's b is the largest up to 24 at which its sums keep the bound.  Weights are the file's float16 and float32
numbers; a block's W1 / scale and W2 * reach / 6 are rounded once, from float64.  reach, the geometric mean of scale,
needs logarithms, of which no two C libraries agree: Python's decimals round them correctly.
"""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Iterable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from rdae.rows import Stream, cut, with_neighbours
from rdae.training.modules.blocks import VALUE_MAX

UNIT_BITS = 16
UNIT = float(1 << UNIT_BITS)
"""Integers per 1.0 of a feature."""

FEATURE_MAX = 128 * UNIT
EXPANDED_MAX = 4096 * UNIT
GATED_MAX = 48 * UNIT
PIXEL_MAX = 4 * UNIT

SUM_BOUND = 2.0**52
_MAX_WEIGHT_BITS = 24


@dataclasses.dataclass(frozen=True)
class _Layer:
    """Integers of a 1x1 (in, out) or a depthwise (9, channels) convolution: float64, in units of 2^-bits."""

    weight: Tensor
    bias: Tensor
    bits: int
    limit: float

    def finish(self, total: Tensor) -> Tensor:
        """Round sums of weight and feature, in place, to features, clamped to ±limit."""
        return total.add_(self.bias).mul_(0.5**self.bits).add_(0.5).floor_().clamp_(-self.limit, self.limit)

    def __call__(self, x: Tensor) -> Tensor:
        """(h, w, in) -> (h, w, out), of a 1x1 convolution."""
        return self.finish(x @ self.weight)

    def spread(self, x: Tensor) -> Tensor:
        """(h, w, C) -> (h, w, C), of a depthwise convolution: zeros around."""
        padded = F.pad(x, (0, 0, 1, 1, 1, 1))
        height, width, _ = x.shape
        total = torch.zeros_like(x)
        for tap, weight in enumerate(self.weight):
            row, column = divmod(tap, 3)
            total.addcmul_(padded[row : row + height, column : column + width], weight)
        return self.finish(total)


def _layer(weight: Tensor, bias: Tensor, max_in: float, limit: float) -> _Layer:
    """Round a layer's real weights (terms of a sum, outputs) and biases (outputs), float64."""
    for bits in range(_MAX_WEIGHT_BITS, 0, -1):
        integers, constant = (weight * 2.0**bits).round(), (bias * (UNIT * 2.0**bits)).round()
        reach = integers.abs().sum(dim=0) * max_in + constant.abs() + 2.0**bits
        if bool((reach < SUM_BOUND).all()):
            return _Layer(integers, constant, bits, limit)
    raise ValueError("weights of the synthesis are too large for exact arithmetic")


@dataclasses.dataclass(frozen=True)
class _Block:
    """See `rdae.training.modules.blocks.Block`."""

    expand: _Layer
    depthwise: _Layer
    project: _Layer

    def apply(self, dim: int, x: Tensor, above: bool, below: bool) -> Tensor:
        """The block's own rows along dim of x (h, w, C), which has one more where `above` or `below` say so."""
        own = (dim, int(above), x.shape[dim] - int(above) - int(below))
        value, gate = self.depthwise.spread(self.expand(x)).narrow(*own).chunk(2, dim=2)
        gated = value.clamp(-VALUE_MAX * UNIT, VALUE_MAX * UNIT) * (gate + 3 * UNIT).clamp_(0, 6 * UNIT)
        gated = gated.mul_(1 / UNIT).add_(0.5).floor_()
        return self.project(gated).add_(x.narrow(*own)).clamp_(-FEATURE_MAX, FEATURE_MAX)


class ExactSynthesis:
    """The synthesis of one model, on one device."""

    def __init__(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Take the synthesis' tensors as a weights file holds them; ValueError if they do not fit the bounds."""
        check_float64(device)
        wide = {name: tensor.to(device, torch.float64) for name, tensor in state.items()}
        self._coarse = _blocks(wide, "coarse")
        self._fine = _blocks(wide, "fine")
        self._to_fine = _pointwise(wide, "to_fine", FEATURE_MAX)
        self._to_pixels = _pointwise(wide, "to_pixels", PIXEL_MAX)

    def run(self, y64: Iterable[Tensor], restore: Tensor, fine_gain: Tensor) -> Stream:
        """Turn bands of ŷ·64, int32 (latents, k, w), into bands of levels: uint8 (16 k, 16 w, 3).

        restore: float32 (latents,), what ŷ is multiplied by; fine_gain: float32 (fine,).
        """
        restore = restore.double() * (UNIT / 64)
        fine_gain = fine_gain.double().repeat_interleave(4)
        dim, stream = cut(y64, lambda positions: 16 * len(fine_gain) * positions)
        stream = (_rounded(y.permute(1, 2, 0).double() * restore) for y in stream)
        stream = _through(self._coarse, stream, dim - 1)
        stream = (_shuffle(_rounded(self._to_fine(y).mul_(fine_gain)), 2) for y in stream)
        stream = (self._levels(h) for h in _through(self._fine, stream, dim - 1))
        yield from stream if dim == 1 else [torch.cat(list(stream), dim=1)]

    def _levels(self, h: Tensor) -> Tensor:
        levels = self._to_pixels(h).add_(UNIT / 2).mul_(255 / UNIT).add_(0.5).floor_()
        return _shuffle(levels.clamp_(0, 255).to(torch.uint8), 8)


def _rounded(x: Tensor) -> Tensor:
    return x.add_(0.5).floor_().clamp_(-FEATURE_MAX, FEATURE_MAX)


def _through(blocks: list[_Block], stream: Iterable[Tensor], dim: int) -> Stream:
    for block in blocks:
        widest = 8 * block.expand.weight.shape[1]
        stream = with_neighbours(
            stream, partial(block.apply, dim), dim, across=1 - dim, position_bytes=widest
        )
    return iter(stream)


def _blocks(state: dict[str, Tensor], name: str) -> list[_Block]:
    numbers = sorted({int(key.split(".")[1]) for key in state if key.startswith(name + ".")})
    return [_block(state, f"{name}.{number}") for number in numbers]


def _block(state: dict[str, Tensor], name: str) -> _Block:
    scale = state[f"{name}.scale"]
    reach = _geometric_mean(scale.cpu().tolist())
    taps = state[f"{name}.depthwise"].flatten(1).T.contiguous()  # (9, 2C)
    return _Block(
        _layer(
            (state[f"{name}.expand.weight"] / scale).T.contiguous(),
            state[f"{name}.expand.bias"],
            FEATURE_MAX,
            EXPANDED_MAX,
        ),
        _layer(taps, state[f"{name}.depthwise_bias"], EXPANDED_MAX, EXPANDED_MAX),
        _layer(
            (state[f"{name}.project.weight"] * (reach / 6)).T.contiguous(),
            state[f"{name}.project.bias"] * reach,
            GATED_MAX,
            FEATURE_MAX,
        ),
    )


def _pointwise(state: dict[str, Tensor], name: str, limit: float) -> _Layer:
    return _layer(state[f"{name}.weight"].T.contiguous(), state[f"{name}.bias"], FEATURE_MAX, limit)


def _geometric_mean(numbers: list[float]) -> float:
    """The same on every machine: the decimal module rounds logarithm and exponential correctly."""
    with decimal.localcontext(decimal.Context(prec=40, rounding=decimal.ROUND_HALF_EVEN)):
        mean = sum((decimal.Decimal(number).ln() for number in numbers), decimal.Decimal(0)) / len(numbers)
        return float(mean.exp())


def _shuffle(x: Tensor, side: int) -> Tensor:
    """Pixel shuffle of (h, w, C * side^2): (side * h, side * w, C)."""
    height, width, channels = x.shape
    x = x.view(height, width, channels // side**2, side, side).permute(0, 3, 1, 4, 2)
    return x.reshape(height * side, width * side, -1)


def check_float64(device: torch.device) -> None:
    """Raise ArithmeticError unless float64 products are exact where they can be: some libraries emulate them."""
    size = 96
    a = torch.arange(size * size).mul(7919).remainder(1 << 24).view(size, size)
    b = torch.arange(size * size).mul(104729).remainder(1 << 21).sub(1 << 20).view(size, size)
    found = (a.to(device, torch.float64) @ b.to(device, torch.float64)).cpu().long()
    if not torch.equal(found, a @ b):
        raise ArithmeticError(f"float64 products on {device} are not exact")
