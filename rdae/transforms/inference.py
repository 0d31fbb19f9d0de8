"""The transforms in inference: a band of rows at a time, so that memory stays low and near the processor.

A block needs an array of twice its channels, which for a whole picture is by far the largest thing in a decode and
has left the cache before it is read.  Here it exists for some rows only.  What is computed is what the modules'
`forward` computes, up to float rounding, and in place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdae.bands import bands
from rdae.transforms.analysis import Analysis
from rdae.transforms.blocks import VALUE_MAX, Block
from rdae.transforms.synthesis import Synthesis


def run_block(block: Block, x: Tensor) -> None:
    """Apply a folded block to x (1, C, H, W), in place."""
    _, channels, height, width = x.shape
    above = x[:, :, :0]  # the row above the band, as it was before it was overwritten
    for top, bottom in bands(height, 8 * channels * width, x.device):
        rows = torch.cat([above, x[:, :, top : bottom + 1]], dim=2) if top else x[:, :, : bottom + 1]
        skipped = 1 if top else 0
        above = x[:, :, bottom - 1 : bottom].clone()
        h = block.expand(rows)
        h = F.conv2d(h, block.depthwise, block.depthwise_bias, padding=1, groups=h.shape[1])
        # The rows beside the band have lacked a neighbour; all others are right.
        value, gate = h[:, :, skipped : skipped + bottom - top].chunk(2, dim=1)
        h = F.hardtanh_(value, -VALUE_MAX, VALUE_MAX) * F.hardsigmoid(gate, inplace=True)
        x[:, :, top:bottom] += block.project(h)


def run_blocks(blocks: nn.Sequential, x: Tensor) -> None:
    """Apply folded blocks to x (1, C, H, W), in place, one after the other."""
    for block in blocks:
        assert isinstance(block, Block)
        run_block(block, x)


def synthesise(synthesis: Synthesis, y64: Tensor, restore: Tensor, fine_gain: Tensor) -> Tensor:
    """Turn integers (latents, h, w) into levels, uint8 (16 h, 16 w, 3): `forward` of them, rounded to 0..255.

    restore: what the integers are multiplied by, (latents,); fine_gain: (1, fine, 1, 1); blocks are folded.
    """
    y = y64[None].to(torch.float32, memory_format=torch.channels_last).mul_(restore[None, :, None, None])
    run_blocks(synthesis.coarse, y)
    _, _, height, width = y.shape
    channels = synthesis.to_pixels.weight.shape[1]
    h = _empty(y, channels, 2 * height, 2 * width)
    for top, bottom in bands(height, 16 * channels * width, y.device):
        part = F.pixel_shuffle(synthesis.to_fine(y[:, :, top:bottom]), 2)
        torch.mul(part, fine_gain, out=h[:, :, 2 * top : 2 * bottom])
    del y
    run_blocks(synthesis.fine, h)
    levels = torch.empty(16 * height, 16 * width, 3, dtype=torch.uint8, device=h.device)
    for top, bottom in bands(2 * height, 2 * 768 * 2 * width, h.device):
        part = F.pixel_shuffle(synthesis.to_pixels(h[:, :, top:bottom]), 8)[0].permute(1, 2, 0)
        levels[8 * top : 8 * bottom] = part.add(0.5).mul_(255).round_().clamp_(0, 255)
    return levels


def analyse(analysis: Analysis, levels: Tensor, fine_gain: Tensor) -> Tensor:
    """Turn levels, uint8 (16 h, 16 w, 3), into latents (1, latents, h, w): the analysis' `forward` of levels / 255."""
    height, width = levels.shape[0] // 8, levels.shape[1] // 8
    channels = analysis.from_pixels.weight.shape[0]
    h = _empty(fine_gain, channels, height, width)
    for top, bottom in bands(height, 2 * 768 * width, levels.device):
        part = levels[8 * top : 8 * bottom].permute(2, 0, 1)[None].float().div_(255).sub_(0.5)
        h[:, :, top:bottom] = analysis.from_pixels(F.pixel_unshuffle(part, 8))
    run_blocks(analysis.fine, h)
    y = _empty(h, analysis.to_coarse.weight.shape[0], height // 2, width // 2)
    for top, bottom in bands(height // 2, 16 * channels * width, levels.device):
        part = F.pixel_unshuffle(h[:, :, 2 * top : 2 * bottom] * fine_gain, 2)
        y[:, :, top:bottom] = analysis.to_coarse(part)
    del h
    run_blocks(analysis.coarse, y)
    return y


def _empty(like: Tensor, channels: int, height: int, width: int) -> Tensor:
    shape = (1, channels, height, width)
    return torch.empty(shape, dtype=torch.float32, device=like.device, memory_format=torch.channels_last)
