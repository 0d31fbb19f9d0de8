"""Muon (Jordan 2024): momentum whose every step is replaced by the nearest orthogonal matrix, for stacks of matrices.

The same numbers as torch.optim.Muon, which goes through the matrices one by one.  A network has many of the same shape:
stacked, all of a shape cost as many kernels as one, which is what counts on a GPU (on a CPU it saves 7 %).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

MOMENTUM = 0.95

# The quintic of Jordan's Newton-Schulz iteration: steep at 0, singular values end up in about 0.7..1.2.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5
_EPSILON = 1e-7


def orthogonalised(matrices: Tensor, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """Return about U·Vᵀ of each matrix U·S·Vᵀ: (n, rows, columns) -> the same shape, in `dtype`."""
    x = matrices.to(dtype)
    upright = x.shape[1] > x.shape[2]
    x = x.mT if upright else x  # the products are as large as the smaller side
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=_EPSILON)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x.mT if upright else x


class Muon:
    """The optimiser of (rows, columns) parameters, grouped by shape."""

    def __init__(self, parameters: list[nn.Parameter], weight_decay: float) -> None:
        """Take the parameters; their momentum starts at zero."""
        self.parameters = parameters
        self.weight_decay = weight_decay
        shapes: dict[tuple[int, ...], list[int]] = {}
        for place, parameter in enumerate(parameters):
            shapes.setdefault(tuple(parameter.shape), []).append(place)
        self._groups = list(shapes.values())  # places in `parameters`
        self._momenta = [
            torch.zeros(len(group), *parameters[group[0]].shape, device=parameters[group[0]].device)
            for group in self._groups
        ]

    @torch.no_grad()
    def step(self, rate: float, usable: Tensor) -> None:
        """Make one step from the gradients.

        rate: comparable to Adam's, as updates get the root mean square of 0.2 that Adam's have (Liu et al. 2025,
        arXiv:2502.16982).  usable: a bool on the device; where it is false nothing changes, whatever the gradients.
        """
        kept = usable.float()
        for group, momentum in zip(self._groups, self._momenta, strict=True):
            members: list[Tensor] = [self.parameters[place] for place in group]
            gradient = torch.stack([gradient_of(member) for member in members])
            gradient = torch.where(usable, gradient, momentum)
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update = orthogonalised(gradient.lerp(momentum, MOMENTUM)).float()
            update = update * (kept * rate * 0.2 * math.sqrt(max(update.shape[1:])))
            torch._foreach_mul_(members, 1 - kept * rate * self.weight_decay)
            torch._foreach_sub_(members, list(update.unbind()))

    def state(self) -> list[dict[str, Tensor]]:
        """Return the momenta by parameter."""
        found: list[dict[str, Tensor]] = [{} for _ in self.parameters]
        for group, momentum in zip(self._groups, self._momenta, strict=True):
            for place, one in zip(group, momentum, strict=True):
                found[place] = {"momentum_buffer": one.clone()}
        return found

    def load(self, state: list[dict[str, Tensor]]) -> None:
        """Restore what `state` returned."""
        for group, momentum in zip(self._groups, self._momenta, strict=True):
            momentum.copy_(torch.stack([state[place]["momentum_buffer"] for place in group]))

    def tensors(self) -> list[Tensor]:
        """Return what `step` remembers."""
        return self._momenta


def gradient_of(parameter: Tensor) -> Tensor:
    """Return the gradient of a parameter, which is there after the backward pass."""
    if parameter.grad is None:
        raise RuntimeError("a parameter has no gradient")
    return parameter.grad
