"""HaarPSI, FSIMc, MDSI, MS-GMSD and VSI of a decoded picture and its original, by the package piq.

The five need torch and no more; the whole of piq imports torchvision too, so they are imported below a stand-in for it.
piq 0.8 follows the authors' own MATLAB; its defaults are taken. None of the five has learned weights.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rdae.errors import MissingExtraError
from rdae.metrics import Picture
from rdae.training.stand_ins import forget, stand_in

if TYPE_CHECKING:
    from torch import Tensor

PACKAGE = "piq"

FUNCTIONS: Mapping[str, tuple[str, str]] = {
    "haarpsi": ("haarpsi", "haarpsi"),
    "fsimc": ("fsim", "fsim"),
    "mdsi": ("mdsi", "mdsi"),
    "ms-gmsd": ("gmsd", "multi_scale_gmsd"),
    "vsi": ("vsi", "vsi"),
}
"""By the measure's name, the module of piq and the function in it."""


def load() -> Mapping[str, Callable[..., Any]]:
    """The five functions by the names of FUNCTIONS; MissingExtraError without piq or torch."""
    try:
        if PACKAGE not in sys.modules:
            stand_in(PACKAGE)
        return {
            name: getattr(importlib.import_module(f"{PACKAGE}.{module}"), function)
            for name, (module, function) in FUNCTIONS.items()
        }
    except ImportError as error:
        forget(PACKAGE)
        message = f"HaarPSI, FSIMc, MDSI, MS-GMSD and VSI need piq ({error}): pip install 'rdae[perceptual]'"
        raise MissingExtraError(message) from error


def measure(original: Picture, decoded: Picture) -> dict[str, float]:
    """What piq says of two uint8 RGB pictures (h, w, 3) with sides of at least 17, by the names of FUNCTIONS.

    HaarPSI, FSIMc and VSI are similarities, 1 for equal pictures, MDSI and MS-GMSD deviations, 0 for equal ones;
    rounding in float32 may miss these by 1e-5.
    """
    functions = load()

    import torch

    with torch.inference_mode():
        x, y = _tensor(decoded), _tensor(original)
        return {name: float(function(x, y, data_range=255.0)) for name, function in functions.items()}


def _tensor(picture: Picture) -> Tensor:
    import torch

    # A copy: the picture may be one that its owner forbids to write to, of which torch would warn.
    return torch.tensor(picture).permute(2, 0, 1)[None].float()
