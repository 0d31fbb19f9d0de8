"""The transforms in training: the DCT start, blocks and their scales, gains between anchors."""

import dataclasses
import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import torch
import torch.nn.functional as F
from scipy.fft import dctn

from rdae.networks.architecture import GROUPS, TINY, Architecture
from rdae.quality import high_rate_gain
from rdae.training.modules.analysis import Analysis
from rdae.training.modules.blocks import Block, Pointwise
from rdae.training.modules.dct import haar, patch_dct
from rdae.training.modules.gains import Gains
from rdae.training.modules.hyper_analysis import HyperAnalysis
from rdae.training.modules.synthesis import Synthesis

LOSSLESS = Architecture(
    fine=192, latents=768, analysis_fine=1, analysis_coarse=0, synthesis_coarse=0, synthesis_fine=1
)
"""Keeps every coefficient of the start's transform."""


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def smooth_pictures(height: int, width: int) -> torch.Tensor:
    """A picture as most are, float (1, 3, height, width) in 0..1: soft waves, nearly grey."""
    y, x = np.mgrid[:height, :width]
    grey = 0.5 + 0.2 * np.sin(x / 17 + 0.3) + 0.2 * np.cos((x + 2 * y) / 31)
    return torch.from_numpy(np.stack([grey, grey * 0.9, grey * 0.95])).float()[None]


def test_the_patch_transform_is_the_dct_of_three_orthonormal_colours() -> None:
    matrix = torch.from_numpy(patch_dct(192))
    assert torch.allclose(matrix @ matrix.T, torch.eye(192), atol=1e-5)
    patch = random(3, 8, 8)
    ours = matrix @ F.pixel_unshuffle(patch[None], 8).flatten()
    colours = torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]])
    colours /= colours.norm(dim=1, keepdim=True)
    turned = torch.einsum("kr,ryx->kyx", colours, patch).numpy()
    theirs = np.ravel([dctn(plane, norm="ortho") for plane in turned])
    assert np.allclose(np.sort(ours.numpy()), np.sort(theirs), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 16, 100, 191])
def test_fewer_channels_are_the_lowest_of_them(channels: int) -> None:
    found = patch_dct(channels)
    np.testing.assert_array_equal(found, patch_dct(192)[:channels])
    np.testing.assert_allclose(found[0], 1 / math.sqrt(192), rtol=1e-5)  # the mean comes first


