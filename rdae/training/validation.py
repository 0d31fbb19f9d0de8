"""Rate and distortion of held-out pictures with truly rounded latents, as files will have them, at six qualities."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from rdae.quality import from_index
from rdae.training import objective
from rdae.training.autoencoder import Autoencoder
from rdae.training.config import OBJECTIVES, TrainingConfig
from rdae.training.data.pool import Pool
from rdae.training.distributed import Group
from rdae.training.precision import ieee_float32

POINTS = 6
SIDE = 512
"""Pixels of a picture's middle that is measured, each way."""


def least_side(config: TrainingConfig) -> int:
    """Return the shorter side, in pixels, that validation pictures must have."""
    return OBJECTIVES[config.objective]


@torch.no_grad()
def measure(
    model: Autoencoder,
    pictures: Pool,
    config: TrainingConfig,
    group: Group,
    stopped: Callable[[], bool],
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[dict[str, Any]]:
    """Return a row for each quality: its index and itself, and the pictures' mean bpp, psnr, loss, and score.

    They are measured as `rdae eval` does, of 8-bit pixels: PSNR, and the score that is trained for, if that is another.
    But the rate is estimated, and of each picture the middle is taken.

    model: in the state that is to be measured.  Each process measures its share of the pictures.
    stopped: asked between pictures; if it says yes, which only a process by itself may, the list is empty.
    tell: called after each measurement with how many of how many this process has made.
    """
    model.eval()
    low, high = config.quality_low, config.quality_high
    spread = (low + round((high - low) * i / (POINTS - 1)) for i in range(POINTS))
    rows = []
    indices, mine = sorted(set(spread)), range(group.rank, len(pictures.pictures), group.world)
    done = 0
    for index in indices:
        sums = [0.0] * 5  # bpp, psnr, loss, score, pictures
        for number in mine:
            if stopped():
                return []
            measured = _one(model, pictures, number, index, config)
            sums = [total + value for total, value in zip(sums, (*measured, 1.0), strict=True)]
            done += 1
            tell(done, len(indices) * len(mine))
        *totals, count = group.total(sums)
        bpp, psnr, loss, score = (value / count for value in totals)
        row: dict[str, Any] = {
            "index": index,
            "quality": from_index(index),
            "bpp": bpp,
            "psnr": psnr,
            "loss": loss,
        }
        rows.append(row if config.objective == "mse" else row | {config.objective.replace("-", "_"): score})
    return rows


def words_of(row: dict[str, Any]) -> str:
    """A row in words: its quality, and what was measured at it."""
    scores = {"ssimulacra2": "SSIMULACRA2 {:.1f}", "ms_ssim": "MS-SSIM {:.4f}"}
    told = [words.format(row[name]) for name, words in scores.items() if name in row]
    return " ".join([f"quality {row['quality']:g} {row['bpp']:.3f} bpp {row['psnr']:.2f} dB", *told])


def _one(
    model: Autoencoder, pictures: Pool, number: int, index: int, config: TrainingConfig
) -> tuple[float, float, float, float]:
    x = pictures.centre(number, SIDE).float() / 255
    indices = torch.tensor([index], device=x.device)
    with ieee_float32():  # as files will be made
        output = model(x.contiguous(memory_format=torch.channels_last), indices)
    x_hat = (output.x_hat.clamp(0, 1) * 255).round() / 255  # as a decoder puts it out
    output = type(output)(x_hat, output.bits_y, output.bits_z)
    terms = objective.terms(x, output, indices, config.loss_power, config.objective, config.shares)
    psnr = 10 * math.log10(255**2 / max(float(terms.mse), 1e-9))
    score = 0.0 if terms.score is None else float(terms.score)
    return float(terms.bpp), psnr, float(terms.loss), score
