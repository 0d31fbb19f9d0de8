"""rdae eval: rate, distortion and time of the model, and of other codecs, on real files."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rdae.errors import RdaeError
from rdae.evaluation.five_measures import FIVE

from .messages import complain
from .options import device_option, effort_option, model_options, threads_option
from .progress import CountLine

if TYPE_CHECKING:
    from rdae.evaluation.curves import Curve


@click.command("eval")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-q",
    "--qualities",
    default="5,20,40,60,80,95",
    show_default=True,
    help="Qualities of the model to measure, 0 to 100, with commas between them. Peers have ladders of their own.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Result file (JSON) to write. What is there of the same codec is not measured again.",
)
@click.option(
    "--csv", "csv_output", type=click.Path(path_type=Path), help="Write all points as a table to this file."
)
@model_options
@device_option
@click.option(
    "--peers",
    multiple=True,
    help="Measure these too, with commas between: jpeg, jpeg420, jpeg2000, webp, avif, avif420, avif-iq, "
    "avif-ssimulacra2, avif-psnr, avif-speed6, jxl, jpeg-default, webp-default; or CompressAI's architectures as "
    "compressai:NAME:QUALITY=CHECKPOINT, one for each quality.",
)
@click.option("--peers-only", is_flag=True, help="Measure the peers without a model.")
@click.option(
    "--against",
    multiple=True,
    metavar="FILE|NAME",
    help="Give the BD-rate of all that is measured against this result file or published curve "
    "(rdae plot --anchors list names them); may be given several times.",
)
@click.option(
    "--anchors",
    default="bpg444,vtm",
    show_default=True,
    help="Published Kodak curves to give the first codec's BD-rate against, or 'none'.",
)
@effort_option("What the model's files are made with, as in `rdae compress`.")
@click.option(
    "--metric",
    type=click.Choice(["psnr", "psnr-rgb-of-mean-mse", "psnr-y", "ms-ssim", "ssimulacra2", *FIVE]),
    help="What BD-rates are of.  [default: PSNR, and SSIMULACRA2 where it was measured, which comes first for a model "
    "that was trained for it]",
)
@click.option(
    "--bd",
    type=click.Choice(["pchip", "cubic"]),
    default="pchip",
    show_default=True,
    help="How curves are interpolated for BD-rates; cubic is the classic polynomial.",
)
@click.option(
    "--ssimulacra2",
    is_flag=True,
    help="Measure SSIMULACRA2 too; done anyway for a model that was trained for it.",
)
@click.option(
    "--perceptual",
    is_flag=True,
    help="Measure HaarPSI, FSIMc, MDSI, MS-GMSD and VSI too, which no model was trained for, and give the mean of "
    "their BD-rates; they need PyTorch and take a second a picture.",
)
@click.option(
    "--exact",
    is_flag=True,
    help="Store each picture exactly too, and count the bytes; of rdae, seconds a picture.",
)
@click.option(
    "--memory", is_flag=True, help="Measure the peak memory of encoding and decoding the largest picture."
)
@click.option(
    "--fresh-process", is_flag=True, help="Decode all files once more in a new process and compare."
)
@click.option(
    "-f", "--force", is_flag=True, help="Measure afresh and replace result files that are already there."
)
@threads_option()
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def evaluate(
    *,
    images: tuple[Path, ...],
    qualities: str,
    output: Path | None,
    csv_output: Path | None,
    model: Path | None,
    device: str | None,
    effort: int,
    peers: tuple[str, ...],
    peers_only: bool,
    against: tuple[str, ...],
    anchors: str,
    metric: str | None,
    bd: str,
    ssimulacra2: bool,
    perceptual: bool,
    exact: bool,
    memory: bool,
    fresh_process: bool,
    force: bool,
    threads: int | None,
    quiet: bool,
) -> None:
    """Measure rate, distortion and time on IMAGES, which are pictures or folders of pictures.

    Each picture is encoded at each quality to a real file, read back, decoded and compared. The JSON file has
    the form of CompressAI's results and more; peers get a file of their own beside it (results.jpeg.json for
    results.json). A picture that fails is reported and the others go on; the exit status is then 1. Run again, it
    measures what is missing; what was stopped goes on.
    """
    at = _qualities(qualities)
    wanted = _names(",".join(peers))
    if peers_only and not wanted:
        raise click.UsageError("--peers-only needs --peers")
    if metric in FIVE and not perceptual:
        raise click.UsageError(f"--metric {metric} needs --perceptual")

    from rdae.evaluation import five_measures, fresh, run, tables
    from rdae.evaluation import memory as memory_of
    from rdae.evaluation.codecs import Codec, Rdae, find_codecs
    from rdae.evaluation.curves import published
    from rdae.evaluation.result_files import is_one_of, model_files, result_file, result_path
    from rdae.evaluation.results import Evaluation
    from rdae.evaluation.spreadsheet import is_table_of, to_csv
    from rdae.storage.files import check_output, encoded, identities, write_atomically

    # Everything that can be wrong with the request is found before the hours of work.
    pictures = run.collect_pictures(images)
    chosen = find_codecs(wanted)
    if perceptual:
        five_measures.load()
    for path in (output, csv_output):
        if path is not None and not path.name:
            raise click.UsageError(f"{path} names a folder, expected a file.")
    suffixes = [*([] if peers_only else [""]), *(codec.suffix for codec in chosen)]
    outputs = [] if output is None else [result_path(output, suffix) for suffix in suffixes]
    checkpoints = [name.partition("=")[2] for name in wanted if "=" in name]
    inputs = identities([*pictures, *against, *checkpoints, *model_files(None if peers_only else model)])
    for path in outputs:
        check_output(path, force=True, inputs=inputs)
    if csv_output is not None:
        if is_one_of(csv_output, outputs):
            raise click.UsageError(
                f"--csv {csv_output} is where -o writes results: give it a name of its own."
            )
        check_output(csv_output, force=True, inputs=inputs)
    references = [_reference(name) for name in against]
    known = [published(name) for name in _names(anchors) if name != "none"]
    opened = None
    if not peers_only:
        from rdae import open_model

        opened = Rdae(open_model(model, device=device, threads=threads), effort, model)
        # What a model was trained for is measured without being asked for.
        ssimulacra2 = ssimulacra2 or opened.objective == "ssimulacra2"
    if metric == "ssimulacra2" and not ssimulacra2:
        raise click.UsageError("--metric ssimulacra2 needs --ssimulacra2")
    metrics = tables.metrics_of("mse" if opened is None else opened.objective, ssimulacra2=ssimulacra2)
    labels = run.labels(pictures)
    files = {
        codec.suffix: result_file(output, codec.suffix, codec.identity, labels, codec.qualities, afresh=force)
        for codec in chosen
    }
    if opened is not None:
        files[""] = result_file(output, "", opened.identity, labels, at, afresh=force)
    replaces = force
    if csv_output is not None:
        # Where results are kept, their table is written anew: --force would also measure everything again.
        measured = [(codec.title, codec.qualities) for codec in chosen]
        measured += [] if opened is None else [(opened.title, at)]
        points = [
            (title, label, float(q)) for title, qualities in measured for label in labels for q in qualities
        ]
        replaces = force or (output is not None and is_table_of(csv_output, points))
        check_output(csv_output, force=replaces)
        csv_output.parent.mkdir(parents=True, exist_ok=True)

    count = CountLine()
    results: list[Evaluation] = []
    told: set[tuple[str, str]] = set()

    def tell(what: str, line: str) -> None:
        if (what, line) not in told:  # each codec reads the pictures anew, and has the same to say of them
            told.add((what, line))
            count.clear()
            complain(what, line)

    def finish(result: Evaluation, suffix: str, codec: Codec) -> None:
        if memory and result.memory is None:
            try:
                middle = result.qualities[len(result.qualities) // 2]
                result = replace(result, memory=memory_of.measure(codec, pictures, middle))
            except RdaeError as error:  # the rest of a long run is still worth having
                tell("peak memory", str(error))
                result = replace(result, failures=(*result.failures, ("peak memory", str(error))))
        results.append(result)
        files[suffix].write(result)  # first: what took hours is not to depend on who reads what is printed
        click.echo("\n".join([*tables.table(result, metrics[0]), *tables.checks(result), ""]))

    def extent(suffix: str) -> run.Extent:
        return run.Extent(files[suffix].known, ssimulacra2, perceptual, exact, files[suffix].write)

    with tempfile.TemporaryDirectory(prefix="rdae-eval-") as folder:
        progress = (lambda _done, _total, _what: None) if quiet else count
        note = (lambda _picture, _line: None) if quiet else tell
        if opened is not None:
            result = run.evaluate(
                opened,
                pictures,
                at,
                folder=Path(folder),
                progress=progress,
                extent=extent(""),
                fresh_command=fresh.COMMAND if fresh_process else (),
                note=note,
                failed=tell,
            )
            finish(result, "", opened)
        for codec in chosen:
            own = Path(folder) / codec.name
            own.mkdir()
            result = run.evaluate(
                codec,
                pictures,
                codec.qualities,
                folder=own,
                progress=progress,
                extent=extent(codec.suffix),
                note=note,
                failed=tell,
            )
            finish(result, codec.suffix, codec)

    if csv_output is not None:
        write_atomically(csv_output, encoded(to_csv(results)), force=replaces)
    test, *others = [result.curve() for result in results]
    if known and not tables.is_kodak(results[0]):
        click.echo("no BD-rate against published curves: these are not the 24 Kodak pictures")
        known = []
    pairs = [(test, [*others, *references, *known]), *((other, references) for other in others)]
    lines = []
    for each in [metric] if metric else metrics:
        for curve, anchored in pairs:
            # Published curves have no SSIMULACRA2; that is said only where it was asked for.
            usable = [
                anchor for anchor in anchored if metric or anchor.points(each)[0] or anchor.is_infinite(each)
            ]
            lines += tables.deltas(curve, usable, metric=each, method=bd)
    if perceptual:
        compared = tables.summary(test, [*others, *references], metrics=metrics, method=bd)
        lines += ["", *compared] if compared else []
    click.echo("\n".join(lines))
    if any(result.failures for result in results):
        raise SystemExit(1)


def _reference(name: str) -> Curve:
    """The curve of a result file, or, where there is no such file, a published one."""
    from rdae.evaluation.curves import PUBLISHED, published, read_curve

    path = Path(name)
    return published(name) if name in PUBLISHED and not path.exists() else read_curve(path)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _qualities(text: str) -> list[float]:
    try:
        values = sorted({float(part) for part in _names(text)})
    except ValueError:
        values = []
    if not values or not all(0 <= value <= 100 for value in values):
        raise click.BadParameter(
            f"{text!r}, expected numbers from 0 to 100 such as 20,50,80", param_hint="-q"
        )
    return values
