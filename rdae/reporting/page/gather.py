"""What a report is about: the result files, brought to the pictures that they share, and compared with the first."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rdae.errors import ResultsError
from rdae.evaluation import results
from rdae.evaluation.bdrate import BDelta, bd_psnr, bd_rate
from rdae.evaluation.curves import Curve, curve_from_json, published, read_json
from rdae.evaluation.five_measures import DB, FIVE
from rdae.evaluation.points import Point, decibels
from rdae.evaluation.results import Evaluation

Columns = Mapping[str, Sequence[float | None]]
Pairs = Sequence[tuple[float, float]]

PAGE_METRICS: Mapping[str, tuple[str, str]] = {
    "psnr-rgb": ("PSNR, RGB", "dB"),
    "psnr-y": ("PSNR, luma", "dB"),
    "ms-ssim-db": ("MS-SSIM", "dB"),
    "ssimulacra2": ("SSIMULACRA 2", ""),
    **{key + DB: (title, "dB") for key, title in FIVE.items()},
}
"""Key: what the page calls it, and its unit. MS-SSIM is shown as -10 log10(1 - MS-SSIM)."""

JUDGED_BY = ("psnr-rgb", "ssimulacra2", "ms-ssim-db")
"""What bits saved are told by, beside the mean of the five measures; the verdict is by the first two."""

SHOWN = ("quality", "bpp", *PAGE_METRICS, "encoding_time", "decoding_time")
"""The columns of points that the page holds."""


@dataclass(frozen=True)
class Source:
    """A result file as it was given: its name without folders, and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True)
class CodecResults:
    """What a report knows of a codec.

    means: the keys of SHOWN that it has, an entry a quality, by rising rate.
    evaluation: with its pictures, if the file has them. source: None for a published curve.
    """

    name: str
    description: str
    means: Columns
    evaluation: Evaluation | None
    source: Source | None
    curve: Curve

    @property
    def is_published(self) -> bool:
        """Whether the curve comes with the package, not from a file."""
        return self.source is None


@dataclass(frozen=True)
class Verdict:
    """What the first codec saves against another, or why that cannot be said.

    rates: BD-rate in percent by the keys of PAGE_METRICS, of those by which there is one. rate: that by the first of
    the comparison's metrics; by_picture: the same of each picture that has one. gain: by how much this metric is better
    at equal bits, if that can be said. problem: empty unless rate is None.
    """

    rate: BDelta | None
    gain: BDelta | None
    rates: Mapping[str, BDelta]
    by_picture: Mapping[str, float]
    problem: str = ""

    @property
    def mean_of_five(self) -> float | None:
        """The mean of the BD-rates by the five measures, in percent; None unless there are all."""
        known = [self.rates[key + DB].value for key in FIVE if key + DB in self.rates]
        return sum(known) / len(known) if len(known) == len(FIVE) else None


@dataclass(frozen=True)
class Comparison:
    """All that was measured: codecs[0] is the one that the report is about.

    metrics: the keys of PAGE_METRICS that it has, what its model was trained for first. verdicts: of codecs[1:].
    pictures: names of those that all files with pictures have. left_out: how many others the first file has.
    notes: what a reader should know of how files were brought together.
    """

    codecs: tuple[CodecResults, ...]
    metrics: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    pictures: tuple[str, ...]
    left_out: int
    notes: tuple[str, ...]

    @property
    def tested(self) -> CodecResults:
        """The codec that the report is about."""
        return self.codecs[0]

    @property
    def judged_by(self) -> list[str]:
        """Of JUDGED_BY what the tested codec has, what its model was trained for first."""
        known = [key for key in JUDGED_BY if key in self.metrics]
        return sorted(known, key=lambda key: key != self.metrics[0])

    @property
    def main_anchor(self) -> int | None:
        """The strongest of the codecs that have a BD-rate on single pictures, as its index in `codecs`."""
        indices = [i for i, verdict in enumerate(self.verdicts, 1) if verdict.by_picture and verdict.rate]
        return max(indices, key=self._rate, default=None)

    def _rate(self, index: int) -> float:
        rate = self.verdicts[index - 1].rate
        return -math.inf if rate is None else rate.value

    def worst_first(self, quality: float) -> list[str]:
        """The pictures, those first where the codec does worst.

        That is where it saves least against `main_anchor`; without one, where its loss at `quality`, or else its MSE,
        is largest.
        """
        if self.main_anchor is not None:
            rates = self.verdicts[self.main_anchor - 1].by_picture
            return sorted(self.pictures, key=lambda name: rates.get(name, math.inf), reverse=True)
        evaluation = self.tested.evaluation
        if evaluation is None:
            return list(self.pictures)
        at = nearest(evaluation.qualities, quality)

        def cost(point: Point) -> float:
            return point.mse if point.loss is None else point.loss

        costs = {picture.name: cost(picture.points[at]) for picture in evaluation.pictures}
        return sorted(self.pictures, key=lambda name: costs[name], reverse=True)


