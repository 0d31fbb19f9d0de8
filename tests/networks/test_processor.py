"""Where bfloat16 counts as fast."""

from typing import Any

import pytest
import torch

from rdae.transforms import processor

AMD = {"avx512_bf16": True, "sse4a": True}
INTEL = {"avx512_bf16": True, "sse4a": False}
OLD_AMD = {"avx512_bf16": False, "sse4a": True}

fast: Any = processor.bfloat16_is_fast.__wrapped__


def pretend(patch: pytest.MonkeyPatch, *, amx: bool, capabilities: dict[str, bool]) -> None:
    patch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    patch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    patch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        patch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("amx", "capabilities", "expected"),
    [
        (True, INTEL, True),
        (False, INTEL, False),
        (False, AMD, True),
        (False, OLD_AMD, False),
        (False, {}, False),
    ],
)
def test_bfloat16_is_fast_on_tiles_and_on_amds_avx512(
    amx: bool, capabilities: dict[str, bool], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, amx=amx, capabilities=capabilities)
    assert fast() == expected
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not fast()


@pytest.mark.parametrize("name", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
def test_what_limits_the_library_limits_bfloat16(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, amx=True, capabilities=INTEL)
    for limit, expected in (("AVX512_CORE_BF16", False), ("avx512_core_amx", True), ("avx2", False)):
        monkeypatch.setenv(name, limit)
        assert fast() == expected
    pretend(monkeypatch, amx=False, capabilities=AMD)
    for limit, expected in (("AVX512_CORE_BF16", True), ("AVX512_CORE_VNNI", False), ("default", True)):
        monkeypatch.setenv(name, limit)
        assert fast() == expected


def test_a_torch_that_tells_nothing_of_the_processor_is_taken_at_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, amx=False, capabilities=AMD)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not fast()
