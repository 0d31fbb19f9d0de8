"""Two optimisers as one: Muon for the matrices inside blocks and prior, Adam for everything else.

Muon replaces a matrix' update by its nearest orthogonal one.  The pixel-facing and resampling matrices start as an
orthonormal transform; Adam moves every entry by about the learning rate, which destroys that start unless the rate is
small there: they have a rate of their own.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from rdae.training.autoencoder import Autoencoder
from rdae.training.config import PARTS, TrainingConfig
from rdae.training.modules.blocks import Block
from rdae.training.optimisation.adam import Adam
from rdae.training.optimisation.muon import Muon
from rdae.training.relaxed import RelaxedLayer


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
        """Take all parameters of the model that want gradients."""
        large, linear = matrices(model), projections(model)
        taken = {id(p) for p in large + linear}
        rest = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
        self.muon = Muon(large, config.matrix_decay)
        self.rest, self.linear = Adam(rest), Adam(linear)
        self.rates = (config.matrix_rate, config.rate, config.projection_rate)

    def step(self, factor: float, usable: Tensor) -> None:
        """Make one step at `factor` times the configured learning rates; none where `usable` (bool, ()) is false."""
        for part, rate in zip(self._parts(), self.rates, strict=True):
            part.step(rate * factor, usable)

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the states, numbered as torch's own optimisers do: Muon's, and that of Adam with two groups."""
        adam = self.rest.state() + self.linear.state()
        return [{"state": dict(enumerate(part))} for part in (self.muon.state(), adam)]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Restore what `state_dict` returned."""
        muon, adam = ([part["state"][i] for i in range(len(part["state"]))] for part in state)
        split = len(self.rest.parameters)
        for part, saved in zip(self._parts(), (muon, adam[:split], adam[split:]), strict=True):
            if len(saved) != len(part.parameters):
                raise ValueError(f"{len(saved)} optimiser states for {len(part.parameters)} parameters")
            part.load(saved)

    def tensors(self) -> list[Tensor]:
        """Return all that the optimisers remember, to be made the same in all processes."""
        return [tensor for part in self._parts() for tensor in part.tensors()]

    def _parts(self) -> tuple[Muon | Adam, ...]:
        return self.muon, self.rest, self.linear