@pytest.mark.parametrize(("fine", "latents"), [(1, 4), (16, 16), (192, 384), (192, 768)])
def test_the_haar_step_is_orthonormal_and_deals_frequencies_evenly(fine: int, latents: int) -> None:
    matrix = torch.from_numpy(haar(fine, latents, GROUPS))
    assert matrix.shape == (latents, 4 * fine)
    assert torch.allclose(matrix @ matrix.T, torch.eye(latents), atol=1e-5)
    # The mean of the whole 16x16 patch is the first channel of the first group, and no group is without low ones.
    assert torch.equal(matrix[0, :4], torch.full((4,), 0.5))
    lowest = matrix.reshape(GROUPS, latents // GROUPS, 4 * fine)[:, 0].abs().argmax(dim=1)
    assert lowest.max() < 4 * 8


def test_smooth_pictures_have_their_energy_in_the_first_channels_of_each_group() -> None:
    x = smooth_pictures(64, 64)
    analysis = Analysis(Architecture(analysis_fine=0, analysis_coarse=0))
    energy = analysis(x, torch.ones(1, 192, 1, 1)).square().mean(dim=(0, 2, 3)).reshape(GROUPS, -1)
    assert energy[:, :8].sum() > 0.99 * energy.sum()


@torch.no_grad()
def test_the_start_reconstructs_every_picture() -> None:
    analysis, synthesis = Analysis(LOSSLESS), Synthesis(LOSSLESS)
    x = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    ones = torch.ones(1, 192, 1, 1)
    y = analysis(x, ones)
    assert y.shape == (2, 768, 2, 3)
    assert torch.allclose(synthesis(y, ones), x, atol=1e-5)
    # An orthonormal transform: an error of the latents is the same error of the pixels.
    error = 0.1 * random(2, 768, 2, 3)
    moved = synthesis(y + error, ones) - x
    assert moved.square().sum() == pytest.approx(error.square().sum().item(), rel=1e-4)


@torch.no_grad()
def test_a_smaller_start_keeps_what_pictures_are_made_of() -> None:
    architecture = dataclasses.replace(LOSSLESS, latents=384)
    x = smooth_pictures(64, 80)
    ones = torch.ones(1, 192, 1, 1)
    x_hat = Synthesis(architecture)(Analysis(architecture)(x, ones), ones)
    assert 10 * math.log10(1 / F.mse_loss(x_hat, x).item()) > 45


@torch.no_grad()
def test_feature_gains_act_on_the_fine_features() -> None:
    analysis, synthesis = Analysis(LOSSLESS), Synthesis(LOSSLESS)
    x, gain = torch.rand(1, 3, 16, 16), torch.linspace(0.5, 2.0, 192)[None, :, None, None]
    assert torch.allclose(synthesis(analysis(x, gain), 1 / gain), x, atol=1e-5)
    assert not torch.allclose(analysis(x, gain), analysis(x, torch.ones_like(gain)), atol=0.1)


def test_a_pointwise_is_a_matrix_product() -> None:
    layer = Pointwise(5, 3)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    x = random(1, 5, 2, 2)
    expected = torch.einsum("oi,bihw->bohw", layer.weight, x) + layer.bias[:, None, None]
    assert torch.allclose(layer(x), expected, atol=1e-6)


def random_block(channels: int, seed: int) -> Block:
    block = Block(channels)
    with torch.no_grad():
        for number, parameter in enumerate(block.parameters()):
            parameter.copy_(random(*parameter.shape, seed=seed + number) * 0.5)
        block.scale.copy_((2 * random(channels, seed=seed + 99)).exp())
    return block


@torch.no_grad()
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_a_block_starts_as_the_identity(scale: float) -> None:
    block = Block(6)
    block.scale.fill_(scale)
    x = random(2, 6, 5, 4)
    assert torch.equal(block(x), x)


@torch.no_grad()
def test_a_block_sees_features_of_any_magnitude_alike() -> None:
    """Its scale times c on features times c: the same output times c."""
    block = random_block(4, 1)
    x = random(1, 4, 6, 6) * block.scale[None, :, None, None]
    before = block(x)
    block.scale *= 100
    assert torch.allclose(block(100 * x), 100 * before, rtol=1e-3, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (4, 4), (5, 8)])
def test_hyper_latents_cover_any_size(height: int, width: int) -> None:
    z = HyperAnalysis(TINY)(random(2, TINY.latents, height, width))
    assert z.shape == (2, TINY.hyper_latents, math.ceil(height / 4), math.ceil(width / 4))


@torch.no_grad()
def test_hyper_latents_see_borders_as_repeated() -> None:
    network = HyperAnalysis(TINY)
    y = random(1, TINY.latents, 3, 4)
    repeated = torch.cat([y, y[:, :, 2:]], dim=2)
    assert torch.allclose(network(y), network(repeated), atol=1e-6)


def test_gains_start_at_the_high_rate_optimum() -> None:
    gains = Gains(TINY)
    index = torch.arange(0, 801, 50)
    expected = torch.tensor([high_rate_gain(i) for i in index.tolist()])
    for log_gain, channels, values in (
        (gains.log_quantise, TINY.latents, expected),
        (gains.log_restore, TINY.latents, torch.ones(17)),
        (gains.log_analysis, TINY.fine, torch.ones(17)),
        (gains.log_synthesis, TINY.fine, torch.ones(17)),
    ):
        found = gains.at(log_gain, index)
        assert found.shape == (17, channels, 1, 1)
        assert torch.allclose(found, values[:, None, None, None].expand_as(found), rtol=1e-4)


def test_gains_are_their_own_at_anchors_and_log_linear_between() -> None:
    log_gain = random(9, 3)
    anchors = Gains.at(log_gain, torch.arange(0, 801, 100))[:, :, 0, 0]
    assert torch.allclose(anchors, log_gain.exp(), rtol=1e-5)
    between = Gains.at(log_gain, torch.tensor([150, 725]))[:, :, 0, 0].log()
    assert torch.allclose(between[0], (log_gain[1] + log_gain[2]) / 2, atol=1e-5)
    assert torch.allclose(between[1], 0.75 * log_gain[7] + 0.25 * log_gain[8], atol=1e-5)


def test_the_ends_of_the_scale_can_be_trained() -> None:
    log_gain = torch.zeros(9, 2, requires_grad=True)
    Gains.at(log_gain, torch.tensor([0, 800])).sum().backward()
    assert log_gain.grad is not None
    assert log_gain.grad[:, 0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 1]
