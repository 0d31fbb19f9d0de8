"""Pictures to .rdae files, one job each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rdae.batch.models import ModelOpener
from rdae.batch.tasks import Facts, Job
from rdae.batch.watch import Watch, watched
from rdae.clock import Clock
from rdae.codec.container import HEADER_BYTES, peek
from rdae.effort import DEFAULT_EFFORT
from rdae.errors import PictureError
from rdae.quality import from_index
from rdae.storage.locations import locate
from rdae.targets import Kind, Target

if TYPE_CHECKING:
    from rdae.codec.refinement import Listener
    from rdae.pictures.raster import Raster


@dataclass(frozen=True, kw_only=True)
class Compress:
    """Compresses the picture that is a job's input to the .rdae file that is its output.

    quality, effort, verify, metadata, alpha_quality, background, exact, lossless: as `Model.compress` of
    rdae.open_model takes them. target: kind and value of a rdae.Target, for which the quality is found. model: a name
    or a weights file; None: that of the tune. tune, device, threads: as `rdae.open_model` takes them. watch: makes of
    an input's name who is told how far the work on it is; only in this process.
    """

    quality: float = 50.0
    target: tuple[Kind, float] | None = None
    effort: int = DEFAULT_EFFORT
    verify: bool = True
    metadata: bool = True
    alpha_quality: int = 100
    background: str | None = None
    exact: bool = True
    lossless: bool = False
    model: str | None = None
    tune: str | None = None
    device: str | None = None
    threads: int | None = None
    watch: Watch | None = None

    @cached_property
    def _models(self) -> ModelOpener:
        return ModelOpener(self.model, tune=self.tune, device=self.device, threads=self.threads)

    def __call__(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        """Compress one picture: see `rdae.batch.Task`."""
        with watched(self.watch, job.input, clock) as watcher:
            return self._compress(job, clock, note, None if watcher is None else watcher.searched)

    def _compress(
        self, job: Job, clock: Clock, note: Callable[[str], None], listener: Listener | None
    ) -> Facts:
        from rdae.pictures import raster_in

        source = locate(job.input)
        clock.tell("reading")
        with clock.stage("read"), source.open(PictureError, PictureError) as file:
            picture = raster_in(file, note, metadata=self.metadata)
            job.check()
        data = self._data(picture, clock, listener)
        clock.tell("writing")
        with clock.stage("write"):
            locate(job.output).write(data, force=job.force)
        header, _, _ = peek(data[:HEADER_BYTES])
        return Facts(
            rdae_bytes=len(data),
            input_bytes=source.size(),
            output_bytes=len(data),
            width=picture.width,
            height=picture.height,
            model="" if self.lossless else self._models.chosen.name,
            quality=from_index(header.quality_index),
        )

    def _data(self, picture: Raster, clock: Clock, listener: Listener | None) -> bytes:
        if self.lossless:
            from rdae.api import compress

            clock.tell("compressing")
            with clock.stage("encode"):
                return compress(
                    picture,
                    effort=self.effort,
                    verify=self.verify,
                    alpha_quality=self.alpha_quality,
                    background=self.background,
                    lossless=True,
                )
        clock.tell("loading the model")
        with clock.stage("model"):
            model = self._models.chosen
        with clock.stage("encode"):
            return model.compress(
                picture,
                self.quality,
                target=None if self.target is None else Target(*self.target),
                effort=self.effort,
                listener=listener,
                verify=self.verify,
                alpha_quality=self.alpha_quality,
                background=self.background,
                exact=self.exact,
                clock=clock,
            )
