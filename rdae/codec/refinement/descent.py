"""Descent on R + βD for the latents of one window."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from rdae.codec.refinement.code_lengths import CodeLengths
from rdae.codec.refinement.judging import Pursuit
from rdae.codec.refinement.plans import Stage
from rdae.codec.refinement.rounding import Rounding, soft_round
from rdae.codec.refinement.windows import Box
from rdae.networks.architecture import GROUPS
from rdae.networks.gradient import Prediction, RelaxedPrior, sort, unsort
from rdae.networks.graphs import STEPS
from rdae.networks.layers import CONTEXT_MAX, INDEX_MAX, MEAN_MAX
from rdae.networks.normaliser import SCALES

Floats = npt.NDArray[np.float32]

TINY = 1e-12
"""Added to what gradients are divided by."""


@dataclasses.dataclass(frozen=True, eq=False)
class Cost:
    """R + βD of a window's latents, as a function of real numbers.

    pursuit: tells of the distortion, weight: β / 3, of three times that.  skip_below: latents with a smaller
    scale index are not coded.  core: what is refined of what the prior sees; latents beside it are rounded as they are.
    view: ŷ of all that the synthesis sees, (latents, h, w), of which `place` is what the prior sees.
    """

    prior: RelaxedPrior
    code_lengths: CodeLengths
    pursuit: Pursuit
    weight: float
    skip_below: int
    core: Box
    place: Box
    view: Floats


@dataclasses.dataclass(frozen=True, eq=False)
class RelaxedLatents:
    """Latents after the four context steps: what the way back needs; float32, sorted.

    symbols: what is coded, rows: those of the tables, both real numbers.  slope: of the symbols, by the latents.
    y_hat: the latents in steps, as a decoder would have them; known: as the context model sees these.
    """

    predictions: list[Prediction]
    symbols: Floats
    rows: Floats
    slope: Floats
    y_hat: Floats
    known: Floats


def relax(cost: Cost, y: Floats, rounding: Rounding, source: np.random.Generator) -> RelaxedLatents:
    """Go through the four context steps with latents in quantisation steps, sorted; source: of noise in rounding."""
    scales = cost.prior.scales
    held = _held(cost, y)
    symbols, rows, slope, y_hat, known = (np.empty_like(y) for _ in range(5))
    predictions = []
    for step in STEPS:
        prediction = cost.prior.predict(step, known)
        means = np.multiply(prediction.means, scales.from_mean[:, step], out=y_hat[:, step])
        row = np.add(prediction.indices, scales.offset[:, step], out=rows[:, step])
        np.clip(row, 0, SCALES - 1, out=row)
        distance = y[:, step] - means
        rounded, sloping = soft_round(distance, rounding, source)
        if held is not None:
            np.rint(distance, out=rounded, where=held)
            sloping *= ~held
        coded = np.rint(row) >= cost.skip_below
        np.multiply(rounded, coded, out=symbols[:, step])
        np.multiply(sloping, coded, out=slope[:, step])
        means += symbols[:, step]  # is ŷ now
        normal = np.multiply(means, scales.to_context[:, step], out=known[:, step])
        np.clip(normal, -CONTEXT_MAX, CONTEXT_MAX, out=normal)
        predictions.append(prediction)
    return RelaxedLatents(predictions, symbols, rows, slope, y_hat, known)


def gradient(cost: Cost, y: Floats, rounding: Rounding, source: np.random.Generator) -> Floats:
    """Return the gradient of R + βD for sorted latents, of their shape; arguments as in `relax`."""
    now = relax(cost, y, rounding, source)
    scales = cost.prior.scales
    found = sort(cost.place.cut(cost.pursuit.gradient(_view(cost, now))))
    found *= cost.weight  # is the gradient for ŷ, becomes that for y from the last step to the first
    of_known = np.zeros_like(y)
    for step in reversed(STEPS):
        own, seen = found[:, step], of_known[:, step]
        if step < GROUPS - 1:
            # Beyond its range a latent looks always the same to later steps.
            seen *= np.abs(now.known[:, step]) < CONTEXT_MAX
            seen *= scales.to_context[:, step]
            own += seen
        of_symbols, of_rows = cost.code_lengths.slopes(now.symbols[:, step], now.rows[:, step])
        of_symbols += own
        of_symbols *= now.slope[:, step]
        if step:
            prediction = now.predictions[step]
            # A mean enters ŷ as it is, and the distance from it with the other sign.
            of_means = np.subtract(own, of_symbols, out=seen)
            of_means *= scales.from_mean[:, step]
            of_means *= np.abs(prediction.means) < MEAN_MAX
            of_rows *= (now.rows[:, step] > 0) & (now.rows[:, step] < SCALES - 1)
            of_rows *= np.abs(prediction.indices) < INDEX_MAX
            of_known[:, :step] += cost.prior.back(step, prediction, of_means, of_rows)
        own[...] = of_symbols
    if any(side % 2 for side in cost.place.size):
        found *= _existing(cost.place.size)
    return found


def _view(cost: Cost, latents: RelaxedLatents) -> Floats:
    """Return ŷ of all that the synthesis sees, (latents, h, w)."""
    unsort(latents.y_hat, cost.place.cut(cost.view))
    return cost.view


def descend(cost: Cost, y: Floats, stage: Stage, source: np.random.Generator) -> Iterator[None]:
    """Make a stage's steps in sorted latents themselves, within the core; yield after each."""
    core = _halved(cost.core)
    own = core.cut(y)
    mean, square = np.zeros_like(own), np.zeros_like(own)
    for number in range(stage.steps):
        g = core.cut(gradient(cost, y, stage.rounding, source))
        share = number / max(1, stage.steps - 1)
        rate = stage.rate * (1 - (1 - stage.rest) * share)
        mean *= stage.memory
        mean += (1 - stage.memory) * g
        np.square(g, out=g)
        g *= 1 - stage.spread_memory
        square *= stage.spread_memory
        square += g
        # Adam's own divisor moves latents with tiny gradients as far as others, the channel's leaves outliers.
        usual = _channel_means(square, cost.core.size)
        size = np.multiply(square, usual, out=g)
        np.sqrt(size, out=size)
        size *= 1 / (1 - stage.spread_memory ** (number + 1))
        np.sqrt(size, out=size)
        size += TINY
        change = np.divide(mean, size, out=size)
        change *= rate / (1 - stage.memory ** (number + 1))
        own -= change
        yield


