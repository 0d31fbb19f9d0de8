"""What a block adds to its features, in inference: in float32, or faster in bfloat16 where an encoder may.

A CPU with AMX has tiles that multiply bfloat16 some seven times as fast as its float32 units multiply, AMD's AVX-512
does it twice as fast.  An encoder's errors cost a few bits at worst (0.01 % of them, docs/speed.md), as what it codes
is what it rounded.  A decoder's would be seen: levels of a decoded picture may differ by one between machines, and with
bfloat16 some differ by four.
"""

from __future__ import annotations

import weakref
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rdae.training.modules.blocks import VALUE_MAX, Block
from rdae.transforms.processor import bfloat16_is_fast

Own = tuple[int, int, int]
"""Positions that count, of a tensor: a dimension, start and length."""


class Weights(NamedTuple):
    """A folded block's tensors, as convolutions take them."""

    expand: Tensor
    expand_bias: Tensor
    depthwise: Tensor
    depthwise_bias: Tensor
    project: Tensor
    project_bias: Tensor


_narrow_weights: weakref.WeakKeyDictionary[Block, Weights] = weakref.WeakKeyDictionary()


def branch(block: Block, x: Tensor, own: Own, *, narrow: bool = False) -> Tensor:
    """Return what a folded block adds to x, float32 (1, C, h, w), within `own`.

    Positions beside x count as zeros.  narrow: compute, and return, bfloat16 where that is fast.
    """
    weights = (
        _narrowed(block) if narrow and x.device.type == "cpu" and bfloat16_is_fast() else weights_of(block)
    )
    h = F.conv2d(x.to(weights.expand.dtype), weights.expand, weights.expand_bias)
    h = F.conv2d(h, weights.depthwise, weights.depthwise_bias, padding=1, groups=h.shape[1])
    value, gate = h.narrow(*own).chunk(2, dim=1)
    h = F.hardtanh_(value, -VALUE_MAX, VALUE_MAX) * F.hardsigmoid(gate, inplace=True)
    return F.conv2d(h, weights.project, weights.project_bias)


def weights_of(block: Block) -> Weights:
    """Return a folded block's tensors."""
    return Weights(
        block.expand.weight[:, :, None, None],
        block.expand.bias,
        block.depthwise,
        block.depthwise_bias,
        block.project.weight[:, :, None, None],
        block.project.bias,
    )


def _narrowed(block: Block) -> Weights:
    """A block's tensors in bfloat16, made once."""
    found = _narrow_weights.get(block)
    if found is None:
        found = _narrow_weights[block] = Weights(*(each.to(torch.bfloat16) for each in weights_of(block)))
    return found
