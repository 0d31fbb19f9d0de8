"""The prior of DESIGN section 4 in Python's own integers, too plain to be wrong.  rdae's must equal it exactly.

Numbers are in lists of lists, [channel][row][column].  Nothing of rdae is used here.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

Planes = list[list[list[int]]]
Network = dict[str, Any]
"""Tensors of a weights file by name, less the leading "prior.", as nested lists of integers."""


class Coded(NamedTuple):
    """One latent as the coder meets it: where it is, its mean in 1/64 step and its scale index."""

    channel: int
    row: int
    column: int
    mean: int
    scale: int


class Run(NamedTuple):
    """The four steps' latents in the order of coding, ŷ·64, and the extremes of what the networks saw."""

    steps: list[list[Coded]]
    y64: Planes
    features: Planes
    context: Planes


def clamp(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def finish(total: int, shift: int, low: int, high: int) -> int:
    """Divide by 2**shift, halves up (also of negative numbers), and clamp."""
    return clamp((total + 2 ** (shift - 1)) // 2**shift, low, high)


def pointwise(x: Planes, network: Network, name: str, low: int = 0, high: int = 1023) -> Planes:
    weight, bias, shift = (network[f"{name}.{part}"] for part in ("weight", "bias", "shift"))
    height, width = len(x[0]), len(x[0][0])
    return [
        [
            [
                finish(b + sum(w * plane[i][j] for w, plane in zip(row, x, strict=True)), s, low, high)
                for j in range(width)
            ]
            for i in range(height)
        ]
        for row, b, s in zip(weight, bias, shift, strict=True)
    ]


def depthwise(x: Planes, network: Network, name: str) -> Planes:
    """Each channel with its own 3x3 kernel, zeros around."""
    out = []
    for channel, plane in enumerate(x):
        ((kernel,), b, s) = (network[f"{name}.{part}"][channel] for part in ("weight", "bias", "shift"))
        height, width = len(plane), len(plane[0])
        made = [[0] * width for _ in range(height)]
        for i, j in product(range(height), range(width)):
            total = b
            for di, dj in product((-1, 0, 1), (-1, 0, 1)):
                if 0 <= i + di < height and 0 <= j + dj < width:
                    total += kernel[di + 1][dj + 1] * plane[i + di][j + dj]
            made[i][j] = finish(total, s, 0, 1023)
        out.append(made)
    return out


def added(x: Planes, y: Planes) -> list[list[list[int]]]:
    return [
        [[clamp(a + b, 0, 1023) for a, b in zip(*row, strict=True)] for row in zip(*plane, strict=True)]
        for plane in zip(x, y, strict=True)
    ]


def shuffle(x: Planes) -> Planes:
    """Four channels become one of twice the height and width."""
    height, width = len(x[0]), len(x[0][0])
    return [
        [
            [x[4 * c + 2 * (i % 2) + j % 2][i // 2][j // 2] for j in range(2 * width)]
            for i in range(2 * height)
        ]
        for c in range(len(x) // 4)
    ]


def constant(value: int, height: int, width: int) -> list[list[int]]:
    return [[value] * width for _ in range(height)]


def anchor_weights(quality_index: int) -> list[int]:
    """How much each of the nine anchors, a hundred indices apart, has to say: shares of 128."""
    below, beyond = divmod(quality_index, 100)
    above = (128 * beyond + 50) // 100
    return [128 - above if i == below else above if i == below + 1 else 0 for i in range(9)]


def hyper_features(z: Planes, network: Network, quality_index: int, height: int, width: int) -> Planes:
    a = [[[clamp(value, -127, 127) for value in line] for line in plane] for plane in z]
    a = pointwise(a, network, "hyper.widen")
    a = depthwise(a, network, "hyper.spread_64")
    a = shuffle(pointwise(a, network, "hyper.to_32"))
    a = depthwise(a, network, "hyper.spread_32")
    a = shuffle(pointwise(a, network, "hyper.to_16"))
    a = depthwise(a, network, "hyper.spread_16")
    a = [[line[:width] for line in plane[:height]] for plane in a]
    a += [constant(share, height, width) for share in anchor_weights(quality_index)]
    return pointwise(a, network, "hyper.mix")


def cell_of(row: int, column: int) -> int:
    return 2 * (row % 2) + column % 2


def step_of(group: int, row: int, column: int) -> int:
    """The step that codes a position of a group: step i codes group j at cell (i + j) mod 4."""
    return (cell_of(row, column) - group) % 4


def positions(step: int, channels: int, height: int, width: int) -> Iterator[tuple[int, int, int]]:
    """What a step codes, in the order of coding: by channel, then row, then column."""
    for c, i, j in product(range(channels), range(height), range(width)):
        if step_of(c * 4 // channels, i, j) == step:
            yield c, i, j


def run(network: Network, z: Planes, quality_index: int, residuals: Planes, skip_below: int) -> Run:
    """Go through the four steps; `residuals` holds k wherever a latent turns out to be coded."""
    channels, height, width = len(residuals), len(residuals[0]), len(residuals[0][0])
    row = (quality_index + 4) // 8  # of the tables by whole quality
    to_context, from_mean, offset = (
        network[name][row] for name in ("to_context", "from_mean", "index_offset")
    )
    features = hyper_features(z, network, quality_index, height, width)
    planes = [
        [[128 if cell_of(i, j) == cell else 0 for j in range(width)] for i in range(height)]
        for cell in range(4)
    ]
    context = [constant(0, height, width) for _ in range(channels)]
    y64 = [constant(0, height, width) for _ in range(channels)]
    steps = []
    for step in range(4):
        a = pointwise([*context, *features, *planes], network, f"context.entries.{step}")
        # A trunk of its own, or that of all steps, which had no number in older weights.
        names = (f"context.trunks.{step}", "context.trunks.0", "context")
        trunk = next(name for name in names if f"{name}.mix.weight" in network)
        a = pointwise(depthwise(a, network, f"{trunk}.spread"), network, f"{trunk}.mix")
        a = pointwise(depthwise(a, network, f"{trunk}.spread_more"), network, f"{trunk}.mix_more")
        deeper = 0
        while f"{trunk}.deeper_mix.{deeper}.weight" in network:
            more = depthwise(a, network, f"{trunk}.deeper_spread.{deeper}")
            more = pointwise(more, network, f"{trunk}.deeper_mix.{deeper}", -1023, 1023)
            a = added(a, more)
            deeper += 1
        heads: Sequence[tuple[Planes, Planes]] = [
            (
                pointwise(a, network, f"context.means.{4 * step + group}", -32767, 32767),
                pointwise(a, network, f"context.indices.{4 * step + group}", -127, 127),
            )
            for group in range(4)
        ]
        coded = []
        for c, i, j in positions(step, channels, height, width):
            group, within = divmod(c, channels // 4)
            means, indices = heads[group]
            mean = (means[within][i][j] * from_mean[c] + 2**13) // 2**14
            scale = clamp(indices[within][i][j] + offset[c], 0, 63)
            k = residuals[c][i][j] if scale >= skip_below else 0
            coded.append(Coded(c, i, j, mean, scale))
            y64[c][i][j] = 64 * k + mean
        for c, i, j, _, _ in coded:
            context[c][i][j] = clamp((y64[c][i][j] * to_context[c] + 2**13) // 2**14, -2047, 2047)
        steps.append(coded)
    return Run(steps, y64, features, context)
