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
from rdae.prior.layers import exact_float32
from rdae.training import checkpoint, objective
from rdae.training.autoencoder import Autoencoder
from rdae.training.config import TrainingConfig
from rdae.training.data import Pictures, check_sources
from rdae.training.metrics import Metrics
from rdae.training.optimiser import Optimiser, check_torch, rate_factor
from rdae.training.relaxed import RelaxedLayer
from rdae.training.start import set_scales

_MAX_SKIPPED = 100
"""Steps in a row without a usable gradient, after which a run gives up."""

_SPIKE = 8.0
"""A loss of this many times the usual one comes from a few strange crops or a step too far: the step is skipped."""

_VALIDATION_POINTS = 6
_VALIDATION_SIDE = 512


class Trainer:
    """One run: its model, averages, optimiser, data and folder."""

    def __init__(
        self,
        config: TrainingConfig,
        run: Path,
        device: str = "cpu",
        *,
        report: Callable[[str, bool], None] | None = None,
    ) -> None:
        """Build everything at the start state; `resume` or `start_from` may replace it.

        report: called with a line and whether the next one may overwrite it; default: all lines to standard error.
        TrainingError if the device or the data cannot be used, MissingExtraError without compressai: this comes first.
        """
        self.config = config
        self.run = run
        self.device = _usable(device)
        self.report = report or _to_stderr
        self.metrics = Metrics(run)
        check_torch()
        check_sources((*config.data, *config.validation))
        torch.manual_seed(config.seed)
        self.model = Autoencoder(config.architecture)
        self.pictures = Pictures(config.data, self.device, config.crop)
        self.validation = Pictures(config.validation, self.device, 64) if config.validation else None
        set_scales(self.model, self._crops(step=-1, count=64).cpu().float() / 255)
        self.model.to(self.device)
        self.optimiser = Optimiser(self.model, config)
        self._set_average(self.model.state_dict())
        self.step = 0
        self.elapsed_s = 0.0
        self.pixels = 0
        self._started_at = 0  # step at which the learning rate began to warm up
        self._recent: list[Tensor] = []  # (loss, bpp, mse) of the steps since the last log line
        self._usual_loss = 0.0  # slow average of the steps' losses, 0 before the first
        self._stopping = False

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
            "started_at": self._started_at,
            "usual_loss": self._usual_loss,
            "recent": torch.stack(self._recent) if self._recent else torch.zeros(0, 3),
        }

    def resume(self) -> None:
        """Go on from the run's checkpoint; TrainingError if there is none that fits."""
        state = checkpoint.load(self.run)
        try:
            self.model.load_state_dict(state["model"])
            self._set_average(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.elapsed_s, self.pixels = state["step"], state["elapsed_s"], state["pixels"]
            saved = TrainingConfig.from_dict(json.loads(state["config"]))
            self._started_at = state.get("started_at", 0)
            self._usual_loss = state.get("usual_loss", 0.0)
            self._recent = list(state.get("recent", torch.zeros(0, 3)).to(self.device))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            message = f"{self.run / checkpoint.NAME}: not a checkpoint of this run ({error})"
            raise TrainingError(message.splitlines()[0]) from error
        if (saved.steps, saved.hours) != (self.config.steps, self.config.hours):
            # With another budget the learning rate may jump from near zero to full.
            self._started_at = self.step

    def start_from(self, weights: dict[str, Tensor], pixels: int) -> None:
        """Start from given weights (a state dict of the autoencoder, maybe of fewer blocks) instead of the DCT.

        pixels: how many they were trained on.  TrainingError if they are of another architecture.
        """
        try:
            missing, unexpected = self.model.load_state_dict(weights, strict=False)
        except RuntimeError as error:  # its message has a line for each tensor
            details = str(error).splitlines()
            raise TrainingError(f"weights of another architecture: {details[-1].strip()}") from error
        # Blocks that the weights lack keep their start, where they change nothing.
        wrong = [name for name in missing if ".fine." not in name and ".coarse." not in name]
        if unexpected or wrong:
            raise TrainingError(f"weights of another architecture: {(unexpected + wrong)[0]} does not match")
        self._set_average(self.model.state_dict())
        self.pixels = pixels

    def _set_average(self, values: dict[str, Tensor]) -> None:
        self.average: dict[str, Tensor] = {k: v.detach().to(self.device, copy=True) for k, v in values.items()}
        # Looked up once: both stay where they are in memory, and a step is short on a GPU.
        pairs = [(self.average[k], v) for k, v in self.model.state_dict().items() if v.is_floating_point()]
        self._averaged = [average for average, value in pairs if value.numel()]
        self._values = [value for _, value in pairs if value.numel()]

    # -- the loop ------------------------------------------------------------------------------------------------

    def train(self) -> bool:
        """Train until the budget is used up or `stop` is called; return whether it is used up.

        Leaves a checkpoint whatever happens: a new one at the end, the last one before a SIGKILL.  TrainingError if
        another process trains in the run's folder.
        """
        self.run.mkdir(parents=True, exist_ok=True)
        with checkpoint.held(self.run):
            return self._train()

    def _train(self) -> bool:
        config = self.config
        (self.run / "config.json").write_text(json.dumps(config.to_dict(), indent=1) + "\n")
        self.metrics.cut(self.step)
        if self.step and self.step % config.validate_every == 0:
            self._validate_once()  # in case the kill came between checkpoint and validation
        skipped = 0
        since, pixels_since = time.monotonic(), 0
        resumed_s, resumed_at = self.elapsed_s, time.monotonic()
        while self.progress() < 1 and not self._stopping:
            terms, usable = self._train_step()
            skipped = 0 if usable else skipped + 1
            if skipped > _MAX_SKIPPED:
                raise TrainingError(f"{self.run}: {skipped} steps in a row without a usable gradient")
            self.step += 1
            self.pixels += config.batch * config.crop**2
            pixels_since += config.batch * config.crop**2
            if usable:
                self._recent.append(terms)
            self.elapsed_s = resumed_s + time.monotonic() - resumed_at
            if self.step % config.log_every == 0 and self._recent:
                now = time.monotonic()
                self._log(torch.stack(self._recent).mean(dim=0).tolist(), pixels_since / (now - since))
                since, pixels_since = now, 0
                self._recent.clear()
            if self.step % config.checkpoint_every == 0:
                checkpoint.save(self.run, self.state())
            if self.step % config.validate_every == 0:
                self._validate_once()
        checkpoint.save(self.run, self.state())
        if self.progress() < 1:
            return False
        self._validate_once()
        return True

    def stop(self) -> None:
        """Make `train` write a checkpoint and return, after the step or validation picture in progress."""
        self._stopping = True

    def progress(self) -> float:
        """Return the share of the budget used, 0..1."""
        if self.config.steps is not None:
            return min(1.0, self.step / self.config.steps)
        return min(1.0, self.elapsed_s / 3600 / (self.config.hours or 1))

    def _train_step(self) -> tuple[Tensor, bool]:
        """Make one step; return (loss, bpp, mse) as a tensor (3,) and whether the gradient was usable."""
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
        value = float(loss.detach())  # the one time in a step that the host waits for the device
        usable = bool(torch.isfinite(norm)) and value < _SPIKE * (self._usual_loss or math.inf)
        if math.isfinite(value):
            # A skipped step moves it too, if not by much: should losses be higher from now on, it follows them.
            bounded = min(value, _SPIKE * (self._usual_loss or value))
            self._usual_loss += (bounded - self._usual_loss) * (0.02 if self._usual_loss else 1.0)
        if usable:
            self.optimiser.step(rate_factor(progress, self.step - self._started_at, config))
            self._update_average()
        return torch.stack([loss.detach(), terms.bpp.mean().detach(), terms.mse.mean().detach()]), usable

    def _update_average(self) -> None:
        # Short at first, so that the start is forgotten.
        decay = min(self.config.average, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self._averaged, self._values, 1 - decay)

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
            True,
        )

    def _write(self, **fields: object) -> None:
        elapsed_s = round(self.elapsed_s, 1)
        self.metrics.write({"step": self.step, "pixels": self.pixels, "elapsed_s": elapsed_s, **fields})

    def _validate_once(self) -> None:
        if self.validation and not self.metrics.has("validation", self.step):
            self.validate()

    @torch.no_grad()
    def validate(self) -> list[dict[str, float]]:
        """Measure the averaged weights on the validation pictures, rounded, at six qualities; write and return it.

        If `stop` is called meanwhile, nothing is written and the list is empty.
        """
        if self.validation is None:
            raise TrainingError("this run has no validation pictures")
        trained = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        self.model.eval()
        rows = []
        # Not left to the last step: a resumed run may validate before it makes one.
        set_exact_steps(self.model, enabled=self.progress() >= 1 - self.config.exact_phase)
        low, high = self.config.quality_low, self.config.quality_high
        spread = (low + round((high - low) * i / (_VALIDATION_POINTS - 1)) for i in range(_VALIDATION_POINTS))
        for index in sorted(set(spread)):
            bpp, psnr, loss = [], [], []
            for number in range(len(self.validation.pictures)):
                if self._stopping:
                    break
                x = self.validation.centre(number, _VALIDATION_SIDE).float() / 255
                indices = torch.tensor([index], device=self.device)
                with exact_float32():  # as files will be made
                    output = self.model(x.contiguous(memory_format=torch.channels_last), indices)
                output = type(output)(output.x_hat.clamp(0, 1), output.bits_y, output.bits_z)
                terms = objective.terms(x, output, indices, self.config.loss_power)
                bpp.append(float(terms.bpp))
                psnr.append(10 * math.log10(255**2 / max(float(terms.mse), 1e-9)))
                loss.append(float(terms.loss))
            count = len(bpp)
            if self._stopping:
                break
            rows.append(
                {
                    "index": index,
                    "bpp": sum(bpp) / count,
                    "psnr": sum(psnr) / count,
                    "loss": sum(loss) / count,
                }
            )
        self.model.load_state_dict(trained)
        if self._stopping:
            return []
        self._write(kind="validation", rows=rows)
        line = "  ".join(f"{row['bpp']:.3f} bpp {row['psnr']:.2f} dB" for row in rows)
        self.report(f"validation at step {self.step}  {line}", False)
        return rows


def set_exact_steps(model: nn.Module, *, enabled: bool) -> None:
    """Switch the rounding of the prior's relaxed layers."""
    for module in model.modules():
        if isinstance(module, RelaxedLayer):
            module.exact_steps = enabled


def _to_stderr(line: str, _passing: bool) -> None:
    sys.stderr.write(line + "\n")


def _usable(device: str) -> torch.device:
    """Return the device; TrainingError if this torch has none such."""
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:  # a torch built for the CPU asserts that it was built for CUDA
        reason = str(error).splitlines()[0]
        raise TrainingError(f"torch {torch.__version__} has no device {device}: {reason}") from error
    return found


def _mix(seed: int, step: int, stream: int) -> int:
    """Return one seed for a step's stream of random numbers."""
    return (seed * 1_000_003 + step) * 4 + stream + 8


def _generator(seed: int, step: int, stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(_mix(seed, step, stream))
