"""MS-SSIM as an objective: the measure of rdae.metrics, with gradients that can be used."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import tiny_model
import torch

from rdae import metrics
from rdae.training.ms_ssim import MIN_SIDE, ms_ssim


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255


def test_it_is_the_measure_that_pictures_are_judged_by() -> None:
    first = tiny_model.photo(MIN_SIDE, MIN_SIDE + 14)
    flat = np.full_like(first, 254)  # where float32 has the least of its bits left for a variance
    for noise in (2, 20, 80):
        grain = np.random.default_rng(noise).normal(0, noise, first.shape)
        for original in (first, flat):
            second = np.clip(original + grain, 0, 255).astype(np.uint8)
            expected = metrics.ms_ssim(original, second)
            assert float(ms_ssim(tensor(original), tensor(second))) == pytest.approx(expected, abs=1e-4)
    assert float(ms_ssim(tensor(first), tensor(first))) == pytest.approx(1.0, abs=1e-6)


def test_a_smaller_k2_sees_fainter_texture() -> None:
    smooth = np.full((MIN_SIDE, MIN_SIDE, 3), 128, np.uint8)
    grain = np.random.default_rng(0).normal(0, 1.5, (MIN_SIDE, MIN_SIDE, 1))
    textured = (smooth + grain).round().astype(np.uint8)
    usual, fine = (1 - float(ms_ssim(tensor(textured), tensor(smooth), k2)) for k2 in (0.03, 0.01))
    assert fine > 4 * usual


def test_each_picture_of_a_batch_has_its_own() -> None:
    a, b = tensor(tiny_model.photo(MIN_SIDE, MIN_SIDE)), tensor(tiny_model.noise(1, MIN_SIDE, MIN_SIDE))
    both = ms_ssim(torch.cat([a, b]), torch.cat([b, b]))
    assert float(both[0]) == pytest.approx(float(ms_ssim(a, b)), abs=1e-5)
    assert float(both[1]) == pytest.approx(1.0, abs=1e-6)


def test_its_gradient_leads_to_the_original_and_is_finite_for_opposites() -> None:
    original = tensor(tiny_model.photo(MIN_SIDE, MIN_SIDE))
    grain = 0.1 * torch.randn(original.shape, generator=torch.Generator().manual_seed(0))
    found = (original + grain).requires_grad_()
    before = ms_ssim(original, found)
    (gradient,) = torch.autograd.grad(before, found)
    better = found.detach() + 1e-2 * gradient / gradient.abs().max()
    assert ms_ssim(original, better) > before.detach()
    opposite = (1 - original).requires_grad_()  # all structure negative, where powers have no slope
    (gradient,) = torch.autograd.grad(ms_ssim(original, opposite), opposite)
    assert bool(gradient.isfinite().all())


def test_a_picture_too_small_for_the_coarsest_window_is_refused() -> None:
    small = torch.zeros(1, 3, 300, MIN_SIDE - 1)
    with pytest.raises(ValueError, match=f"at least {MIN_SIDE}"):
        ms_ssim(small, small)


def test_the_loss_takes_it_in_the_place_of_the_squared_error() -> None:
    from rdae.training.autoencoder import Output
    from rdae.training.objective import MS_SSIM_SCALE, terms

    x = tensor(tiny_model.photo(192, 192))
    x_hat = (x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    output = Output(x_hat, torch.full((1,), 192.0**2), torch.zeros(1))
    found = terms(x, output, torch.tensor([400]), 0.5, "ms-ssim")
    assert found.score is not None
    similarity = float(ms_ssim(x, x_hat))
    assert float(found.score) == pytest.approx(similarity, abs=1e-6)
    beta = 0.0004 * 10**1.5
    assert float(found.loss) == pytest.approx(1 + beta * MS_SSIM_SCALE * (1 - similarity), rel=1e-4)
    plain = terms(x, output, torch.tensor([400]), 0.5)
    assert float(found.mse) == float(plain.mse)
    assert plain.score is None
