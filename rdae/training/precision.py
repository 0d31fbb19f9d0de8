"""How PyTorch computes: with how many threads, in plain float32 where something is measured, whether bfloat16 pays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from rdae.processors import available_processors


@contextlib.contextmanager
def ieee_float32() -> Iterator[None]:
    """Switch off whatever would compute float32 products at lower precision (TF32, bf16), and restore it after."""
    backends: Any = torch.backends
    switches = (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv)
    before = [switch.fp32_precision for switch in switches]
    for switch in switches:
        switch.fp32_precision = "ieee"
    try:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield
    finally:
        for switch, precision in zip(switches, before, strict=True):
            switch.fp32_precision = precision


def use_threads(threads: int | None) -> None:
    """Let this process compute with so many threads; None: as many as it may."""
    torch.set_num_threads(threads or available_processors())


def quick_bfloat16(device: torch.device) -> bool:
    """Tell if products of bfloat16 matrices are oneDNN's, and not plain loops, which take many times as long."""
    if device.type != "cpu":
        return True
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(supported and supported())
