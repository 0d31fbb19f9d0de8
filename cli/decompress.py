"""rdae decompress: .rdae files to pictures."""

from pathlib import Path

import click

from .files import LazyModel, file_options, plan, run


@click.command()
@file_options
def decompress(
    *,
    inputs: tuple[Path, ...],
    output: Path | None,
    directory: Path | None,
    force: bool,
    weights: Path | None,
    quiet: bool,
) -> None:
    """Decompress .rdae files, each to a PNG beside it.

    With -o the suffix of the output chooses its format.
    """
    from rdae.container import parse
    from rdae.files import check_output
    from rdae.pictures import format_of, write_picture

    pairs = plan(inputs, output, directory, ".png")
    model = LazyModel(weights)

    def one(source: Path, target: Path) -> str:
        data = source.read_bytes()
        parse(data)  # what is no .rdae file should not wait for a model to be loaded
        format_of(target)
        check_output(target, force=force)
        image = model.for_file(data).decompress(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_picture(target, image, force=force)
        return f"{image.width} x {image.height}"

    run(pairs, one, quiet=quiet)
