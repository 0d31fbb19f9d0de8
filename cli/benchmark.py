"""rdae benchmark: seconds of encoding and decoding, beside other codecs and stage by stage."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import device_option, finite, model_options, threads_option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rdae.evaluation.codecs import Codec

LIBRARY_PEERS = ("jpeg", "webp", "avif", "jxl")


@click.command("benchmark")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-q",
    "--quality",
    type=click.FloatRange(0, 100),
    default=50.0,
    show_default=True,
    callback=finite,
    help="Of the .rdae files, 0 to 100.",
)
@model_options
@device_option
@click.option(
    "--repeat", type=click.IntRange(1), default=5, show_default=True, help="Rounds; the median counts."
)
@click.option(
    "--peers",
    metavar="NAMES",
    help="Codecs to time too, with commas, or 'none': Pillow's jpeg, webp, avif and more; jxl; CompressAI's "
    "mbt2018-mean and bmshj2018-hyperprior.  [default: these six, but for what is not installed]",
)
@click.option(
    "--compressai-quality",
    type=click.IntRange(1, 8),
    default=4,
    show_default=True,
    help="Of CompressAI's models, which are wider from 5 or 6 on.",
)
@threads_option()
@click.option(
    "--clock",
    type=click.Choice(["wall", "cpu"]),
    default="wall",
    show_default=True,
    help="Count seconds that pass, or seconds of a processor: steadier on a machine with other work.",
)
@click.option(
    "--process",
    is_flag=True,
    help="Also time whole processes of rdae decompress on the first picture, and their memory.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the table as Markdown.")
def benchmark(
    *,
    images: tuple[Path, ...],
    quality: float,
    model: Path | None,
    device: str | None,
    repeat: int,
    peers: str | None,
    compressai_quality: int,
    threads: int | None,
    clock: str,
    process: bool,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Time encoding and decoding of IMAGES (pictures or folders) with the model loaded once.

    Each picture is done by rdae and by the other codecs in turns, in one process. Pillow's codecs run at the quality of
    nearest file size, CompressAI's models with random weights. Medians are reported, the ratio to rdae in the same
    round, the share of each stage and the multiply-accumulates per pixel.
    """
    from rdae import open_model
    from rdae.evaluation.codecs import Rdae
    from rdae.evaluation.run import collect_pictures
    from rdae.evaluation.speed import measure, text
    from rdae.evaluation.speed import process as processes

    if as_json and as_markdown:
        raise click.UsageError("--json and --markdown are two forms of one result: give one of them.")
    pictures = [_read(path) for path in collect_pictures(images)]
    opened = open_model(model, device=device, threads=threads)
    files = [opened.compress(picture, quality) for picture in pictures]
    tested = Rdae(opened)
    chosen: list[tuple[Codec, float]] = [(tested, quality)]
    chosen += _peers(peers, compressai_quality, pictures, sum(map(len, files)))
    kmac = opened.kmac_per_pixel()
    found = measure.measure(
        chosen, pictures, rounds=repeat, kmac_per_pixel=kmac, threads=tested.threads, note=_note, clock=clock
    )
    whole = None
    if process:
        pixels = pictures[0].shape[0] * pictures[0].shape[1]
        given = {"--model": model, "--device": device, "--threads": threads}
        options = [word for name, value in given.items() if value is not None for word in (name, str(value))]
        whole = processes.measure(
            files[0],
            pixels,
            lambda: opened.decode(files[0]),
            rounds=repeat,
            note=_note,
            options=options,
            threads=threads,
            clock=clock,
        )
    if as_json:
        result = found.as_json() | ({} if whole is None else {"process": whole.as_json()})
        click.echo(json.dumps(result, indent=1))
        return
    printed = text.markdown(found) if as_markdown else text.lines(found)
    if whole is not None:
        printed += ["", *whole.lines()] if as_markdown else whole.lines()
    click.echo("\n".join(printed))


def _peers(
    asked: str | None, compressai_quality: int, pictures: Sequence[NDArray[np.uint8]], size: int
) -> Iterator[tuple[Codec, float]]:
    """The codecs that were asked for, or those of the default that are there, and qualities; a line for the others."""
    from rdae.evaluation.codecs import UNTRAINED, find_codecs, find_untrained, nearest_in_size

    names: Sequence[str] = (*LIBRARY_PEERS, *UNTRAINED)
    if asked is not None:
        names = tuple(name for part in asked.split(",") if (name := part.strip()) not in ("", "none"))
    for name in names:
        with _left_out(name, also=asked is None):
            if name in UNTRAINED:
                _note(f"building {name}")
                yield find_untrained(name), compressai_quality
            else:
                (codec,) = find_codecs([name])
                _note(f"looking for the quality of {codec.title} that gives the same size")
                yield codec, nearest_in_size(codec, pictures, size)


@contextlib.contextmanager
def _left_out(name: str, *, also: bool) -> Iterator[None]:
    """Turn the error that a codec is not installed into a line, if it may also be left out."""
    from rdae.errors import MissingExtraError, ResultsError

    try:
        yield
    except (MissingExtraError, ResultsError) as error:
        if not also:
            raise
        _note(f"without {name}: {error}")


def _note(line: str) -> None:
    click.echo(line, err=True)


def _read(path: Path) -> NDArray[np.uint8]:
    """The picture in a file; an error names the file."""
    from rdae.errors import PictureError
    from rdae.pictures import read_picture

    try:
        return read_picture(path)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error
