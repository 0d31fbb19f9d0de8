"""The rate-distortion autoencoder as it is trained: both transforms, gains, and the relaxed prior, end to end."""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdae.networks.architecture import Architecture
from rdae.networks.layers import Z_MAX
from rdae.networks.normaliser import LOG_SCALE_STEP, SCALE_MIN, SCALES
from rdae.quality import ANCHOR_UNIT, MAX_INDEX, anchor_weights
from rdae.training.modules.analysis import Analysis
from rdae.training.modules.context_model import ContextModel
from rdae.training.modules.gains import Gains
from rdae.training.modules.hyper_analysis import HyperAnalysis
from rdae.training.modules.hyperprior import HyperSynthesis
from rdae.training.modules.layers import RelaxedLayer, round_straight_through
from rdae.training.modules.likelihoods import FactorisedDensity, gaussian_likelihood
from rdae.training.modules.normaliser import reference_scale
from rdae.training.modules.synthesis import Synthesis


@dataclasses.dataclass(frozen=True)
class Output:
    """What one pass gives. `x_hat`: (B, 3, H, W) RGB around 0..1; `bits_y`, `bits_z`: (B,) bits per picture."""

    x_hat: Tensor
    bits_y: Tensor
    bits_z: Tensor


class Autoencoder(nn.Module):
    """x -> x̂ and its rate, with noise in place of rounding where gradients need it.

    The rate is that of latents with uniform noise; the synthesis, the hyper-synthesis and the context model read
    rounded latents with straight-through gradients, as the decoder will (mixed quantisation; Minnen and Singh 2020,
    arXiv:2007.08739, section 3.3).
    """

    spread: Tensor
    anchors: Tensor

    def __init__(self, architecture: Architecture) -> None:
        """Build the network at its start: a DCT codec with a prior that knows nothing yet."""
        super().__init__()
        self.architecture = architecture
        self.gains = Gains(architecture)
        self.analysis = Analysis(architecture)
        self.synthesis = Synthesis(architecture)
        self.hyper_analysis = HyperAnalysis(architecture)
        self.hyper_synthesis = HyperSynthesis(architecture)
        self.context = ContextModel(architecture)
        self.bottleneck = FactorisedDensity(
            architecture.hyper_latents
        )  # CompressAI's name, as old weights have it
        # Standard deviation of each latent channel in units of the lowest quality's step: `rdae.training.start`.
        self.register_buffer("spread", torch.ones(architecture.latents))
        rows = torch.tensor([anchor_weights(i) for i in range(MAX_INDEX + 1)], dtype=torch.float32)
        self.register_buffer("anchors", rows, persistent=False)
        for head in self.context.indices:
            # A first guess of half the reference scale.
            if isinstance(head, RelaxedLayer):
                nn.init.constant_(head.bias, 15.0 / head.multiplier)

    def forward(
        self,
        x: Tensor,
        index: Tensor,
        noise: tuple[Tensor, Tensor] | None = None,
        rounded: bool = False,  # by place, as what wraps modules passes it
    ) -> Output:
        """Pass pictures through at one quality each.

        x: float (B, 3, H, W), RGB in 0..1, H and W multiples of 16; index: int64 (B,), quality indices 0..800.
        noise: of y and of z, as `rdae.training.data.sampling` makes it.  Without it, the rate is of rounded latents in
        evaluation mode, and in training mode noise is drawn here.
        rounded: the rate is of rounded latents, and noise serves only for the gradients that these lack.
        """
        gains = self.gains
        y = self.analysis(x, gains.at(gains.log_analysis, index)).float()
        y = y * gains.at(gains.log_quantise, index)  # (B, latents, h, w), in steps
        scale = reference_scale(self.spread, index)  # (B, latents, 1, 1)
        z = self.hyper_analysis(y / scale).float()
        z_hat = round_straight_through(z).clamp(-Z_MAX, Z_MAX)
        if noise is None and self.training:
            noise = torch.empty_like(y).uniform_(-0.5, 0.5), torch.empty_like(z).uniform_(-0.5, 0.5)
        noise_y, noise_z = noise or (None, None)
        z_likelihood = self.bottleneck(z, noise_z, rounded=rounded)
        features = self._features(z_hat, index, (y.shape[2], y.shape[3]))
        y_hat, means, indices = self.context(y, scale, features)
        offset = scale.log() / LOG_SCALE_STEP
        scales = SCALE_MIN * torch.exp(
            (indices + offset).clamp(0, SCALES - 1) * LOG_SCALE_STEP,
        )
        y_likelihood = gaussian_likelihood(y, scales, means, noise_y, scale_min=SCALE_MIN, rounded=rounded)
        x_hat = self.synthesis(
            y_hat * gains.at(gains.log_restore - gains.log_quantise, index),
            gains.at(gains.log_synthesis, index),
        )
        return Output(x_hat.float(), _bits(y_likelihood), _bits(z_likelihood))

    def _features(self, z_hat: Tensor, index: Tensor, size: tuple[int, int]) -> Tensor:
        weights = self.anchors[index] / ANCHOR_UNIT  # (B, ANCHORS)
        features: Tensor = self.hyper_synthesis(z_hat, weights[:, :, None, None], size)
        return features


def _bits(likelihood: Tensor) -> Tensor:
    """Sum -log2 of likelihoods (B, ...) -> (B,)."""
    return likelihood.float().log().sum(dim=(1, 2, 3)) / -math.log(2)


def distortion(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean squared error per picture, of pixels in 0..255: two (B, 3, H, W) in 0..1 -> (B,)."""
    return F.mse_loss(x_hat, x, reduction="none").mean(dim=(1, 2, 3)) * 255.0**2
