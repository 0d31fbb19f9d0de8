"""How fast a configuration trains on a device, and what share of that device's arithmetic it uses."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from rdae.training.numbers import three_digits
from rdae.training.trainer import Trainer

_WARM = 3
_LEAST_S = 5.0
_LEAST_STEPS = 5
_PASSES = 3
"""A forward and a backward pass cost three forward ones: the backward one has a product for the features' gradient and
one for the weights'."""


@dataclasses.dataclass(frozen=True)
class Profile:
    """Measured on one process: seconds a step in all, and of these for crops; FLOP count a multiply-add as two.

    network_flop: of both passes.  optimiser_flop: of a step of Muon.  peak_flops: of a large matrix product, a second.
    """

    crops: int
    side: int
    step_s: float
    crops_s: float
    network_flop: float
    optimiser_flop: float
    peak_flops: float
    memory_bytes: int

    @property
    def achieved_flops(self) -> float:
        """Arithmetic a second."""
        return (self.network_flop + self.optimiser_flop) / self.step_s

    def lines(self) -> list[str]:
        """The numbers for a reader."""
        pixels = self.crops * self.side**2
        crops_per_s = self.crops / self.step_s
        speed = three_digits(pixels / self.step_s / 1e6)
        kmac = self.network_flop / _PASSES / 2 / pixels / 1e3
        found = [
            f"step          {1e3 * self.step_s:.1f} ms, of which crops {1e3 * self.crops_s:.1f} ms",
            f"crops/s       {crops_per_s:.1f} of {self.side}x{self.side}, {speed} Mpx/s",
            f"network       {self.network_flop / 1e9:.1f} GFLOP a step: {kmac:.1f} kMAC/px forward, thrice in all",
            f"optimiser     {self.optimiser_flop / 1e9:.1f} GFLOP a step",
            f"achieved      {self.achieved_flops / 1e12:.3f} TFLOP/s",
            f"matrix peak   {self.peak_flops / 1e12:.3f} TFLOP/s, of which {self.achieved_flops / self.peak_flops:.1%}",
        ]
        if self.memory_bytes:
            found.append(f"memory        {self.memory_bytes / 2**30:.2f} GiB at most")
        return found


def profile(trainer: Trainer) -> Profile:
    """Time steps of a trainer as it stands, which move its weights; nothing is written.  Called by all processes."""
    side = trainer.pace().crop

    def step() -> None:
        trainer._train_step()  # noqa: SLF001 - the very thing that is measured
        trainer.step += 1

    for _ in range(_WARM):
        step()
    _finish(trainer.device)
    if trainer.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(trainer.device)
    step_s = _seconds(step, trainer)
    memory = torch.cuda.max_memory_allocated(trainer.device) if trainer.device.type == "cuda" else 0
    crops_s = _seconds(lambda: trainer._crops(0, side), trainer)  # noqa: SLF001
    x = trainer._crops(0, side).float() / 255  # noqa: SLF001
    with FlopCounterMode(display=False) as network, torch.no_grad():
        trainer.model(x, trainer._indices(0))  # noqa: SLF001
    with FlopCounterMode(display=False) as optimiser:
        trainer.optimiser.step(0.0, torch.zeros((), dtype=torch.bool, device=trainer.device))
    return Profile(
        crops=trainer.config.batch,
        side=side,
        step_s=step_s,
        crops_s=crops_s,
        network_flop=float(_PASSES * network.get_total_flops() * trainer.group.world),
        optimiser_flop=float(optimiser.get_total_flops() * trainer.group.world),
        peak_flops=_peak(trainer) * trainer.group.world,
        memory_bytes=memory,
    )


def _seconds(work: Callable[[], object], trainer: Trainer) -> float:
    """Mean seconds of a piece of work; all processes do it as many times."""
    began = time.monotonic()
    work()
    _finish(trainer.device)
    once = trainer.group.total([time.monotonic() - began])[0] / trainer.group.world
    count = max(_LEAST_STEPS, min(1000, round(_LEAST_S / max(once, 1e-6))))
    began = time.monotonic()
    for _ in range(count):
        work()
    _finish(trainer.device)
    return (time.monotonic() - began) / count


def _peak(trainer: Trainer) -> float:
    """FLOP a second of a large product of square matrices, in the precision of the networks."""
    side = 8192 if trainer.device.type == "cuda" else 2048
    dtype = torch.bfloat16 if trainer.config.precision == "bf16" else torch.float32
    a = torch.randn(side, side, device=trainer.device).to(dtype)
    a @ a
    return 2 * side**3 / _seconds(lambda: a @ a, trainer)


def _finish(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
