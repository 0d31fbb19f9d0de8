"""What the levels of effort save and cost, beside other codecs that can be told to take their time.

A codec's levels are its settings from the fastest to the slowest.  Each is measured on the same pictures at the same
qualities, with real files that are decoded again; its bits are compared at equal PSNR, by BD-rate, with those of the
codec's own fastest setting and of rdae's level 0.  Seconds are of one run, so that their ratios mean something on any
machine.
"""

from __future__ import annotations

import json
import platform
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdae.errors import RdaeError, ResultsError
from rdae.evaluation.bdrate import bd_rate
from rdae.evaluation.curves import read_json
from rdae.evaluation.peers import ALIASES, Peer, find_peers
from rdae.evaluation.points import Point, number, rounded, whole
from rdae.evaluation.results import Evaluation, PictureResult
from rdae.evaluation.run import Progress, evaluate_peer, labels
from rdae.evaluation.speed.measure import processor
from rdae.metrics import mse, psnr
from rdae.quality import to_index

if TYPE_CHECKING:
    from rdae.metrics import Picture
    from rdae.model import Model

KIND = "rdae efforts"

_EVERY = 3
"""Of a peer's ladder every third quality is measured, from the second on: its slow settings take minutes each."""

_WARM_UP = 256
"""Pixels to a side of what is encoded before any clock starts."""


@dataclass(frozen=True)
class Level:
    """One setting of a codec.

    setting: rdae's level, or the value of a peer's option.  steps: of descent; None of a peer.
    encoding_s, decoding_s: seconds a picture, mean over pictures and qualities.  bpp, psnr: means over the pictures,
    an entry a quality, by rising rate.
    """

    setting: int
    steps: int | None
    encoding_s: float
    decoding_s: float
    bpp: tuple[float, ...]
    psnr: tuple[float, ...]

    def against(self, anchor: Level) -> tuple[float | None, str]:
        """BD-rate in percent, negative where this level takes fewer bits; None where there is none, and why."""
        try:
            return bd_rate(anchor.bpp, anchor.psnr, self.bpp, self.psnr).value, ""
        except ResultsError as error:
            return None, str(error)


@dataclass(frozen=True)
class Ladder:
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
class Efforts:
    """What was measured; rdae is the first of the ladders.  model: its id, as files name it.  pixels: of all pictures.

    threads: of torch; the others take what they choose.
    """

    model: str
    pictures: int
    pixels: int
    threads: int
    machine: str
    ladders: tuple[Ladder, ...]

    @property
    def plain(self) -> Level:
        """The level 0 of rdae."""
        return self.ladders[0].levels[0]

    def to_json(self) -> str:
        """The content of a result file."""
        content = {"kind": KIND, **_rounded(asdict(self))}
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def chosen_peers(names: Sequence[str], settings: Mapping[str, Sequence[int]]) -> list[tuple[Peer, list[int]]]:
    """Peers by name, each with the settings to measure, from the fastest to the slowest.

    settings: of some of them; all of the others.  ResultsError for a peer without settings, for a setting that it does
    not have, and for settings of one that is not among the names; otherwise as `find_peers`.
    """
    asked = {ALIASES.get(name, name): values for name, values in settings.items()}
    peers = find_peers(dict.fromkeys(ALIASES.get(name, name) for name in names))
    for name in asked:
        if name not in {peer.name for peer in peers}:
            raise ResultsError(f"settings of {name}, which is not among what is measured")
    chosen = []
    for peer in peers:
        _, values = peer.knob
        wanted = asked.get(peer.name, values)
        for value in wanted:
            peer.at(value)
        chosen.append((peer, [value for value in values if value in wanted]))
    return chosen


def measure(
    model: Model,
    pictures: Sequence[Path],
    qualities: Sequence[float],
    highest: int,
    *,
    peers: Sequence[tuple[Peer, Sequence[int]]] = (),
    progress: Progress,
) -> Efforts:
    """Measure the levels 0..highest of a model, and settings of peers, on pictures.

    peers: as `chosen_peers` has them.  RdaeError or OSError, naming the file, if a picture fails: levels can only be
    compared on the same pictures.
    """
    import torch

    pixels = 0
    for path in pictures:  # all of them, before hours of work
        height, width = _read(path).shape[:2]
        pixels += height * width
    ladders = [_own(model, pictures, sorted(qualities), highest, progress)]
    ladders += [_of_peer(peer, values, pictures, progress) for peer, values in peers]
    machine = f"{processor()}, Python {platform.python_version()}, torch {torch.__version__}"
    threads = torch.get_num_threads()
    return Efforts(model.model_id.hex(), len(pictures), pixels, threads, machine, tuple(ladders))


def read_efforts(path: Path) -> Efforts:
    """What `Efforts.to_json` wrote; ResultsError if the file holds anything else."""
    content = read_json(path)
    try:
        if content["kind"] != KIND:
            raise ResultsError(f"{path}: of kind {content['kind']!r}, expected {KIND!r}")
        first, *others = (_ladder(entry) for entry in content["ladders"])
        pictures, pixels, threads = (
            whole(content[key], at_least=1) for key in ("pictures", "pixels", "threads")
        )
        model, machine = str(content["model"]), str(content["machine"])
        return Efforts(model, pictures, pixels, threads, machine, (first, *others))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultsError(
            f"{path}: not results of rdae efforts ({type(error).__name__}: {error})"
        ) from error


def table(result: Efforts) -> list[str]:
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


