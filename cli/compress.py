"""rdae compress: pictures to .rdae files."""

from pathlib import Path

import click

from .files import LazyModel, file_options, finite, plan, run
from .report import complain


@click.command()
@file_options
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
def compress(
    *,
    inputs: tuple[Path, ...],
    output: Path | None,
    directory: Path | None,
    force: bool,
    weights: Path | None,
    quiet: bool,
    quality: float,
    verify: bool,
) -> None:
    """Compress pictures, each to an .rdae file beside it.

    Any format that Pillow reads will do; alpha and metadata are not kept yet.
    """
    from rdae.files import check_output, identities, write_atomically
    from rdae.pictures import read_picture

    pairs = plan(inputs, output, directory, ".rdae")
    model = LazyModel(weights)
    sources = identities(inputs)

    def one(source: Path, target: Path) -> str:
        check_output(target, force=force, inputs=sources)
        picture = read_picture(source, lambda line: None if quiet else complain(str(source), line))
        data = model.opened.compress(picture, quality=quality, verify=verify)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, data, force=force)
        height, width, _ = picture.shape
        return f"{len(data):,} bytes  {8 * len(data) / (width * height):.3f} bpp"

    run(pairs, one, quiet=quiet)
