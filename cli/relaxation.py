"""rdae relaxation: the training objective of whole pictures, with noise and with rounding."""

from __future__ import annotations

from pathlib import Path

import click

from .messages import complain
from .options import model_options, threads_option
from .options import qualities as list_of_qualities
from .progress import CountLine


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-q",
    "--qualities",
    callback=list_of_qualities,
    default="0,20,40,60,80,100",
    show_default=True,
    help="Qualities to measure, 0 to 100, with commas between them.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Result file (JSON), for rdae plot.")
@model_options
@click.option(
    "--draws",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Draws of noise to take the mean of.",
)
@threads_option()
@click.option("-f", "--force", is_flag=True, help="Replace a result file that is already there.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def relaxation(
    *,
    images: tuple[Path, ...],
    qualities: list[float],
    output: Path | None,
    model: Path | None,
    draws: int,
    threads: int | None,
    force: bool,
    quiet: bool,
) -> None:
    """Measure on IMAGES (pictures or folders) how well the training objective stands for the real one.

    Rate and mean squared error three times: rounded, with uniform noise in place of rounding as in training, and of
    the real file. Needs the extra train. A picture that fails is reported and the others go on; the exit status is
    then 1.
    """
    from rdae.evaluation.relaxation import measure, table
    from rdae.evaluation.result_files import model_files
    from rdae.evaluation.run import collect_pictures
    from rdae.networks import registry
    from rdae.storage.files import check_output, encoded, identities, write_atomically

    pictures = collect_pictures(images)
    path = registry.tuned_path() if model is None else registry.find(model)
    if output is not None:
        check_output(output, force=force, inputs=identities([*pictures, *model_files(path)]))
        output.parent.mkdir(parents=True, exist_ok=True)
    progress = (lambda _done, _total, _what: None) if quiet else CountLine()
    result = measure(path, pictures, qualities, draws=draws, threads=threads, progress=progress)
    if output is not None:
        write_atomically(output, encoded(result.to_json()), force=force)
    click.echo("\n".join(table(result)))
    for name, message in result.failures:
        complain(name, message)
    if result.failures:
        raise SystemExit(1)
