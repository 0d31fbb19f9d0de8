"""The exact prior: from ẑ and the quality to means, scale indices and tables, the same integers on every machine."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rdae.architecture import GROUPS, Architecture
from rdae.coding import Tables
from rdae.prior import normaliser
from rdae.prior.context import ContextModel, cell_planes, cells
from rdae.prior.hyperprior import Z_MAX, HyperSynthesis
from rdae.prior.layers import UNIT, ExactLayer, exact_float32
from rdae.quality import hats

SYMBOL_MAX = 2**20
"""Largest magnitude of a coded residual; a decoder that meets a larger one refuses the file."""

CodeStep = Callable[[Tensor, Tensor, Tensor], Tensor]


class ExactPrior(nn.Module):
    """The prior of one model, in evaluation.

    y_tables: a row per scale index; z_tables: a row per hyper-latent channel.
    skip_below: latents whose scale index is smaller are not coded, their residual is 0.
    """

    to_context: Tensor
    from_mean: Tensor
    index_offset: Tensor

    def __init__(
        self, architecture: Architecture, y_tables: Tables, z_tables: Tables, skip_below: int
    ) -> None:
        """Build the networks with zero weights; `load_state_dict` brings the integers."""
        super().__init__()
        self.architecture = architecture
        self.y_tables, self.z_tables, self.skip_below = y_tables, z_tables, skip_below
        self.hyper = HyperSynthesis(architecture, ExactLayer)
        self.context = ContextModel(architecture, ExactLayer)
        shape = (normaliser.ROWS, architecture.latents)
        self.register_buffer("to_context", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("from_mean", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("index_offset", torch.zeros(shape, dtype=torch.int64))

    def check(self) -> None:
        """Raise ValueError unless every layer keeps the bounds that make it exact."""
        for module in self.modules():
            if isinstance(module, ExactLayer):
                module.check()

    @torch.inference_mode()
    def run(self, z: Tensor, index: int, size: tuple[int, int], code: CodeStep) -> Tensor:
        """Go through the four steps, with `code` telling or reading the residuals of each.

        z: int64 (hyper_latents, ceil(h/4), ceil(w/4)), the decoded hyper-latents; index: quality index 0..800;
        size: (h, w).
        code(where, means, scales) -> residuals: where (N,) int64 are the step's positions in the flattened
        (latents, h, w), means (N,) int64 their means in 1/64 step, scales (N,) int64 their scale indices 0..63; it
        returns the N residuals, int64, 0 wherever the scale index is below `skip_below`.
        Returns ŷ·64, int64 (latents, h, w).
        """
        device = z.device
        height, width = size
        latents, group_size = self.architecture.latents, self.context.group_size
        row = normaliser.row(index)
        to_context, from_mean, offset = self.to_context[row], self.from_mean[row], self.index_offset[row]
        weights = torch.tensor(hats(index), dtype=torch.float32, device=device)[None, :, None, None]
        places = torch.arange(latents * height * width, device=device).view(latents, height, width)
        y64 = torch.zeros(latents, height, width, dtype=torch.int64, device=device)
        known = torch.zeros(1, latents, height, width, dtype=torch.float32, device=device).contiguous(
            memory_format=torch.channels_last
        )
        with exact_float32():
            features = self.hyper(z.clamp(-Z_MAX, Z_MAX).float()[None], weights, size)
            planes = cell_planes(height, width, UNIT, features)
            for step in range(GROUPS):
                predictions = self.context(step, known, features, planes)
                slots, where, means, scales = [], [], [], []
                for (group, top, left), (mean, scale_index) in zip(cells(step), predictions, strict=True):
                    channels = slice(group * group_size, (group + 1) * group_size)
                    slot = (channels, slice(top, None, 2), slice(left, None, 2))
                    slots.append(slot)
                    where.append(places[slot].flatten())
                    means.append(
                        normaliser.from_mean(mean[0].long(), from_mean[channels, None, None]).flatten()
                    )
                    raised = scale_index[0].long() + offset[channels, None, None]
                    scales.append(raised.clamp_(0, normaliser.SCALES - 1).flatten())
                positions, mu64 = torch.cat(where), torch.cat(means)
                values = code(positions, mu64, torch.cat(scales)) * normaliser.STEP_UNIT + mu64
                y64.view(-1)[positions] = values
                for slot in slots:
                    known[0][slot] = normaliser.to_context(y64[slot], to_context[slot[0], None, None]).float()
        return y64
