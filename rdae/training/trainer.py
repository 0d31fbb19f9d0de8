"""The training loop: one readable pass from pictures to weights, the same on a laptop, on a GPU and on many.

Each step draws its crops, qualities and noise from generators seeded by (seed, step) alone, for the batch as a whole.
So a run that was killed and resumed repeats exactly what it would have done, and one on several processes is the one
on a single process up to the order of its sums.
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
from rdae.training import checkpoint, objective, validation
from rdae.training.autoencoder import Autoencoder, Output
from rdae.training.config import TrainingConfig
from rdae.training.data.pool import Pictures, Pool
from rdae.training.data.sampling import generator, mix, rounding_noise
from rdae.training.data.sources import expand
from rdae.training.data.stream import Stream
from rdae.training.distributed import Group
from rdae.training.divergence import DivergenceCheck, all_finite
from rdae.training.files import replaced
from rdae.training.log import Log
from rdae.training.modules.layers import set_exact_steps
from rdae.training.numbers import three_digits
from rdae.training.optimisation.optimiser import Optimiser, freeze
from rdae.training.optimisation.schedule import CONSTANT, DECAY, Pace, crop_side, phase, rate_factor
from rdae.training.precision import quick_bfloat16
from rdae.training.start import set_scales
from rdae.training.warm_start import grown

WARM_UP_STEPS_TIMED = 10  # after which the speed of a run can be told
REPORT_EVERY_S = 1.0  # between the log's lines; whoever shows the reports may show fewer


class Trainer:
    """One run: its model, averages, optimiser, data and folder."""

    def __init__(
        self,
        config: TrainingConfig,
        run: Path,
        device: str = "cpu",
        *,
        report: Callable[[str, bool], None] | None = None,
        group: Group | None = None,
        workers: int = 0,
        compiled: bool = False,
        fresh: bool = True,
    ) -> None:
        """Build everything at the start state; `resume` or `start_from` may replace it.

        report: called with a line and whether the next one may overwrite it; default: all lines to standard error.
        group: the processes that train together.  workers: processes that decode pictures; 0 for threads.
        compiled: let torch.compile make the forward and backward pass.
        fresh: False if `resume` follows, which saves measuring the pictures for a start that is not used.
        TrainingError if the device or the data cannot be used.
        """
        self.config = config
        self.run = run
        self.group = group or Group()
        self.device = _usable(self.group.device(device))
        self.report = report or _to_stderr
        self.log = Log(run)
        self.listeners: list[Callable[[dict[str, Any]], None]] = []  # of the log's lines
        self._rows = self.group.rows(config.batch)
        expand(
            (*config.data, *config.validation)
        )  # nobody waits for some to be decoded while others are not there
        torch.manual_seed(config.seed)
        self.model = Autoencoder(config.architecture)
        self.pictures = self._pictures(workers)
        self.validation: Pool | None = None
        if config.validation:
            self.validation = Pictures(
                config.validation, self.device, validation.least_side(config), workers=workers
            )
        if fresh:
            if isinstance(self.pictures, Stream):
                self.pictures.fill()
            crops = self.pictures.crops(64, config.crop, generator(config.seed, -1, 0))
            set_scales(self.model, crops.cpu().float() / 255)
        self.model.to(self.device)
        freeze(self.model, config.only)
        self._forward: Callable[..., Output] = self.group.wrap(self.model)
        if compiled:
            self._forward = torch.compile(self._forward, dynamic=False)
        self._trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimiser = Optimiser(self.model, config)
        self._set_average(self.model.state_dict())
        self.divergence = DivergenceCheck(self.device)
        self.step = 0
        self.elapsed_s = 0.0
        self.pixels = 0
        self._started_at = 0  # step at which the learning rate began to warm up
        self._floor = 0.0  # the learning-rate factor from which it did
        self._factor = 0.0  # that of the last step
        self._recent: list[Tensor] = []  # of the steps since the last log line: see `_train_step`
        self._reported = time.monotonic()
        self._stopping = False

    def _pictures(self, workers: int) -> Pool:
        config = self.config
        if config.stream is None:
            return Pictures(
                config.data, self.device, config.largest_crop, weights=config.weights, workers=workers
            )
        return Stream(
            config.data,
            self.device,
            config.largest_crop,
            hold=round(config.stream * 1e6),
            reuse=config.reuse,
            seed=config.seed,
            weights=config.weights,
            workers=workers,
            rank=self.group.rank,
            world=self.group.world,
            tell=lambda line: self.report(line, False),
        )

    # -- state ---------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return everything that `resume` needs.  Called by all processes at once."""
        streams = self.group.gathered(self.pictures.state()) if isinstance(self.pictures, Stream) else []
        return {
            "config": json.dumps(self.config.to_dict()),
            "model": self.model.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "pixels": self.pixels,
            "started_at": self._started_at,
            "floor": self._floor,
            "factor": self._factor,
            "usual_loss": self.divergence.state(),
            "recent": torch.stack(self._recent) if self._recent else torch.zeros(0, 5),
            "streams": streams,
        }

    def resume(self, state: dict[str, Any] | None = None) -> None:
        """Go on from a state, by default the run's last sound checkpoint; TrainingError if there is none that fits."""
        if state is None:
            state = checkpoint.load(self.run, self.report)
        try:
            self.model.load_state_dict(state["model"])
            self._set_average(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.elapsed_s, self.pixels = state["step"], state["elapsed_s"], state["pixels"]
            saved = TrainingConfig.from_dict(json.loads(state["config"]))
            self._started_at = state.get("started_at", 0)
            self._floor = state.get("floor", 0.0)
            self._factor = state.get("factor", 0.0)
            self.divergence.load(state.get("usual_loss", 0.0))
            recent = state.get("recent", torch.zeros(0, 5))
            self._recent = list(recent.to(self.device)) if recent.shape[1] == 5 else []
            streams = state.get("streams", [])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            message = f"{self.run / checkpoint.NAME}: not a checkpoint of this run ({error})"
            raise TrainingError(message.splitlines()[0]) from error
        if isinstance(self.pictures, Stream):
            # With another number of processes the shards are shared out anew: all begin at the furthest epoch.
            same = len(streams) == self.group.world
            epoch = max((position[0] for position in streams), default=0.0)
            self.pictures.restore(streams[self.group.rank] if same else [epoch, 0, 0, 0.0])
        if self._factor < 1 and (saved.steps, saved.hours) != (self.config.steps, self.config.hours):
            # With another budget the learning rate may jump from near zero to full: it rises from where it was.
            self._started_at, self._floor = self.step, self._factor

    def start_from(self, weights: dict[str, Tensor], pixels: int) -> None:
        """Start from given weights (a state dict of the autoencoder, maybe of a smaller one) instead of the DCT.

        pixels: how many they were trained on.  TrainingError if they are of another architecture.
        """
        try:
            missing, unexpected = self.model.load_state_dict(grown(weights, self.model), strict=False)
        except RuntimeError as error:  # its message has a line for each tensor
            details = str(error).splitlines()
            raise TrainingError(f"weights of another architecture: {details[-1].strip()}") from error
        # Blocks and layers that the weights lack keep their start, where they change nothing.
        added = (".fine.", ".coarse.", ".deeper_")
        wrong = [name for name in missing if not any(part in name for part in added)]
        if unexpected or wrong:
            raise TrainingError(f"weights of another architecture: {(unexpected + wrong)[0]} does not match")
        self._set_average(self.model.state_dict())
        self.pixels = pixels

    def _set_average(self, values: dict[str, Tensor]) -> None:
        self.average: dict[str, Tensor] = {
            k: v.detach().to(self.device, copy=True) for k, v in values.items()
        }
        # Looked up once: both stay where they are in memory, and a step is short on a GPU.
        pairs = [(self.average[k], v) for k, v in self.model.state_dict().items() if v.is_floating_point()]
        self._averaged = [average for average, value in pairs if value.numel()]
        self._values = [value for _, value in pairs if value.numel()]

    def _align(self) -> None:
        """Give all processes the same numbers: sums in another order could let them drift apart in a long run."""
        tensors = [*self._values, *self._averaged, *self.optimiser.tensors(), self.divergence.usual]
        self.group.align([tensor for tensor in tensors if tensor.numel()])

    # -- the loop ------------------------------------------------------------------------------------------------

    def train(self) -> bool:
        """Train until the budget is used up or `stop` is called; return whether it is used up.

        Leaves a checkpoint whatever happens: a new one at the end, the last one before a SIGKILL.  TrainingError if
        another process trains in the run's folder.
        """
        if not self.group.leads:
            return self._train()
        if self.config.precision == "bf16" and not quick_bfloat16(self.device):
            self.report(
                "bf16: this processor has no quick products for it; float32 is several times as fast", False
            )
        self.run.mkdir(parents=True, exist_ok=True)
        with checkpoint.held(self.run):
            return self._train()

    def _train(self) -> bool:
        config = self.config
        # Then nothing will be trained, and the budget may be smaller than the one that was spent: it is not kept.
        spent = self.progress() >= 1
        if self.group.leads:
            if not spent:
                with replaced(self.run / "config.json") as temporary:
                    temporary.write_text(json.dumps(config.to_dict(), indent=1) + "\n")
            self.log.cut(self.step)
        self._align()
        if self.step % config.validate_every == 0:
            # What a run begins with; later, in case a kill came between checkpoint and validation.
            self._validate_once()
        since, pixels_since = time.monotonic(), 0
        started = time.monotonic() - self.elapsed_s
        pace = self.pace()
        first_step: tuple[int, float] | None = None  # and the seconds until it was made: it may have compiled
        self._agree(started)
        while self.progress() < 1 and not self._stopping:
            if self.phase() == DECAY and pace.phase == CONSTANT:
                self._save(checkpoint.CONSTANT)
            pace = self.pace()
            side = pace.crop
            self._recent.append(self._train_step())
            self._factor = pace.factor
            self.step += 1
            self.pixels += config.batch * side**2
            pixels_since += config.batch * side**2
            if isinstance(self.pictures, Stream):
                self.pictures.advance(len(self._rows) * side**2)
            self._agree(started)
            first_step = first_step or (self.step, self.elapsed_s)
            # The last step is logged before its checkpoint. After `stop` it is not: whoever goes on from there has the
            # lines of a run that was not stopped.
            if self.step % config.log_every == 0 or self.step == first_step[0] + WARM_UP_STEPS_TIMED:
                self._check_warm_up(*first_step)
            if self.step % config.log_every == 0 or self.progress() >= 1:
                steps = torch.stack(self._recent).tolist()  # the host waits for the device
                now = time.monotonic()
                self._log(steps, pixels_since / (now - since), pace)
                since, pixels_since = now, 0
                self._recent.clear()
            elif time.monotonic() - self._reported >= REPORT_EVERY_S and self.group.leads:
                # Nothing that trains is touched: when steps are reported is up to the clock.
                steps = torch.stack(self._recent).tolist()
                self._report(steps, pixels_since / (time.monotonic() - since), pace)
            if self.step % config.checkpoint_every == 0:
                self._save()
            if self.step % config.validate_every == 0:
                self._validate_once()
        if not spent:
            self._save()
        if self.progress() < 1:
            return False
        self._validate_once()
        return True

    def close(self) -> None:
        """End what decodes pictures beside the training."""
        if isinstance(self.pictures, Stream):
            self.pictures.close()

    def _check_warm_up(self, first: int, first_s: float) -> None:
        """TrainingError if the hours of the budget will end before the warm-up does; steps are checked beforehand.

        first, first_s: a step, the seconds spent until it was made.
        """
        config, made = self.config, self.step - first
        begun_here = first == 1  # a run that goes on is as it was begun
        if config.hours is None or not begun_here or not WARM_UP_STEPS_TIMED <= made < config.warmup_steps:
            return
        total = round(
            self.step + (config.hours * 3600 - self.elapsed_s) * made / max(self.elapsed_s - first_s, 1e-9)
        )
        if config.warmup_steps > total:
            raise TrainingError(
                f"{self.run}: a warm-up of {config.warmup_steps} steps is longer than the run of "
                f"{config.hours:g} hours, about {total} steps at this speed; --warmup-steps shortens it"
            )

    def _agree(self, started: float) -> None:
        """Let all processes go by the first one's clock, and stop when one of them is asked to.

        started: when the run would have begun, had it not been interrupted.
        """
        elapsed_s = time.monotonic() - started if self.group.leads else 0.0
        self.elapsed_s, stopping = self.group.total([elapsed_s, float(self._stopping)])
        self._stopping = stopping > 0

    def stop(self) -> None:
        """Make `train` write a checkpoint and return, after the step or validation picture in progress."""
        self._stopping = True

    def progress(self) -> float:
        """Return the share of the budget used, 0..1."""
        if self.config.steps is not None:
            return min(1.0, self.step / self.config.steps)
        return min(1.0, self.elapsed_s / 3600 / (self.config.hours or 1))

    def phase(self) -> str:
        """Name the phase of the learning rate at the next step."""
        return phase(self.progress(), self.step - self._started_at, self.config)

    @property
    def warm_up_left(self) -> int:
        """Return how many steps are missing until the learning rates are reached; 0 once they were."""
        return max(0, self.config.warmup_steps - (self.step - self._started_at))

    def pace(self) -> Pace:
        """Return what the next step will be made with."""
        progress = self.progress()
        factor = rate_factor(progress, self.step - self._started_at, self.config, self._floor)
        return Pace(self.phase(), factor, crop_side(progress, self.config))

    def _save(self, name: str = checkpoint.NAME) -> None:
        """Write a checkpoint; TrainingError if its weights are not finite, which none must be replaced by."""
        self._align()
        if not all_finite([*self._values, *self._averaged]):
            raise TrainingError(
                f"{self.run}: the weights are not finite at step {self.step}; the last checkpoint is kept"
            )
        state = self.state()
        if self.group.leads:
            checkpoint.save(self.run, state, name)

    def _train_step(self) -> Tensor:
        """Make one step; return (loss, bpp, mse, norm of the gradient, 1 if it was usable or 0), a tensor (5,)."""
        config, pace = self.config, self.pace()
        x, index = self._crops(self.step, pace.crop).float() / 255, self._indices(self.step)
        set_exact_steps(self.model, enabled=self._rounds())
        output = self._pass(x, index)
        terms = objective.terms(x, output, index, config.loss_power, config.objective, config.shares)
        loss = terms.loss.mean()
        for parameter in self._trained:
            parameter.grad = None
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._trained, config.clip)
        means = torch.stack([loss.detach(), terms.bpp.detach().mean(), terms.mse.detach().mean()])
        means = self.group.mean(means)
        usable = self.divergence.judge(means[0], norm)
        self.optimiser.step(pace.factor, usable)
        self._update_average()
        return torch.cat([means, torch.stack([norm, usable.float()])])

    def _pass(self, x: Tensor, index: Tensor) -> Output:
        """Send crops through the model, with noise or truly rounded."""
        config = self.config
        self.model.train()
        base = mix(config.seed, self.step, 2)
        drawn = rounding_noise(config.architecture, x.shape[2], self._rows, base, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            x = x.contiguous(memory_format=torch.channels_last)
            return self._forward(x, index, drawn, config.rounded)

    def _rounds(self) -> bool:
        """Whether the prior's layers round as they will in files."""
        return self.config.rounded or self.progress() >= 1 - self.config.exact_phase

    def _update_average(self) -> None:
        # Short at first, so that the start is forgotten.
        decay = min(self.config.average, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self._averaged, self._values, 1 - decay)

    def _crops(self, step: int, side: int) -> Tensor:
        config = self.config
        drawn = generator(config.seed, step, 0)
        return self.pictures.crops(config.batch, side, drawn, rows=self._rows, reduce=config.reduce)

    def _indices(self, step: int) -> Tensor:
        config = self.config
        # One quality from each of `batch` equal shares of the range: less noise than independent draws.
        shares = torch.rand(config.batch, generator=generator(config.seed, step, 1))
        shares = (torch.arange(config.batch) + shares) / config.batch
        span = config.quality_high - config.quality_low + 1
        index = (config.quality_low + (shares * span).floor()).long().clamp(max=config.quality_high)
        return index[self._rows.start : self._rows.stop].to(self.device)

    # -- reports -------------------------------------------------------------------------------------------------

    def _log(self, steps: list[list[float]], pixels_per_s: float, pace: Pace) -> None:
        """Write a line of means over the usable ones of these steps, rows of `_train_step`; pace: the last one's."""
        try:
            self.divergence.count([bool(row[4]) for row in steps])
        except TrainingError as error:
            raise TrainingError(f"{self.run}: {error}") from None
        used = [row for row in steps if row[4]]
        if not used or not self.group.leads:
            return
        loss, bpp, mse, norm = _means(used)
        matrix_rate, rate, projection_rate = (pace.factor * full for full in self.optimiser.rates)
        self._write(
            kind="train",
            loss=loss,
            bpp=bpp,
            mse=mse,
            pixels_per_s=pixels_per_s,
            progress=self.progress(),
            phase=pace.phase,
            matrix_rate=matrix_rate,
            rate=rate,
            projection_rate=projection_rate,
            gradient_norm=norm,
            skipped=len(steps) - len(used),
            crop=pace.crop,
        )
        self._report(steps, pixels_per_s, pace)

    def _report(self, steps: list[list[float]], pixels_per_s: float, pace: Pace) -> None:
        """Say how far the run is, with means over the usable ones of these steps, as `_log` takes them."""
        self._reported = time.monotonic()
        used = [row for row in steps if row[4]]
        if not used:
            return
        loss, bpp, mse, _ = _means(used)
        psnr = 10 * math.log10(255**2 / max(mse, 1e-9))
        progress = self.progress()
        left_s = self.elapsed_s * (1 - progress) / max(progress, 1e-6)
        speed = three_digits(pixels_per_s / 1e6)
        self.report(
            f"step {self.step}  loss {loss:.4f}  {bpp:.4f} bpp  {psnr:.2f} dB  "
            f"{speed} Mpx/s  {pace.phase}  {100 * progress:.1f} %  {left_s / 60:.0f} min left",
            progress < 1,  # the last one stays
        )

    def _write(self, **fields: object) -> None:
        row = {"step": self.step, "pixels": self.pixels, "elapsed_s": round(self.elapsed_s, 1), **fields}
        self.log.write(row)
        for listener in self.listeners:
            listener(row)

    def _validate_once(self) -> None:
        done = self.group.leads and self.log.has("validation", self.step)
        if self.validation and not self.group.total([float(done)])[0]:
            self.validate()

    def _tell_of_validation(self, done: int, total: int) -> None:
        self.report(f"validating: {done} of {total} measurements", True)

    def validate(self) -> list[dict[str, Any]]:
        """Measure the averaged weights on the validation pictures, rounded, at six qualities; write and return it.

        If `stop` is called meanwhile, nothing is written and the list is empty; several processes finish it.
        """
        if self.validation is None:
            raise TrainingError("this run has no validation pictures")
        trained = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        # Not left to the last step: a resumed run may validate before it makes one.
        set_exact_steps(self.model, enabled=self._rounds())
        rows = validation.measure(
            self.model,
            self.validation,
            self.config,
            self.group,
            lambda: self._stopping and self.group.world == 1,
            self._tell_of_validation if self.group.leads else lambda _done, _total: None,
        )
        self.model.load_state_dict(trained)
        if rows and self.group.leads:
            self._write(kind="validation", rows=rows)
            line = ", ".join(validation.words_of(row) for row in rows)
            self.report(f"validation at step {self.step}: {line}", False)
        return rows


def _means(steps: list[list[float]]) -> tuple[float, float, float, float]:
    """Return the mean loss, rate, distortion and norm of the gradient of steps, rows of `_train_step`."""
    loss, bpp, mse, norm = (sum(row[column] for row in steps) / len(steps) for column in range(4))
    return loss, bpp, mse, norm


def _to_stderr(line: str, _passing: bool) -> None:
    sys.stderr.write(line + "\n")


def _usable(device: str) -> torch.device:
    """Return the device; TrainingError if this torch has none such."""
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (
        RuntimeError,
        AssertionError,
    ) as error:  # a torch built for the CPU asserts that it was built for CUDA
        reason = str(error).splitlines()[0]
        raise TrainingError(f"torch {torch.__version__} has no device {device}: {reason}") from error
    return found
