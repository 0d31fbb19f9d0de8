"""Published rate-distortion curves on the Kodak pictures: reading them, and their short names.

A curve file has the form of CompressAI's result files: {"name", "source", "results": {"bpp": [...], ...}}.
Files that `rdae eval` writes have it too, so that either can be drawn or compared with the other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from rdae.errors import ResultsError

# Short name: file in rdae.data's curves/, and what a legend calls it. The README.md there says more of each.
PUBLISHED: Mapping[str, tuple[str, str]] = {
    "vtm": ("vtm", "VTM 9.1 (VVC)"),
    "vtm12": ("vtm-12.1-cai-bench-rerun", "VTM 12.1 (VVC, re-run)"),
    "bpg444": ("bpg_444_x265_ycbcr", "BPG 4:4:4 (HEVC)"),
    "hm": ("hm", "HM (HEVC)"),
    "av1": ("av1", "AV1 (libaom)"),
    "jpeg": ("jpeg", "JPEG (Pillow 7.1)"),
    "jpeg2000": ("jpeg2000", "JPEG 2000"),
    "webp": ("webp", "WebP (Pillow 7.1)"),
    "factorized": ("cai-bmshj2018-factorized_mse", "Ballé 2018, factorized"),
    "hyperprior": ("cai-bmshj2018-hyperprior_mse", "Ballé 2018, hyperprior"),
    "mbt2018-mean": ("cai-mbt2018-mean_mse", "Minnen 2018, mean-scale"),
    "mbt2018": ("cai-mbt2018_mse", "Minnen 2018, context"),
    "cheng2020": ("cai-cheng2020-anchor_mse", "Cheng 2020"),
    "elic": ("paper-elic2022_mse", "ELIC 2022"),
    "evc-s": ("evc-SS", "EVC-S 2023"),
    "evc-l": ("evc-LL", "EVC-L 2023"),
    "tcm": ("tcm-large_mse", "TCM-Large 2023"),
    "mlic++": ("mlicplusplus_mse", "MLIC++ 2023"),
    "shallow-ntc": ("shallow-ntc-2layer", "Shallow NTC 2023"),
    "shallow-ntc-sga": ("shallow-ntc-2layer-sga", "Shallow NTC + SGA 2023"),
    "coolchic": ("coolchic-v5.0", "Cool-Chic 5.0"),
    "dcae": ("dcae_mse", "DCAE 2025"),
    "hpcm": ("hpcm-large_mse", "HPCM-Large 2025"),
}

# What others call the same.
ALIASES: Mapping[str, str] = {
    "vvc": "vtm",
    "hevc": "hm",
    "bpg": "bpg444",
    "bmshj2018-factorized": "factorized",
    "bmshj2018-hyperprior": "hyperprior",
    "cheng2020-anchor": "cheng2020",
    "elic2022": "elic",
    "mlicplusplus": "mlic++",
    "evc": "evc-l",
}

KODAK = frozenset(f"kodim{i:02d}" for i in range(1, 25))
"""The pictures that the published curves are of."""

Points = tuple[tuple[float, ...], tuple[float, ...]]
"""Bits per pixel, and the values there."""

_SHORT = {"psnr-rgb": "psnr", "ms-ssim-rgb": "ms-ssim"}
_NAMED = ("bpp", "psnr-rgb", "psnr", "ms-ssim-rgb", "ms-ssim")  # columns that are fields of a Curve


@dataclass(frozen=True)
class Curve:
    """Rate-distortion points of one codec, means over a set of pictures, by rising rate.

    bpp: bits per pixel, of the points with a finite PSNR. psnr: dB, RGB. ms_ssim: 0 to 1; empty if the source has none.
    source: whence.
    columns: whatever else the source has a number of for each of these points, under its own key ("psnr-y",
    "encoding_time"). own_points: (bpp, values) of each metric that may have other points, as where a picture is exact.
    pictures: names, without suffix, of the pictures it is a mean of; empty if the source does not say.
    """

    name: str
    bpp: tuple[float, ...]
    psnr: tuple[float, ...]
    ms_ssim: tuple[float, ...] = ()
    source: str = ""
    columns: Mapping[str, tuple[float, ...]] = field(default_factory=dict, hash=False)
    pictures: frozenset[str] = frozenset()
    own_points: Mapping[str, Points] = field(default_factory=dict, hash=False)

    def points(self, metric: str) -> Points:
        """(bpp, values) of the points that have a finite value of a metric; both empty if there is none.

        metric: as for `values`.
        """
        metric = _SHORT.get(metric, metric)
        values = self.values(metric)
        return self.own_points.get(metric, (self.bpp, values) if values else ((), ()))

    @property
    def metrics(self) -> list[str]:
        """What it has points of."""
        known = ["psnr", "ms-ssim", *sorted({*self.columns, *self.own_points} - {"ms-ssim"})]
        return [metric for metric in known if self.points(metric)[0]]

    def is_infinite(self, metric: str) -> bool:
        """Whether a metric is a PSNR that has no finite mean: each quality has a picture that is exact."""
        metric = _SHORT.get(metric, metric)
        known = metric == "psnr" or (metric.startswith("psnr") and metric in self.own_points)
        return known and not self.points(metric)[0]

    def values(self, metric: str) -> tuple[float, ...]:
        """What the points in `bpp` have of "psnr", "ms-ssim" or a key of `columns`; empty if this curve has none."""
        known = {"psnr": self.psnr, "ms-ssim": self.ms_ssim}
        metric = _SHORT.get(metric, metric)
        return known[metric] if metric in known else self.columns.get(metric, ())


def published(name: str) -> Curve:
    """A published curve by its short name or an alias; ResultsError for any other name."""
    name = ALIASES.get(name, name)
    if name not in PUBLISHED:
        raise ResultsError(f"unknown curve {name!r}, expected one of {', '.join(PUBLISHED)}")
    file, title = PUBLISHED[name]
    text = (resources.files("rdae.data") / "curves" / f"{file}.json").read_text(encoding="utf-8")
    return replace(curve_from_json(json.loads(text), name), name=title, pictures=KODAK)


def read_curve(path: Path) -> Curve:
    """The mean curve of a result file of `rdae eval` or CompressAI; ResultsError if it is not one."""
    return curve_from_json(read_json(path), str(path))


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; ResultsError naming the file if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path}: not a JSON file: {error}") from error
    if not isinstance(content, dict):
        raise ResultsError(f"{path}: found a JSON {type(content).__name__}, expected an object with results")
    return content


def curve_from_json(content: Mapping[str, Any], path: str) -> Curve:
    """A curve from the content of a result file; points without a rate or a finite value (lossless) are left out.

    path: for the error; its name stands in for one that the content does not state.
    """
    results = content.get("results")
    columns: dict[str, list[Any]] = {}
    for key, column in results.items() if isinstance(results, Mapping) else ():
        if isinstance(column, list) and all(v is None or _is_number(v) for v in column):
            columns[str(key)] = column
    bpp = columns.get("bpp")
    psnr = columns.get("psnr-rgb", columns.get("psnr"))  # CompressAI's eval_model writes the short keys
    ms_ssim = columns.get("ms-ssim-rgb", columns.get("ms-ssim"))
    if bpp is None or psnr is None or len(bpp) != len(psnr) or not bpp:
        raise ResultsError(f"{path}: expected results with as many numbers of bpp as of psnr-rgb")
    kept = [i for i in range(len(bpp)) if _is_finite(bpp[i]) and _is_finite(psnr[i])]
    kept.sort(key=lambda i: bpp[i])

    def at_kept(column: list[Any] | None) -> tuple[float, ...]:
        """The column at the points kept; empty unless there is a number for each."""
        if column is None or len(column) != len(bpp) or any(column[i] is None for i in kept):
            return ()
        return tuple(float(column[i]) for i in kept)

    def own(column: list[Any], end: float = math.inf) -> Points:
        """The column at the points where it has a number below `end`."""
        pairs = [
            (rate, float(value))
            for rate, value in zip(bpp, column, strict=True)
            if _is_finite(rate) and _is_finite(value) and value < end
        ]
        pairs.sort(key=lambda pair: pair[0])
        return tuple(rate for rate, _ in pairs), tuple(value for _, value in pairs)

    others = {key: at_kept(column) for key, column in columns.items() if key not in _NAMED}
    own_points = {key: own(columns[key]) for key in others if len(columns[key]) == len(bpp)}
    if ms_ssim is not None and len(ms_ssim) == len(bpp):
        own_points["ms-ssim"] = own(ms_ssim, 1.0)  # in dB, as it is compared, 1 is infinite
    return Curve(
        str(content.get("name") or Path(path).name.removesuffix(".json")),
        at_kept(bpp),
        at_kept(psnr),
        at_kept(ms_ssim),
        str(content.get("source", "")),
        {key: values for key, values in others.items() if values},
        _picture_names(content.get("pictures")),
        own_points,
    )


def _picture_names(pictures: object) -> frozenset[str]:
    """The names in a result file's table of pictures, without folders and suffixes."""
    rows = pictures if isinstance(pictures, list) else []
    names = [row["name"] for row in rows if isinstance(row, Mapping) and isinstance(row.get("name"), str)]
    return frozenset(name.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower() for name in names)


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
