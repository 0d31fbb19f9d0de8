"""Which device a model's networks run on: the CPU, unless a GPU is asked for.

A file means the same on either: the prior, on which the range coder depends, always runs on the CPU.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

from rdae.errors import DeviceError
from rdae.networks import onnx_runtime

VARIABLE = "RDAE_DEVICE"
"""Environment variable with the name of the device that is used unless another one is asked for."""

NAMES = re.compile(r"cpu|cuda(:\d{1,2})?")
"""cpu, cuda, cuda:1, ..."""


@dataclass(frozen=True)
class Device:
    """Where sessions run."""

    name: str = "cpu"

    @property
    def providers(self) -> list[Any]:
        """What ONNX Runtime is told of it."""
        if self.name == "cpu":
            return ["CPUExecutionProvider"]
        number = self.name.partition(":")[2] or "0"
        return [("CUDAExecutionProvider", {"device_id": number, "use_tf32": "0"}), "CPUExecutionProvider"]


CPU = Device()


def find(name: str | None = None) -> Device:
    """Return the device of that name, or that of the environment, or the CPU; DeviceError if it is not there."""
    wanted = name or os.environ.get(VARIABLE) or "cpu"
    if not NAMES.fullmatch(wanted):
        raise DeviceError(f"device {wanted!r}, expected cpu, cuda, or cuda:1 and so on")
    if wanted != "cpu":
        runtime = onnx_runtime.load()
        if "CUDAExecutionProvider" not in runtime.get_available_providers():
            raise DeviceError(
                f"device {wanted}: ONNX Runtime {runtime.__version__} was built without CUDA; pip install "
                "onnxruntime-gpu brings one that was"
            )
    return Device(wanted)