def nearest(values: Sequence[float], wanted: float) -> int:
    """The index of the value nearest to the wanted one."""
    return min(range(len(values)), key=lambda i: abs(values[i] - wanted))


def gather(paths: Sequence[Path], anchors: Sequence[str] = ()) -> Comparison:
    """Read result files, and compare the first with the others and with published curves by name.

    Files of `rdae eval` are brought to the pictures that all of them have; files of means only (CompressAI's form) are
    taken as they are.  A published curve is left out unless these are the pictures that it is of.  ResultsError for
    files that are none, that share no picture, or of which the first has no points of pictures.
    """
    read = [_read(path) for path in paths]
    first = read[0][1]
    if first is None:
        raise ResultsError(
            f"{paths[0]}: holds no points of single pictures, which the first file of a report must"
        )
    evaluations = [evaluation for _, evaluation, _ in read if evaluation is not None]
    shared = _shared(evaluations)
    if not shared:
        names = ", ".join(map(str, paths))
        raise ResultsError(f"{names}: no picture is in all of these files, so they cannot be compared")
    notes = []
    codecs = []
    for path, (source, evaluation, content) in zip(paths, read, strict=True):
        if evaluation is not None:
            left = len(evaluation.pictures) - len(shared)
            if left:
                notes.append(
                    f"{source.name} has {left} more pictures, which are left out: not all files have them."
                )
            kept = replace(evaluation, pictures=tuple(p for p in evaluation.pictures if p.name in shared))
            codecs.append(_measured(source, kept))
        else:
            curve = curve_from_json(content, str(path))
            if curve.pictures:
                raise ResultsError(f"{path}: its pictures cannot be read; measure it again with rdae eval")
            notes.append(f"{source.name} holds means only, and does not say of which pictures.")
            codecs.append(_means_only(curve, source, str(content.get("description", ""))))
    tested = codecs[0]
    stems = frozenset(name.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower() for name in shared)
    for name in anchors:
        curve = published(name)
        if curve.pictures == stems:
            codecs.append(_means_only(curve, None, curve.source))
        else:
            notes.append(f"{curve.name} is left out: its published curve is of the 24 Kodak pictures.")
    metrics = _metrics(tested)
    if not metrics:
        raise ResultsError(
            f"{paths[0]}: none of a report's measures has a finite mean: every quality has a picture that is exact"
        )
    verdicts = tuple(_verdict(tested, other, metrics) for other in codecs[1:])
    order = tuple(p.name for p in first.pictures if p.name in shared)
    return Comparison(tuple(codecs), metrics, verdicts, order, len(first.pictures) - len(order), tuple(notes))


def default_quality(codec: CodecResults) -> float:
    """The measured quality whose mean rate is nearest to 0.3 bits per pixel, where differences are well seen."""
    rates = [
        (rate, quality)
        for rate, quality in zip(codec.means["bpp"], codec.means["quality"], strict=True)
        if rate
    ]
    _, quality = min(rates, key=lambda pair: abs(math.log((pair[0] or 1.0) / 0.3)))
    return float(quality or 0.0)


def _read(path: Path) -> tuple[Source, Evaluation | None, Mapping[str, object]]:
    content = read_json(path)
    evaluation = results.read(path) if "pictures" in content else None
    return Source(path.name, path.read_bytes()), evaluation, content


def _shared(evaluations: Sequence[Evaluation]) -> frozenset[str]:
    """Names of the pictures that all have; ResultsError if two of one name are not the same."""
    first = {picture.name: picture for picture in evaluations[0].pictures}
    shared = frozenset(first)
    for evaluation in evaluations[1:]:
        for picture in evaluation.pictures:
            same = first.get(picture.name)
            if same is None:
                continue
            hashes = {same.sha256, picture.sha256} - {""}
            if len(hashes) > 1 or (same.width, same.height) != (picture.width, picture.height):
                names = f"{evaluation.name} and {evaluations[0].name}"
                raise ResultsError(
                    f"{picture.name}: {names} were measured on different pictures of this name"
                )
        shared &= {picture.name for picture in evaluation.pictures}
    return shared


