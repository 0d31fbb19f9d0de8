"""The exact prior: from ẑ and the quality to means, scale indices and tables, the same integers on every machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from rdae.networks.architecture import GROUPS, Architecture
from rdae.networks.tables import Tables
from rdae.quality import hats
from rdae.rows import bands, longer_side
from rdae.training.modules import normaliser
from rdae.training.modules.context_model import ContextModel, cell_planes, cells
from rdae.training.modules.hyperprior import Z_MAX, HyperSynthesis
from rdae.training.modules.layers import UNIT, ExactLayer, exact_float32, exact_sums, together

SYMBOL_MAX = 2**20
"""Largest magnitude of a coded residual; a decoder that meets a larger one refuses the file."""

TABLE_MAX = 2**29
"""Largest magnitude of an entry of the normaliser's tables, far beyond what they hold: ŷ·64 then fits 32 bits."""


@dataclasses.dataclass(frozen=True)
class Places:
    """Where a step's latents are: a block of channels and one cell of each 2x2, four times."""

    slots: tuple[tuple[slice, slice, slice], ...]

    def take(self, planes: Tensor) -> Tensor:
        """Return the step's part of (latents, h, w), flattened, in the order of coding."""
        return torch.cat([planes[slot].flatten() for slot in self.slots])

    def put(self, planes: Tensor, values: Tensor) -> None:
        """Write what `take` returns back."""
        start = 0
        for slot in self.slots:
            part = planes[slot]
            part.copy_(values[start : start + part.numel()].view(part.shape))
            start += part.numel()


CodeStep = Callable[[Places, Tensor, Tensor], Tensor]


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
        """Raise ValueError unless every layer keeps the bounds that make it exact, and the tables those of int32."""
        for module in self.modules():
            if isinstance(module, ExactLayer):
                module.check()
        for name in ("to_context", "from_mean", "index_offset"):
            # Means reach 2^15 * 2^29 / 2^14, and ŷ·64 at most 2^20 * 64 more.
            if bool((getattr(self, name).abs() > TABLE_MAX).any()):
                raise ValueError(f"{name} has entries beyond 2^29")

    @torch.inference_mode()
    def run(self, z: Tensor, index: int, size: tuple[int, int], code: CodeStep) -> Tensor:
        """Go through the four steps, with `code` telling or reading the residuals of each.

        z: int64 (hyper_latents, ceil(h/4), ceil(w/4)), the decoded hyper-latents; index: quality index 0..800;
        size: (h, w).
        code(places, means, scales) -> residuals: places says where in (latents, h, w) the step's N latents are, means
        (N,) int32 are their means in 1/64 step, scales (N,) int32 their scale indices 0..63; it returns the N
        residuals, int32, 0 wherever the scale index is below `skip_below`.
        Returns ŷ·64, int32 (latents, h, w).
        """
        device = z.device
        height, width = size
        latents, group_size = self.architecture.latents, self.context.group_size
        row = normaliser.row(index)
        to_context, from_mean, offset = self.to_context[row], self.from_mean[row], self.index_offset[row]
        weights = torch.tensor(hats(index), dtype=torch.float32).to(device)[None, :, None, None]
        y64 = torch.zeros(latents, height, width, dtype=torch.int32, device=device)
        known = torch.zeros(1, latents, height, width, dtype=torch.float32, device=device).contiguous(
            memory_format=torch.channels_last
        )
        with exact_float32():
            features = self.hyper(z.clamp(-Z_MAX, Z_MAX).float()[None], weights, size)
            for step in range(GROUPS):
                predictions = self._predict(step, known, features)
                slots, means, scales = [], [], []
                for (group, top, left), (mean, scale_index) in zip(cells(step), predictions, strict=True):
                    channels = slice(group * group_size, (group + 1) * group_size)
                    slots.append((channels, slice(top, None, 2), slice(left, None, 2)))
                    mean64 = normaliser.from_mean(mean.long(), from_mean[channels, None, None])
                    means.append(mean64.int().flatten())
                    raised = scale_index.int() + offset[channels, None, None].int()
                    scales.append(raised.clamp_(0, normaliser.SCALES - 1).flatten())
                places, mu64 = Places(tuple(slots)), torch.cat(means)
                places.put(y64, code(places, mu64, torch.cat(scales)) * normaliser.STEP_UNIT + mu64)
                for slot in slots:
                    seen = normaliser.to_context(y64[slot].long(), to_context[slot[0], None, None])
                    known[0][slot] = seen.float()
        return y64

    def _predict(self, step: int, known: Tensor, features: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return the context model's forward of batch 1, a band at a time, which changes no bit of it."""
        latents, reach = known.shape[1], self.context.reach
        reach += reach % 2  # a band begins at the first of two rows of cells
        dim, length, across = longer_side(known, 2)
        entry_bytes = 4 * (latents + features.shape[1] + GROUPS)
        found = []
        for first, last in bands(length, entry_bytes * across, known.device):
            start, end = max(0, first - reach), min(length, last + reach)
            seen, around = (x.narrow(dim, start, end - start) for x in (known, features))
            a = self.context.body(step, self._entry(step, seen, around))
            found.append(self._heads(step, a.narrow(dim, first - start, last - first)))
        if len(found) == 1:
            return [(mean[0], index[0]) for mean, index in found[0]]
        return [
            (
                torch.cat([mean for mean, _ in group], dim=dim)[0],
                torch.cat([index for _, index in group], dim=dim)[0],
            )
            for group in zip(*found, strict=True)
        ]

    def _entry(self, step: int, known: Tensor, features: Tensor) -> Tensor:
        """Do the context model's entry without copying its three inputs together, or multiplying zeros."""
        layer = self.context.entries[step]
        assert isinstance(layer, ExactLayer)
        latents, half = known.shape[1], layer.rounding()
        # The height and width of a band are even but at the picture's end, so these are the right cells.
        planes = cell_planes(features.shape[2], features.shape[3], UNIT, features)
        around = torch.cat([features, planes], dim=1)
        total = exact_sums(layer.weight[:, latents:], layer.bias + half, around)
        if step > 0:
            total += exact_sums(layer.weight[:, :latents], torch.zeros_like(layer.bias), known)
        return layer.settle(total, half)

    def _heads(self, step: int, a: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return the context model's heads, mean and index of a cell at once."""
        found = []
        for group, row, column in cells(step):
            head = step * GROUPS + group
            mean_layer, index_layer = self.context.means[head], self.context.indices[head]
            assert isinstance(mean_layer, ExactLayer)
            assert isinstance(index_layer, ExactLayer)
            mean, index = together([mean_layer, index_layer], a[:, :, row::2, column::2])
            found.append((mean, index))
        return found
