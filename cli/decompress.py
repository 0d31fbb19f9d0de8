"""rdae decompress: .rdae files to pictures."""

from pathlib import Path

import click

from .files import LazyModel, file_options, plan, run


@click.command()
@file_options
@click.option(
    "--exact", is_flag=True, help="Pixels that are the same on every machine; else they may differ by one level."
)
@click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=100_000_000,
    show_default=True,
    help="Refuse files that announce more, before anything is allocated.",
)
def decompress(
    *,
    inputs: tuple[Path, ...],
    output: Path | None,
    directory: Path | None,
    force: bool,
    weights: Path | None,
    quiet: bool,
    exact: bool,
    max_pixels: int,
) -> None:
    """Decompress .rdae files, each to a PNG beside it.

    With -o the suffix of the output chooses its format.
    """
    from rdae.container import parse
    from rdae.files import check_output, identities, read_stream
    from rdae.pictures import format_of, write_picture

    pairs = plan(inputs, output, directory, ".png")
    model = LazyModel(weights)
    sources = identities(inputs)

    def one(source: Path, target: Path) -> str:
        data = read_stream(source)
        parse(data, max_pixels)  # what is no .rdae file should not wait for a model to be loaded
        format_of(target)
        check_output(target, force=force, inputs=sources)
        image = model.for_file(data).decompress(data, exact=exact, max_pixels=max_pixels)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_picture(target, image, force=force)
        return f"{image.width} x {image.height}"

    run(pairs, one, quiet=quiet)
