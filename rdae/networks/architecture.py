"""The widths and depths of one network: what a weights file must state so that its tensors make sense.

Everything that a trained model fixes and that code cannot guess lives here, as one frozen dataclass.  Blocks can
be added to a trained model without loss (their residual branches start at zero); widths cannot be changed.
"""

from __future__ import annotations

import dataclasses
from typing import Any

PATCH = 16
"""Pixels of the picture's side per position of the latents y."""

HYPER_STRIDE = 4
"""Positions of y per position of the hyper-latents z, along each axis."""

GROUPS = 4
"""Channel groups of y, and cells of each 2x2 of positions: the four steps of the context model."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """Sizes of every part of a model.

    fine: channels of the features at 1/8 of the picture's resolution.
    latents: channels of y, and of the features at 1/16; a multiple of 4.
    hyper_latents: channels of z, at 1/64.
    analysis_fine, analysis_coarse: blocks of the analysis at 1/8 and at 1/16.
    synthesis_coarse, synthesis_fine: blocks of the synthesis at 1/16 and at 1/8.
    hyper_width: channels of the hyper features that the context model reads, at 1/16.
    context_width: channels inside the context model.
    context_deeper: pairs of layers that its trunk has beyond two, each of which adds to what came before.
    context_trunks: 4 for a trunk of its own for each step, 1 for one that all steps share.
    """

    fine: int = 192
    latents: int = 384
    hyper_latents: int = 128
    analysis_fine: int = 3
    analysis_coarse: int = 3
    synthesis_coarse: int = 3
    synthesis_fine: int = 3
    hyper_width: int = 256
    context_width: int = 256
    context_deeper: int = 0
    context_trunks: int = 1

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or not 0 <= value <= 4096:
                raise ValueError(f"{field.name} is {value!r}, expected an integer in 0..4096")
        if self.fine < 1 or self.fine > 192:
            raise ValueError(f"fine is {self.fine}: the 8x8 patches of a picture have 1..192 channels")
        if self.latents < GROUPS or self.latents % GROUPS or self.latents > 4 * self.fine:
            raise ValueError(f"latents is {self.latents}, expected a multiple of {GROUPS} up to 4 * fine")
        if self.context_trunks not in (1, GROUPS):
            raise ValueError(f"context_trunks is {self.context_trunks}, expected 1 or {GROUPS}")
        if min(self.hyper_latents, self.hyper_width, self.context_width) < 1:
            raise ValueError("hyper_latents, hyper_width and context_width must be at least 1")

    def to_dict(self) -> dict[str, int]:
        """Return the fields as plain integers, for a manifest or a checkpoint."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Architecture:
        """Rebuild from `to_dict`'s result; ValueError if a field is missing, unknown or out of range."""
        names = {field.name for field in dataclasses.fields(cls)}
        fields = {"context_deeper": 0, "context_trunks": 1, **fields}  # which older weights do not state
        if set(fields) != names:
            raise ValueError(f"architecture has fields {sorted(fields)}, expected {sorted(names)}")
        return cls(**fields)


TINY = Architecture(
    fine=16,
    latents=16,
    hyper_latents=4,
    analysis_fine=1,
    analysis_coarse=1,
    synthesis_coarse=1,
    synthesis_fine=1,
    hyper_width=8,
    context_width=8,
)
"""A model small enough for tests."""
