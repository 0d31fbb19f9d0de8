"""What the levels of effort save and cost, beside other codecs that can be told to take their time.

A codec's levels are its settings from the fastest to the slowest.  Each is measured on the same pictures at the same
qualities, with real files that are decoded again; its bits are compared, by BD-rate, with those of the codec's own
fastest setting and of rdae's level 0: at equal PSNR, or at an equal SSIMULACRA2 score if the model was trained for it.
Seconds are of one run, so that their ratios mean something on any machine.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rdae.errors import RdaeError, ResultsError
from rdae.evaluation import environment
from rdae.evaluation.bdrate import bd_rate
from rdae.evaluation.codecs import ALIASES, PillowCodec, Rdae, find_codecs, find_pillow_codec
from rdae.evaluation.curves import read_json
from rdae.evaluation.points import Point, number, rounded, whole
from rdae.evaluation.results import Evaluation, PictureResult
from rdae.evaluation.run import Extent, OnProgress, evaluate, labels
from rdae.metrics import Picture, mse, psnr
from rdae.quality import to_index
from rdae.ssimulacra2 import ssimulacra2

KIND = "rdae efforts"

_EVERY = 3
"""Of another codec's ladder every third quality is taken, from the second on: its slow settings take minutes each."""

_WARM_UP = 256
"""Pixels to a side of what is encoded before any clock starts."""


@dataclass(frozen=True)
class Level:
    """One setting of a codec.

    setting: rdae's level, or the value of another codec's option.  steps: of descent; None of other codecs.
    encoding_s, decoding_s: seconds a picture, mean over pictures and qualities.  bpp, psnr: means over the pictures,
    an entry a quality, by rising rate; so ssimulacra2, where the model was trained for it, else empty.
    """

    setting: int
    steps: int | None
    encoding_s: float
    decoding_s: float
    bpp: tuple[float, ...]
    psnr: tuple[float, ...]
    ssimulacra2: tuple[float, ...] = ()

    @property
    def judged_by(self) -> tuple[float, ...]:
        """The values at which bits are compared."""
        return self.ssimulacra2 or self.psnr

    def against(self, anchor: Level) -> tuple[float | None, str]:
        """BD-rate in percent, negative where this level takes fewer bits; None where there is none, and why."""
        try:
            return bd_rate(anchor.bpp, anchor.judged_by, self.bpp, self.judged_by).value, ""
        except ResultsError as error:
            return None, str(error)


@dataclass(frozen=True)
class CodecLevels:
    """A codec and its levels, the fastest first.  option: what the setting is called.  qualities: at which measured."""

    title: str
    description: str
    option: str
    qualities: tuple[float, ...]
    levels: tuple[Level, ...]

    def ratio(self, level: Level) -> float:
        """How many times as long as the fastest setting a level takes."""
        return level.encoding_s / self.levels[0].encoding_s


@dataclass(frozen=True)
class EffortLevels:
    """What was measured; rdae is the first of the codecs.  model: its id, as files name it.  pixels: of all pictures.

    threads: of rdae; the others take what they choose.
    """

    model: str
    pictures: int
    pixels: int
    threads: int
    machine: str
    codecs: tuple[CodecLevels, ...]

    @property
    def plain(self) -> Level:
        """The level 0 of rdae."""
        return self.codecs[0].levels[0]

    @property
    def metric(self) -> str:
        """What bits are compared by."""
        return "SSIMULACRA2" if self.plain.ssimulacra2 else "PSNR"

    def to_json(self) -> str:
        """The content of a result file."""
        fields = asdict(self)
        fields["ladders"] = fields.pop("codecs")
        for level in (level for ladder in fields["ladders"] for level in ladder["levels"]):
            if not level["ssimulacra2"]:
                del level["ssimulacra2"]
        content = {"kind": KIND, **_rounded(fields)}
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def chosen_codecs(
    names: Sequence[str], settings: Mapping[str, Sequence[int]]
) -> list[tuple[PillowCodec, list[int]]]:
    """Other codecs by name, each with the settings to measure, from the fastest to the slowest.

    settings: of some of them; all of the others.  ResultsError for a codec without settings, for a setting that it does
    not have, and for settings of one that is not among the names; otherwise as `find_codecs`.
    """
    codecs = [find_pillow_codec(name) for name in names]
    find_codecs(codec.name for codec in codecs)
    asked = {ALIASES.get(name, name): values for name, values in settings.items()}
    for name in asked:
        if name not in {codec.name for codec in codecs}:
            raise ResultsError(f"settings of {name}, which is not among what is measured")
    chosen = []
    for codec in dict.fromkeys(codecs):
        _, values = codec.speed_option
        wanted = asked.get(codec.name, values)
        for value in wanted:
            codec.at_speed(value)
        chosen.append((codec, [value for value in values if value in wanted]))
    return chosen


