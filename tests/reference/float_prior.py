"""The prior as a codec would have it that did not care: the same weights and wiring, in floating point.

Activations, means and scale indices are continuous and only what the coder is given is rounded, at the very end.  That
is what exact arithmetic is measured against (`exactness_cost.py`), and what `test_exactness.py` shows to differ from
one instruction set to the next, so that its other tests are known to be able to fail.
"""

import dataclasses
import hashlib
from typing import Any, cast

import torch
from torch import Tensor, nn

from rdae.model import Model
from rdae.networks.architecture import GROUPS
from rdae.prior.exact import CodeStep, ExactPrior, Places
from rdae.quality import hats
from rdae.training.modules import normaliser
from rdae.training.modules.context_model import CONTEXT_MAX, ContextModel, cell_planes, cells
from rdae.training.modules.hyperprior import Z_MAX, HyperSynthesis
from rdae.training.modules.layers import UNIT, ExactLayer, LayerSpec, convolve


class FloatLayer(nn.Module):
    """clamp((w·a + b) · 2^-s) in float32: an ExactLayer that does not round.  The step is folded into the weights."""

    weight: Tensor
    bias: Tensor

    def __init__(self, spec: LayerSpec) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("weight", torch.zeros(spec.weight_shape, dtype=torch.float32))
        self.register_buffer("bias", torch.zeros(spec.channels_out, dtype=torch.float32))

    def take(self, exact: ExactLayer) -> None:
        step = torch.exp2(-exact.shift)
        self.weight.copy_(exact.weight * step.view(-1, *[1] * (exact.weight.ndim - 1)))
        self.bias.copy_(exact.bias * step)

    def forward(self, x: Tensor) -> Tensor:
        return convolve(self.spec, x, self.weight, self.bias).clamp_(self.spec.low, self.spec.high)


class FloatPrior:
    """What `rdae.prior.exact.ExactPrior` is to its users, in floats.

    In a file from here a mean is still an integer of 1/64 step, so that latents stay integers that can be compared.
    told: the hash of all means and scale indices that the coder was given; None: nobody asks for it.
    """

    def __init__(self, exact: ExactPrior, *, watched: bool = False) -> None:
        self.architecture, self.skip_below = exact.architecture, exact.skip_below
        self.y_tables, self.z_tables = exact.y_tables, exact.z_tables
        self.told = hashlib.sha256() if watched else None
        self.to_context = exact.to_context  # read by the encoder too
        self.hyper = HyperSynthesis(exact.architecture, FloatLayer)
        self.context = ContextModel(exact.architecture, FloatLayer)
        for mine, its in ((self.hyper, exact.hyper), (self.context, exact.context)):
            exact_layers = dict(its.named_modules())
            for name, layer in mine.named_modules():
                if isinstance(layer, FloatLayer):
                    layer.take(cast("ExactLayer", exact_layers[name]))
        step = 0.5**normaliser.TABLE_SHIFT
        self._to_context = exact.to_context.float() * step
        self._from_mean = exact.from_mean.float() * step
        self._offset = exact.index_offset.float()

    @torch.inference_mode()
    def run(self, z: Tensor, index: int, size: tuple[int, int], code: CodeStep) -> Tensor:
        """Go through the four steps as ExactPrior.run does."""

        def round_off(places: Places, means: Tensor, indices: Tensor) -> Tensor:
            mu64 = means.round().int()
            scales = indices.round().int().clamp_(0, normaliser.SCALES - 1)
            if self.told is not None:
                self.told.update(mu64.numpy().tobytes() + scales.numpy().tobytes())
            return (code(places, mu64, scales) * normaliser.STEP_UNIT + mu64).float()

        return self.predict(z, index, size, round_off).int()

    @torch.inference_mode()
    def predict(self, z: Tensor, index: int, size: tuple[int, int], decide: CodeStep) -> Tensor:
        """Go through the four steps in floats: decide(places, means, scale indices) tells ŷ·64 of each step's latents.

        Means are in 1/64 step, scale indices include the reference scale's and are not clamped; ŷ·64 is float too.
        """
        row = normaliser.row(index)
        to_context, from_mean, offset = self._to_context[row], self._from_mean[row], self._offset[row]
        latents, group_size = self.architecture.latents, self.context.group_size
        weights = torch.tensor(hats(index), dtype=torch.float32)[None, :, None, None]
        y64 = torch.zeros(latents, *size, dtype=torch.float32)
        known = torch.zeros(1, latents, *size, dtype=torch.float32)
        known = known.contiguous(memory_format=torch.channels_last)
        features = self.hyper(z.clamp(-Z_MAX, Z_MAX).float()[None], weights, size)
        planes = cell_planes(*size, UNIT, features)
        for step in range(GROUPS):
            found = self.context(step, known, features, planes)
            predictions = [(mean[0], scale_index[0]) for mean, scale_index in found]
            slots, means, indices = [], [], []
            for (group, top, left), (mean, scale_index) in zip(cells(step), predictions, strict=True):
                channels = slice(group * group_size, (group + 1) * group_size)
                slots.append((channels, slice(top, None, 2), slice(left, None, 2)))
                means.append((mean * from_mean[channels, None, None]).flatten())
                indices.append((scale_index + offset[channels, None, None]).flatten())
            places = Places(tuple(slots))
            places.put(y64, decide(places, torch.cat(means), torch.cat(indices)))
            for slot in slots:
                seen = y64[slot] * to_context[slot[0], None, None]
                known[0][slot] = seen.clamp_(-CONTEXT_MAX, CONTEXT_MAX)
        return y64


def with_float_prior(model: Model, *, watched: bool = False) -> Model:
    """The same model with its prior in floats.  It writes files that are its own: they name the same weights."""
    prior: Any = FloatPrior(model.prior, watched=watched)
    return dataclasses.replace(model, prior=prior)
