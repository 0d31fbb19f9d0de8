"""rdae compress: pictures to .rdae files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import click

from rdae.clock import Clock

from .files import SUFFIX, Request, finite, many_files
from .opening import LazyModel
from .places import place
from .work import Facts, Job


@dataclass
class Task:
    """What is done with each picture."""

    weights: str | None
    threads: int | None
    force: bool
    quality: float
    verify: bool
    name: ClassVar[str] = "compress"

    def __post_init__(self) -> None:
        self._model = LazyModel(self.weights, self.threads)

    def __call__(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        """Compress one picture."""
        from rdae.errors import PictureError
        from rdae.pictures import raster_in

        source = place(job.source)
        with clock.stage("read"), source.open(PictureError, PictureError) as file:
            picture = raster_in(file, note)
            job.check()
        with clock.stage("model"):
            model = self._model.opened
        with clock.stage("encode"):
            data = model.compress(picture, quality=self.quality, verify=self.verify)
        with clock.stage("write"):
            place(job.target).write(data, force=self.force)
        return Facts(len(data), source.size(), len(data), picture.width, picture.height)

    def line(self, facts: Facts) -> str:
        """Size and rate."""
        return f"{facts.rdae_bytes:,} bytes  {facts.bpp:.3f} bpp"


@click.command()
@many_files(outputs=True)
@click.option(
    "--keep-suffix", is_flag=True, help="Make a.png.rdae of a.png, not a.rdae: for folders with an a.jpg too."
)
@click.option(
    "-q",
    "--quality",
    type=click.FloatRange(0, 100),
    default=50.0,
    show_default=True,
    callback=finite,
    help="0: smallest file; 100: best picture.",
)
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Decode what was encoded, up to the latents, and compare, before it is written.",
)
def compress(*, request: Request, weights: str | None, quality: float, verify: bool) -> None:
    """Compress pictures, each to an .rdae file beside it.

    An INPUT is a picture in any format that Pillow reads, a folder (with -r), a pattern in quotes such as
    'photos/**/*.jpg', a URL that fsspec knows, or - for standard input, which goes to standard output.
    """
    from rdae.pictures import SUFFIXES

    task = Task(weights, request.threads, force=request.force, quality=quality, verify=verify)
    request.run(task, SUFFIXES, SUFFIX)
