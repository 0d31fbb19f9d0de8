"""SSIMULACRA2 as an objective: the score, with gradients that can be used."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tiny_model

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import torch
from PIL import Image

from rdae.metrics import Picture
from rdae.ssimulacra2 import ssimulacra2 as measured
from rdae.training import ssimulacra2

SIDE = 256
KODAK = os.environ.get("RDAE_KODAK", "")  # their folder


def tensor(picture: Picture) -> torch.Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255


def as_jpeg(picture: Picture, quality: int) -> Picture:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def score(first: Picture, second: Picture) -> float:
    return float(ssimulacra2.score(ssimulacra2.error(tensor(first), tensor(second))))


@pytest.mark.parametrize("size", [(SIDE, SIDE), (ssimulacra2.MIN_SIDE, 300), (271, 259)])
def test_it_is_the_score_that_is_measured(size: tuple[int, int]) -> None:
    picture = tiny_model.photo(*size)
    for quality in (15, 50, 90):
        decoded = as_jpeg(picture, quality)
        assert score(picture, decoded) == pytest.approx(measured(picture, decoded), abs=0.05)
    assert score(picture, picture) == pytest.approx(100, abs=0.1)


@pytest.mark.slow
@pytest.mark.skipif(not KODAK, reason="RDAE_KODAK does not name the folder of the Kodak pictures")
@pytest.mark.parametrize("number", [3, 8, 19, 23])
def test_it_is_the_score_that_is_measured_on_photographs(number: int) -> None:
    picture = np.asarray(Image.open(Path(KODAK) / f"kodim{number:02d}.png").convert("RGB"))
    for part in (picture, picture[100:356, 100:356]):
        for quality in (15, 50, 90):
            decoded = as_jpeg(part, quality)
            assert score(part, decoded) == pytest.approx(measured(part, decoded), abs=0.3)


def test_each_picture_of_a_batch_has_its_own() -> None:
    a, b = tensor(tiny_model.photo(SIDE, SIDE)), tensor(tiny_model.noise(1, SIDE, SIDE))
    both = ssimulacra2.error(torch.cat([a, b]), torch.cat([b, b]))
    assert float(both[0]) == pytest.approx(float(ssimulacra2.error(a, b)), rel=1e-4)
    assert float(both[1]) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("found", ["equal", "black", "flat", "beyond"])
def test_its_gradient_is_finite(found: str) -> None:
    original = tensor(tiny_model.photo(SIDE, SIDE))
    flat = torch.full_like(original, 0.5)
    pairs = {
        "equal": (original, original),
        "black": (torch.zeros_like(original), torch.zeros_like(original)),
        "flat": (flat, flat),
        "beyond": (original, 3 * original - 1),
    }
    first, second = pairs[found]
    second = second.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(ssimulacra2.error(first, second).sum(), second)
    assert bool(gradient.isfinite().all())


def test_its_gradient_leads_to_the_original() -> None:
    original = tensor(tiny_model.photo(SIDE, SIDE))
    grain = 0.1 * torch.randn(original.shape, generator=torch.Generator().manual_seed(0))
    found = (original + grain).clamp(0, 1).requires_grad_()
    before = ssimulacra2.error(original, found)
    (gradient,) = torch.autograd.grad(before.sum(), found)
    better = found.detach() - 1e-2 * gradient / gradient.abs().max()
    assert ssimulacra2.error(original, better) < before.detach()


def test_a_picture_too_small_for_the_coarsest_scale_is_refused() -> None:
    small = torch.zeros(1, 3, 300, ssimulacra2.MIN_SIDE - 1)
    with pytest.raises(ValueError, match=f"at least {ssimulacra2.MIN_SIDE}"):
        ssimulacra2.error(small, small)


def test_the_loss_mixes_it_with_other_errors_by_quality() -> None:
    from rdae.metrics import ms_ssim, psnr_y
    from rdae.objective import Objective
    from rdae.quality import beta
    from rdae.training.autoencoder import Output
    from rdae.training.config import Shares
    from rdae.training.objective import terms

    x = tensor(tiny_model.photo(SIDE, SIDE)).repeat(5, 1, 1, 1)
    x_hat = (x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    x_hat = (x_hat * 255).round() / 255
    output = Output(x_hat, torch.full((5,), float(SIDE**2)), torch.zeros(5))
    index = torch.tensor([0, 200, 400, 720, 800])

    def loss(shares: Shares) -> list[float]:
        return terms(x, output, index, 0.0, "ssimulacra2", shares).loss.tolist()

    def expected(place: int, distortion: float) -> Any:
        return pytest.approx(1 + beta(int(index[place])) * distortion, rel=1e-4)

    found = terms(x, output, index, 0.0, "ssimulacra2", Shares((0.9, 0.2, 0.6)))
    seen = ssimulacra2.error(x, x_hat)
    assert found.score is not None
    torch.testing.assert_close(found.score, ssimulacra2.score(seen))
    by_luma = loss(Shares((0.9, 0.2, 0.6), (0.0, 0.6, 0.2)))
    by_structure = loss(Shares((0.9, 0.2, 0.6), ms_ssim=0.25))
    grey_objective = Objective("ssimulacra2", (0.9, 0.2, 0.6), (0.0, 0.6, 0.2))  # an encoder's
    ends = ((0.9, 6.0), (0.55, 6.375), (0.2, 7.5), (0.4, 6 + 6 * 0.81), (0.6, 12.0))
    for place, (share, scale) in enumerate(ends):
        mse, error = float(found.mse[place]), float(seen[place])
        assert float(found.loss[place]) == expected(place, share * mse + (1 - share) * scale * error)
        first, second = ((each[place] * 255).round().byte().permute(1, 2, 0).numpy() for each in (x, x_hat))
        part = (0.0, 0.3, 0.6, 0.4, 0.2)[place]
        luma = 255**2 * 10 ** (-psnr_y(first, second) / 10)
        mixed = share * ((1 - part) * mse + part * luma) + (1 - share) * scale * error
        assert by_luma[place] == expected(place, mixed)
        weights = grey_objective.weights(int(index[place]))
        assert weights == pytest.approx((share * (1 - part), share * part, (1 - share) * scale))
        part = (0.0, 0.0, 0.125, 0.25, 0.25)[place]  # rising between qualities 40 and 60
        grey = [np.repeat(luma_levels(each), 3, axis=2) for each in (first, second)]
        similarity = ms_ssim(*grey)
        assert similarity is not None
        others = (1 - part) * scale * error + part * 1280 * (1 - similarity)
        assert by_structure[place] == pytest.approx(
            1 + beta(int(index[place])) * (share * mse + (1 - share) * others), rel=2e-3
        )  # that measure is of whole levels
    faint = loss(Shares((0.9, 0.2, 0.6), ms_ssim=0.25, k2=0.01))
    assert faint[:2] == by_structure[:2]  # no MS-SSIM below quality 40
    assert all(a != b for a, b in zip(faint[2:], by_structure[2:], strict=True))
    only_mse = terms(x, output, index, 0.4, "ssimulacra2", Shares((1, 1, 1)))
    torch.testing.assert_close(only_mse.loss, terms(x, output, index, 0.4).loss)


def luma_levels(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """BT.601's luma of (H, W, 3), in whole levels: (H, W, 1)."""
    luma: npt.NDArray[np.uint8] = np.rint(picture @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return luma[..., None]
