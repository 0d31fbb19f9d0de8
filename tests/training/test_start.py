"""What a command does not do before it begins its work."""

import subprocess
import sys
from pathlib import Path

import pytest
import tiny_model
import torch

from rdae import weights
from rdae.training.modules import analysis, synthesis


def test_torch_is_imported_without_looking_for_garbage_and_later_it_is_looked_for_again(
    tmp_path: Path,
) -> None:
    path = tiny_model.write(tmp_path / "tiny.safetensors")
    code = (
        "import gc\n"
        "from rdae.cli.opening import LazyModel\n"
        "seen = []\n"
        "gc.callbacks.append(lambda phase, info: seen.append(info['generation']))\n"
        f"assert LazyModel({str(path)!r}).opened.name == 'tiny'\n"
        "print(seen.count(2), gc.isenabled(), gc.get_freeze_count() > 100_000)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0 True True\n"


def test_loading_computes_no_weights_that_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny_model.write(tmp_path / "tiny.safetensors")

    def unwanted(*_: object) -> None:
        raise AssertionError("a start was computed")

    for module, name in (
        (analysis, "patch_dct"),
        (analysis, "haar"),
        (synthesis, "patch_dct"),
        (synthesis, "haar"),
    ):
        monkeypatch.setattr(module, name, unwanted)
    model = weights.load(path)
    state = model.synthesis_state
    # Folding changed the networks' own tensors, not those that the exact synthesis reads.
    folded = model.synthesis.coarse.get_submodule("0.expand").get_parameter("weight")
    assert not torch.equal(folded, state["coarse.0.expand.weight"])
    assert torch.equal(model.synthesis.to_pixels.weight, state["to_pixels.weight"].float())
