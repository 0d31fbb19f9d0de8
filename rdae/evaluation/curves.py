"""Published rate-distortion curves on the Kodak pictures: reading them, and their short names.

A curve file has the form of CompressAI's result files: {"name", "source", "results": {"bpp": [...], ...}}.
Files that `rdae eval` writes have it too, so that either can be drawn or compared with the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
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
    "shallow-ntc": ("shallow-ntc-2layer", "Shallow NTC 2023"),
    "shallow-ntc-sga": ("shallow-ntc-2layer-sga", "Shallow NTC + SGA 2023"),
    "coolchic": ("coolchic-v5.0", "Cool-Chic 5.0"),
    "dcae": ("dcae_mse", "DCAE 2025"),
    "hpcm": ("hpcm-large_mse", "HPCM-Large 2025"),
}


@dataclass(frozen=True)
class Curve:
    """Rate-distortion points of one codec, means over a set of pictures, by rising rate.

    bpp: bits per pixel. psnr: dB, RGB. ms_ssim: 0 to 1; empty if the source has none. source: whence.
    """

    name: str
    bpp: tuple[float, ...]
    psnr: tuple[float, ...]
    ms_ssim: tuple[float, ...] = ()
    source: str = ""


def published(name: str) -> Curve:
    """A published curve by its short name; ResultsError for a name that is not in PUBLISHED."""
    if name not in PUBLISHED:
        raise ResultsError(f"unknown curve {name!r}, expected one of {', '.join(PUBLISHED)}")
    file, title = PUBLISHED[name]
    text = (resources.files("rdae.data") / "curves" / f"{file}.json").read_text(encoding="utf-8")
    curve = curve_from_json(json.loads(text), name)
    return Curve(title, curve.bpp, curve.psnr, curve.ms_ssim, curve.source)


def read_curve(path: Path) -> Curve:
    """The mean curve of a result file of `rdae eval` or CompressAI; ResultsError if it is not one."""
    return curve_from_json(read_json(path), path.name)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; ResultsError naming the file if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path}: not a JSON file: {error}") from error
    if not isinstance(content, dict):
        raise ResultsError(f"{path}: found a JSON {type(content).__name__}, expected an object with results")
    return content


def curve_from_json(content: Mapping[str, Any], fallback_name: str) -> Curve:
    """A curve from the content of a result file; points without a rate or PSNR (lossless) are left out."""
    results = content.get("results")
    columns = {}
    for key in ("bpp", "psnr-rgb", "psnr", "ms-ssim-rgb", "ms-ssim"):
        column = results.get(key) if isinstance(results, Mapping) else None
        if isinstance(column, list) and all(v is None or _is_number(v) for v in column):
            columns[key] = column
    bpp = columns.get("bpp")
    psnr = columns.get("psnr-rgb", columns.get("psnr"))  # CompressAI's eval_model writes the short keys
    ms_ssim = columns.get("ms-ssim-rgb", columns.get("ms-ssim"))
    if bpp is None or psnr is None or len(bpp) != len(psnr) or not bpp:
        raise ResultsError(f"{fallback_name}: expected results with as many numbers of bpp as of psnr-rgb")
    kept = [i for i in range(len(bpp)) if bpp[i] is not None and psnr[i] is not None]
    kept.sort(key=lambda i: bpp[i])
    has_ms_ssim = (
        ms_ssim is not None and len(ms_ssim) == len(bpp) and all(ms_ssim[i] is not None for i in kept)
    )
    return Curve(
        str(content.get("name") or fallback_name.removesuffix(".json")),
        tuple(float(bpp[i]) for i in kept),
        tuple(float(psnr[i]) for i in kept),
        tuple(float(ms_ssim[i]) for i in kept) if ms_ssim is not None and has_ms_ssim else (),
        str(content.get("source", "")),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
