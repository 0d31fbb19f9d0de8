"""Two optimisers as one: Muon for the matrices inside blocks and prior, Adam for everything else.

Muon (Jordan 2024) replaces a matrix' update by its nearest orthogonal one.  The pixel-facing and resampling matrices
start as an orthonormal transform; Adam moves every entry by about the learning rate, which destroys that start unless
the rate is small there: they have a rate of their own.

Both are torch's (`rdae.training.optimisation.muon`).  Whether a step counts is decided on the device, so that the host
need not wait for the loss.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rdae.training.autoencoder import Autoencoder
from rdae.training.config import PARTS, TrainingConfig
from rdae.training.modules.blocks import Block
from rdae.training.modules.layers import RelaxedLayer
from rdae.training.optimisation.muon import Muon

_MOMENTUM = 0.95
_BETAS = (0.9, 0.99)
_EPSILON = 1e-10


def freeze(model: Autoencoder, only: tuple[str, ...]) -> None:
    """Let only these parts of a model train; all if there are none."""
    free = tuple(name for part in only for name in PARTS[part])
    for name, parameter in model.named_parameters():
        if free and not name.startswith(free):
            parameter.requires_grad_(False)


def matrices(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that Muon takes: (out, in) matrices of blocks and of the prior's 1x1 layers."""
    found: list[nn.Parameter] = []
    for module in model.modules():
        if isinstance(module, Block):
            found += [module.expand.weight, module.project.weight]
        elif isinstance(module, RelaxedLayer) and not module.spec.kernel:
            found.append(module.weight)
    return [parameter for parameter in found if parameter.requires_grad]


def projections(model: Autoencoder) -> list[nn.Parameter]:
    """Return the parameters of the four linear maps that start as the DCT and Haar transform."""
    maps = (
        model.analysis.from_pixels,
        model.analysis.to_coarse,
        model.synthesis.to_fine,
        model.synthesis.to_pixels,
    )
    return [linear.weight for linear in maps if linear.weight.requires_grad]


class Optimiser:
    """Muon and Adam over disjoint parameters of one model, with a common learning-rate factor."""

    def __init__(self, model: Autoencoder, config: TrainingConfig) -> None:
        """Take all parameters of the model that want gradients; what is remembered of gradients starts at zero."""
        large, linear = matrices(model), projections(model)
        taken = {id(parameter) for parameter in large + linear}
        rest = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
        # The rates are comparable to Adam's, as updates get the root mean square of 0.2 that Adam's have (Liu et al.
        # 2025, arXiv:2502.16982).
        self.muon = Muon(
            [{"params": large}],
            weight_decay=config.matrix_decay,
            momentum=_MOMENTUM,
            adjust_lr_fn="match_rms_adamw",
        )
        self.adam = torch.optim.Adam(
            [{"params": rest}, {"params": linear}], betas=_BETAS, eps=_EPSILON, fused=True
        )
        self.rates = (config.matrix_rate, config.rate, config.projection_rate)
        self._matrices: list[Tensor] = list[Tensor](large)
        self._before = [torch.empty_like(parameter) for parameter in large]
        for parameter in large:
            self.muon.state[parameter] = {"momentum_buffer": torch.zeros_like(parameter)}
        for parameter in rest + linear:
            self.adam.state[parameter] = {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }

    def step(self, factor: float, usable: Tensor) -> None:
        """Make one step at `factor` times the configured learning rates.

        usable: a bool () on the device; where it is false nothing changes, whatever the gradients.
        """
        groups = [*self.muon.param_groups, *self.adam.param_groups]
        for group, rate in zip(groups, self.rates, strict=True):
            group["lr"] = rate * factor
        # By this torch's scaler of gradients tells the fused kernel that a step does not count.
        self.adam.found_inf = (~usable).float()  # type: ignore[attr-defined]
        self.adam.step()
        self._step_of_muon(usable)

    @torch.no_grad()
    def _step_of_muon(self, usable: Tensor) -> None:
        """Let Muon, which knows of no step that does not count, make one that leaves all as it was."""
        torch._foreach_copy_(self._before, self._matrices)
        for parameter in self._matrices:
            gradient, momentum = parameter.grad, self.muon.state[parameter]["momentum_buffer"]
            assert gradient is not None
            torch.where(usable, gradient, momentum, out=gradient)
        self.muon.step()
        undone = (~usable).float()
        for parameter, before in zip(self._matrices, self._before, strict=True):
            parameter.lerp_(before, undone)  # all the way or not at all, which is exact

    def state_dict(self) -> list[dict[str, Any]]:
        """Return what Muon and Adam remember, numbered as they number it, without settings."""
        return [{"state": part.state_dict()["state"]} for part in (self.muon, self.adam)]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Restore what `state_dict` returned."""
        for part, saved in zip((self.muon, self.adam), state, strict=True):
            count = sum(len(group["params"]) for group in part.param_groups)
            if set(saved["state"]) != set(range(count)):
                raise ValueError(f"{len(saved['state'])} optimiser states for {count} parameters")
            part.load_state_dict({"state": saved["state"], "param_groups": part.state_dict()["param_groups"]})

    def tensors(self) -> list[Tensor]:
        """Return all that the optimisers remember, to be made the same in all processes."""
        states = [*self.muon.state.values(), *self.adam.state.values()]
        return [tensor for state in states for tensor in state.values()]