def _channel_means(latents: Floats, size: tuple[int, int]) -> Floats:
    """Return the mean of each channel of sorted latents of a height and width, (cells, steps, latents / 4, 1, 1)."""
    sums = latents.sum(axis=(3, 4), keepdims=True)
    # A group is coded at each cell by another step.
    cells = np.arange(GROUPS)[:, None]
    groups = (cells - np.arange(GROUPS)) % GROUPS  # [cell, step], and by symmetry the step of [cell, group]
    means = sums[cells, groups].sum(axis=0) / (size[0] * size[1])
    found: Floats = means[groups]
    return found


def _existing(size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return which positions of sorted latents of a height and width exist: (cells, 1, 1, ceil(h/2), ceil(w/2))."""
    return sort(np.ones((GROUPS, *size), np.bool_))[:, :1]


def _held(cost: Cost, y: Floats) -> npt.NDArray[np.bool_] | None:
    """Return where latents are beside the core: (ceil(h/2), ceil(w/2)); None if they are nowhere."""
    held = np.ones(y.shape[-2:], bool)
    _halved(cost.core).cut(held)[...] = False
    return held if held.any() else None


def _halved(box: Box) -> Box:
    """Return a box that begins at an even row and column, in cells of 2x2."""
    return Box(box.top // 2, box.left // 2, -(-box.bottom // 2), -(-box.right // 2))
