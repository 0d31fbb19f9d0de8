"""The likelihoods of a training: CompressAI's numbers and gradients, without CompressAI."""

import math
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import torch
import training_kit
from torch import Tensor

from rdae.training.modules.likelihoods import FactorisedDensity, gaussian_likelihood, lower_bound

SCALE_MIN = 0.11


def compressai() -> Any:
    training_kit.need_compressai()
    from rdae.training.compressai.importing import import_part

    return import_part("compressai.entropy_models", "this test")


def moved(density: Any) -> Any:
    """A density that training has moved from its start."""
    torch.manual_seed(3)
    for name, parameter in density.named_parameters():
        if name != "quantiles":
            parameter.data.add_(0.3 * torch.randn(parameter.shape))
    return density


@pytest.fixture
def density() -> FactorisedDensity:
    found: FactorisedDensity = moved(FactorisedDensity(5))
    return found


def gaussian(
    y: Tensor, scales: Tensor, means: Tensor, noise: Tensor | None, *, rounded: bool = False
) -> Tensor:
    return gaussian_likelihood(y, scales, means, noise, scale_min=SCALE_MIN, rounded=rounded)


def gradients(likelihood: Tensor, *inputs: Tensor) -> list[Tensor]:
    """Those of the bits: likelihoods far too small are among the values."""
    return list(torch.autograd.grad(likelihood.log().sum(), inputs))


def test_the_density_of_z_begins_as_compressais_under_the_same_names() -> None:
    torch.manual_seed(0)
    theirs = compressai().EntropyBottleneck(5, init_scale=8)
    torch.manual_seed(0)
    ours = FactorisedDensity(5)
    pairs = zip(ours.named_parameters(), theirs.named_parameters(), strict=True)
    for (name, parameter), (their_name, expected) in pairs:
        assert name == their_name
        assert torch.equal(parameter, expected), name
    assert not ours.quantiles.requires_grad


def test_the_likelihood_of_z_is_compressais(density: FactorisedDensity) -> None:
    theirs = compressai().EntropyBottleneck(5, init_scale=8)
    theirs.load_state_dict(density.state_dict(), strict=False)
    z = (torch.randn(3, 5, 2, 4) * 30).requires_grad_()
    _, expected = theirs(z, training=False)
    assert float(expected.detach().min()) < 1e-8  # far out the bound is reached
    assert torch.equal(density(z, None), expected)
    torch.manual_seed(4)
    noisy, expected = theirs(z, training=True)
    found = density(z, noisy.detach() - z.detach())
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-7)  # the noise comes back with float32's error
    mine = [parameter for parameter in density.parameters() if parameter.requires_grad]
    parameters = [parameter for name, parameter in theirs.named_parameters() if name != "quantiles"]
    ours = gradients(found, z, *mine)
    for gradient, wanted in zip(ours, gradients(expected, z, *parameters), strict=True):
        assert torch.allclose(gradient, wanted, rtol=1e-2, atol=1e-3)


def test_the_likelihood_of_y_is_compressais() -> None:
    theirs = compressai().GaussianConditional(None, scale_bound=SCALE_MIN)
    y, means = ((torch.randn(2, 4, 6, 8) * size).requires_grad_() for size in (5, 1))
    scales = (torch.rand(2, 4, 6, 8) * 3).requires_grad_()  # some below the bound
    _, expected = theirs(y, scales, means=means, training=False)
    found = gaussian(y, scales, means, None)
    # CompressAI adds the mean to integers and takes it off again.
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-8)
    ours, wanted = (gradients(likelihood, scales)[0] for likelihood in (found, expected))
    assert torch.allclose(ours, wanted, rtol=1e-3, atol=1e-4)
    torch.manual_seed(4)
    _, expected = theirs(y, scales, means=means, training=True)
    torch.manual_seed(4)
    noise = torch.empty_like(y).uniform_(-0.5, 0.5)
    found = gaussian(y, scales, means, noise)
    assert torch.equal(found, expected)
    inputs = (y, scales, means)
    for gradient, wanted in zip(gradients(found, *inputs), gradients(expected, *inputs), strict=True):
        assert torch.equal(gradient, wanted)


def test_likelihoods_of_all_integers_sum_to_one(density: FactorisedDensity) -> None:
    integers = torch.arange(-400.0, 401.0)
    z = integers.expand(1, 5, 1, -1)
    assert density(z, None).sum(dim=3).flatten().tolist() == pytest.approx([1] * 5, abs=1e-4)
    zeros = torch.zeros(801)
    for scale in (0.05, SCALE_MIN, 1.0, 64.0):
        found = gaussian(integers, zeros + scale, zeros, None)
        assert float(found.sum()) == pytest.approx(1, abs=1e-5)
        inside = math.erf(0.5 / max(scale, SCALE_MIN) / math.sqrt(2))
        assert float(found[400]) == pytest.approx(inside, rel=1e-5)


def test_a_bounded_value_can_rise_and_not_fall() -> None:
    for sign, expected in ((1.0, [0.0, 1.0, 1.0]), (-1.0, [-1.0, -1.0, -1.0])):
        x = torch.tensor([0.0, 0.5, 2.0], requires_grad=True)
        bounded = lower_bound(x, 0.5)
        assert bounded.tolist() == [0.5, 0.5, 2.0]
        (sign * bounded).sum().backward()  # descent lowers it, or lifts it
        assert x.grad is not None
        assert x.grad.tolist() == expected


def test_rounded_likelihoods_have_gradients_that_rounding_lacks(density: FactorisedDensity) -> None:
    """The value is of integers; scales learn from these, latents and means from noise, z from noise."""
    y, means = torch.randn(2, 4, 6, 8) * 2, torch.randn(2, 4, 6, 8)
    scales = torch.rand(2, 4, 6, 8) * 3 + 0.2
    noise = torch.rand(2, 4, 6, 8) - 0.5

    def of(used: Tensor | None, *, rounded: bool = False) -> list[Tensor]:
        a, b, c = (tensor.clone().requires_grad_() for tensor in (y, scales, means))
        found = gaussian(a, b, c, used, rounded=rounded)
        found.log().sum().backward()
        return [found.detach(), *(torch.zeros_like(y) if x.grad is None else x.grad for x in (a, b, c))]

    both, rounded, noisy = of(noise, rounded=True), of(None), of(noise)
    for found, expected in zip(both, (rounded[0], noisy[1], rounded[2], noisy[3]), strict=True):
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert not rounded[1].any()  # what it is for
    assert not torch.allclose(rounded[2], noisy[2], rtol=1e-2)

    z, noise = torch.randn(3, 5, 2, 4) * 6, torch.rand(3, 5, 2, 4) - 0.5
    z.requires_grad_()
    likelihood = density(z, noise, rounded=True)
    assert torch.allclose(likelihood, density(z, None))
    (ours,), (wanted,) = gradients(likelihood, z), gradients(density(z, noise), z)
    assert torch.allclose(ours, wanted, rtol=1e-3, atol=1e-4)


def test_the_likelihood_of_z_is_as_precise_under_bf16(density: FactorisedDensity) -> None:
    z = torch.randn(3, 5, 2, 4) * 6
    expected = density(z, None)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(density(z, None), expected)
