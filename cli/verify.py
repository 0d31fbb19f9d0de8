"""rdae verify: whether .rdae files decode, on this machine, to what was encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import click

from rdae.clock import Clock
from rdae.codec.container import parse
from rdae.errors import NotRdaeError, StreamError
from rdae.files import stream_in
from rdae.quality import from_index

from .decompress import max_pixels_option
from .files import SUFFIX, Request, many_files
from .opening import LazyModel
from .places import place
from .work import Facts, Job


@dataclass
class Task:
    """What is done with each .rdae file."""

    weights: str | None
    device: str | None
    threads: int | None
    max_pixels: int
    name: ClassVar[str] = "verify"

    def __post_init__(self) -> None:
        self._models = LazyModel(self.weights, self.threads, self.device)

    def __call__(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        """Decode the latents of one file and compare them with their checksum."""
        with clock.stage("read"):
            with place(job.source).open(NotRdaeError, StreamError) as file:
                data = stream_in(file)
            parsed = parse(data, self.max_pixels)
        with clock.stage("model"):
            model = self._models.for_file(data)

        from rdae import codec

        with clock.stage("decode"):
            codec.verify(data, model.loaded, self.max_pixels, clock)
        if parsed.latent_checksum is None:
            note("it decodes, but carries no checksum to compare with")
        header = parsed.header
        return Facts(
            rdae_bytes=len(data),
            input_bytes=len(data),
            output_bytes=0,
            width=header.width,
            height=header.height,
            model=model.name,
            quality=from_index(header.quality_index),
        )

    def line(self, facts: Facts) -> str:
        """That it is sound."""
        return f"ok  {facts.width} x {facts.height}"


@click.command()
@many_files(outputs=False)
@max_pixels_option
def verify(*, request: Request, weights: str | None, device: str | None, max_pixels: int) -> None:
    """Check .rdae files: decode what is exact in them and compare checksums. Nothing is written.

    A line on standard output for each file that is sound, one on standard error for each that is not; exit status 1
    if there is any of these. Without the synthesis this takes a part of the time of decompressing. An INPUT is an
    .rdae file, a folder (with -r), a pattern in quotes, a URL, or - for standard input.
    """
    request.run(Task(weights, device, request.threads, max_pixels=max_pixels), {SUFFIX}, None)
