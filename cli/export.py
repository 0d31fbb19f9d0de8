"""rdae export: freeze a training run to a weights file."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="NAME.safetensors",
    type=click.Path(path_type=Path),
    help="The weights file; its manifest goes beside it, as NAME.json.",
)
@click.option(
    "--data",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Where the training pictures are now, if they were moved; may be given several times.",
)
@click.option("-f", "--force", is_flag=True, help="Replace a weights file that exists.")
def export(*, run: Path, output: Path, data: tuple[Path, ...], force: bool) -> None:
    """Freeze the averaged weights of RUN's last checkpoint to a weights file.

    Its tables are fitted to crops of the training pictures. A run may go on training meanwhile.
    """
    from rdae.training.export.freeze import export as freeze

    sha256 = freeze(run, output, data=tuple(map(str, data)), force=force)
    click.echo(f"{output}  {output.stat().st_size:,} bytes  SHA-256 {sha256}")
