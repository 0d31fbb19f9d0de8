"""rdae benchmark: seconds and share of each stage, beside Pillow's codecs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .files import finite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
@click.option("--model", type=click.Path(path_type=Path), help="Weights to use instead of the package's own.")
@click.option(
    "--repeat", type=click.IntRange(1), default=5, show_default=True, help="Rounds; the median counts."
)
@click.option(
    "--peers", help="Pillow's codecs to time too, or 'none'.  [default: jpeg,webp,avif, those that Pillow has]"
)
@click.option("--threads", type=click.IntRange(1), help="Threads of torch; by default as many as it takes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def benchmark(
    *,
    images: tuple[Path, ...],
    quality: float,
    model: Path | None,
    repeat: int,
    peers: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Time encoding and decoding of IMAGES (pictures or folders) with the model loaded once.

    Rounds alternate between rdae and Pillow's codecs, which run at the quality of nearest file size; the
    median round is reported, with the share of each stage and the multiply-accumulates per pixel.
    """
    import torch

    from rdae.api import open_model
    from rdae.evaluation import benchmark as timing
    from rdae.evaluation.peers import available_peers, find_peers
    from rdae.evaluation.run import collect_pictures

    if threads is not None:
        torch.set_num_threads(threads)
    if peers is None:
        chosen = available_peers(("jpeg", "webp", "avif"))
    else:
        chosen = find_peers([name.strip() for name in peers.split(",") if name.strip() not in ("", "none")])
    pictures = [_read(path) for path in collect_pictures(images)]
    found = timing.benchmark(
        open_model(model),
        pictures,
        quality,
        chosen,
        rounds=repeat,
        note=lambda line: click.echo(line, err=True),
    )
    click.echo(json.dumps(found.as_json(), indent=1) if as_json else "\n".join(timing.lines(found)))


def _read(path: Path) -> NDArray[np.uint8]:
    """The picture in a file; an error names the file."""
    from rdae.errors import PictureError
    from rdae.pictures import read_picture

    try:
        return read_picture(path)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error
