"""rdae verify: whether .rdae files decode, on this machine, to what was encoded."""

from __future__ import annotations

import click

from rdae.batch import Facts, Verify
from rdae.storage.names import SUFFIX

from .batch import Request, many_files
from .decompress import max_pixels_option


def words_of(facts: Facts) -> str:
    """That it is sound."""
    return f"ok  {facts.width} x {facts.height}"


@click.command()
@many_files(outputs=False)
@max_pixels_option
def verify(*, request: Request, model: str | None, device: str | None, max_pixels: int) -> None:
    """Check .rdae files: decode what is exact in them and compare checksums. Nothing is written.

    A line on standard output for each file that is sound, one on standard error for each that is not; exit status 1
    if there is any of these. Without the synthesis this takes a part of the time of decompressing. An INPUT is an
    .rdae file, a folder (with -r), a pattern in quotes, a URL, or - for standard input.
    """
    task = Verify(
        max_pixels=max_pixels,
        model=model,
        device=device,
        threads=request.threads_each,
        watch=request.watch(),
    )
    request.run(task, {SUFFIX}, None, words_of)
