"""Which device a model's networks run on: the CPU, unless a GPU is asked for.

A file means the same on either: what the range coder depends on is computed exactly on both.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from rdae.errors import DeviceError

if TYPE_CHECKING:
    import torch

VARIABLE = "RDAE_DEVICE"
"""Environment variable with the name of the device that is used unless another one is asked for."""

NAMES = re.compile(r"cpu|cuda(:\d{1,2})?")
"""cpu, cuda, cuda:1, ...  Of other devices that torch knows, most have no float64, which some exact sums need."""


def find(name: str | None = None) -> torch.device:
    """Return the device of that name, or that of the environment, or the CPU; DeviceError if it is not there.

    torch is loaded here, if it was not.
    """
    import torch

    wanted = name or os.environ.get(VARIABLE) or "cpu"
    if not NAMES.fullmatch(wanted):
        raise DeviceError(f"device {wanted!r}, expected cpu, cuda, or cuda:1 and so on")
    device = torch.device(wanted)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            reason = "finds no GPU" if torch.version.cuda or torch.version.hip else "was built without CUDA"
            raise DeviceError(f"device {wanted}: torch {torch.__version__} {reason}")
        if (device.index or 0) >= torch.cuda.device_count():
            raise DeviceError(f"device {wanted}: there are {torch.cuda.device_count()} GPUs, counted from 0")
    return device
