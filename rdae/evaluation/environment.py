"""The machine and the programs that something was measured with, as results state them."""

from __future__ import annotations

import importlib
import platform

RUNTIME = "onnxruntime"
"""The package that runs rdae's networks."""


def runtime_version() -> str:
    """The version of what runs the networks: times and memory change with it."""
    return str(importlib.import_module(RUNTIME).__version__)


def machine() -> str:
    """Processor, Python and runtime in a line."""
    return f"{processor()}, Python {platform.python_version()}, {RUNTIME} {runtime_version()}"


def processor() -> str:
    """What this machine calls its processor, as far as it says."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - no file, a way to ask
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
