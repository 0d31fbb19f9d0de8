"""Files of .rdae to pictures, one job each."""

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
from rdae.codec.container import Container, parse
from rdae.codec.reading import read_container
from rdae.errors import NotRdaeError, PictureError, StreamError
from rdae.limits import MAX_PIXELS
from rdae.quality import from_index
from rdae.storage.files import Data
from rdae.storage.locations import locate

if TYPE_CHECKING:
    from rdae.api import Model
    from rdae.pictures.bands import Bands


@dataclass(frozen=True, kw_only=True)
class Decompress:
    """Decompresses the .rdae file that is a job's input to the picture that is its output.

    exact, max_pixels, region, scale: as `Model.decompress` of rdae.open_model takes them. suffix: of the picture's
    format; None: what the output's name ends in. quality: of a picture in a lossy format, as
    `rdae.pictures.picture_bytes` takes it. keep_time: give pictures the times of their files. model: a name or a
    weights file; None: the one that a file names. device, threads: as `rdae.open_model` takes them. watch: as of
    `rdae.batch.Compress`.
    """

    exact: bool = False
    max_pixels: int = MAX_PIXELS
    region: tuple[int, int, int, int] | None = None
    scale: int = 1
    suffix: str | None = None
    quality: int | None = None
    keep_time: bool = False
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
        from rdae.pictures import check_quality, format_of, picture_bytes, picture_chunks

        source, output = locate(job.input), locate(job.output)
        terms = dataclasses.replace(
            job.terms, like=source.attributes(), keep_time=self.keep_time, marked=True
        )
        clock.tell("reading")
        with clock.stage("read"):
            with source.open(NotRdaeError, StreamError) as file:
                data = read_container(file)
            parsed = parse(data, self.max_pixels)  # what is no .rdae file need not wait for a model
            job.check()
            form = format_of(f"picture{self.suffix}" if self.suffix else output.name)
            check_quality(form, self.quality)
        clock.tell("loading the model")
        with clock.stage("model"):
            model = self._models.for_file(parsed.header) if parsed.needs_model else None
        with clock.stage("decode"):
            try:
                bands = self._bands(parsed, model, clock)
            except ValueError as error:  # the region is not inside of this picture
                raise PictureError(str(error)) from error
            image = None if bands.flow_as(form) else bands.image()
        if image is not None:  # else it is decoded as it is written
            clock.tell("writing")
        with clock.stage("write"):
            if image is None:
                picture: Data = picture_chunks(bands, form, note)
            else:
                picture = picture_bytes(image, form, note, quality=self.quality)
            written = output.write(picture, force=job.force, terms=terms)
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

    def _bands(self, parsed: Container, model: Model | None, clock: Clock) -> Bands:
        """The picture, which needs no model if there are no latents."""
        if model is not None:
            return model.unfold(parsed, exact=self.exact, region=self.region, scale=self.scale, clock=clock)
        from rdae.codec import decode
        from rdae.codec.tiles import Region

        region = None if self.region is None else Region(*self.region)
        return decode.unfold(parsed, None, region=region, scale=self.scale, clock=clock)