def measure(
    codec: Rdae,
    pictures: Sequence[Path],
    qualities: Sequence[float],
    highest: int,
    *,
    others: Sequence[tuple[PillowCodec, Sequence[int]]] = (),
    progress: OnProgress,
) -> EffortLevels:
    """Measure the levels 0..highest of a model, and settings of other codecs, on pictures.

    others: as `chosen_codecs` has them.  RdaeError or OSError, naming the file, if a picture fails: levels can only be
    compared on the same pictures.
    """
    pixels = 0
    for path in pictures:  # all of them, before hours of work
        height, width = _read(path).shape[:2]
        pixels += height * width
    found = [_of_rdae(codec, pictures, sorted(qualities), highest, progress)]
    scored = codec.objective == "ssimulacra2"
    found += [_of_other(other, values, pictures, progress, scored=scored) for other, values in others]
    return EffortLevels(
        codec.model.model_id.hex(),
        len(pictures),
        pixels,
        codec.threads,
        environment.machine(),
        tuple(found),
    )


def read_effort_levels(path: Path) -> EffortLevels:
    """What `EffortLevels.to_json` wrote; ResultsError if the file holds anything else."""
    content = read_json(path)
    try:
        if content["kind"] != KIND:
            raise ResultsError(f"{path}: of kind {content['kind']!r}, expected {KIND!r}")
        first, *others = (_codec(entry) for entry in content["ladders"])
        pictures, pixels, threads = (
            whole(content[key], at_least=1) for key in ("pictures", "pixels", "threads")
        )
        model, machine = str(content["model"]), str(content["machine"])
        return EffortLevels(model, pictures, pixels, threads, machine, (first, *others))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultsError(
            f"{path}: not results of rdae efforts ({type(error).__name__}: {error})"
        ) from error


def table(result: EffortLevels) -> list[str]:
    """A line for each level of each codec, and why a BD-rate is missing where one is."""
    heads, rows, notes = _cells(result)
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in (heads, *rows)
    ]
    return [_conditions(result), result.machine, *lines, *notes]


def markdown(result: EffortLevels) -> list[str]:
    """The same as a table of Markdown."""
    heads, rows, notes = _cells(result)
    lines = [f"| {' | '.join(row)} |" for row in (heads, *rows)]
    lines.insert(1, "|---|" + "---:|" * (len(heads) - 1))
    return [*lines, "", ". ".join([f"{_conditions(result)}; {result.machine}", *notes]) + "."]


def _of_rdae(
    codec: Rdae, pictures: Sequence[Path], qualities: Sequence[float], highest: int, progress: OnProgress
) -> CodecLevels:
    """The levels of rdae, all of a picture from one search."""
    from rdae.codec.refinement import steps

    # Tables, thread pools and what gradients need are made once, and are no picture's own time.
    list(_points(_read(pictures[0])[:_WARM_UP, :_WARM_UP], codec, 50, min(highest, 1)))
    found: list[list[PictureResult]] = [[] for _ in range(highest + 1)]
    total = len(pictures) * len(qualities)
    for done, (path, label) in enumerate(zip(pictures, labels(pictures), strict=True)):
        picture = _read(path)
        points: list[list[Point]] = [[] for _ in found]
        for turn, quality in enumerate(qualities):
            with _naming(path):
                for level, point in enumerate(_points(picture, codec, quality, highest)):
                    words = f"{codec.title}: {label} at quality {quality:g}, level {level} of {highest}"
                    progress(done * len(qualities) + turn, total, words)
                    points[level].append(point)
        for of_level, column in zip(found, points, strict=True):
            of_level.append(PictureResult(label, picture.shape[1], picture.shape[0], tuple(column)))
    progress(total, total, f"{codec.title}: done")
    levels = [
        _level(
            Evaluation(codec.title, codec.description, tuple(qualities), tuple(results)), level, steps(level)
        )
        for level, results in enumerate(found)
    ]
    return CodecLevels(codec.title, codec.description, "effort", tuple(qualities), tuple(levels))


def _points(picture: Picture, codec: Rdae, quality: float, highest: int) -> Iterator[Point]:
    """What each level makes of a picture."""
    from rdae.codec.effort_levels import effort_levels

    for data, seconds in effort_levels(picture, codec.model.loaded, to_index(quality), highest):
        start = time.perf_counter()
        decoded = codec.decode(data)
        decoding_s = time.perf_counter() - start
        yield Point(
            quality=quality,
            file_bytes=len(data),
            pixels=picture.shape[0] * picture.shape[1],
            mse=mse(picture, decoded),
            psnr=psnr(picture, decoded),
            ms_ssim=None,
            encoding_s=seconds,
            decoding_s=decoding_s,
            ssimulacra2=ssimulacra2(picture, decoded) if codec.objective == "ssimulacra2" else None,
        )


