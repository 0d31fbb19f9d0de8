"""rdae efforts: what the levels of effort save and cost, beside other codecs' speeds."""

from __future__ import annotations

from pathlib import Path

import click

from rdae.effort import MAX_EFFORT

from .options import device_option, model_options, threads_option
from .options import qualities as list_of_qualities
from .progress import CountLine


def _settings(
    _context: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> dict[str, list[int]]:
    """Settings by name of a codec: "avif=4,6,8"."""
    found: dict[str, list[int]] = {}
    for value in values:
        name, _, numbers = value.partition("=")
        try:
            found[name.strip()] = [int(part) for part in numbers.split(",")]
        except ValueError as error:
            raise click.BadParameter(
                f"{value!r}, expected a codec and whole numbers such as avif=4,6,8"
            ) from error
    return found


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-q",
    "--qualities",
    callback=list_of_qualities,
    default="20,50,80",
    show_default=True,
    help="Qualities of the model to measure, 0 to 100, with commas between them; a BD-rate needs three.",
)
@click.option(
    "-e",
    "--effort",
    type=click.IntRange(0, MAX_EFFORT),
    default=5,
    show_default=True,
    help="The highest level to measure; those below come with it.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="NAME",
    help="Measure another codec from its fastest setting to its slowest: avif, avif420, jxl (or jpeg-xl) or webp; "
    "may be given several times.",
)
@click.option(
    "--settings",
    multiple=True,
    callback=_settings,
    metavar="NAME=N,N,...",
    help="Measure only these settings of such a codec, as in avif=4,6,8; may be given several times.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Result file (JSON) to write.")
@click.option(
    "--figure",
    type=click.Path(path_type=Path),
    help="Draw bits saved against rdae's level 0 over seconds to this file: .png, .svg or .pdf.",
)
@model_options
@device_option
@threads_option()
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the table as Markdown.")
@click.option("-f", "--force", is_flag=True, help="Replace files that are already there.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def efforts(
    *,
    images: tuple[Path, ...],
    qualities: list[float],
    effort: int,
    against: tuple[str, ...],
    settings: dict[str, list[int]],
    output: Path | None,
    figure: Path | None,
    model: Path | None,
    device: str | None,
    threads: int | None,
    as_markdown: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Measure on IMAGES (pictures or folders) what each level of effort saves, and how long it takes.

    The levels of a picture are stages of one search, so that all of them take as long as the highest. Of each level:
    steps, seconds a picture, their ratio to level 0, the BD-rate against level 0 (by SSIMULACRA2 if the model was
    trained for that, else by PSNR), and the seconds to decode. Other
    codecs are measured at every third quality that rdae eval has of them, and compared with their own fastest setting
    and with rdae's level 0.
    """
    from rdae.evaluation import effort_levels as levels
    from rdae.evaluation.codecs import Rdae
    from rdae.evaluation.result_files import is_one_of, model_files
    from rdae.evaluation.run import collect_pictures
    from rdae.storage.files import check_output, encoded, identities, write_atomically

    # Everything that can be wrong with the request is found before the hours of work.
    pictures = collect_pictures(images)
    inputs = identities([*pictures, *model_files(model)])
    others = levels.chosen_codecs(against, settings)
    file_format = ""
    if figure is not None:
        file_format = _drawable(figure)
    if output is not None and figure is not None and is_one_of(figure, [output]):
        raise click.UsageError(f"--figure {figure} is where -o writes: give it a name of its own.")
    for path in (output, figure):
        if path is not None:
            check_output(path, force=force, inputs=inputs)
            path.parent.mkdir(parents=True, exist_ok=True)

    from rdae import open_model

    opened = open_model(model, device=device, threads=threads)
    progress = (lambda _done, _total, _what: None) if quiet else CountLine()
    result = levels.measure(Rdae(opened), pictures, qualities, effort, others=others, progress=progress)
    if output is not None:
        write_atomically(output, encoded(result.to_json()), force=force)
    if figure is not None:
        from rdae.reporting import effort_levels as diagram

        write_atomically(figure, diagram.draw(result, file_format=file_format), force=force)
    click.echo("\n".join(levels.markdown(result) if as_markdown else levels.table(result)))


def _drawable(path: Path) -> str:
    """The format that a figure's name asks for; MissingExtraError if nothing can be drawn here."""
    from rdae.reporting.figures import FORMATS, canvas

    file_format = path.suffix.lower().lstrip(".")
    if file_format not in FORMATS:
        raise click.BadParameter(
            f"{path.name}, expected a name ending in .png, .svg or .pdf", param_hint="--figure"
        )
    with canvas(1.0):
        return file_format
