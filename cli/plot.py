"""rdae plot: what was measured, or logged by a training run, to a figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .messages import complain
from .options import limits

if TYPE_CHECKING:
    from rdae.evaluation import history
    from rdae.evaluation.curves import Curve

ANCHORS = "elic,vtm,bpg444"


@click.command("plot")
@click.argument("sources", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Figure: .png, .svg or .pdf.")
@click.option(
    "--metric",
    default="psnr",
    show_default=True,
    help="What is drawn over the rate: psnr, ms-ssim (in dB), or the key of any column of the result files.",
)
@click.option(
    "--anchors",
    help="Published Kodak curves to draw dashed, with commas between; 'none'; 'list' prints names and sources.  "
    f"[default: {ANCHORS} if all results are of Kodak, else none]",
)
@click.option(
    "--xlim",
    metavar="A,B",
    callback=limits,
    help="Bits per pixel from A to B.  [default: the first result's]",
)
@click.option(
    "--ylim", metavar="A,B", callback=limits, help="The metric from A to B.  [default: the first result's]"
)
@click.option("--log", is_flag=True, help="Draw the rate logarithmically.")
@click.option(
    "--account",
    is_flag=True,
    help="Draw what the latents take, and what exact recovery takes besides, over β: one result file of rdae eval.",
)
@click.option("--title", default="", help="A line above the figure.")
@click.option("-f", "--force", is_flag=True, help="Replace a figure that is already there.")
@click.pass_context
def plot(
    context: click.Context,
    *,
    sources: tuple[Path, ...],
    output: Path | None,
    metric: str,
    anchors: str | None,
    xlim: tuple[float, float] | None,
    ylim: tuple[float, float] | None,
    log: bool,
    account: bool,
    title: str,
    force: bool,
) -> None:
    """Draw SOURCES: result files of rdae eval or CompressAI, folders of training runs, or one file of another command.

    Results: bits per pixel against PSNR or another metric. The first file is drawn thickest and sets the frame. With
    --account, the bits of the latents and of the rest of the picture over β.

    Runs: loss, rate and distortion over the pixels seen, and the validation curve as it moved. Runs that started from
    each other's weights stand side by side.

    rdae relaxation: rate and distortion with noise over those with rounding, a line a picture.

    rdae efforts: bits saved against rdae's level 0 over seconds, a curve a codec.
    """
    from rdae.evaluation import effort_levels, history, relaxation, results
    from rdae.reporting import account as account_figure
    from rdae.reporting import effort_levels as efforts_figure
    from rdae.reporting import rate_distortion, training_curves
    from rdae.reporting import relaxation as diagrams
    from rdae.reporting.figures import FORMATS
    from rdae.storage.files import check_output, write_atomically

    if anchors == "list":
        _list_anchors()
        return
    if not sources:
        raise click.UsageError("Missing argument 'SOURCES...'.")
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    file_format = output.suffix.lower().lstrip(".")
    if file_format not in FORMATS:
        raise click.BadParameter(
            f"{output.name}, expected a name ending in .png, .svg or .pdf", param_hint="-o"
        )
    check_output(output, force=force)
    kinds = {_kind(path) for path in sources}
    if len(kinds) > 1:
        raise click.UsageError(f"one figure cannot show {' and '.join(sorted(kinds))}.")
    (kind,) = kinds
    if kind != "results":
        _refuse(context, ("metric", "anchors", "xlim", "ylim", "log", "account"), "results")
    if kind == history.KIND:
        runs = [run for path in sources for run in _runs(path)]
        figure = training_curves.draw(runs, file_format=file_format, title=title)
    elif kind in (relaxation.KIND, effort_levels.KIND):
        if len(sources) > 1:
            raise click.UsageError(f"one figure shows one file of {kind}.")
        if kind == effort_levels.KIND:
            figure = efforts_figure.draw(
                effort_levels.read_effort_levels(sources[0]), file_format=file_format, title=title
            )
        else:
            figure = diagrams.draw(
                relaxation.read_relaxation(sources[0]), file_format=file_format, title=title
            )
    elif account:
        _refuse(context, ("metric", "anchors", "xlim", "ylim", "log"), "curves")
        if len(sources) > 1:
            raise click.UsageError("one figure shows the account of one file.")
        figure = account_figure.draw(results.read(sources[0]), file_format=file_format, title=title)
    else:
        measured, published = _curves(sources, anchors)
        figure = rate_distortion.draw(
            measured,
            published,
            file_format=file_format,
            metric=metric,
            title=title,
            xlim=xlim,
            ylim=ylim,
            log=log,
        )
    write_atomically(output, figure, force=force)


def _kind(path: Path) -> str:
    """What a source is; a file that says nothing of itself holds results, or nothing that can be drawn."""
    from rdae.evaluation import effort_levels, history, relaxation
    from rdae.evaluation.curves import read_json

    if path.is_dir():
        return history.KIND
    kind = read_json(path).get("kind")
    return kind if kind in (history.KIND, relaxation.KIND, effort_levels.KIND) else "results"


def _runs(path: Path) -> list[history.Run]:
    from rdae.evaluation import history

    return [history.read_run(path)] if path.is_dir() else history.read_history(path)


def _curves(paths: tuple[Path, ...], anchors: str | None) -> tuple[list[Curve], list[Curve]]:
    """The measured curves and the published ones that go with them, with a note where they do not."""
    from dataclasses import replace

    from rdae.evaluation.curves import KODAK, published, read_curve

    measured = [read_curve(path) for path in paths]
    names = [curve.name for curve in measured]
    measured = [
        replace(curve, name=f"{curve.name} ({path.stem})") if names.count(curve.name) > 1 else curve
        for curve, path in zip(measured, paths, strict=True)
    ]
    if anchors is None:
        sets = {curve.pictures for curve in measured if curve.pictures}
        anchors = ANCHORS if sets == {KODAK} else ""
    chosen = [name.strip() for name in anchors.split(",") if name.strip() not in ("", "none")]
    for curve, path in zip(measured, paths, strict=True):
        if chosen and curve.pictures and curve.pictures != KODAK:
            complain(str(path), "not of the 24 Kodak pictures, which the published curves are of")
        elif curve.pictures and measured[0].pictures and curve.pictures != measured[0].pictures:
            complain(str(path), f"of other pictures than {paths[0]}")
    return measured, [published(name) for name in chosen]


def _refuse(context: click.Context, options: tuple[str, ...], only: str) -> None:
    """Complain of options that the figure at hand has no use for."""
    given = [
        f"--{name}"
        for name in options
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    ]
    if given:
        raise click.UsageError(f"{', '.join(given)}: only for {only}.")


def _list_anchors() -> None:
    from rdae.evaluation.curves import PUBLISHED, published

    for name, (_, title) in PUBLISHED.items():
        click.echo(f"{name:16}{title:26}{published(name).source}")
