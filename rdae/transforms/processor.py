"""What the processor multiplies fast."""

from __future__ import annotations

import functools
import os

import torch


@functools.cache
def bfloat16_is_fast() -> bool:
    """Tell if convolutions of this process are faster in bfloat16: on AMX, and on AVX-512 of AMD's Zen 4 and later.

    Intel's AVX-512 has such products, too, but they are slower than its float32 (docs/speed.md).  ONEDNN_MAX_CPU_ISA
    switches it off, as it does in the library that convolves.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "")).upper()
    free = limit in ("", "ALL", "DEFAULT")
    if _has_amx():
        return free or "AMX" in limit
    return _is_zen4() and (free or any(name in limit for name in ("BF16", "FP16", "AVX10")))


def _has_amx() -> bool:
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)  # torch 2.5 and later
    return supported is not None and bool(supported())


def _is_zen4() -> bool:
    """Tell AMD's AVX-512 by SSE4a, which no processor of Intel's has: names are the hypervisor's to choose."""
    # Newer than the oldest torch that rdae runs on.
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    found = capabilities() if capabilities is not None else {}
    return bool(found.get("avx512_bf16") and found.get("sse4a"))
