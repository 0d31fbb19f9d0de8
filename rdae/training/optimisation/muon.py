"""torch's Muon, computed in float32 where a processor has no quick bfloat16 products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rdae.training.precision import quick_bfloat16


class Muon(torch.optim.Muon):
    """`torch.optim.Muon`, of which only the precision differs, and only on some processors.

    torch computes the orthogonal update in bfloat16.  On processors where oneDNN has no bfloat16, such products are
    plain loops, forty times as slow as those in float32 on an AMD EPYC (Zen 2), where a step of training took eight
    times as long.  The state must be there, as `rdae.training.optimisation.optimiser` makes it.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step, as `torch.optim.Muon.step` does."""
        if all(quick_bfloat16(p.device) for group in self.param_groups for p in group["params"]):
            return super().step(closure)  # type: ignore[no-untyped-call]
        if closure is not None:
            raise ValueError("a closure is not supported")
        for group in self.param_groups:
            for parameter in group["params"]:
                self._update(parameter, group)
        return None

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient, momentum = parameter.grad, group["momentum"]
        if gradient is None:
            return
        average = self.state[parameter]["momentum_buffer"]
        average.lerp_(gradient, 1 - momentum)
        update = gradient.lerp(average, momentum) if group["nesterov"] else average
        update = orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rate = group["lr"]
        parameter.mul_(1 - rate * group["weight_decay"])
        # An update whose root mean square is that of Adam's: Liu et al. 2025, arXiv:2502.16982, equation 4.
        assert group["adjust_lr_fn"] == "match_rms_adamw"
        parameter.add_(update, alpha=-rate * 0.2 * max(parameter.shape) ** 0.5)


def orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, least: float) -> Tensor:
    """Return about the nearest (semi-)orthogonal matrix of a float32 one, (out, in), by Newton and Schulz's iteration.

    Jordan 2024, https://kellerjordan.github.io/posts/muon/: with these coefficients singular values come to lie
    between 0.5 and 1.5, in few steps.  least: smallest norm that the matrix is divided by.
    """
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=least)  # so that no singular value is above 1
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
