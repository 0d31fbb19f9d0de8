"""Five measures of what people see that no model here was trained for: HaarPSI, FSIMc, MDSI, MS-GMSD and VSI.

A model trained for one measure does well by it whatever the eye says; by these it cannot have learned to. They come
from `rdae.training.full_reference`, as they need PyTorch: the extra `perceptual`. All are given in dB, -10 log10 of
what the measure misses of its best: of 1 - s for a similarity s, as MS-SSIM in dB, and of d for a deviation d. So they
grow with quality, and nearly linearly with the logarithm of the rate, as BD-rates want it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdae.metrics import Picture

FIVE: Mapping[str, str] = {
    "haarpsi": "HaarPSI",
    "fsimc": "FSIMc",
    "mdsi": "MDSI",
    "ms-gmsd": "MS-GMSD",
    "vsi": "VSI",
}
"""Their names in options, and what they are called. In results their keys end in DB."""

DB = "-db"
DEVIATIONS = frozenset(
    {"mdsi", "ms-gmsd"}
)  # 0 for equal pictures; the others are similarities, 1 for equal ones
LEAST = 1e-5
"""What is missing at least, as HaarPSI in float32 has no more digits: equal pictures have 50 dB."""

MIN_SIDE = 17
"""In pixels: MS-GMSD halves a picture three times."""


def load() -> None:
    """Import what computes them; MissingExtraError without it. To ask before any long work."""
    from rdae.training import full_reference

    full_reference.load()


def five_measures(original: Picture, decoded: Picture) -> dict[str, float] | None:
    """The five of two uint8 RGB pictures, in dB, by the keys of FIVE; None where a side is below 17 pixels.

    One that is not defined is left out, as FSIMc of a picture without any feature.
    """
    from rdae.training import full_reference

    if min(original.shape[:2]) < MIN_SIDE:
        return None
    found = full_reference.measure(original, decoded)
    missing = {key: value if key in DEVIATIONS else 1 - value for key, value in found.items()}
    return {key: -10 * math.log10(max(missing[key], LEAST)) for key in FIVE if not math.isnan(missing[key])}
