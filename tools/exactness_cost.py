"""What exact arithmetic in the prior costs against the same weights in floats.

    python tools/exactness_cost.py PICTURES

Bits.  Both priors see the same y and ẑ and each quantises by its own means.  Continuous activations, means and scales
(`float_prior`) stand against integers.  Both are charged by the same law, the Gaussian of their mean and scale, so that
the difference is arithmetic's alone: rounded activations, means of 1/64 step, 64 scales.  Latents of the
smallest scales are left out in both.  What the file's own tables then give back, being fitted to real residuals, is
shown beside it.  ẑ is charged by its table in all of them.

Time.  The same file's latents and pixels are decoded with one prior and with the other, by turns, in one process and
one thread: medians of the whole decode, and of the prior's own part.
"""

# ruff: noqa: T201 - a program that prints

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tests_on_path  # noqa: F401 - before what it makes importable
from float_prior import FloatPrior, with_float_prior
from PIL import Image
from scipy.special import erfc

from rdae.codec import decode, encode, encoding, latents
from rdae.networks import normaliser, weights
from rdae.networks.graphs import STEPS
from rdae.networks.layers import Z_MAX
from rdae.networks.model import Model
from rdae.networks.prior import Prediction
from rdae.quality import to_index

Picture = npt.NDArray[np.uint8]
Numbers = npt.NDArray[Any]

BITS_TARGET, TIME_TARGET = 0.3, 20.0
"""Per cent that exactness may cost (issue and DESIGN, section 4)."""


LEAST = 2.0**-30
"""Of a probability: about what an escape costs in a file, and where training too stops charging more."""


@dataclasses.dataclass
class Bits:
    """Sums over pictures: ẑ by its table, and ŷ by the three accounts."""

    z: float = 0.0
    floats: float = 0.0
    exact: float = 0.0
    tables: float = 0.0

    def add(self, other: Bits) -> None:
        self.z, self.tables = self.z + other.z, self.tables + other.tables
        self.floats, self.exact = self.floats + other.floats, self.exact + other.exact

    def cost(self) -> float:
        """Per cent of bits that integers cost more than floats."""
        return 100 * (self.exact - self.floats) / (self.z + self.floats)

    def cost_with_tables(self) -> float:
        """The same of what is really written."""
        return 100 * (self.tables - self.floats) / (self.z + self.floats)


def gaussian_bits(residuals: Numbers, indices: Numbers) -> float:
    """-log2 of the Gaussian's mass within half a step of the residuals (ŷ - μ, in steps), summed; float64.

    indices: scale indices, whole or not.
    """
    scale = normaliser.SCALE_MIN * np.exp(indices.astype(np.float64) * normaliser.LOG_SCALE_STEP)
    size = np.abs(residuals.astype(np.float64))
    # In the tail the difference is of small numbers, so it keeps its digits.
    upper = erfc((size - 0.5) / scale / math.sqrt(2)) / 2
    lower = erfc((size + 0.5) / scale / math.sqrt(2)) / 2
    return float(-np.log2(np.maximum(upper - lower, LEAST)).sum())


class Charged:
    """Residuals of y in integers, which are charged for as they are taken."""

    def __init__(self, model: Model, y64: Numbers) -> None:
        self._prior, self._y64 = model.prior, y64
        self.bits = 0.0

    def of(self, prediction: Prediction) -> npt.NDArray[np.int32]:
        distance = (self._prior.take(self._y64, prediction.step) - prediction.means) / normaliser.STEP_UNIT
        residuals = np.rint(distance).astype(np.int32) * (prediction.scales >= self._prior.skip_below)
        self.bits += gaussian_bits(residuals, prediction.scales)
        return residuals


def bits_in_floats(model: Model, z: npt.NDArray[np.int32], index: int, y64: Numbers) -> float:
    """What ŷ costs by means and scales that nobody rounds."""
    prior = FloatPrior(model)
    bits = 0.0
    progress = prior.begin(z, index, (y64.shape[1], y64.shape[2]))
    for step in STEPS:
        means, indices = prior.expect(progress, step)
        residuals = np.rint((prior.take(y64, step) - means) / normaliser.STEP_UNIT)
        residuals *= np.rint(indices) >= prior.skip_below
        bits += gaussian_bits(residuals, indices)
        prior.learn(progress, step, residuals * normaliser.STEP_UNIT + means)
    return bits


