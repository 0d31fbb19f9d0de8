"""rdae report: result files to one HTML page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .progress import PassingLine
from .report import Failure, describe

if TYPE_CHECKING:
    from rdae.evaluation.results import PictureResult
    from rdae.reporting.page.build import Shown
    from rdae.reporting.page.compare import Coder, Version
    from rdae.reporting.page.gather import Comparison

ANCHORS = "bpg444,vtm"
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
    f"[default: {ANCHORS} if all results are of Kodak, else none]",
)
@click.option("--title", default="", help="The heading.")
@click.option(
    "--max-mb",
    type=click.FloatRange(0.1, 1000),
    default=10.0,
    show_default=True,
    help="The most megabytes that the page may have; pictures are cropped to keep to it.",
)
@click.option("-f", "--force", is_flag=True, help="Replace a page that is already there.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def html_report(
    *,
    results: tuple[Path, ...],
    output: Path,
    pictures: tuple[Path, ...],
    show: str,
    quality: float | None,
    match: str,
    anchors: str | None,
    title: str,
    max_mb: float,
    force: bool,
    quiet: bool,
) -> None:
    """Make one HTML page of RESULTS, files of rdae eval, to be opened in any browser.

    The page is about the codec of the first file, compared with those of the others. It has the curves, the table of
    pictures, times, and with --pictures the pictures side by side and where the bits went. It is one file and asks
    nothing of any network.
    """
    from rdae.files import check_output, identities, write_atomically
    from rdae.reporting.page.build import build
    from rdae.reporting.page.gather import default_quality, gather

    check_output(output, force=force, inputs=identities(results))
    comparison = gather(results, _anchors(anchors, results))
    at = default_quality(comparison.subject) if quality is None else quality
    progress = PassingLine()
    looking = _Looking(comparison, at, ["bytes", "psnr"] if match == "both" else [match])
    shown = looking.at(
        _chosen(comparison, pictures, show, at), (lambda _line: None) if quiet else progress.passing
    )
    if not quiet:
        progress.passing("putting the page together")
    page = build(
        comparison,
        shown,
        quality=at,
        title=title,
        line=_line(results, output, pictures, match, quality),
        max_bytes=round(max_mb * 1e6),
        notes=looking.notes,
    )
    write_atomically(output, page, force=force)
    progress.clear()
    if not quiet:
        click.echo(f"{output}  {len(page):,} bytes, {len(shown)} pictures to look at", err=True)


def _anchors(given: str | None, results: Sequence[Path]) -> list[str]:
    """The published curves to show: those asked for, or the usual ones if all files are of Kodak."""
    if given is None:
        from rdae.evaluation.curves import KODAK, read_curve

        stated = [curve.pictures for curve in map(read_curve, results) if curve.pictures]
        given = ANCHORS if stated and all(names == KODAK for names in stated) else ""
    return [name.strip() for name in given.split(",") if name.strip() not in ("", "none")]


def _chosen(
    comparison: Comparison, pictures: Sequence[Path], show: str, quality: float
) -> list[tuple[str, Path]]:
    """The pictures to look at: name in the results, and file. ResultsError if one is none of those measured."""
    from rdae.errors import ResultsError
    from rdae.evaluation.run import collect_pictures

    names = {name.rsplit("/", 1)[-1]: name for name in comparison.pictures}
    files: dict[str, Path] = {}
    found: dict[str, Path] = {}
    for path in pictures:
        if path.is_dir():
            found |= {names[file.name]: file for file in collect_pictures([path]) if file.name in names}
        elif path.name not in names:
            raise ResultsError(f"{path}: no picture of this name was measured")
        else:
            files[names[path.name]] = path
    if any(path.is_dir() for path in pictures):
        ranked = [name for name in comparison.worst_first(quality) if name in found]
        if not ranked:
            raise ResultsError(
                f"{', '.join(map(str, pictures))}: none of the pictures that were measured is there"
            )
        places = {"worst": 0, "median": len(ranked) // 2, "best": len(ranked) - 1}
        for word in (part.strip() for part in show.split(",")):
            if word and word not in places and names.get(word) not in found:
                raise ResultsError(f"{word}: no picture of this name was measured, or it is not there")
            if word:
                name = ranked[places[word]] if word in places else names[word]
                files.setdefault(name, found[name])
    return list(files.items())


@dataclass
class _Looking:
    """Makes the versions of pictures that are looked at."""

    comparison: Comparison
    quality: float
    matches: Sequence[str]

    def __post_init__(self) -> None:
        self.notes: list[str] = []

    def at(self, chosen: Sequence[tuple[str, Path]], tell: Callable[[str], None]) -> list[Shown]:
        """Encode the pictures by all codecs that are known here; Failure names the file that cannot be."""
        if not chosen:
            return []
        coders = self._coders()
        return [self._named(name, path, coders, tell) for name, path in chosen]

    def _named(self, name: str, path: Path, coders: dict[int, Coder], tell: Callable[[str], None]) -> Shown:
        from rdae.errors import RdaeError

        try:
            return self._one(name, path, coders, tell)
        except (RdaeError, OSError) as error:
            raise Failure(f"{path}: {describe(error, path)}") from error

    def _coders(self) -> dict[int, Coder]:
        from rdae.errors import ResultsError
        from rdae.reporting.page.compare import coder_of

        found: dict[int, Coder] = {}
        lacking = []
        for i, codec in enumerate(self.comparison.codecs):
            coder = None if codec.is_published else coder_of(codec)
            if coder is not None:
                found[i] = coder
            elif not codec.is_published:
                lacking.append(codec.name)
        if 0 not in found:
            raise ResultsError(f"{lacking[0]} cannot be run here, so there are no pictures to look at")
        if lacking:
            self.notes.append(f"Not to be looked at, as they cannot be run here: {', '.join(lacking)}.")
        return found

    def _one(self, name: str, path: Path, coders: dict[int, Coder], tell: Callable[[str], None]) -> Shown:
        from rdae.errors import ResultsError
        from rdae.evaluation.reuse import picture_hash
        from rdae.pictures import read_picture
        from rdae.reporting.maps import maps_of
        from rdae.reporting.page.build import Shown
        from rdae.reporting.page.compare import ModelCoder, at, matched

        original = read_picture(path)
        (measured,) = (p for p in self._pictures(0) if p.name == name)
        size = (measured.height, measured.width)
        if size != original.shape[:2] or measured.sha256 not in ("", picture_hash(original)):
            raise ResultsError("not the picture that was measured under this name")
        codecs = self.comparison.codecs
        tell(f"{name}: {codecs[0].name}")
        own = at(0, coders[0], original, self.quality)
        versions: list[Version] = [own]
        for i, coder in coders.items():
            for match in self.matches if i else ():
                tell(f"{name}: {codecs[i].name} at equal {'PSNR' if match == 'psnr' else match}")
                known = [point for p in self._pictures(i) if p.name == name for point in p.points]
                versions.append(matched(i, coder, original, own, match=match, known=known))
        maps = maps_of(own.data, coders[0].model.loaded) if isinstance(coders[0], ModelCoder) else None
        return Shown(name, original, versions, maps)

    def _pictures(self, codec: int) -> Sequence[PictureResult]:
        evaluation = self.comparison.codecs[codec].evaluation
        return () if evaluation is None else evaluation.pictures


def _line(
    results: Sequence[Path], output: Path, pictures: Sequence[Path], match: str, quality: float | None
) -> list[str]:
    """This command again, without the folders of this machine."""
    line = ["rdae", "report", *(path.name for path in results), "-o", output.name]
    if pictures:
        line += ["--pictures", "PICTURES"]
    if match != "bytes":
        line += ["--match", match]
    if quality is not None:
        line += ["-q", f"{quality:g}"]
    return line
