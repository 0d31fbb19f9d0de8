"""Files of .rdae to pictures, one job each."""

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
from rdae.errors import NotRdaeError, PictureError, StreamError
from rdae.limits import MAX_PIXELS
from rdae.quality import from_index
from rdae.storage.locations import locate


@dataclass(frozen=True, kw_only=True)
class Decompress:
    """Decompresses the .rdae file that is a job's input to the picture that is its output.

    exact, max_pixels, region, scale: as `Model.decompress` of rdae.open_model takes them. suffix: of the picture's
    format; None: what the output's name ends in. model: a name or a weights file; None: the one that a file names.
    device, threads: as `rdae.open_model` takes them. watch: as of `rdae.batch.Compress`.
    """

    exact: bool = False
    max_pixels: int = MAX_PIXELS
    region: tuple[int, int, int, int] | None = None
    scale: int = 1
    suffix: str | None = None
    model: str | None = None
    device: str | None = None
    threads: int | None = None
    watch: Watch | None = None

    @cached_property
    def _models(self) -> ModelOpener:
        return ModelOpener(self.model, device=self.device, threads=self.threads)

    def __call__(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        """Decompress one file: see `rdae.batch.Task`."""
        with watched(self.watch, job.input, clock):
            return self._decompress(job, clock, note)

    def _decompress(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        from rdae.codec import decode
        from rdae.codec.tiles import Region
        from rdae.pictures import format_of, picture_bytes, picture_chunks

        output = locate(job.output)
        clock.tell("reading")
        with clock.stage("read"):
            with locate(job.input).open(NotRdaeError, StreamError) as file:
                data = read_container(file)
            parsed = parse(data, self.max_pixels)  # what is no .rdae file need not wait for a model
            job.check()
            form = format_of(f"picture{self.suffix}" if self.suffix else output.name)
        clock.tell("loading the model")
        with clock.stage("model"):
            model = self._models.for_file(parsed.header) if parsed.needs_model else None
        with clock.stage("decode"):
            try:
                bands = decode.unfold(
                    parsed,
                    None if model is None else model.loaded,
                    None,
                    exact=self.exact,
                    region=None if self.region is None else Region(*self.region),
                    scale=self.scale,
                    clock=clock,
                )
            except ValueError as error:  # the region is not inside of this picture
                raise PictureError(str(error)) from error
            image = None if bands.flow_as(form) else bands.image()
        if image is not None:  # else it is decoded as it is written
            clock.tell("writing")
        with clock.stage("write"):
            picture = picture_chunks(bands, form, note) if image is None else picture_bytes(image, form, note)
            written = output.write(picture, force=job.force)
        return Facts(
            rdae_bytes=len(data),
            input_bytes=len(data),
            output_bytes=written,
            width=bands.width,
            height=bands.height,
            pixels=parsed.header.width * parsed.header.height,
            model="" if model is None else model.name,
            quality=from_index(parsed.header.quality_index),
        )