def values_of(point: Point) -> dict[str, float | None]:
    """The numbers of a point that the page shows, by the keys of SHOWN; None where there is none, or infinity."""
    found = {
        "quality": point.quality,
        "bpp": point.bpp,
        "psnr-rgb": point.psnr,
        "psnr-y": point.psnr_y,
        "ms-ssim-db": point.ms_ssim_db,
        "ssimulacra2": point.ssimulacra2,
        **{key + DB: None if point.five is None else point.five.get(key) for key in FIVE},
        "encoding_time": point.encoding_s,
        "decoding_time": point.decoding_s,
    }
    return {
        key: value if value is not None and math.isfinite(value) else None for key, value in found.items()
    }


def _measured(source: Source, evaluation: Evaluation) -> CodecResults:
    means = evaluation.means()
    means["ms-ssim-db"] = [None if v is None else decibels(v) for v in means["ms-ssim-rgb"]]
    order = sorted(range(len(means["bpp"])), key=lambda i: means["bpp"][i] or 0.0)
    kept = {key: [_finite(means[key][i]) for i in order] for key in SHOWN if key in means}
    return CodecResults(
        evaluation.name, evaluation.description, _known(kept), evaluation, source, evaluation.curve()
    )


def _means_only(curve: Curve, source: Source | None, description: str) -> CodecResults:
    means: dict[str, Sequence[float | None]] = {"bpp": curve.bpp, "psnr-rgb": curve.psnr}
    if curve.ms_ssim:
        means["ms-ssim-db"] = [_finite(decibels(v)) for v in curve.ms_ssim]
    means |= {key: values for key, values in curve.columns.items() if key in SHOWN and key not in means}
    return CodecResults(curve.name, description, means, None, source, curve)


def _known(columns: Columns) -> Columns:
    return {key: values for key, values in columns.items() if any(value is not None for value in values)}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _metrics(tested: CodecResults) -> tuple[str, ...]:
    known = [key for key in PAGE_METRICS if key in tested.means]
    if tested.evaluation is not None and tested.evaluation.meta.get("objective") == "ssimulacra2":
        known.sort(key=lambda key: key != "ssimulacra2")  # stable: the others keep their order
    return tuple(known)


def _verdict(tested: CodecResults, other: CodecResults, metrics: Sequence[str]) -> Verdict:
    lead = metrics[0]
    found = {key: _rate_by(_column(other, key), _column(tested, key)) for key in metrics}
    rates = {key: rate for key, rate in found.items() if rate is not None}
    anchor, test = _column(other, lead), _column(tested, lead)
    if not anchor:
        return Verdict(None, None, rates, {}, f"has no {PAGE_METRICS[lead][0]}")
    try:
        rate = _delta(bd_rate, anchor, test)
    except ResultsError as error:
        return Verdict(None, None, rates, {}, str(error))
    try:
        gain = _delta(bd_psnr, anchor, test)
    except ResultsError:  # the same values, but hardly a rate in common
        gain = None
    by_picture = {}
    if tested.evaluation is not None and other.evaluation is not None:
        others = {picture.name: picture.points for picture in other.evaluation.pictures}
        for picture in tested.evaluation.pictures:
            of_picture = _rate_by(_pairs(others[picture.name], lead), _pairs(picture.points, lead))
            if of_picture is not None:
                by_picture[picture.name] = of_picture.value
    return Verdict(rate, gain, rates, by_picture)


def _delta(measure: Callable[..., BDelta], anchor: Pairs, test: Pairs) -> BDelta:
    return measure([b for b, _ in anchor], [m for _, m in anchor], [b for b, _ in test], [m for _, m in test])


def _rate_by(anchor: Pairs, test: Pairs) -> BDelta | None:
    """BD-rate of (bpp, metric) pairs; None where there is none."""
    try:
        return _delta(bd_rate, anchor, test)
    except ResultsError:
        return None


def _pairs(points: Sequence[Point], metric: str) -> list[tuple[float, float]]:
    pairs = [(point.bpp, values_of(point)[metric]) for point in points]
    return [(bpp, value) for bpp, value in pairs if value is not None]


def _column(codec: CodecResults, metric: str) -> list[tuple[float, float]]:
    rates, values = codec.means["bpp"], codec.means.get(metric, ())
    return [(b, v) for b, v in zip(rates, values, strict=False) if b is not None and v is not None]


def mean_saving(verdict: Verdict) -> tuple[int, int, float]:
    """On how many pictures bits are saved, of how many, and the median BD-rate over the pictures."""
    rates = list(verdict.by_picture.values())
    return sum(rate < 0 for rate in rates), len(rates), statistics.median(rates) if rates else math.nan
