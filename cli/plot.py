"""rdae plot: result files to a figure of rate against distortion."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("plot")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Figure: .png, .svg or .pdf."
)
@click.option(
    "--anchors",
    default="vtm,bpg444,webp,jpeg",
    show_default=True,
    help="Published Kodak curves to draw dashed, or 'none'; --list-anchors names all.",
)
@click.option(
    "--metric",
    type=click.Choice(["psnr", "ms-ssim"]),
    default="psnr",
    show_default=True,
    help="What is drawn over the rate.",
)
@click.option("--title", default="", help="A line above the figure.")
@click.option("-f", "--force", is_flag=True, help="Replace a figure that is already there.")
@click.option(
    "--list-anchors",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, _option, wanted: _list_anchors(context) if wanted else None,
    help="Name the published curves and exit.",
)
def plot(
    *, results: tuple[Path, ...], output: Path, anchors: str, metric: str, title: str, force: bool
) -> None:
    """Draw bits per pixel against PSNR (or MS-SSIM) of RESULTS, files of rdae eval or CompressAI.

    The first file is drawn thickest and sets the frame. Published curves are of the 24 Kodak pictures: leave
    them out with --anchors none for results of other pictures.
    """
    from rdae.evaluation.curves import published, read_curve
    from rdae.files import check_output, write_atomically
    from rdae.reporting.rate_distortion import FORMATS, draw

    file_format = output.suffix.lower().lstrip(".")
    if file_format not in FORMATS:
        raise click.BadParameter(
            f"{output.name}, expected a name ending in .png, .svg or .pdf", param_hint="-o"
        )
    check_output(output, force=force)
    measured = [read_curve(path) for path in results]
    names = [name.strip() for name in anchors.split(",") if name.strip() not in ("", "none")]
    figure = draw(
        measured, [published(name) for name in names], file_format=file_format, metric=metric, title=title
    )
    write_atomically(output, figure, force=force)


def _list_anchors(context: click.Context) -> None:
    from rdae.evaluation.curves import PUBLISHED

    for name, (_, title) in PUBLISHED.items():
        click.echo(f"{name:18}{title}")
    context.exit()