def markdown(result: Efforts) -> list[str]:
    """The same as a table of Markdown."""
    heads, rows, notes = _cells(result)
    lines = [f"| {' | '.join(row)} |" for row in (heads, *rows)]
    lines.insert(1, "|---|" + "---:|" * (len(heads) - 1))
    return [*lines, "", ". ".join([f"{_conditions(result)}; {result.machine}", *notes]) + "."]


def _own(
    model: Model, pictures: Sequence[Path], qualities: Sequence[float], highest: int, progress: Progress
) -> Ladder:
    """The levels of rdae, all of a picture from one search."""
    from rdae import codec
    from rdae.refinement import steps

    # Tables, thread pools and the networks with gradients are made once, and are no picture's own time.
    for data, _ in codec.efforts(
        _read(pictures[0])[:_WARM_UP, :_WARM_UP], model, to_index(50), min(highest, 1)
    ):
        codec.decode(data, model)
    title = model.name if model.name.startswith("rdae") else f"rdae {model.name}"
    found: list[list[PictureResult]] = [[] for _ in range(highest + 1)]
    total = len(pictures) * len(qualities)
    for done, (path, label) in enumerate(zip(pictures, labels(pictures), strict=True)):
        picture = _read(path)
        points: list[list[Point]] = [[] for _ in found]
        for turn, quality in enumerate(qualities):
            with _naming(path):
                for level, point in enumerate(_points(picture, model, quality, highest)):
                    words = f"{title}: {label} at quality {quality:g}, level {level} of {highest}"
                    progress(done * len(qualities) + turn, total, words)
                    points[level].append(point)
        for of_level, column in zip(found, points, strict=True):
            of_level.append(PictureResult(label, picture.shape[1], picture.shape[0], tuple(column)))
    progress(total, total, f"{title}: done")
    description = "rdae: learned image codec, real files"
    levels = [
        _level(Evaluation(title, description, tuple(qualities), tuple(results)), level, steps(level))
        for level, results in enumerate(found)
    ]
    return Ladder(title, description, "effort", tuple(qualities), tuple(levels))


def _points(picture: Picture, model: Model, quality: float, highest: int) -> Iterator[Point]:
    """What each level makes of a picture."""
    from rdae import codec

    for data, seconds in codec.efforts(picture, model, to_index(quality), highest):
        start = time.perf_counter()
        decoded = codec.decode(data, model).picture
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
        )


def _of_peer(peer: Peer, values: Sequence[int], pictures: Sequence[Path], progress: Progress) -> Ladder:
    """The settings of a peer."""
    levels = []
    qualities = peer.qualities[1::_EVERY]
    for value in values:
        with tempfile.TemporaryDirectory(prefix="rdae-efforts-") as folder:
            at = Path(folder)
            result = evaluate_peer(peer.at(value), pictures, qualities, folder=at, progress=progress)
        for name, message in result.failures:
            raise ResultsError(f"{name}: {message}")
        levels.append(_level(result, value, None))
    return Ladder(peer.title, f"{peer.file_format} by {peer.library}", peer.knob[0], qualities, tuple(levels))


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
    )


def _cells(result: Efforts) -> tuple[list[str], list[list[str]], list[str]]:
    """Headings, a row a level, and why BD-rates are missing."""
    plain = f"against {result.ladders[0].title}, effort 0"
    heads = ["codec", "steps", "encode, s", "ratio", "BD-rate", plain, "decode, s"]
    rows: list[list[str]] = []
    notes: list[str] = []
    for ladder in result.ladders:
        for level in ladder.levels:
            name = f"{ladder.title}, {ladder.option} {level.setting}"
            rates = []
            for anchor in (ladder.levels[0], result.plain):
                rate, why = level.against(anchor)
                rates.append("-" if rate is None else f"{rate:+.2f} %" if rate else "0 %")
                if rate is None:
                    notes.append(f"{name}: no BD-rate: {why}")
            steps = "-" if level.steps is None else str(level.steps)
            times = f"{ladder.ratio(level):.2f}×"
            rows.append([name, steps, _seconds(level.encoding_s), times, *rates, _seconds(level.decoding_s)])
    return heads, rows, list(dict.fromkeys(notes))


def _conditions(result: Efforts) -> str:
    pictures = f"{result.pictures} picture{'' if result.pictures == 1 else 's'}"
    threads = f"{result.threads} thread{'' if result.threads == 1 else 's'}"
    return (
        f"Seconds a picture, ratio and BD-rate against each codec's fastest setting here: {pictures} of together "
        f"{result.pixels / 1e6:.2f} megapixels, {threads}"
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.2f}" if seconds < 100 else f"{seconds:.0f}"


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, (list, tuple)) else rounded(value)


def _ladder(entry: Mapping[str, Any]) -> Ladder:
    levels = tuple(_read_level(level) for level in entry["levels"])
    if not levels:
        raise ValueError("a ladder without levels")
    title, description, option = (str(entry[key]) for key in ("title", "description", "option"))
    return Ladder(title, description, option, tuple(number(value) for value in entry["qualities"]), levels)


def _read_level(entry: Mapping[str, Any]) -> Level:
    steps = entry["steps"]
    encoding_s, decoding_s = (number(entry[key]) for key in ("encoding_s", "decoding_s"))
    if encoding_s <= 0:
        raise ValueError("a level that takes no time")
    bpp, psnr_db = (tuple(number(value) for value in entry[key]) for key in ("bpp", "psnr"))
    return Level(
        whole(entry["setting"]), None if steps is None else whole(steps), encoding_s, decoding_s, bpp, psnr_db
    )


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