def _of_other(
    codec: PillowCodec,
    values: Sequence[int],
    pictures: Sequence[Path],
    progress: OnProgress,
    *,
    scored: bool,
) -> CodecLevels:
    """The settings of another codec; scored: with SSIMULACRA2."""
    extent = Extent(ssimulacra2=scored)
    levels = []
    qualities = codec.qualities[1::_EVERY]
    for value in values:
        with tempfile.TemporaryDirectory(prefix="rdae-efforts-") as folder:
            at = Path(folder)
            at_speed = codec.at_speed(value)
            result = evaluate(at_speed, pictures, qualities, folder=at, progress=progress, extent=extent)
        for name, message in result.failures:
            raise ResultsError(f"{name}: {message}")
        levels.append(_level(result, value, None))
    option, _ = codec.speed_option
    description = f"{codec.file_format} by {codec.library}"
    return CodecLevels(codec.title, description, option, tuple(qualities), tuple(levels))


def _level(result: Evaluation, setting: int, steps: int | None) -> Level:
    curve = result.curve()
    points = [point for picture in result.pictures for point in picture.points]
    return Level(
        setting,
        steps,
        sum(point.encoding_s for point in points) / len(points),
        sum(point.decoding_s for point in points) / len(points),
        curve.bpp,
        curve.psnr,
        curve.values("ssimulacra2"),
    )


def _cells(result: EffortLevels) -> tuple[list[str], list[list[str]], list[str]]:
    """Headings, a row a level, and why BD-rates are missing."""
    plain = f"against {result.codecs[0].title}, effort 0"
    heads = ["codec", "steps", "encode, s", "ratio", "BD-rate", plain, "decode, s"]
    rows: list[list[str]] = []
    notes: list[str] = []
    for codec in result.codecs:
        for level in codec.levels:
            name = f"{codec.title}, {codec.option} {level.setting}"
            rates = []
            for anchor in (codec.levels[0], result.plain):
                rate, why = level.against(anchor)
                rates.append("-" if rate is None else f"{rate:+.2f} %" if rate else "0 %")
                if rate is None:
                    notes.append(f"{name}: no BD-rate: {why}")
            steps = "-" if level.steps is None else str(level.steps)
            times = f"{codec.ratio(level):.2f}×"
            rows.append([name, steps, _seconds(level.encoding_s), times, *rates, _seconds(level.decoding_s)])
    return heads, rows, list(dict.fromkeys(notes))


def _conditions(result: EffortLevels) -> str:
    pictures = f"{result.pictures} picture{'' if result.pictures == 1 else 's'}"
    threads = f"{result.threads} thread{'' if result.threads == 1 else 's'}"
    return (
        f"Seconds a picture, ratio and BD-rate by {result.metric} against each codec's fastest setting here: "
        f"{pictures} of together {result.pixels / 1e6:.2f} megapixels, {threads}"
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.2f}" if seconds < 100 else f"{seconds:.0f}"


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, (list, tuple)) else rounded(value)


def _codec(entry: Mapping[str, Any]) -> CodecLevels:
    levels = tuple(_read_level(level) for level in entry["levels"])
    if not levels:
        raise ValueError("a codec without levels")
    title, description, option = (str(entry[key]) for key in ("title", "description", "option"))
    return CodecLevels(
        title, description, option, tuple(number(value) for value in entry["qualities"]), levels
    )


def _read_level(entry: Mapping[str, Any]) -> Level:
    steps = entry["steps"]
    encoding_s, decoding_s = (number(entry[key]) for key in ("encoding_s", "decoding_s"))
    if encoding_s <= 0:
        raise ValueError("a level that takes no time")
    columns = (entry["bpp"], entry["psnr"], entry.get("ssimulacra2", ()))
    bpp, psnr_db, score = (tuple(number(value) for value in column) for column in columns)
    steps = None if steps is None else whole(steps)
    return Level(whole(entry["setting"]), steps, encoding_s, decoding_s, bpp, psnr_db, score)


def _read(path: Path) -> Picture:
    from rdae.pictures import read_picture

    with _naming(path):
        return read_picture(path)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let errors name the picture."""
    try:
        yield
    except RdaeError as error:
        raise type(error)(f"{path}: {error}") from error
