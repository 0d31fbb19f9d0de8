"""SSIMULACRA2, a measure of what people see, by the package of that name: the extra `metrics`.

The package follows libjxl's program and brings its weights along: nothing is downloaded. docs/evaluation.md tells how
it was checked.
"""

from __future__ import annotations

import importlib
import io
from typing import Any

from PIL import Image

from rdae.errors import MissingExtraError
from rdae.metrics import Picture

MIN_SIDE = 8  # the coarsest that the metric looks at


def load() -> Any:
    """The package; MissingExtraError without it. To ask before any long work."""
    try:
        return importlib.import_module("ssimulacra2")
    except ImportError as error:
        raise MissingExtraError("SSIMULACRA2 needs a package: pip install 'rdae[metrics]'") from error


def ssimulacra2(first: Picture, second: Picture) -> float | None:
    """SSIMULACRA2 of two uint8 RGB pictures: 100 if equal, 90 hardly told apart, 30 bad, below 0 worse.

    The first is the original. None where a side is below 8 pixels.
    """
    if min(first.shape[:2]) < MIN_SIDE:
        return None
    return float(load().compute_ssimulacra2(_file(first), _file(second)))


def _file(picture: Picture) -> io.BytesIO:
    """The picture as a file in memory, which is what the package opens."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PPM")
    buffer.seek(0)
    return buffer
