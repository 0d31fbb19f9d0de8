"""The context model: four steps, each telling mean and scale of a quarter of ŷ from the hyper features and ŷ so far.

The channels of y are in four groups, the positions in the four cells of each 2x2.  Step i codes group j at cell
(i + j) mod 4: a quarter of the latents everywhere at once, and later steps see neighbours on all sides.

        cell  0 1      step 0 codes group  0 3     step 1  1 0     step 2  2 1     step 3  3 2
              2 3                          2 1             3 2             0 3             1 0

Latents enter, and means leave, divided by a reference scale per channel and quality
(`rdae.training.modules.normaliser`), so that the same numbers mean the same thing at every quality.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from rdae.networks.architecture import GROUPS, Architecture
from rdae.training.modules.layers import HIDDEN_MAX, UNIT, LayerFactory, LayerSpec
from rdae.training.modules.trunk import Trunk

CONTEXT_MAX = 2047
"""Largest magnitude of a latent as the context model sees it, in units of 1/128 of the reference scale."""

MEAN_UNIT = 2048
MEAN_MAX = 2**15 - 1
"""Means leave the network as integers of 1/2048 of the reference scale, in -32767..32767."""

INDEX_MAX = 127
"""Scale indices leave the network as -127..127, before the reference scale's own index is added."""


def cells(step: int) -> Iterator[tuple[int, int, int]]:
    """Yield (group, row, column): what step 0..3 codes where in each 2x2 of positions."""
    for group in range(GROUPS):
        row, column = divmod((step + group) % GROUPS, 2)
        yield group, row, column


def cell_planes(height: int, width: int, one: float, like: Tensor) -> Tensor:
    """Return (1, 4, height, width) with `one` where a position is in that cell of its 2x2, else 0."""
    planes = torch.zeros(1, GROUPS, height, width, dtype=like.dtype, device=like.device)
    for cell in range(GROUPS):
        row, column = divmod(cell, 2)
        planes[:, cell, row::2, column::2] = one
    return planes


class ContextModel(nn.Module):
    """The networks of the four steps: an entry each, a trunk each or one for all, a head for each step and group."""

    def __init__(self, architecture: Architecture, layer: LayerFactory) -> None:
        """Wire the networks out of layers made by `layer`."""
        super().__init__()
        latents, features, width = architecture.latents, architecture.hyper_width, architecture.context_width
        self.group_size = latents // GROUPS
        self.entries = nn.ModuleList(
            layer(
                LayerSpec(
                    name=f"context.entries.{step}",
                    channels_in=latents + features + GROUPS,
                    channels_out=width,
                    max_in=max(CONTEXT_MAX, HIDDEN_MAX, UNIT),
                ),
            )
            for step in range(GROUPS)
        )
        self.trunks = nn.ModuleList(
            Trunk(architecture, layer, f"context.trunks.{number}")
            for number in range(architecture.context_trunks)
        )
        self.means = nn.ModuleList()
        self.indices = nn.ModuleList()
        for step in range(GROUPS):
            for group in range(GROUPS):
                self.means.append(
                    layer(
                        LayerSpec(
                            name=f"context.means.{step}.{group}",
                            channels_in=width,
                            channels_out=self.group_size,
                            unit_out=MEAN_UNIT,
                            low=-MEAN_MAX,
                            high=MEAN_MAX,
                        ),
                    ),
                )
                self.indices.append(
                    layer(
                        LayerSpec(
                            name=f"context.indices.{step}.{group}",
                            channels_in=width,
                            channels_out=self.group_size,
                            unit_out=1,
                            low=-INDEX_MAX,
                            high=INDEX_MAX,
                        ),
                    ),
                )

    def forward(
        self, step: int, known: Tensor, features: Tensor, planes: Tensor
    ) -> list[tuple[Tensor, Tensor]]:
        """Predict what step 0..3 codes.

        known: (B, latents, h, w), the normalised ŷ so far, 0 where not yet coded; features: (B, hyper_width, h, w);
        planes: (B or 1, 4, h, w), `cell_planes`.
        Returns, for each group of `cells(step)`, mean and scale index: (B, latents/4, ceil or floor of h/2, w/2).
        """
        return self.heads(step, self.trunk(step, known, features, planes))

    def trunk(self, step: int, known: Tensor, features: Tensor, planes: Tensor) -> Tensor:
        """Compute the features of all positions, (B, context_width, h, w): a row depends on `reach` rows beside it."""
        inputs = torch.cat([known, features, planes.expand(known.shape[0], -1, -1, -1)], dim=1)
        return self.body(step, self.entries[step](inputs))

    def body(self, step: int, a: Tensor) -> Tensor:
        """Do the part of a step's trunk after its entry."""
        found: Tensor = self.trunk_of(step)(a)
        return found

    def trunk_of(self, step: int) -> Trunk:
        """Return the trunk of a step 0..3, its own or that of all."""
        trunk = self.trunks[step % len(self.trunks)]
        assert isinstance(trunk, Trunk)
        return trunk

    @property
    def reach(self) -> int:
        """Rows and columns that the trunks' depthwise convolutions look to each side."""
        return self.trunk_of(0).reach

    def heads(self, step: int, a: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Turn the trunk's features into what `forward` returns."""
        predictions = []
        for group, row, column in cells(step):
            here = a[:, :, row::2, column::2]
            head = step * GROUPS + group
            predictions.append((self.means[head](here), self.indices[head](here)))
        return predictions
