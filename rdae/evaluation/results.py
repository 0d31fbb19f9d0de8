"""What an evaluation found, a point for each picture and quality, and its JSON file.

The file has the form of CompressAI's result files ("results" with "bpp", "psnr-rgb", ...: means over the
pictures, an entry a quality) and more: the points of each picture, the account of rate and distortion.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rdae.errors import ResultsError
from rdae.evaluation.curves import Curve, curve_from_json, read_json
from rdae.evaluation.five_measures import DB, FIVE
from rdae.evaluation.points import (
    Account,
    Agreement,
    Point,
    decibels,
    number,
    point_from_json,
    rounded,
    whole,
)
from rdae.metrics import PEAK

__all__ = ["Account", "Agreement", "Evaluation", "Memory", "PictureResult", "Point", "read"]


@dataclass(frozen=True)
class PictureResult:
    """The points of one picture, by rising quality.

    sha256: of its pixels (rdae.evaluation.reuse.picture_hash), hex; empty in files older than it. exact_bytes: of the
    file that holds it exactly; None where that was not measured.
    """

    name: str
    width: int
    height: int
    points: tuple[Point, ...]
    sha256: str = ""
    exact_bytes: int | None = None

    @property
    def exact_bpp(self) -> float | None:
        """Bits per pixel of the file that holds it exactly."""
        return None if self.exact_bytes is None else 8 * self.exact_bytes / (self.width * self.height)

    def falls(self) -> list[str]:
        """Where bpp or PSNR does not rise from one quality to the next, in words; empty if both always do.

        Pixels that are stored as such may be the same for several qualities, and exact ones cannot be bettered.
        """
        return [
            f"{self.name}: {what} {getattr(low, key):.4f} at quality {low.quality:g}, "
            f"{getattr(high, key):.4f} at {high.quality:g}"
            for low, high in zip(self.points, self.points[1:], strict=False)
            for what, key in (("bpp", "bpp"), ("PSNR", "psnr"))
            if getattr(high, key) < getattr(low, key)
            or (getattr(high, key) == getattr(low, key) and high.file_bytes != low.file_bytes)
        ]


@dataclass(frozen=True)
class Memory:
    """What a codec takes of one picture, each in a process of its own: the peak beyond the loaded program.

    Bytes; picture, width, height and quality say of what.
    """

    picture: str
    width: int
    height: int
    quality: float
    encoding_bytes: int
    decoding_bytes: int


@dataclass(frozen=True)
class Evaluation:
    """One codec on a set of pictures. All pictures have a point for each of the qualities.

    failures: (picture, message) of those that could not be measured; they are in no mean.
    codec: what decides about the numbers: name, version, settings, weights. Points of two files with equal
        codecs are interchangeable. Empty in files older than it.
    """

    name: str
    description: str
    qualities: tuple[float, ...]
    pictures: tuple[PictureResult, ...]
    failures: tuple[tuple[str, str], ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    codec: Mapping[str, Any] = field(default_factory=dict)
    memory: Memory | None = None

    def means(self) -> dict[str, list[float | None]]:
        """Means over the pictures, an entry a quality.

        "psnr-rgb" is the mean of the pictures' PSNR, as CompressAI and most papers have it;
        "psnr-rgb-of-mean-mse" is the PSNR of the mean of their MSE, as video and Cool-Chic have it. It is the
        lower of the two. "ms-ssim-rgb-db" is the mean MS-SSIM in dB.
        """
        getters: dict[str, Callable[[Point], float | None]] = {
            "quality": lambda p: p.quality,
            "bpp": lambda p: p.bpp,
            "psnr-rgb": lambda p: p.psnr,
            "psnr-y": lambda p: p.psnr_y,
            "ms-ssim-rgb": lambda p: p.ms_ssim,
            "ssimulacra2": lambda p: p.ssimulacra2,
            "mse-rgb": lambda p: p.mse,
            "encoding_time": lambda p: p.encoding_s,
            "decoding_time": lambda p: p.decoding_s,
        }
        for key in FIVE:
            getters[key + DB] = lambda p, key=key: None if p.five is None else p.five.get(key)  # type: ignore[misc]
        points = [point for picture in self.pictures for point in picture.points]
        for key in ("psnr-y", "ssimulacra2", *(key + DB for key in FIVE)):
            if all(getters[key](point) is None for point in points):
                del getters[key]
        if any(point.account for point in points):
            getters |= {
                "estimated_bpp": lambda p: p.estimated_bpp,
                "overhead_bpp": lambda p: p.overhead_bpp,
                "gap_percent": lambda p: p.gap_percent,
                "beta": lambda p: p.beta,
                "loss": lambda p: p.loss,
            }
        if any(point.residual_bpp is not None for point in points):
            getters["residual_bpp"] = lambda p: p.residual_bpp
        columns = list(zip(*(picture.points for picture in self.pictures), strict=True))
        means = {key: [_mean([get(p) for p in column]) for column in columns] for key, get in getters.items()}
        exact = _mean([picture.exact_bpp for picture in self.pictures])
        if exact is not None:
            means["exact_bpp"] = [exact] * len(columns)
        means["psnr-rgb-of-mean-mse"] = [_psnr(mse) for mse in means["mse-rgb"]]
        if any(value is not None for value in means["ms-ssim-rgb"]):
            means["ms-ssim-rgb-db"] = [None if v is None else decibels(v) for v in means["ms-ssim-rgb"]]
        return means

    def curve(self) -> Curve:
        """The mean points that have a finite PSNR, by rising rate."""
        columns = {key: [_finite(value) for value in column] for key, column in self.means().items()}
        pictures = [{"name": picture.name} for picture in self.pictures]
        return curve_from_json({"name": self.name, "results": columns, "pictures": pictures}, self.name)

    def to_json(self) -> str:
        """The content of a result file: JSON with a line for each column of means and for each point."""
        falls = [line for picture in self.pictures for line in picture.falls()]
        head: dict[str, Any] = {"name": self.name, "description": self.description, "meta": dict(self.meta)}
        if self.codec:
            head["codec"] = dict(self.codec)
        tail: dict[str, Any] = {
            "monotone": {"holds": not falls, "exceptions": falls},
            "failures": [{"picture": name, "error": message} for name, message in self.failures],
        }
        if self.memory is not None:
            tail = {"memory": vars(self.memory), **tail}
        columns = [f"{_json(key)}: {_json(list(map(rounded, v)))}" for key, v in self.means().items()]
        pictures = [
            f'{{"name": {_json(picture.name)}, "width": {picture.width}, "height": {picture.height}, '
            + (f'"sha256": {_json(picture.sha256)}, ' if picture.sha256 else "")
            + (f'"exact_bytes": {picture.exact_bytes}, ' if picture.exact_bytes is not None else "")
            + '"points": [\n   '
            + ",\n   ".join(_json(point.as_json()) for point in picture.points)
            + "\n  ]}"
            for picture in self.pictures
        ]
        lines = [f"{_json(key)}: {_json(value)}" for key, value in head.items()]
        lines.append('"results": {\n  ' + ",\n  ".join(columns) + "\n }")
        lines += [f"{_json(key)}: {_json(value)}" for key, value in tail.items()]
        lines.append('"pictures": [\n  ' + ",\n  ".join(pictures) + "\n ]")
        return "{\n " + ",\n ".join(lines) + "\n}\n"


def read(path: Path) -> Evaluation:
    """The evaluation in a result file of `rdae eval`, with the points of each picture.

    ResultsError for everything else: also for files of means only, as CompressAI's and published curves are,
    which `rdae.evaluation.curves.read_curve` takes.
    """
    content = read_json(path)
    if "pictures" not in content:
        raise ResultsError(f"{path}: holds no points of single pictures, expected a result file of rdae eval")
    try:
        return _from_json(content)
    except KeyError as error:
        raise ResultsError(f"{path}: no result file of rdae eval: {error.args[0]!r} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ResultsError(f"{path}: no result file of rdae eval: {error}") from error


def _from_json(content: Mapping[str, Any]) -> Evaluation:
    pictures = tuple(_picture(entry) for entry in content["pictures"])
    qualities = tuple(point.quality for point in pictures[0].points) if pictures else ()
    if not qualities or list(qualities) != sorted(set(qualities)):
        raise ValueError("no points by rising quality")
    for picture in pictures:
        if tuple(point.quality for point in picture.points) != qualities:
            raise ValueError(f"{picture.name} has other qualities than {pictures[0].name}")
    memory = content.get("memory")
    return Evaluation(
        name=_text(content["name"]),
        description=_text(content["description"]),
        qualities=qualities,
        pictures=pictures,
        failures=tuple((_text(entry["picture"]), _text(entry["error"])) for entry in content["failures"]),
        meta=dict(content["meta"].items()),
        codec=dict(content.get("codec", {}).items()),
        memory=None if memory is None else _memory(memory),
    )


def _picture(entry: Mapping[str, Any]) -> PictureResult:
    width, height = whole(entry["width"], at_least=1), whole(entry["height"], at_least=1)
    points = tuple(point_from_json(values, width * height) for values in entry["points"])
    exact = entry.get("exact_bytes")
    return PictureResult(
        _text(entry["name"]),
        width,
        height,
        points,
        _text(entry.get("sha256", "")),
        None if exact is None else whole(exact, at_least=1),
    )


def _memory(values: Mapping[str, Any]) -> Memory:
    return Memory(
        _text(values["picture"]),
        whole(values["width"], at_least=1),
        whole(values["height"], at_least=1),
        number(values["quality"]),
        whole(values["encoding_bytes"]),
        whole(values["decoding_bytes"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"found {type(value).__name__}, expected a text")
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _psnr(mse: float | None) -> float | None:
    if mse is None:
        return None
    return math.inf if mse == 0 else 10 * math.log10(PEAK**2 / mse)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
