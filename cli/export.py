"""rdae export: freeze a training run to a weights file, or make the graphs of a weights file that has none."""

from pathlib import Path

import click

SHARE = 0.5
"""Of a run in a mean with other weights."""


@click.command()
@click.argument("run", metavar="RUN|WEIGHTS", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="NAME.safetensors",
    type=click.Path(path_type=Path),
    help="The weights file; its manifest and its graphs go beside it, as NAME.json and NAME.*.onnx.",
)
@click.option(
    "--data",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Where the training pictures are now, if they were moved; may be given several times.",
)
@click.option(
    "--mean",
    metavar="WEIGHTS",
    type=click.Path(path_type=Path),
    help="Export the mean of the run's weights and of this weights file, such as the one that the run began with.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    help=f"Of that mean: how much the run's weights count.  [default: {SHARE:g}]",
)
@click.option("-f", "--force", is_flag=True, help="Replace a weights file that exists.")
def export(
    *,
    run: Path,
    output: Path | None,
    data: tuple[Path, ...],
    mean: Path | None,
    share: float | None,
    force: bool,
) -> None:
    """Freeze the averaged weights of RUN's last checkpoint to a weights file.

    Its tables are fitted to crops of the training pictures. A run may go on training meanwhile.

    WEIGHTS, NAME.safetensors, is a weights file without graphs, which the codec cannot run: they are made beside it.
    """
    from rdae.training.export import export as frozen
    from rdae.training.export import graphs_of

    if run.suffix == ".safetensors":
        if output is not None or data or mean is not None or share is not None:
            raise click.UsageError(
                "Of a weights file only the graphs are made, beside it: without -o, --data, --mean and --share."
            )
        count = graphs_of(run)
        click.echo(f"{run}  {count} graphs made beside it")
        return
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output': where the weights file goes.")
    if share is not None and mean is None:
        raise click.UsageError("--share is for a mean: give --mean too.")
    mixed = None if mean is None else (mean, SHARE if share is None else share)
    sha256 = frozen(run, output, data=tuple(map(str, data)), mean=mixed, force=force)
    click.echo(f"{output}  {output.stat().st_size:,} bytes  SHA-256 {sha256}")
