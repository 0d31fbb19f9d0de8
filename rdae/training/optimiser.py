"""Two optimisers as one: Muon for the matrices inside blocks and prior, Adam for everything else.

Muon (Jordan 2024; torch.optim.Muon) replaces a matrix' update by its nearest orthogonal one.  The pixel-facing and
resampling matrices start as an orthonormal transform; Adam moves every entry by about the learning rate, which
destroys that start unless the rate is small there: they have a rate of their own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from rdae.errors import TrainingError
from rdae.training.autoencoder import Autoencoder
from rdae.training.config import TrainingConfig
from rdae.training.relaxed import RelaxedLayer
from rdae.transforms.blocks import Block


def check_torch() -> None:
    """TrainingError if this torch is too old to train with."""
    if not hasattr(torch.optim, "Muon"):
        raise TrainingError(
            f"torch {torch.__version__} has no Muon optimiser: training needs torch 2.9 or newer"
        )


def matrices(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that Muon takes: (out, in) matrices of blocks and of the prior's 1x1 layers."""
    found: list[nn.Parameter] = []
    for module in model.modules():
        if isinstance(module, Block):
            found += [module.expand.weight, module.project.weight]
        elif isinstance(module, RelaxedLayer) and not module.spec.kernel:
            found.append(module.weight)
    return found


def projections(model: Autoencoder) -> list[nn.Parameter]:
    """Return the parameters of the four linear maps that start as the DCT and Haar transform."""
    maps = (
        model.analysis.from_pixels,
        model.analysis.to_coarse,
        model.synthesis.to_fine,
        model.synthesis.to_pixels,
    )
    return [linear.weight for linear in maps]


class Optimiser:
    """Muon and Adam over disjoint parameters of one model, with a common learning-rate factor."""

    def __init__(self, model: Autoencoder, config: TrainingConfig) -> None:
        """Take all parameters of the model that want gradients."""
        check_torch()
        large, linear = matrices(model), projections(model)
        taken = {id(p) for p in large + linear}
        rest = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
        muon = torch.optim.Muon(large, weight_decay=config.matrix_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw")
        adam = torch.optim.Adam([{"params": rest}, {"params": linear}], betas=(0.9, 0.99), eps=1e-10)
        self._parts: list[tuple[torch.optim.Optimizer, list[float]]] = [
            (muon, [config.matrix_rate]),
            (adam, [config.rate, config.projection_rate]),
        ]

    def step(self, factor: float) -> None:
        """Make one step at `factor` times the configured learning rates."""
        for part, rates in self._parts:
            for group, rate in zip(part.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            part.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the states of both parts."""
        return [part.state_dict() for part, _ in self._parts]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Restore what `state_dict` returned."""
        for (part, _), saved in zip(self._parts, state, strict=True):
            part.load_state_dict(saved)


def rate_factor(progress: float, steps_since_start: int, config: TrainingConfig) -> float:
    """Return the learning-rate factor: linear warm-up after each start, constant, linear decay at the end.

    progress: share of the budget used, 0..1.  Extending the budget moves the decay, so a run can be continued.
    """
    warm = min(1.0, (steps_since_start + 1) / max(1, config.warmup_steps))
    cool = min(1.0, (1.0 - progress) / config.decay) if config.decay > 0 else 1.0
    return warm * max(0.0, cool)
