"""rdae eval: rate, distortion and time of the model, and of other codecs, on real files."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from .opening import device_option, model_option
from .progress import PassingLine, clock_time


@click.command("eval")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-q",
    "--qualities",
    default="5,20,40,60,80,95",
    show_default=True,
    help="Qualities to measure, 0 to 100, with commas between them.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Result file (JSON) to write.")
@model_option
@device_option
@click.option(
    "--peers", default="", help="Measure these too: jpeg, jpeg420, webp, avif, with commas between."
)
@click.option("--peers-only", is_flag=True, help="Measure the peers without a model.")
@click.option(
    "--against",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A result file to give the BD-rate against; may be given several times.",
)
@click.option(
    "--anchors",
    default="bpg444,vtm",
    show_default=True,
    help="Published Kodak curves to give the BD-rate against, or 'none'.",
)
@click.option(
    "--fresh-process", is_flag=True, help="Decode all files once more in a new process and compare."
)
@click.option("-f", "--force", is_flag=True, help="Replace result files that are already there.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def evaluate(
    *,
    images: tuple[Path, ...],
    qualities: str,
    output: Path | None,
    model: Path | None,
    device: str | None,
    peers: str,
    peers_only: bool,
    against: tuple[Path, ...],
    anchors: str,
    fresh_process: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Measure rate, distortion and time on IMAGES, which are pictures or folders of pictures.

    Each picture is encoded at each quality to a real file, read back, decoded and compared. The JSON file has
    the form of CompressAI's results and more; peers get a file of their own beside it (results.jpeg.json for
    results.json). A picture that fails is reported and the others go on; the exit status is then 1.
    """
    at = _qualities(qualities)
    if peers_only and not _names(peers):
        raise click.UsageError("--peers-only needs --peers")

    from rdae.evaluation import run, tables
    from rdae.evaluation.curves import published, read_curve
    from rdae.evaluation.peers import find_peers
    from rdae.evaluation.results import Evaluation
    from rdae.files import check_output, write_atomically

    # Everything that can be wrong with the request is found before the hours of work.
    pictures = run.collect_pictures(images)
    chosen = find_peers(dict.fromkeys(_names(peers)))
    if output is not None and not output.name:
        raise click.UsageError(f"-o {output} names a folder, expected a file.")
    references = [read_curve(path) for path in against]
    known = [published(name) for name in _names(anchors) if name != "none"]
    names = ([] if peers_only else [""]) + [peer.suffix for peer in chosen]
    outputs = {name: output.with_suffix(name + output.suffix) for name in names} if output else {}
    for path in outputs.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        check_output(path, force=force)

    results: list[Evaluation] = []

    def finish(result: Evaluation, name: str) -> None:
        results.append(result)
        click.echo("\n".join([*tables.table(result), *tables.checks(result), ""]))
        if outputs:
            write_atomically(outputs[name], result.to_json().encode(), force=force)

    with tempfile.TemporaryDirectory(prefix="rdae-eval-") as folder:
        progress = (lambda _done, _total, _what: None) if quiet else Progress()
        if not peers_only:
            from rdae.api import open_model

            check = run.FreshCheck(model) if fresh_process else None
            opened = open_model(model, device=device)
            own = Path(folder)
            finish(
                run.evaluate_model(opened, pictures, at, folder=own, progress=progress, fresh_check=check), ""
            )
        for peer in chosen:
            own = Path(folder) / peer.name
            own.mkdir()
            finish(
                run.evaluate_peer(peer, pictures, peer.qualities, folder=own, progress=progress), peer.suffix
            )

    test, *others = [result.curve() for result in results]
    if known and not tables.is_kodak(results[0]):
        click.echo("no BD-rate against published curves: these are not the 24 Kodak pictures")
        known = []
    click.echo("\n".join(tables.deltas(test, [*others, *references, *known])))
    if any(result.failures for result in results):
        raise SystemExit(1)


class Progress:
    """A line on stderr with the share done and the time left."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._line = PassingLine()

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show that `done` of `total` points are done (total 0: unknown)."""
        now = time.monotonic()
        if done == 0:
            self._start = now
        left = (
            f", {clock_time((now - self._start) * (total - done) / done)} left" if 0 < done < total else ""
        )
        line = (f"{done} of {total}{left}: " if total else "") + what
        if done < total:
            self._line.passing(line)
        else:
            self._line.lasting(line)


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
