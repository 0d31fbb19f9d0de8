"""rdae report: result files to one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from rdae.errors import BatchError

from .options import threads_option
from .progress import PassingLine

SHOW = "worst,median,best"


@click.command("report")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The page, an .html file."
)
@click.option(
    "--pictures",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The pictures that were measured, a folder or files, to look at; may be given several times. All files are "
    "shown; of a folder those that --show says.",
)
@click.option(
    "--show",
    default=SHOW,
    show_default=True,
    help="Of the pictures in folders: worst, median, best, or file names, with commas between.",
)
@click.option(
    "-q",
    "--quality",
    type=click.FloatRange(0, 100),
    help="Quality of the pictures to look at.  [default: the measured one nearest to 0.3 bits per pixel]",
)
@click.option(
    "--match",
    type=click.Choice(["bytes", "psnr", "both"]),
    default="bytes",
    show_default=True,
    help="What other codecs' pictures have in common with the first's: their bytes or their PSNR.",
)
@click.option(
    "--anchors",
    help="Published Kodak curves to compare with, with commas between, or 'none'.  "
    "[default: bpg444,vtm if all results are of Kodak, else none]",
)
@click.option(
    "--model",
    "models",
    metavar="NAME|PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="For --pictures: a model that was measured, a name or a weights file, if it is not one that rdae models "
    "lists; may be given several times.",
)
@click.option("--title", default="", help="The heading.")
@click.option(
    "--max-mb",
    type=click.FloatRange(0.1, 1000),
    default=10.0,
    show_default=True,
    help="The most megabytes that the page may have; pictures are cropped to keep to it.",
)
@threads_option()
@click.option("-f", "--force", is_flag=True, help="Replace a page that is already there.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def report(
    *,
    results: tuple[Path, ...],
    output: Path,
    pictures: tuple[Path, ...],
    show: str,
    quality: float | None,
    match: str,
    anchors: str | None,
    models: tuple[Path, ...],
    title: str,
    max_mb: float,
    threads: int | None,
    force: bool,
    quiet: bool,
) -> None:
    """Make one HTML page of RESULTS, files of rdae eval, to be opened in any browser.

    The page is about the codec of the first file, compared with those of the others. It has the curves, the table of
    pictures, times, and with --pictures the pictures side by side and where the bits went. It is one file and asks
    nothing of any network.
    """
    from rdae.evaluation.result_files import model_files
    from rdae.evaluation.run import collect_pictures
    from rdae.reporting.page.build import build
    from rdae.reporting.page.choose import choose_pictures, usual_anchors
    from rdae.reporting.page.gather import default_quality, gather
    from rdae.reporting.page.show import show_pictures
    from rdae.storage.files import check_output, identities, write_atomically

    if models and not pictures:
        raise click.UsageError("--model is for pictures to look at: give --pictures too.")
    # Before the minutes of work. Of a folder every picture is an input, as any may be the next to be shown.
    own = [path for model in models for path in model_files(model)]
    check_output(output, force=force, inputs=identities([*results, *collect_pictures(pictures), *own]))
    if not output.parent.is_dir():
        raise BatchError(f"{output}: there is no folder {output.parent}")
    curves = usual_anchors(results) if anchors is None else _words(anchors)
    comparison = gather(results, [name for name in curves if name != "none"])
    at = default_quality(comparison.tested) if quality is None else quality
    progress = PassingLine()
    shown, notes = show_pictures(
        comparison,
        choose_pictures(comparison, pictures, _words(show), at),
        at,
        matches=["bytes", "psnr"] if match == "both" else [match],
        models=models,
        threads=threads,
        tell=(lambda _line: None) if quiet else progress.passing,
    )
    if not quiet:
        progress.passing("putting the page together")
    page = build(
        comparison,
        shown,
        quality=at,
        title=title,
        line=_line(results, output, pictures, models, match, quality),
        max_bytes=round(max_mb * 1e6),
        notes=notes,
    )
    write_atomically(output, page, force=force)
    progress.clear()
    if not quiet:
        click.echo(
            f"{output}  {len(page):,} bytes, {len(shown)} picture{'s' if len(shown) != 1 else ''} to look at",
            err=True,
        )


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _line(
    results: Sequence[Path],
    output: Path,
    pictures: Sequence[Path],
    models: Sequence[Path],
    match: str,
    quality: float | None,
) -> list[str]:
    """This command again, without the folders of this machine."""
    line = ["rdae", "report", *(path.name for path in results), "-o", output.name]
    if pictures:
        line += ["--pictures", "PICTURES"]
    for model in models:
        line += ["--model", model.name]
    if match != "bytes":
        line += ["--match", match]
    if quality is not None:
        line += ["-q", f"{quality:g}"]
    return line
