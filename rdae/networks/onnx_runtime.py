"""ONNX Runtime, loaded where it is needed: that takes longer than some commands, and it would report how it is used."""

from __future__ import annotations

import os
from typing import Any

VARIABLE = "ORT_DISABLE_TELEMETRY"
"""Read by ONNX Runtime when it is loaded.  Its builds report to their maker by default, on Windows, and since 1.29 on
Linux, where they also keep a number of the machine and a database in the user's cache folder."""


def load() -> Any:
    """Import the package onnxruntime, which reports nothing then, unless VARIABLE is set to something already."""
    ours = os.environ.setdefault(VARIABLE, "1") == "1"
    import onnxruntime

    if ours:
        onnxruntime.disable_telemetry_events()  # which Windows needs
    return onnxruntime
