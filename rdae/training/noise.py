"""Both terms of the loss of a whole picture, once with noise and once with rounding, by the same network."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from rdae.networks.architecture import PATCH
from rdae.training.autoencoder import Autoencoder, Output, distortion
from rdae.training.modules.layers import set_exact_steps
from rdae.training.precision import ieee_float32

_SEED = 0


@dataclasses.dataclass(frozen=True)
class Terms:
    """Rates in bits per pixel of the picture as given, errors as MSE of pixels in 0..255."""

    noisy_bpp: float
    rounded_bpp: float
    noisy_mse: float
    rounded_mse: float


@torch.no_grad()
def measure(model: Autoencoder, picture: npt.NDArray[np.uint8], index: int, draws: int) -> Terms:
    """Measure a picture (h, w, 3) at a quality index 0..800, the prior rounding as in files.

    The rate with noise is training's: -log2 of the density of y + u and z + u, u uniform in -½..½, while the context
    model sees rounded latents, as the decoder's will. The error with noise is that of synthesis(y + u); training itself
    synthesises from rounded latents (`rdae.training.autoencoder`), so its distortion has no gap but what the network
    does not know about. Noisy terms are means over `draws`, from a fixed seed.
    """
    height, width = picture.shape[:2]
    x = torch.tensor(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255
    padded = F.pad(x, (0, -width % PATCH, 0, -height % PATCH), mode="replicate")
    padded = padded.contiguous(memory_format=torch.channels_last)
    at = torch.tensor([index])
    pixels = int(height * width)
    set_exact_steps(model, enabled=True)

    def error(x_hat: Tensor) -> float:
        return float(distortion(x, x_hat.clamp(0, 1)[:, :, :height, :width]))

    def bpp(output: Output) -> float:
        return (float(output.bits_y) + float(output.bits_z)) / pixels

    with ieee_float32(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        rounded = model.eval()(padded, at)
        model.train()
        noisy = [(bpp(model(padded, at)), error(_noisy_synthesis(model, padded, at))) for _ in range(draws)]
    return Terms(
        noisy_bpp=sum(rate for rate, _ in noisy) / draws,
        rounded_bpp=bpp(rounded),
        noisy_mse=sum(mse for _, mse in noisy) / draws,
        rounded_mse=error(rounded.x_hat),
    )


def _noisy_synthesis(model: Autoencoder, x: Tensor, index: Tensor) -> Tensor:
    """x̂ of latents with noise: (1, 3, H, W) -> the same."""
    gains = model.gains
    y = model.analysis(x, gains.at(gains.log_analysis, index)) * gains.at(gains.log_quantise, index)
    noisy = y + torch.rand_like(y) - 0.5
    restored = noisy * gains.at(gains.log_restore - gains.log_quantise, index)
    x_hat: Tensor = model.synthesis(restored, gains.at(gains.log_synthesis, index))
    return x_hat
