"""Whether .rdae files decode, on this machine, to what was encoded; one job each, without an output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from rdae.batch.models import ModelOpener
from rdae.batch.tasks import Facts, Job
from rdae.batch.watch import Watch, watched
from rdae.clock import Clock
from rdae.codec.container import parse
from rdae.codec.reading import read_container
from rdae.errors import NotRdaeError, StreamError
from rdae.limits import MAX_PIXELS
from rdae.quality import from_index
from rdae.storage.locations import locate


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Decodes the latents of the .rdae file that is a job's input, and compares them with their checksum.

    max_pixels: larger pictures are refused. model: a name or a weights file; None: the one that a file names. device,
    threads: as `rdae.open_model` takes them. watch: as of `rdae.batch.Compress`.
    """

    max_pixels: int = MAX_PIXELS
    model: str | None = None
    device: str | None = None
    threads: int | None = None
    watch: Watch | None = None

    @cached_property
    def _models(self) -> ModelOpener:
        return ModelOpener(self.model, device=self.device, threads=self.threads)

    def __call__(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        """Check one file: see `rdae.batch.Task`."""
        with watched(self.watch, job.input, clock):
            return self._verify(job, clock, note)

    def _verify(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        clock.tell("reading")
        with clock.stage("read"):
            with locate(job.input).open(NotRdaeError, StreamError) as file:
                data = read_container(file)
            parsed = parse(data, self.max_pixels)
        clock.tell("loading the model")
        with clock.stage("model"):
            model = self._models.for_file(parsed.header) if parsed.needs_model else None

        from rdae.codec import decode

        with clock.stage("decode"):
            decode.verify(parsed, None if model is None else model.loaded, clock=clock)
        if parsed.needs_model and parsed.latent_checksum is None:
            note("it decodes, but carries no checksum to compare with")
        header = parsed.header
        return Facts(
            rdae_bytes=len(data),
            input_bytes=len(data),
            output_bytes=0,
            width=header.width,
            height=header.height,
            model="" if model is None else model.name,
            quality=from_index(header.quality_index),
        )
