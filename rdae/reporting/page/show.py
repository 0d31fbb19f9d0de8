"""The pictures to look at on a page: each encoded again by all codecs that can be run here, brought to equal terms."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rdae.api import Model, open_model
from rdae.codec.container import parse
from rdae.errors import RdaeError, ResultsError, WeightsError, describe
from rdae.evaluation.codecs import Codec, Rdae
from rdae.evaluation.results import PictureResult
from rdae.evaluation.reuse import picture_hash
from rdae.pictures import read_picture
from rdae.reporting.maps import maps_of
from rdae.reporting.page.build import Shown
from rdae.reporting.page.compare import at, codec_of, matched, model_id_of
from rdae.reporting.page.gather import CodecResults, Comparison
from rdae.ssimulacra2 import ssimulacra2


def show_pictures(
    comparison: Comparison,
    chosen: Sequence[tuple[str, Path]],
    quality: float,
    *,
    matches: Sequence[str] = ("bytes",),
    models: Sequence[Path] = (),
    threads: int | None = None,
    tell: Callable[[str], None] = lambda _line: None,
) -> tuple[list[Shown], list[str]]:
    """The chosen pictures, (name in the results, file), by all codecs that are known here; and notes for the page.

    quality: of the first codec. matches: what others have in common with it, "bytes", "psnr" or both. models:
    names or weights files, for results of models that are not installed. threads: that compute; None: as many as may.
    tell: takes a line on what is being done.
    ResultsError if the first codec cannot be run, or names the picture that cannot be shown; WeightsError if a model
    cannot be had, or is that of none of the results.
    """
    if not chosen:
        return [], []
    codecs, notes = _codecs(comparison.codecs, threads, _opened(models, comparison.codecs, threads))
    score = comparison.metrics[0] == "ssimulacra2"
    shown = []
    for name, path in chosen:
        with _errors_of(path):
            shown.append(
                _shown(
                    comparison, name, path, codecs, quality=quality, matches=matches, score=score, tell=tell
                )
            )
    return shown, notes


@contextlib.contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Let errors name the file."""
    try:
        yield
    except (RdaeError, OSError) as error:
        raise ResultsError(f"{path}: {describe(error, path)}") from error


def _opened(paths: Sequence[Path], results: Sequence[CodecResults], threads: int | None) -> list[Model]:
    """The models that were asked for; WeightsError for one whose results are not among these."""
    needed = {model_id_of(measured) for measured in results}
    opened = []
    for path in paths:
        model = open_model(path, threads=threads)
        if model.model_id.hex() not in needed:
            named = ", ".join(sorted(needed - {""})) or "none"
            raise WeightsError(f"{path} is model {model.model_id.hex()}, but the results are of {named}")
        opened.append(model)
    return opened


def _codecs(
    results: Sequence[CodecResults], threads: int | None, given: Sequence[Model]
) -> tuple[dict[int, Codec], list[str]]:
    """What makes files again of the codecs measured, by their index; a note on those that cannot be run."""
    found: dict[int, Codec] = {}
    lacking = []
    for i, measured in enumerate(results):
        try:
            codec = None if measured.is_published else codec_of(measured, threads, given)
        except WeightsError as error:
            raise WeightsError(f"{measured.name}: {error}") from error
        if codec is not None:
            found[i] = codec
        elif not measured.is_published:
            lacking.append(measured.name)
    if 0 not in found:
        raise ResultsError(f"{lacking[0]} cannot be run here, so there are no pictures to look at")
    return found, [
        f"Not to be looked at, as they cannot be run here: {', '.join(lacking)}."
    ] if lacking else []


def _shown(
    comparison: Comparison,
    name: str,
    path: Path,
    codecs: Mapping[int, Codec],
    *,
    quality: float,
    matches: Sequence[str],
    score: bool,
    tell: Callable[[str], None],
) -> Shown:
    original = read_picture(path)
    results = comparison.codecs
    (measured,) = (picture for picture in _pictures(results[0]) if picture.name == name)
    size = (measured.height, measured.width)
    if size != original.shape[:2] or measured.sha256 not in ("", picture_hash(original)):
        raise ResultsError("not the picture that was measured under this name")
    tell(f"{name}: {results[0].name}")
    own = at(0, codecs[0], original, quality)
    versions = [own]
    for i, codec in codecs.items():
        for match in matches if i else ():
            tell(f"{name}: {results[i].name} at equal {'PSNR' if match == 'psnr' else match}")
            known = [point for each in _pictures(results[i]) if each.name == name for point in each.points]
            versions.append(matched(i, codec, original, own, match=match, known=known))
    if score:
        tell(f"{name}: SSIMULACRA2")
        versions = [replace(v, ssimulacra2=ssimulacra2(original, v.picture)) for v in versions]
    maps = None
    if isinstance(codecs[0], Rdae) and parse(own.data).needs_model:  # else all of it is stored as pixels
        maps = maps_of(own.data, codecs[0].model.loaded)
    return Shown(name, original, versions, maps)


def _pictures(codec: CodecResults) -> Sequence[PictureResult]:
    return () if codec.evaluation is None else codec.evaluation.pictures
