"""rdae.model: what a loaded model says of its cost, and how latents and pictures pass through its gains."""

from typing import Any

import numpy as np
import pytest
import torch
from tiny_model import SMALL, photo, write
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from rdae import weights
from rdae.model import Model
from rdae.networks.architecture import TINY, Architecture
from rdae.prior.exact import Places
from rdae.transforms import branch

SIDE = 128  # pixels: no part needs padding


def kmac(work: Any) -> float:
    """Thousands of multiply-accumulates per pixel that torch counts in `work`, of a picture of SIDE x SIDE."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops()) / 2 / SIDE**2 / 1000


def nothing(_places: Places, means: Tensor, _scales: Tensor) -> Tensor:
    return torch.zeros_like(means)


@pytest.mark.parametrize("architecture", [TINY, SMALL])
def test_the_stated_cost_is_what_torch_counts(
    architecture: Architecture, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = weights.load(write(tmp_path_factory.mktemp("cost") / "cost.safetensors", architecture))
    stated = model.kmac_per_pixel()
    ones = torch.ones(1, architecture.fine, 1, 1)
    y = torch.zeros(1, architecture.latents, SIDE // 16, SIDE // 16)
    z = torch.zeros(architecture.hyper_latents, SIDE // 64, SIDE // 64, dtype=torch.int64)
    counted = {
        "analysis": kmac(lambda: model.analysis(torch.zeros(1, 3, SIDE, SIDE), ones)),
        "hyper_analysis": kmac(lambda: model.hyper_analysis(y)),
        "synthesis": kmac(lambda: model.synthesis(y, ones)),
        "prior": kmac(lambda: model.prior.run(z, 0, (SIDE // 16, SIDE // 16), nothing)),
    }
    assert stated == pytest.approx(counted)


def test_a_decode_of_the_published_size_is_within_its_budget(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """DESIGN, section 3: at most 30 kMAC per pixel, prior included."""
    model = weights.load(write(tmp_path_factory.mktemp("full") / "full.safetensors", Architecture()))
    cost = model.kmac_per_pixel()
    assert 10 < cost["synthesis"] + cost["prior"] <= 30


@torch.no_grad()
def test_latents_are_counted_in_steps_of_their_gain(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch, "bfloat16_is_fast", lambda: False)
    levels = photo(32, 48)
    x = torch.from_numpy(levels).permute(2, 0, 1)[None].float() / 255
    for index in (0, 411, 800):
        (y,) = tiny.analyse(levels, index, [(0, 2)])
        z = tiny.hyper_analyse(y, index)
        plain = tiny.analysis(x, tiny.gains.analysis[index][None, :, None, None])[0]
        assert torch.allclose(y, plain * tiny.gains.quantise[index][:, None, None], rtol=1e-5, atol=1e-6)
        assert y.shape == (TINY.latents, 2, 3)
        assert z.shape == (TINY.hyper_latents, 1, 1)
        assert z.dtype == torch.int64


@torch.no_grad()
def test_synthesis_undoes_the_steps(tiny: Model) -> None:
    y64 = torch.from_numpy(np.random.default_rng(0).integers(-500, 500, (TINY.latents, 2, 3), dtype=np.int32))
    for index in (0, 411, 800):
        y = y64.float()[None] / 64 * tiny.gains.restore[index][None, :, None, None]
        expected = tiny.synthesis(y, tiny.gains.synthesis[index][None, :, None, None])[0]
        found = torch.cat(list(tiny.synthesise([y64], index)))
        assert found.shape == (32, 48, 3)
        expected = (expected * 255).round().clamp(0, 255).permute(1, 2, 0)
        assert expected.std() > 10
        assert (found - expected).abs().max() <= 1  # a level, where a value lies between two
        assert (found == expected).float().mean() > 0.99
