"""Adam (Kingma and Ba 2015, arXiv:1412.6980) over all parameters as one long vector.

The same numbers as torch.optim.Adam.  What it adds: whether a step counts is decided on the device, so that the host
need not wait for the loss.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rdae.training.optimisation.muon import gradient_of

MEAN_DECAY, SQUARE_DECAY = 0.9, 0.99
_EPSILON = 1e-10


class Adam:
    """The optimiser of one group of parameters with a common learning rate."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        """Take the parameters; their moments start at zero."""
        self.parameters = parameters
        self._sizes = [parameter.numel() for parameter in parameters]
        device = parameters[0].device if parameters else torch.device("cpu")
        self._mean = torch.zeros(sum(self._sizes), device=device)
        self._square = torch.zeros(sum(self._sizes), device=device)
        self._steps = torch.zeros((), device=device)

    @torch.no_grad()
    def step(self, rate: float, usable: Tensor) -> None:
        """Make one step from the gradients; where `usable`, a bool on the device, is false nothing changes."""
        if not self.parameters:
            return
        gradient = torch.cat([gradient_of(parameter).reshape(-1) for parameter in self.parameters])
        kept = usable.float()
        self._steps += kept
        self._mean.lerp_(torch.where(usable, gradient, self._mean), 1 - MEAN_DECAY)
        self._square.lerp_(torch.where(usable, gradient * gradient, self._square), 1 - SQUARE_DECAY)
        steps = self._steps.clamp(min=1)
        size = kept * rate / (1 - MEAN_DECAY**steps)
        spread = (self._square / (1 - SQUARE_DECAY**steps)).sqrt_().add_(_EPSILON)
        parts = (size * self._mean / spread).split(self._sizes)
        updates = [part.view_as(parameter) for part, parameter in zip(parts, self.parameters, strict=True)]
        torch._foreach_sub_(list[Tensor](self.parameters), updates)

    def state(self) -> list[dict[str, Tensor]]:
        """Return the moments by parameter."""
        moments = zip(
            self._mean.split(self._sizes), self._square.split(self._sizes), self.parameters, strict=True
        )
        return [
            {
                "step": self._steps.clone(),
                "exp_avg": mean.view_as(parameter).clone(),
                "exp_avg_sq": square.view_as(parameter).clone(),
            }
            for mean, square, parameter in moments
        ]

    def load(self, state: list[dict[str, Tensor]]) -> None:
        """Restore what `state` returned."""
        if self.parameters:
            self._mean.copy_(torch.cat([one["exp_avg"].reshape(-1) for one in state]))
            self._square.copy_(torch.cat([one["exp_avg_sq"].reshape(-1) for one in state]))
            self._steps.copy_(state[0]["step"])

    def tensors(self) -> list[Tensor]:
        """Return what `step` remembers."""
        return [self._mean, self._square, self._steps]