def measure_bits(model: Model, picture: Picture, index: int) -> Bits:
    """Charge one picture at one quality by all accounts."""
    (y,) = encoding.prepare(picture, model, tile=None).rows_of_tiles(index)
    z = model.hyper_analyse(y, index).clip(-Z_MAX, Z_MAX)
    y64 = y.astype(np.float64) * normaliser.STEP_UNIT
    charged = Charged(model, y64)
    latents.go_through(model.prior, z, index, (y.shape[1], y.shape[2]), charged)
    of_z, *of_steps = latents.quantise(y, z, model.prior, index).symbols
    return Bits(
        z=of_z.tables.bits(of_z.symbols, of_z.rows),
        floats=bits_in_floats(model, z, index, y64),
        exact=charged.bits,
        tables=sum(step.tables.bits(step.symbols, step.rows) for step in of_steps),
    )


def measure_times(model: Model, picture: Picture, index: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds of whole decodes and of the prior in them: (exact, floats) each."""
    floats = with_float_prior(model)
    sides = [
        (model, encode.compress(picture, model, index)),
        (floats, encode.compress(picture, floats, index)),
    ]
    spent: dict[str, tuple[list[float], list[float]]] = {"decode": ([], []), "prior": ([], [])}
    for turn in range(rounds + 1):
        for side, (reader, data) in enumerate(sides):
            start = time.perf_counter()
            decoded = decode.decode(data, reader)
            whole = time.perf_counter() - start
            if turn:  # the first one warms up
                spent["decode"][side].append(whole)
                spent["prior"][side].append(decoded.seconds["prior"])
    return {
        name: (statistics.median(exact), statistics.median(other)) for name, (exact, other) in spent.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, help="weights file (default: the published one)")
    parser.add_argument("-q", "--qualities", default="0,20,40,60,80,100")
    parser.add_argument(
        "--rounds", type=int, default=15, help="decodes of each kind, for the times; 0: no times"
    )
    arguments = parser.parse_args()
    model = weights.load(arguments.model, threads=1)
    pictures = []
    for path in arguments.pictures:
        with Image.open(path) as image:
            pictures.append(np.asarray(image.convert("RGB")))
    print(f"{model.name} ({model.sha256[:8]}), {len(pictures)} pictures; times of the first one, 1 thread")
    print(
        "quality  bits: floats    exact   cost %  with the file's tables %    decode ms: floats  exact  cost %"
    )
    total, worst_bits, worst_time = Bits(), -math.inf, -math.inf
    for quality in map(float, arguments.qualities.split(",")):
        index = to_index(quality)
        here = Bits()
        for picture in pictures:
            here.add(measure_bits(model, picture, index))
        total.add(here)
        worst_bits = max(worst_bits, here.cost())
        line = f"{quality:7.0f} {here.z + here.floats:13.0f} {here.z + here.exact:8.0f} {here.cost():8.3f}"
        line += f" {here.cost_with_tables():26.3f}"
        if arguments.rounds:
            times = measure_times(model, pictures[0], index, arguments.rounds)
            exact, floats = times["decode"]
            cost = 100 * (exact / floats - 1)
            worst_time = max(worst_time, cost)
            inside = 100 * (times["prior"][0] / times["prior"][1] - 1)
            line += (
                f" {1000 * floats:21.1f} {1000 * exact:6.1f} {cost:7.1f}  (the prior alone {inside:+.0f} %)"
            )
        print(line, flush=True)
    print(f"all qualities: {total.cost():.3f} % bits, worst {worst_bits:.3f} %; target under {BITS_TARGET} %")
    if arguments.rounds:
        print(f"decode time: worst {worst_time:.1f} %; target under {TIME_TARGET:.0f} %")
    return 0 if worst_bits < BITS_TARGET and worst_time < TIME_TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
