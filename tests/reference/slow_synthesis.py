"""The exact synthesis in Python's own integers and fractions, too plain to be wrong.

What rdae.networks.exact_synthesis must equal to the pixel.

Numbers are in lists of lists, [channel][row][column]; features are integers of 2^-16.  Nothing of rdae is used here.
"""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import product
from typing import Any, NamedTuple

Planes = list[list[list[int]]]
State = dict[str, Any]
"""Tensors of a weights file by name, less the leading "synthesis.", as nested lists of floats: each an exact number."""

ONE = 2**16
FEATURE_MAX, EXPANDED_MAX, PIXEL_MAX = 128 * ONE, 4096 * ONE, 4 * ONE
GATED_MAX = 48 * ONE


class Layer(NamedTuple):
    """Integers of 2^-bits (weights, a row for each output) and 2^-(16 + bits) (biases), and the outputs' range."""

    weight: list[list[int]]
    bias: list[int]
    bits: int
    limit: int


class Run(NamedTuple):
    """The picture's levels, [row][column][channel], and all that the network saw on the way."""

    levels: Planes
    seen: dict[str, set[int]]


def clamp(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def halves_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def make_layer(weight: Iterable[Sequence[float]], bias: Iterable[float], max_in: int, limit: int) -> Layer:
    """Round real weights to the largest number of bits up to 24 that keeps all sums below 2^52.

    Weights and biases are rounded to the nearest, halves to even, as IEEE does.
    """
    rows, constants = [[Fraction(w) for w in row] for row in weight], [Fraction(b) for b in bias]
    for bits in range(24, 0, -1):
        whole = [[round(w * 2**bits) for w in row] for row in rows]
        added = [round(b * ONE * 2**bits) for b in constants]
        reaches = (
            sum(map(abs, row)) * max_in + abs(b) + 2**bits for row, b in zip(whole, added, strict=True)
        )
        if max(reaches) < 2**52:
            return Layer(whole, added, bits, limit)
    raise ValueError("no bits keep the bound")


def finish(total: int, layer: Layer) -> int:
    half = 2 ** (layer.bits - 1)
    return clamp((total + half) // 2**layer.bits, -layer.limit, layer.limit)


def pointwise(x: Planes, layer: Layer) -> Planes:
    height, width = len(x[0]), len(x[0][0])
    return [
        [
            [
                finish(b + sum(w * plane[i][j] for w, plane in zip(row, x, strict=True)), layer)
                for j in range(width)
            ]
            for i in range(height)
        ]
        for row, b in zip(layer.weight, layer.bias, strict=True)
    ]


def depthwise(x: Planes, layer: Layer) -> Planes:
    """Each channel with its own 3x3 kernel, nine weights by row and column, zeros around."""
    out = []
    for plane, kernel, b in zip(x, layer.weight, layer.bias, strict=True):
        height, width = len(plane), len(plane[0])
        made = [[0] * width for _ in range(height)]
        for i, j in product(range(height), range(width)):
            total = b
            for di, dj in product((-1, 0, 1), (-1, 0, 1)):
                if 0 <= i + di < height and 0 <= j + dj < width:
                    total += kernel[3 * (di + 1) + dj + 1] * plane[i + di][j + dj]
            made[i][j] = finish(total, layer)
        out.append(made)
    return out


def shuffle(x: Planes, side: int) -> Planes:
    """side² channels become one of `side` times the height and width."""
    height, width = len(x[0]), len(x[0][0])
    return [
        [
            [x[side**2 * c + side * (i % side) + j % side][i // side][j // side] for j in range(side * width)]
            for i in range(side * height)
        ]
        for c in range(len(x) // side**2)
    ]


def geometric_mean(numbers: list[float]) -> float:
    """The float nearest to the n-th root of the product, found in integers: no logarithm is asked."""
    target = Fraction(1)
    for number in numbers:
        target *= Fraction(number)
    guess = math.exp(sum(map(math.log, numbers)) / len(numbers))
    # The guess is a few last places off at most: the answer is where the midpoints to both neighbours enclose it.
    while ((Fraction(guess) + Fraction(math.nextafter(guess, math.inf))) / 2) ** len(numbers) < target:
        guess = math.nextafter(guess, math.inf)
    while ((Fraction(guess) + Fraction(math.nextafter(guess, 0.0))) / 2) ** len(numbers) > target:
        guess = math.nextafter(guess, 0.0)
    return guess


def each(x: Planes, change: Any) -> Planes:
    return [[[change(value) for value in line] for line in plane] for plane in x]


def block(x: Planes, state: State, name: str, seen: dict[str, set[int]]) -> Planes:
    scale = state[f"{name}.scale"]
    reach = geometric_mean(scale)
    # Single IEEE divisions and products of float64, as is said in rdae.networks.exact_synthesis.
    expand = make_layer(
        [[w / s for w, s in zip(row, scale, strict=True)] for row in state[f"{name}.expand.weight"]],
        state[f"{name}.expand.bias"],
        FEATURE_MAX,
        EXPANDED_MAX,
    )
    spread = make_layer(
        [[w for line in kernel for w in line] for (kernel,) in state[f"{name}.depthwise"]],
        state[f"{name}.depthwise_bias"],
        EXPANDED_MAX,
        EXPANDED_MAX,
    )
    project = make_layer(
        [[w * (reach / 6) for w in row] for row in state[f"{name}.project.weight"]],
        [b * reach for b in state[f"{name}.project.bias"]],
        GATED_MAX,
        FEATURE_MAX,
    )
    expanded = pointwise(x, expand)
    h = depthwise(expanded, spread)
    values = each(h[: len(x)], lambda value: clamp(value, -8 * ONE, 8 * ONE))
    gates = each(h[len(x) :], lambda gate: clamp(gate + 3 * ONE, 0, 6 * ONE))
    gated = [
        [
            [(v * g + ONE // 2) // ONE for v, g in zip(*lines, strict=True)]
            for lines in zip(*pair, strict=True)
        ]
        for pair in zip(values, gates, strict=True)
    ]
    for kind, planes in (("expanded", expanded), ("value", values), ("gate", gates), ("gated", gated)):
        note(seen, kind, planes)
    branch = pointwise(gated, project)
    summed = [
        [[a + b for a, b in zip(*lines, strict=True)] for lines in zip(*pair, strict=True)]
        for pair in zip(x, branch, strict=True)
    ]
    out = each(summed, lambda value: clamp(value, -FEATURE_MAX, FEATURE_MAX))
    note(seen, "feature", out)
    return out


def note(seen: dict[str, set[int]], kind: str, planes: Planes) -> None:
    seen.setdefault(kind, set()).update(value for plane in planes for line in plane for value in line)


def run(state: State, y64: Planes, restore: list[float], fine_gain: list[float]) -> Run:
    """Turn ŷ·64 into levels; restore and fine_gain are the file's float32 numbers."""
    seen: dict[str, set[int]] = {}

    def scaled(planes: Planes, factors: Iterable[Fraction]) -> Planes:
        return [
            [
                [clamp(halves_up(value * factor), -FEATURE_MAX, FEATURE_MAX) for value in line]
                for line in plane
            ]
            for plane, factor in zip(planes, factors, strict=True)
        ]

    x = scaled(y64, (Fraction(gain) * ONE / 64 for gain in restore))
    note(seen, "latent", x)
    for name in blocks(state, "coarse"):
        x = block(x, state, name, seen)
    x = pointwise(x, make_layer(state["to_fine.weight"], state["to_fine.bias"], FEATURE_MAX, FEATURE_MAX))
    x = scaled(x, (Fraction(gain) for gain in fine_gain for _ in range(4)))
    x = shuffle(x, 2)
    for name in blocks(state, "fine"):
        x = block(x, state, name, seen)
    x = pointwise(x, make_layer(state["to_pixels.weight"], state["to_pixels.bias"], FEATURE_MAX, PIXEL_MAX))
    x = shuffle(x, 8)
    note(seen, "pixel", x)
    levels = each(x, lambda p: clamp(halves_up(255 * (Fraction(p, ONE) + Fraction(1, 2))), 0, 255))
    height, width = len(levels[0]), len(levels[0][0])
    by_pixel = [[[plane[i][j] for plane in levels] for j in range(width)] for i in range(height)]
    return Run(by_pixel, seen)


def blocks(state: State, name: str) -> list[str]:
    numbers = {int(key.split(".")[1]) for key in state if key.startswith(name + ".")}
    return [f"{name}.{number}" for number in sorted(numbers)]
