"""The transforms in inference: streams of rows, so that memory stays low and near the processor.

A block needs an array of twice its channels, which for a whole picture is by far the largest thing in a decode and
has left the cache before it is read.  Here a band of rows goes through the whole transform before the next one, but
for the row that the next one must see.  What is computed is what the modules' `forward` computes, up to float rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdae.networks.architecture import PATCH
from rdae.rows import Span, Stream, bands, cut, in_parts, join, with_neighbours
from rdae.training.modules.analysis import Analysis
from rdae.training.modules.blocks import Block, Pointwise
from rdae.training.modules.synthesis import Synthesis
from rdae.transforms.branch import Own, branch


def synthesise(
    synthesis: Synthesis,
    y64: Iterable[Tensor],
    restore: Tensor,
    fine_gain: Tensor,
    *,
    scale: int = 1,
    narrow: bool = False,
) -> Stream:
    """Turn bands of integers (latents, k, w) into bands of levels, uint8 (16 k, 16 w, 3): `forward`, in 0..255.

    restore: what the integers are multiplied by, (latents,); fine_gain: (1, fine, 1, 1); blocks are folded.
    scale: 1, 2, 4 or 8, for the means of so many by so many pixels: bands of (16 k / scale, 16 w / scale, 3).
    narrow: blocks in bfloat16 where that is fast, for an encoder that wants to know about what it would get.
    """
    last = _last_layer(synthesis.to_pixels, scale)
    restore = restore[None, :, None, None]
    dim, stream = cut(y64, partial(_row_bytes, fine_gain.shape[1]))
    # map, not generator expressions, which would hold on to one band while the next is made.
    stream = map(partial(_restored, restore), stream)
    stream = _blocks(synthesis.coarse, stream, dim + 1, narrow=narrow)
    stream = map(partial(_in_parts, partial(_to_fine, synthesis, fine_gain)), stream)
    stream = _blocks(synthesis.fine, stream, dim + 1, narrow=narrow)
    stream = map(partial(_in_parts, partial(_levels, last, scale)), stream)
    stream = (levels[0].permute(1, 2, 0) for levels in stream)
    yield from stream if dim == 1 else [torch.cat(list(stream), dim=1)]


def _in_parts(work: Callable[[Tensor], Tensor], h: Tensor) -> Tensor:
    """Return work(h) of features (1, C, h, w), of which each position is for itself: long rows in parts."""
    return in_parts(work, h, 3, h.element_size() * h.shape[1] * h.shape[2])


def _restored(restore: Tensor, y64: Tensor) -> Tensor:
    return y64[None].to(torch.float32, memory_format=torch.channels_last).mul_(restore)


def _to_fine(synthesis: Synthesis, fine_gain: Tensor, y: Tensor) -> Tensor:
    return F.pixel_shuffle(synthesis.to_fine(y), 2).mul_(fine_gain)


def _last_layer(to_pixels: Pointwise, scale: int) -> tuple[Tensor, Tensor]:
    """Weight and bias of the last layer.  It is linear: means of its rows give means of boxes of its 8x8 pixels."""
    weight: Tensor = to_pixels.weight
    bias: Tensor = to_pixels.bias
    if scale > 1:
        boxes = (3, 8 // scale, scale, 8 // scale, scale)
        weight = weight.double().view(*boxes, -1).mean(dim=(2, 4)).flatten(0, 2).float()
        bias = bias.double().view(boxes).mean(dim=(2, 4)).flatten().float()
    return weight[:, :, None, None], bias


def _levels(last: tuple[Tensor, Tensor], scale: int, h: Tensor) -> Tensor:
    pixels = F.pixel_shuffle(F.conv2d(h, *last), 8 // scale)
    return pixels.add_(0.5).mul_(255).round_().clamp_(0, 255).to(torch.uint8)


def features(analysis: Analysis, levels: npt.NDArray[np.uint8], rows: Iterable[Span]) -> Stream:
    """Turn levels, uint8 (h, w, 3), into bands of the features at 1/8 that no gain has entered: (1, fine, 2 k, 2 w).

    They are the first half of `forward` of levels / 255, the same for all qualities.
    rows: of latents, top to bottom; no band crosses from one of these spans to the next.
    """
    weight: Tensor = analysis.from_pixels.weight
    row_bytes = _row_bytes(len(weight), -(-levels.shape[1] // PATCH))
    stream: Stream = (
        _from_pixels(analysis, levels, start + top, start + bottom)
        for start, end in rows
        for top, bottom in bands(end - start, row_bytes, weight.device)
    )
    return _blocks(analysis.fine, stream, 2, narrow=True)


def latents(analysis: Analysis, features: Iterable[Tensor], fine_gain: Tensor) -> Stream:
    """Turn what `features` gave, which stays as it is, into bands of latents (1, latents, k, w).

    fine_gain: (1, fine, 1, 1).
    """
    stream = map(partial(_in_parts, partial(_to_coarse, analysis, fine_gain)), features)
    return _blocks(analysis.coarse, stream, 2, narrow=True)


def _to_coarse(analysis: Analysis, fine_gain: Tensor, h: Tensor) -> Tensor:
    found: Tensor = analysis.to_coarse(F.pixel_unshuffle(h * fine_gain, 2))
    return found


def _from_pixels(analysis: Analysis, levels: npt.NDArray[np.uint8], top: int, bottom: int) -> Tensor:
    """Return the first layer's features of rows top..bottom of the latents, (1, fine, 2 k, 2 w)."""
    weight: Tensor = analysis.from_pixels.weight
    width = -(-levels.shape[1] // PATCH)
    parts = (
        analysis.from_pixels(_patches(levels[:, PATCH * left : PATCH * right], top, bottom, weight.device))
        for left, right in bands(width, (bottom - top) * 2 * 4 * 4 * len(weight), weight.device)
    )
    return join(parts, 2 * width, dim=3)


def _patches(levels: npt.NDArray[np.uint8], top: int, bottom: int, device: torch.device) -> Tensor:
    """Return the 8x8 patches of rows top..bottom of the latents, (1, 192, 2 k, 2 w) in -0.5..0.5, the edge repeated.

    That is `pixel_unshuffle`, but with the channels of a position beside each other, as convolutions want them.
    """
    part = levels[PATCH * top : PATCH * bottom]
    missing = (PATCH * (bottom - top) - part.shape[0], -part.shape[1] % PATCH)
    if any(missing):
        part = np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    height, width = part.shape[0] // 8, part.shape[1] // 8
    patches = part.reshape(height, 8, width, 8, 3).transpose(0, 2, 4, 1, 3)
    x = torch.from_numpy(patches.reshape(1, height, width, 192)).to(device).permute(0, 3, 1, 2)
    return x.float().div_(255).sub_(0.5)


def _row_bytes(fine: int, width: int) -> int:
    """What a row of latents takes in the widest array: the expanded features of its two rows at 1/8."""
    return 2 * 2 * width * 2 * fine * 4


def _blocks(blocks: nn.Sequential, stream: Iterable[Tensor], dim: int, *, narrow: bool) -> Stream:
    for block in blocks:
        assert isinstance(block, Block)
        work = partial(_apply, partial(branch, block, narrow=narrow), dim)
        stream = with_neighbours(
            stream, work, dim, across=5 - dim, position_bytes=4 * len(block.expand.weight)
        )
    return iter(stream)


def _apply(changes: Callable[[Tensor, Own], Tensor], dim: int, x: Tensor, above: bool, below: bool) -> Tensor:
    """A folded block's own rows along dim of x (1, C, h, w), which has one more where `above` or `below` say so.

    changes: what the block adds to them.
    """
    start, length = int(above), x.shape[dim] - int(above) - int(below)
    own = x.narrow(dim, start, length)  # the others lack a neighbour
    added = changes(x, (dim, start, length))
    return added.add_(own) if added.dtype == own.dtype else own + added
