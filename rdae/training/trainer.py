"""The training loop: one readable pass from pictures to weights, the same on a laptop and on a GPU.

Each step draws its crops, qualities and noise from generators seeded by (seed, step) alone, so a run that was killed
and resumed repeats exactly what it would have done.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rdae.errors import TrainingError
from rdae.training import checkpoint, objective
from rdae.training.autoencoder import Autoencoder
from rdae.training.config import TrainingConfig
from rdae.training.data import Pictures
from rdae.training.optimiser import Optimiser, rate_factor
from rdae.training.relaxed import RelaxedLayer
from rdae.training.start import set_scales

_MAX_SKIPPED = 100
"""Steps in a row with a gradient that is not finite, after which a run gives up."""

_VALIDATION_INDICES = (0, 160, 320, 480, 640, 800)
_VALIDATION_SIDE = 512


class Trainer:
    """One run: its model, averages, optimiser, data and folder."""

    def __init__(
        self,
        config: TrainingConfig,
        run: Path,
        device: str = "cpu",
        *,
        report: Callable[[str], None] | None = None,
    ) -> None:
        """Build everything at the start state; `resume` or `start_from` may replace it.

        report: called with each progress line; default: standard error.
        """
        self.config = config
        self.run = run
        self.device = torch.device(device)
        self.report = report or (lambda line: sys.stderr.write(line + "\n"))
        torch.manual_seed(config.seed)
        self.model = Autoencoder(config.architecture)
        self.pictures = Pictures(config.data, self.device, config.crop)
        self.validation = Pictures(config.validation, self.device, 64) if config.validation else None
        set_scales(self.model, self._crops(step=-1, count=64).cpu().float() / 255)
        self.model.to(self.device)
        self.optimiser = Optimiser(self.model, config)
        self.average: dict[str, Tensor] = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.step = 0
        self.elapsed_s = 0.0
        self.pixels = 0
        self._started_at = 0

    # -- state ---------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return everything that `resume` needs."""
        return {
            "config": json.dumps(self.config.to_dict()),
            "model": self.model.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "pixels": self.pixels,
        }

    def resume(self) -> None:
        """Go on from the run's checkpoint."""
        state = checkpoint.load(self.run)
        self.model.load_state_dict(state["model"])
        self.average = {k: v.to(self.device) for k, v in state["average"].items()}
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.elapsed_s, self.pixels = state["step"], state["elapsed_s"], state["pixels"]
        # A resumed optimiser is warm; only one without its state must warm up again.
        self._started_at = -self.config.warmup_steps

    def start_from(self, weights: dict[str, Tensor], pixels: int) -> None:
        """Start from given weights (a state dict of the autoencoder, maybe of fewer blocks) instead of the DCT."""
        missing, unexpected = self.model.load_state_dict(weights, strict=False)
        # Blocks that the weights lack keep their start, where they change nothing.
        wrong = [name for name in missing if ".fine." not in name and ".coarse." not in name]
        if unexpected or wrong:
            raise TrainingError(f"weights of another architecture: {(unexpected + wrong)[0]} does not match")
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.pixels = pixels

    # -- the loop ------------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Train until the budget is used up; leaves a checkpoint whatever happens, SIGKILL included."""
        self.run.mkdir(parents=True, exist_ok=True)
        (self.run / "config.json").write_text(json.dumps(self.config.to_dict(), indent=1) + "\n")
        skipped = 0
        since, pixels_since = time.monotonic(), 0
        resumed_s, resumed_at = self.elapsed_s, time.monotonic()
        recent: list[Tensor] = []
        while self.progress() < 1:
            terms, finite = self._train_step()
            skipped = 0 if finite else skipped + 1
            if skipped > _MAX_SKIPPED:
                raise TrainingError(f"{self.run}: {skipped} steps in a row without a finite gradient")
            self.step += 1
            self.pixels += self.config.batch * self.config.crop**2
            pixels_since += self.config.batch * self.config.crop**2
            recent.append(terms)
            self.elapsed_s = resumed_s + time.monotonic() - resumed_at
            if self.step % self.config.log_every == 0:
                now = time.monotonic()
                self._log(torch.stack(recent).mean(dim=0).tolist(), pixels_since / (now - since))
                since, pixels_since = now, 0
                recent.clear()
            if self.step % self.config.checkpoint_every == 0:
                checkpoint.save(self.run, self.state())
            if self.validation and self.step % self.config.validate_every == 0:
                self.validate()
        checkpoint.save(self.run, self.state())
        if self.validation:
            self.validate()

    def progress(self) -> float:
        """Return the share of the budget used, 0..1."""
        if self.config.steps is not None:
            return min(1.0, self.step / self.config.steps)
        return min(1.0, self.elapsed_s / 3600 / (self.config.hours or 1))

    def _train_step(self) -> tuple[Tensor, bool]:
        """Make one step; return (loss, bpp, mse) as a tensor (3,) and whether the gradient was finite."""
        config = self.config
        x = self._crops(self.step, config.batch).float() / 255
        index = self._indices(self.step)
        torch.manual_seed(_mix(config.seed, self.step, 2))  # the noise that stands for rounding
        progress = self.progress()
        set_exact_steps(self.model, enabled=progress >= 1 - config.exact_phase)
        self.model.train()
        with self._autocast():
            output = self.model(x.contiguous(memory_format=torch.channels_last), index)
            terms = objective.terms(x, output, index, config.loss_power)
        loss = terms.loss.mean()
        for parameter in self.model.parameters():
            parameter.grad = None
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        finite = bool(torch.isfinite(norm) & torch.isfinite(loss.detach()))
        if finite:
            self.optimiser.step(rate_factor(progress, self.step - self._started_at, config))
            self._update_average()
        return torch.stack([loss.detach(), terms.bpp.mean().detach(), terms.mse.mean().detach()]), finite

    def _update_average(self) -> None:
        # Short at first, so that the start is forgotten.
        decay = min(self.config.average, (1 + self.step) / (10 + self.step))
        averages, values = [], []
        for name, value in self.model.state_dict().items():
            if value.dtype.is_floating_point:
                averages.append(self.average[name])
                values.append(value)
        torch._foreach_lerp_(averages, values, 1 - decay)

    def _crops(self, step: int, count: int) -> Tensor:
        return self.pictures.crops(count, self.config.crop, _generator(self.config.seed, step, 0))

    def _indices(self, step: int) -> Tensor:
        config = self.config
        # One quality from each of `batch` equal parts of the range: less noise than independent draws.
        generator = _generator(config.seed, step, 1)
        places = (torch.arange(config.batch) + torch.rand(config.batch, generator=generator)) / config.batch
        span = config.quality_high - config.quality_low + 1
        index = (config.quality_low + (places * span).floor()).long().clamp(max=config.quality_high)
        return index.to(self.device)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    # -- reports -------------------------------------------------------------------------------------------------

    def _log(self, means: list[float], pixels_per_s: float) -> None:
        loss, bpp, mse = means
        progress = self.progress()
        left_s = self.elapsed_s * (1 - progress) / max(progress, 1e-6)
        psnr = 10 * math.log10(255**2 / max(mse, 1e-9))
        self._write(kind="train", loss=loss, bpp=bpp, mse=mse, pixels_per_s=pixels_per_s, progress=progress)
        self.report(
            f"step {self.step}  loss {loss:.4f}  {bpp:.4f} bpp  {psnr:.2f} dB  "
            f"{pixels_per_s / 1e6:.2f} Mpx/s  {100 * progress:.1f} %  {left_s / 60:.0f} min left",
        )

    def _write(self, **fields: object) -> None:
        fields = {"step": self.step, "pixels": self.pixels, "elapsed_s": round(self.elapsed_s, 1), **fields}
        with (self.run / "metrics.jsonl").open("a") as stream:
            stream.write(json.dumps(fields) + "\n")

    @torch.no_grad()
    def validate(self) -> list[dict[str, float]]:
        """Measure the averaged weights on the validation pictures, rounded, at six qualities; write and return it."""
        if self.validation is None:
            raise TrainingError("this run has no validation pictures")
        trained = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        self.model.eval()
        rows = []
        for index in _VALIDATION_INDICES:
            if not self.config.quality_low <= index <= self.config.quality_high:
                continue
            bpp, psnr, loss = [], [], []
            for number in range(len(self.validation.pictures)):
                x = self.validation.centre(number, _VALIDATION_SIDE).float() / 255
                indices = torch.tensor([index], device=self.device)
                output = self.model(x.contiguous(memory_format=torch.channels_last), indices)
                output = type(output)(output.x_hat.clamp(0, 1), output.bits_y, output.bits_z)
                terms = objective.terms(x, output, indices, self.config.loss_power)
                bpp.append(float(terms.bpp))
                psnr.append(10 * math.log10(255**2 / max(float(terms.mse), 1e-9)))
                loss.append(float(terms.loss))
            count = len(bpp)
            rows.append(
                {
                    "index": index,
                    "bpp": sum(bpp) / count,
                    "psnr": sum(psnr) / count,
                    "loss": sum(loss) / count,
                }
            )
        self.model.load_state_dict(trained)
        self._write(kind="validation", rows=rows)
        self.report("validation  " + "  ".join(f"{r['bpp']:.3f} bpp {r['psnr']:.2f} dB" for r in rows))
        return rows


def set_exact_steps(model: nn.Module, *, enabled: bool) -> None:
    """Switch the rounding of the prior's relaxed layers."""
    for module in model.modules():
        if isinstance(module, RelaxedLayer):
            module.exact_steps = enabled


def _mix(seed: int, step: int, stream: int) -> int:
    """Return one seed for a step's stream of random numbers."""
    return (seed * 1_000_003 + step) * 4 + stream + 8


def _generator(seed: int, step: int, stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(_mix(seed, step, stream))
