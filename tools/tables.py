"""Fill the tables of README, model card and docs from the results in the repository: python tools/tables.py

Whatever stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`, for each NAME in `filled`, is written here; a
test finds pages that say anything else than the results.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import scores

from rdae.errors import ResultsError
from rdae.evaluation.bdrate import bd_rate
from rdae.evaluation.curves import Curve, published, read_curve
from rdae.evaluation.effort_levels import markdown, read_effort_levels
from rdae.evaluation.history import Run, read_history
from rdae.evaluation.relaxation import read_relaxation
from rdae.networks.registry import TUNES

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ROOT / "weights" / "rdae-base.json"
KODAK = ROOT / "weights" / "rdae-base.kodak.json"
HISTORY = ROOT / "weights" / "rdae-base.training.json"
RELAXATION = ROOT / "weights" / "rdae-base.relaxation.json"
EFFORTS = ROOT / "weights" / "rdae-base.efforts.json"
SCORED = (
    *(ROOT / "weights" / f"{name}.kodak.json" for name in TUNES.values()),
    *(ROOT / "data" / "measured" / f"{name}.json" for name in ("jpeg", "webp", "avif")),
)
PAGES = (
    ROOT / "README.md",
    ROOT / "weights" / "README.md",
    ROOT / "docs" / "figures.md",
    ROOT / "docs" / "effort.md",
)
WIDTH = 118

# File in data/measured or short name of a published curve, and what the table calls it.
PEERS = (
    ("jpeg", "Pillow's JPEG, 4:4:4, optimised, progressive"),
    ("jpeg420", "Pillow's JPEG, 4:2:0, optimised, progressive"),
    ("jpeg2000", "Pillow's JPEG 2000"),
    ("webp", "Pillow's WebP, method 6"),
    ("avif", "Pillow's AVIF, 4:4:4, speed 4"),
    ("avif420", "Pillow's AVIF, 4:2:0, speed 4"),
    ("jxl", "JPEG XL, effort 7"),
)
ANCHORS = (
    ("bpg444", "BPG 4:4:4 (published, CompressAI)"),
    ("vtm", "VTM-9.1 (published, CompressAI)"),
)
NUMBERS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen"),
)


def _efforts() -> str:
    return "\n".join(markdown(read_effort_levels(EFFORTS)))


def _scores() -> str:
    return "\n".join(scores.table([path for path in SCORED if path.exists()]))


def filled(page: Path) -> str:
    """The text of a page with all that is between markers written anew."""
    text = page.read_text(encoding="utf-8")
    blocks = {
        "measured": lambda: _measured(readme=page == PAGES[0]),
        "facts": _facts,
        "relaxation": _relaxation,
        "efforts": _efforts,
        "scores": _scores,
    }
    for name, content in blocks.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        head, found, rest = text.partition(begin)
        if found:
            text = head + begin + content() + "\n" + end + rest.partition(end)[2]
    return text


def _measured(*, readme: bool) -> str:
    results = json.loads(KODAK.read_text(encoding="utf-8"))
    manifest = _manifest()
    if results["meta"]["model"] != manifest["sha256"][: len(results["meta"]["model"])]:
        raise ResultsError(f"{KODAK.name} was measured with other weights than {MANIFEST.name} describes")
    columns = [results["results"][key] for key in ("quality", "bpp", "psnr-rgb", "ms-ssim-rgb")]
    lines = ["| quality | bits per pixel | PSNR, dB | MS-SSIM |", "|---:|---:|---:|---:|"]
    lines += [f"| {q:g} | {b:.3f} | {p:.2f} | {m:.4f} |" for q, b, p, m in zip(*columns, strict=True)]
    lines += ["", "| against | BD-rate |", "|---|---:|", *_deltas()]
    if readme:
        runs = read_history(HISTORY)
        steps, hours = sum(run.steps for run in runs), sum(run.hours for run in runs)
        words = (
            f"Bits saved are negative. These are the weights `{manifest['name']}` ({manifest['sha256'][:8]}): "
            f"{manifest['pixels'] / 1e9:.1f} gigapixels in {steps:,} steps, {hours:.1f} hours on a machine with two "
            "CPU cores, and the training has not converged: the curve will move with the hours spent on it. Measured "
            "by `rdae eval` on the 24 Kodak pictures with real files, as the [model card](weights/README.md) says in "
            "full."
        )
        lines += ["", *_wrapped(words)]
    return "\n".join(lines)


def _deltas() -> list[str]:
    own = read_curve(KODAK)
    rows: list[tuple[str, Curve]] = []
    for name, title in PEERS:
        path = ROOT / "data" / "measured" / f"{name}.json"
        if path.exists():
            rows.append((title, read_curve(path)))
    rows += [(title, published(name)) for name, title in ANCHORS]
    return [
        f"| {title} | {bd_rate(curve.bpp, curve.psnr, own.bpp, own.psnr).value:+.1f} % |"
        for title, curve in rows
    ]


def _facts() -> str:
    manifest, runs = _manifest(), read_history(HISTORY)
    spent = [f"{run.steps:,} steps in {run.hours:.2f} hours" for run in runs]
    spent[1:] = [f"then {words} from those weights" for words in spent[1:]]
    count = f"{NUMBERS[len(runs)]} run{'s' if len(runs) > 1 else ''}"
    words = (
        f"SHA-256 `{manifest['sha256']}`, {manifest['bytes']:,} bytes. Trained in {count}: {', '.join(spent)}; "
        f"{manifest['pixels'] / 1e9:.2f} gigapixels in all."
    )
    return "\n".join(_wrapped(words))


def _relaxation() -> str:
    lines = [
        "| quality | bpp, rounded | with noise | file | MSE, rounded | with noise | file |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for point in read_relaxation(RELAXATION).means():
        rates = (point.rounded_bpp, point.noisy_bpp, point.file_bpp)
        errors = (point.rounded_mse, point.noisy_mse, point.file_mse)
        cells = [
            f"{point.quality:g}",
            *(f"{rate:.3f}" for rate in rates),
            *(f"{error:.1f}" for error in errors),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _manifest() -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    runs: Sequence[Run] = read_history(HISTORY)
    if runs[-1].pixels != manifest["pixels"]:
        raise ResultsError(
            f"{HISTORY.name} ends at {runs[-1].pixels:,} pixels, {MANIFEST.name} says another number"
        )
    return manifest


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(filled(path), encoding="utf-8")
