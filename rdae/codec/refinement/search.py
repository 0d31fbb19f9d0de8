"""The search for better latents of a tile: stages of descent, and after each a measurement of what it brought."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rdae.codec import latents
from rdae.codec.refinement.code_lengths import CodeLengths
from rdae.codec.refinement.descent import Cost, descend
from rdae.codec.refinement.plans import Aim, Stage
from rdae.codec.refinement.progress import Report
from rdae.codec.refinement.results import Found, Refined, better
from rdae.codec.refinement.windows import Box, Window, windows
from rdae.networks.architecture import PATCH
from rdae.networks.gradient import Distortion, RelaxedPrior, sort, unsort
from rdae.networks.model import Model
from rdae.networks.normaliser import STEP_UNIT

Floats = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class _Tile:
    """What a search does not change: a tile with its neighbours, and what is aimed at."""

    model: Model
    levels: Levels
    tile: Box
    picture: Box
    aim: Aim
    z: npt.NDArray[np.int32]
    features: Floats
    code_lengths: CodeLengths


def refine(
    model: Model,
    levels: Levels,
    y: Floats,
    tile: Box,
    aim: Aim,
    stages: Sequence[Stage],
    report: Report | None = None,
) -> Refined:
    """Search for latents of a tile that cost less than those of the analysis.

    The cost is bits + β·distortion, the latter of 8-bit levels as a decoder makes them.

    levels: uint8 (H, W, 3).  y: float32 (latents, h, w), in quantisation steps; it stays as it is.  tile: what is
    coded, and all that the prior sees; other latents are neighbours for the synthesis, as they are.  report: is told of
    each step, and may end the search; if it ended an earlier one, this one ends at once.
    """
    begun = time.perf_counter()
    y = y.copy()
    picture = Box(0, 0, *y.shape[1:])
    z = model.hyper_analyse(tile.cut(y), aim.index)
    features = model.prior.begin(z, aim.index, tile.size).features[0]
    scene = _Tile(model, levels, tile, picture, aim, z, features, CodeLengths.of(model.prior.y_tables))
    history = [_measured(scene, y)]
    seconds = [time.perf_counter() - begun]
    plain = now = history[0]
    done = 0
    for number, stage in enumerate(stages):
        if report and report.stopped:
            return Refined(tuple(history), tuple(seconds), stopped=True)
        y_hat = y.copy()
        tile.cut(y_hat)[...] = now.quantised.latents.y64 / np.float32(STEP_UNIT)
        for turn, window in enumerate(windows(tile, picture)):
            source = np.random.default_rng((number, turn))
            cost, found = _cost(scene, window, y_hat), sort(window.prior.cut(y))
            for _ in descend(cost, found, stage, source):
                done += 1
                if report and report.tell(done, plain, history[-1]):
                    return Refined(tuple(history), tuple(seconds), stopped=True)
            unsort(found, window.prior.cut(y))
        now = _measured(scene, y)
        best = history[-1]
        history.append(now if better(now.cost, best.cost, best.bits) else best)
        seconds.append(time.perf_counter() - begun)
    return Refined(tuple(history), tuple(seconds), stopped=False)


def _cost(scene: _Tile, window: Window, y_hat: Floats) -> Cost:
    """Return R + βD of a window; y_hat: (latents, h, w), from which the synthesis takes what the prior does not see."""
    index, seen = scene.aim.index, window.prior
    pixels = window.synthesis.scaled(PATCH)
    levels = scene.levels[pixels.top : pixels.bottom, pixels.left : pixels.right]
    return Cost(
        prior=RelaxedPrior(scene.model, index, seen.relative_to(scene.tile).cut(scene.features)),
        code_lengths=scene.code_lengths,
        distortion=Distortion(scene.model, index, levels, window.synthesis.size),
        weight=scene.aim.beta / 3,
        skip_below=scene.model.prior.skip_below,
        core=window.core.relative_to(seen),
        place=seen.relative_to(window.synthesis),
        view=window.synthesis.cut(y_hat).copy(),
    )


def _measured(scene: _Tile, y: Floats) -> Found:
    """Round latents as they are now, and measure what comes of it."""
    model, index = scene.model, scene.aim.index
    quantised = latents.quantise(scene.tile.cut(y), scene.z, model.prior, index)
    bits = quantised.rate_bits()
    y64 = np.rint(y * np.float32(STEP_UNIT)).astype(np.int32)
    scene.tile.cut(y64)[...] = quantised.latents.y64
    return Found(quantised, bits, bits + scene.aim.beta * _squares(scene, y64))


def _squares(scene: _Tile, y64: npt.NDArray[np.int32]) -> float:
    """Sum of squared errors over the tile's pixels, mean over their three levels, of what a decoder makes of ŷ·64.

    Not over those beside it: theirs are counted with their own tiles.
    """
    tile = scene.tile.scaled(PATCH)
    total, top = 0, 0
    for band in scene.model.transforms.synthesise([y64], scene.aim.index):
        first, last = max(tile.top - top, 0), max(min(tile.bottom - top, len(band)), 0)
        wanted = scene.levels[top + first : top + last, tile.left : tile.right]
        made = band[first : first + len(wanted), tile.left : tile.left + wanted.shape[1]]
        error = made.astype(np.int32)
        error -= wanted
        total += int(np.square(error, out=error).sum(dtype=np.int64))
        top += len(band)
    return total / 3
