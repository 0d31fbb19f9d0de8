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
from rdae.codec.refinement.judging import Judge, Pursuit
from rdae.codec.refinement.plans import Aim, Stage
from rdae.codec.refinement.progress import Report
from rdae.codec.refinement.results import Found, Refined, better
from rdae.codec.refinement.windows import Box, Window, windows
from rdae.networks.architecture import PATCH
from rdae.networks.gradient import RelaxedPrior, SquaredError, sort, unsort
from rdae.networks.model import Model
from rdae.networks.normaliser import STEP_UNIT

Floats = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class _Tile:
    """What a search does not change: a tile with its neighbours, and what is aimed at.

    judges: of the windows' cores, each of which has its own distortion: a tile's is their sum.
    """

    model: Model
    levels: Levels
    tile: Box
    aim: Aim
    z: npt.NDArray[np.int32]
    features: Floats
    code_lengths: CodeLengths
    windows: tuple[Window, ...]
    judges: tuple[Judge, ...]


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

    The cost is bits + β·distortion, the latter by the model's objective, of 8-bit levels as a decoder makes them.

    levels: uint8 (H, W, 3).  y: float32 (latents, h, w), in quantisation steps; it stays as it is.  tile: what is
    coded, and all that the prior sees; other latents are neighbours for the synthesis, as they are.  report: is told of
    each step, and may end the search; if it ended an earlier one, this one ends at once.
    """
    begun = time.perf_counter()
    y = y.copy()
    z = model.hyper_analyse(tile.cut(y), aim.index)
    features = model.prior.begin(z, aim.index, tile.size).features[0]
    weights = model.objective.weights(aim.asked)
    parts = tuple(windows(tile, Box(0, 0, *y.shape[1:])))
    judges = tuple(Judge(_pixels(levels, window.core), weights) for window in parts)
    code_lengths = CodeLengths.of(model.prior.y_tables)
    scene = _Tile(model, levels, tile, aim, z, features, code_lengths, parts, judges)
    first, made = _measured(scene, y, ahead=bool(stages))
    history = [first]
    seconds = [time.perf_counter() - begun]
    plain = now = history[0]
    done = 0
    for number, stage in enumerate(stages):
        if report and report.stopped:
            return Refined(tuple(history), tuple(seconds), stopped=True)
        y_hat = y.copy()
        tile.cut(y_hat)[...] = now.quantised.latents.y64 / np.float32(STEP_UNIT)
        for turn, (window, judge) in enumerate(zip(scene.windows, scene.judges, strict=True)):
            source = np.random.default_rng((number, turn))
            cost, found = _cost(scene, window, judge, y_hat, made), sort(window.prior.cut(y))
            for _ in descend(cost, found, stage, source):
                done += 1
                if report and report.tell(done, plain, history[-1]):
                    return Refined(tuple(history), tuple(seconds), stopped=True)
            unsort(found, window.prior.cut(y))
        now, made = _measured(scene, y, ahead=number + 1 < len(stages))
        best = history[-1]
        history.append(now if better(now.cost, best.cost, best.bits) else best)
        seconds.append(time.perf_counter() - begun)
    return Refined(tuple(history), tuple(seconds), stopped=False)


def _cost(scene: _Tile, window: Window, judge: Judge, y_hat: Floats, made: Levels) -> Cost:
    """Return R + βD of a window.

    y_hat: (latents, h, w), from which the synthesis takes what the prior does not see.  made: what is decoded now.
    """
    index, seen = scene.aim.index, window.prior
    levels, now = _pixels(scene.levels, window.synthesis), _pixels(made, window.synthesis)
    if window.synthesis != window.core:
        judge = Judge(levels, judge.weights)
    error = SquaredError(scene.model, index, levels.shape[:2], window.synthesis.size)
    return Cost(
        prior=RelaxedPrior(scene.model, index, seen.relative_to(scene.tile).cut(scene.features)),
        code_lengths=scene.code_lengths,
        pursuit=Pursuit(error, judge, now),
        weight=scene.aim.beta / 3,
        skip_below=scene.model.prior.skip_below,
        core=window.core.relative_to(seen),
        place=seen.relative_to(window.synthesis),
        view=window.synthesis.cut(y_hat).copy(),
    )


def _measured(scene: _Tile, y: Floats, *, ahead: bool) -> tuple[Found, Levels]:
    """Round latents as they are now, and measure what comes of it; return what a decoder makes of it, too.

    ahead: a descent follows, whose first target is where these levels lead to.
    """
    model, index = scene.model, scene.aim.index
    quantised = latents.quantise(scene.tile.cut(y), scene.z, model.prior, index)
    bits = quantised.rate_bits()
    y64 = np.rint(y * np.float32(STEP_UNIT)).astype(np.int32)
    scene.tile.cut(y64)[...] = quantised.latents.y64
    bands = model.transforms.synthesise([y64], index)
    made = np.concatenate(list(bands))[: scene.levels.shape[0], : scene.levels.shape[1]]
    distortion = sum(
        judge.distortion(_pixels(made, window.core), ahead=ahead and window.synthesis == window.core)
        for window, judge in zip(scene.windows, scene.judges, strict=True)
    )
    return Found(quantised, bits, bits + scene.aim.beta * distortion), made


def _pixels(levels: Levels, box: Box) -> Levels:
    """Return the part of levels (H, W, 3) that a box of latents stands for, a view."""
    part = box.scaled(PATCH)
    return levels[part.top : part.bottom, part.left : part.right]
