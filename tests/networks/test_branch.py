"""What the encoder computes in bfloat16, and the decoder does not."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model
import torch
import torch.nn.functional as F
from torch import Tensor

from rdae import codec, weights
from rdae.training.modules.blocks import Block, Pointwise
from rdae.transforms import branch, inference

WHOLE = (2, 0, 12)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let bfloat16 count as fast, on whatever machine."""
    monkeypatch.setattr(branch, "bfloat16_is_fast", lambda: True)
    with torch.inference_mode():
        yield


def block() -> Block:
    torch.manual_seed(0)
    made = Block(16).requires_grad_(requires_grad=False)
    torch.nn.init.normal_(made.project.weight, std=0.2)
    made.fold()
    return made


@pytest.mark.usefixtures("narrow")
def test_a_branch_is_what_the_block_adds_and_nearly_so_in_bfloat16() -> None:
    some = block()
    x = torch.randn(1, 16, 12, 10).contiguous(memory_format=torch.channels_last)
    expected = some(x) - x
    assert torch.allclose(branch.branch(some, x, WHOLE), expected, atol=1e-5)
    found = branch.branch(some, x, WHOLE, narrow=True)
    assert found.dtype == torch.bfloat16
    error = float((found.float() - expected).abs().max())
    assert 0 < error < 0.02 * float(expected.abs().max())
    part = branch.branch(some, x, (2, 3, 4), narrow=True)
    assert torch.allclose(part.float(), found[:, :, 3:7].float(), atol=0.02)


@pytest.mark.usefixtures("narrow")
def test_a_copy_of_a_block_has_weights_of_its_own() -> None:
    some, x = block(), torch.randn(1, 16, 12, 10)
    branch.branch(some, x, WHOLE, narrow=True)
    other = copy.deepcopy(some)
    other.project.weight.data.mul_(2)
    assert not torch.equal(
        branch.branch(some, x, WHOLE, narrow=True), branch.branch(other, x, WHOLE, narrow=True)
    )


def test_the_encoder_may_use_bfloat16_and_the_decoder_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branch, "bfloat16_is_fast", lambda: True)
    kinds: list[torch.dtype] = []
    convolve: Any = F.conv2d

    def watched(x: Tensor, *others: Any, **more: Any) -> Tensor:
        kinds.append(x.dtype)
        found: Tensor = convolve(x, *others, **more)
        return found

    monkeypatch.setattr(F, "conv2d", watched)
    model = weights.load(tiny_model.write(tmp_path / "tiny.safetensors"))
    picture = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    data = codec.compress(picture, model, 400)
    assert torch.bfloat16 in kinds
    kinds.clear()
    codec.decode(data, model)
    assert set(kinds) == {torch.float32}


@pytest.mark.parametrize(("height", "width"), [(32, 48), (17, 33), (1, 1), (16, 100)])
def test_patches_are_the_pixels_unshuffled_and_lie_as_convolutions_want_them(height: int, width: int) -> None:
    levels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    levels.setflags(write=False)
    rows = -(-height // 16)
    found = inference._patches(levels, 0, rows, torch.device("cpu"))
    x = torch.tensor(levels).permute(2, 0, 1)[None].float().div(255).sub(0.5)
    x = F.pad(x, (0, -width % 16, 0, -height % 16), mode="replicate")
    assert torch.equal(found, F.pixel_unshuffle(x, 8))
    assert found.stride(1) == 1


def test_sums_of_many_products_do_not_depend_on_the_number_of_threads() -> None:
    torch.manual_seed(0)
    layer = Pointwise(768, 384).requires_grad_(requires_grad=False)
    x = torch.randn(1, 768, 32, 48).contiguous(memory_format=torch.channels_last)
    before, found = torch.get_num_threads(), []
    try:
        with torch.inference_mode():
            for threads in (1, 2):
                torch.set_num_threads(threads)
                found.append(layer(x))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)
    assert torch.allclose(found[0], F.conv2d(x, layer.weight[:, :, None, None], layer.bias), atol=1e-3)
