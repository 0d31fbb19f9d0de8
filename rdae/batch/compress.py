"""Pictures to .rdae files, one job each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rdae.batch.models import ModelOpener
from rdae.batch.tasks import Facts, Job
from rdae.batch.watch import Watch, watched
from rdae.clock import Clock
from rdae.codec.container import HEADER_BYTES, NO_MODEL, peek
from rdae.effort import DEFAULT_EFFORT, check_effort
from rdae.errors import NotRdaeError, PictureError, StreamError, VerifyError
from rdae.quality import from_index, to_index
from rdae.storage.attributes import Attributes
from rdae.storage.files import read_bounded
from rdae.storage.locations import STANDARD, Location, locate
from rdae.storage.urls import is_passing
from rdae.targets import Kind, Target

if TYPE_CHECKING:
    from rdae.codec.refinement import Listener
    from rdae.pictures.raster import Raster


NOT_REMOVED = "not removed: "
"""What the note begins with that says why an input was kept."""


@dataclass(frozen=True, kw_only=True)
class Compress:
    """Compresses the picture that is a job's input to the .rdae file that is its output.

    quality, effort, verify, metadata, alpha_quality, background, exact, lossless: as `Model.compress` of
    rdae.open_model takes them. target: kind and value of a rdae.Target, for which the quality is found. keep_time: give
    outputs the times of their inputs. remove: remove an input after its output was verified and is on the disk, but
    none of which something was left out, and only files of this machine. model: a name or a
    weights file; None: that of the tune. tune, device, threads: as `rdae.open_model` takes them. watch: makes of an
    input's name who is told how far the work on it is; only in this process. ValueError for remove without verify, and
    for a quality or an effort that there is not.
    """

    quality: float = 50.0
    target: tuple[Kind, float] | None = None
    effort: int = DEFAULT_EFFORT
    verify: bool = True
    metadata: bool | tuple[str, ...] = True
    alpha_quality: int = 100
    background: str | None = None
    exact: bool = True
    lossless: bool = False
    keep_time: bool = False
    remove: bool = False
    model: str | None = None
    tune: str | None = None
    device: str | None = None
    threads: int | None = None
    watch: Watch | None = None

    def __post_init__(self) -> None:
        if self.remove and not self.verify:
            raise ValueError("an input is removed only after its output was verified")
        to_index(self.quality)
        check_effort(self.effort)

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
        from rdae.pictures import SRGB_LEFT_OUT, raster_in

        source, output = locate(job.input), locate(job.output)
        left_out: list[str] = []

        def noted(line: str) -> None:
            if line != SRGB_LEFT_OUT:  # with which nothing is lost
                left_out.append(line)
            note(line)

        clock.tell("reading")
        with clock.stage("read"):
            before = source.attributes()
            with source.open(PictureError, PictureError) as file:
                picture = raster_in(file, noted, metadata=self.metadata)
                job.check()
            size = source.size()
        target = None if self.target is None else Target(*self.target)
        data = self._data(picture, target, clock, listener, note)
        clock.tell("writing")
        header, _, _ = peek(data[:HEADER_BYTES])
        with clock.stage("write"):
            source.unmark()  # whoever wrote it, there is a file now of which it is the original
            terms = dataclasses.replace(job.terms, like=before, keep_time=self.keep_time)
            output.write(data, force=job.force, terms=terms)
            if self.remove:
                why_kept = "something was left out" if left_out else _removed(source, before, output, data)
                if why_kept:
                    note(f"{NOT_REMOVED}{why_kept}")
        return Facts(
            rdae_bytes=len(data),
            input_bytes=size,
            output_bytes=len(data),
            width=picture.width,
            height=picture.height,
            model="" if header.model == NO_MODEL else self._models.chosen.name,
            quality=from_index(header.quality_index),
        )

    def _data(
        self,
        picture: Raster,
        target: Target | None,
        clock: Clock,
        listener: Listener | None,
        note: Callable[[str], None],
    ) -> bytes:
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
                target=target,
                effort=self.effort,
                listener=listener,
                verify=self.verify,
                alpha_quality=self.alpha_quality,
                background=self.background,
                exact=self.exact,
                clock=clock,
                note=note,
            )


def _removed(source: Location, before: Attributes | None, output: Location, data: bytes) -> str:
    """Remove the source if the output can be read, and is `data`; else say why not. VerifyError if it is not."""
    if str(output) == STANDARD:
        return "nobody knows what became of standard output"
    if is_passing(str(output)):
        return f"{output} ends with this program"
    with output.open(NotRdaeError, StreamError) as file:
        if read_bounded(file, StreamError) != data:
            raise VerifyError(f"{output} does not hold what was written; the input is still there")
    return source.remove(before)
