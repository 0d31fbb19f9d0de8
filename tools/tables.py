"""Fill the tables of README, model card and docs from the results in the repository: python tools/tables.py

Whatever stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`, for each NAME in `filled`, is written here; a
test finds pages that say anything else than the results.
"""

from __future__ import annotations

import functools
import json
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import blind
import scores

from rdae.errors import ResultsError
from rdae.evaluation.curves import Curve, published, read_curve
from rdae.evaluation.effort_levels import markdown, read_effort_levels
from rdae.evaluation.five_measures import FIVE
from rdae.evaluation.history import Run, read_history
from rdae.evaluation.relaxation import read_relaxation
from rdae.evaluation.tables import bd_rate_by
from rdae.networks.registry import TUNES

ROOT = Path(__file__).resolve().parent.parent
MODELS = (TUNES["visual"], TUNES["psnr"])
"""In the order of the tables."""
RELAXATION = ROOT / "weights" / "rdae-base.relaxation.json"
SCORED = (
    *(ROOT / "weights" / f"{name}.kodak.json" for name in TUNES.values()),
    *(ROOT / "data" / "measured" / f"{name}.json" for name in ("jpeg", "webp", "avif")),
)
PAGES = (
    ROOT / "README.md",
    ROOT / "weights" / "README.md",
    ROOT / "docs" / "results.md",
    ROOT / "docs" / "figures.md",
    ROOT / "docs" / "effort.md",
)
RESULTS, SPEED = ROOT / "docs" / "results.md", ROOT / "docs" / "speed.md"
WIDTH = 118

# File in data/measured or short name of a published curve, and what the table calls it.
PEERS = (
    ("jpeg", "Pillow's JPEG, 4:4:4, optimised, progressive"),
    ("jpeg420", "Pillow's JPEG, 4:2:0, optimised, progressive"),
    ("jpeg2000", "Pillow's JPEG 2000"),
    ("webp", "Pillow's WebP, method 6"),
    ("avif", "Pillow's AVIF, 4:4:4, speed 4"),
    ("avif-ssimulacra2", "the same, tuned for SSIMULACRA2"),
    ("avif-psnr", "the same, tuned for PSNR"),
    ("avif-speed6", "Pillow's AVIF, 4:4:4, speed 6"),
    ("avif420", "Pillow's AVIF, 4:2:0, speed 4"),
    ("jxl", "JPEG XL, effort 7"),
)
SHORT = (
    ("avif", "AVIF"),
    ("avif-ssimulacra2", "AVIF, tuned for SSIMULACRA2"),
    ("avif-psnr", "AVIF, tuned for PSNR"),
    ("jxl", "JPEG XL"),
    ("webp", "WebP"),
    ("jpeg", "JPEG"),
)
"""What the README's table has of them."""
TIMED = ("AVIF 4:4:4", "JPEG XL", "WebP", "JPEG 4:4:4")
"""What the README's table has of those in the benchmark, beside rdae."""
ANCHORS = (
    ("bpg444", "BPG 4:4:4 (published, CompressAI)"),
    ("vtm", "VTM-9.1 (published, CompressAI)"),
)
NUMBERS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen"),
)


def _efforts(name: str) -> str:
    return "\n".join(markdown(read_effort_levels(_of_model(name, "efforts"))))


def _blind() -> str:
    return "\n".join(blind.table(json.loads(_of_model(TUNES["visual"], "blind").read_text(encoding="utf-8"))))


def _scores() -> str:
    return "\n".join(scores.table([path for path in SCORED if path.exists()]))


def filled(page: Path) -> str:
    """The text of a page with all that is between markers written anew."""
    text = page.read_text(encoding="utf-8")
    blocks: dict[str, Callable[[], str]] = {
        "results": _short,
        "speed and size": _speed,
        "measured": lambda: _measured(words=page == RESULTS),
        **{f"facts of {name}": functools.partial(_facts, name) for name in MODELS},
        "progress": _progress,
        "relaxation": _relaxation,
        **{f"efforts of {name}": functools.partial(_efforts, name) for name in MODELS},
        "scores": _scores,
        "blind": _blind,
    }
    for name, content in blocks.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        head, found, rest = text.partition(begin)
        if found:
            text = head + begin + content() + "\n" + end + rest.partition(end)[2]
    return text


def _short() -> str:
    """What the README says of bits: each model against the best known codecs, by both measures."""
    own = [read_curve(_of_model(name, "kodak")) for name in MODELS]
    lines = [
        "| against | visual, by SSIMULACRA2 | visual, by PSNR | psnr, by SSIMULACRA2 | psnr, by PSNR |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, title in SHORT:
        curve = read_curve(ROOT / "data" / "measured" / f"{name}.json")
        rates = [bd_rate_by(each, curve, key) for each in own for key in ("ssimulacra2", "psnr")]
        lines.append(f"| {title} | {' | '.join('-' if rate is None else f'{rate:+.1f}' for rate in rates)} |")
    return "\n".join(lines)


def _speed() -> str:
    """What the README says of time and memory, out of what `rdae benchmark --process --markdown` has printed."""
    text = SPEED.read_text(encoding="utf-8")
    printed = text.partition("<!-- speed: begin -->\n")[2].partition("<!-- speed: end -->")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in printed.splitlines()
        if line[:1] == "|"
    ]
    found = {title: (bpp, encode, decode) for title, _, bpp, encode, _, decode, _ in rows[2:]}
    (own,) = (title for title in found if title in MODELS)
    lines = ["| | bits per pixel | encode, ms | decode, ms |", "|---|---:|---:|---:|"]
    named = [("rdae", found[own]), *((title, found[title]) for title in TIMED)]
    lines += [f"| {title} | {' | '.join(cells)} |" for title, cells in named]
    times = float(found[own][2]) / float(found["AVIF 4:4:4"][2])
    process, memory = (
        _number(pattern, printed) for pattern in (r"whole process ([\d.]+)", r"peak memory (\d+) MB")
    )
    (tune,) = (tune for tune, name in TUNES.items() if name == own)
    size = sum(_manifest(name)["bytes"] for name in MODELS)
    words = (
        f"Decoding takes {times:.0f} times as long as with AVIF. The whole `rdae decompress` command, from start-up to "
        f"the written PNG, takes {process} s and {memory} MB of memory. Measured with `--tune {tune}`; both models are "
        f"the same network with other weights, and together take {size / 1e6:.0f} MB on disk."
    )
    return "\n".join([*lines, "", *_wrapped(words)])


def _number(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise ResultsError(f"{SPEED.name} lacks what rdae benchmark --process prints: {pattern}")
    return found[1]


def _measured(*, words: bool) -> str:
    curves = [_of_model(name, "kodak") for name in MODELS]
    results = []
    for path, name in zip(curves, MODELS, strict=True):
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["meta"]["model"] != _manifest(name)["sha256"][: len(content["meta"]["model"])]:
            raise ResultsError(f"{path.name} was measured with other weights than {name}.json describes")
        results.append(content["results"])
    qualities = results[0]["quality"]
    columns = ("bpp", "SSIMULACRA2", "PSNR, dB")
    lines = [
        f"| quality | {' | '.join(f'{name}: {each}' for name in MODELS for each in columns)} |",
        "|---:" + "|---:|---:|---:" * len(MODELS) + "|",
    ]
    for place, quality in enumerate(qualities):
        cells = [f"{quality:g}"]
        for means in results:
            bpp, score, psnr = (means[key][place] for key in ("bpp", "ssimulacra2", "psnr-rgb"))
            cells += [f"{bpp:.3f}", f"{score:.1f}", f"{psnr:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *_deltas([read_curve(path) for path in curves])]
    if words:
        lines += ["", *_wrapped(_words())]
    return "\n".join(lines)


def _words() -> str:
    manifests = [_manifest(name) for name in MODELS]
    spent = [
        f"`{manifest['name']}` ({manifest['sha256'][:8]}) has seen {manifest['pixels'] / 1e9:.1f} gigapixels"
        for manifest in manifests
    ]
    return (
        "Difference in file size at an equal score, or at an equal PSNR; negative means that rdae's files are smaller. "
        f"{' and '.join(spent)}, on a machine with two CPU cores, and the training has not converged: the curves will "
        "move with the hours spent. Measured on the 24 Kodak pictures with real files, by `rdae eval`; the [model "
        "card](../weights/README.md) has the details."
    )


def _deltas(own: Sequence[Curve]) -> list[str]:
    measures = ("SSIMULACRA2", "mean of five", "PSNR")
    columns = [f"{name}, by {measure}" for name in MODELS for measure in measures]
    lines = [
        f"| against | {' | '.join(columns)} |",
        "|---" + "|---:|---:|---:" * len(MODELS) + "|",
    ]
    rows = [
        (title, read_curve(path))
        for name, title in PEERS
        if (path := ROOT / "data" / "measured" / f"{name}.json").exists()
    ]
    rows += [(title, published(name)) for name, title in ANCHORS]
    for title, curve in rows:
        cells = []
        for each in own:
            by_five = [bd_rate_by(each, curve, key) for key in FIVE]
            five = [value for value in by_five if value is not None]
            mean = sum(five) / len(five) if len(five) == len(FIVE) else None
            cells += [bd_rate_by(each, curve, "ssimulacra2"), mean, bd_rate_by(each, curve, "psnr")]
        lines.append(f"| {title} | {' | '.join('-' if v is None else f'{v:+.1f} %' for v in cells)} |")
    return lines


def _facts(name: str) -> str:
    manifest, runs = _manifest(name), read_history(_of_model(name, "training"))
    spent = [f"{run.steps:,} steps in {run.hours:.2f} hours" for run in runs]
    spent[1:] = [f"then {words} from those weights" for words in spent[1:]]
    count = f"{NUMBERS[len(runs)]} run{'s' if len(runs) > 1 else ''}"
    words = (
        f"SHA-256 `{manifest['sha256']}`, {manifest['bytes']:,} bytes. Trained in {count}: {', '.join(spent)}; "
        f"{manifest['pixels'] / 1e9:.2f} gigapixels in all."
    )
    return "\n".join(_wrapped(words))


def _progress() -> str:
    """Bits that the visual weights' validations save over the first of them, by both measures."""
    lines = ["| hours | gigapixels | by SSIMULACRA2 | by PSNR |", "|---:|---:|---:|---:|"]
    runs = read_history(_of_model(TUNES["visual"], "training"))
    first = runs[0].validation[0]
    before = 0.0
    for run in runs:
        for check in run.validation:
            rates = [check.against(first, metric) for metric in ("ssimulacra2", "psnr")]
            cells = ["-" if rate is None else f"{rate:+.1f} %" for rate in rates]
            lines.append(
                f"| {before + check.hours:.2f} | {(check.pixels - first.pixels) / 1e9:.2f} | {' | '.join(cells)} |"
            )
        before += run.hours
    return "\n".join(lines)


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


def _of_model(name: str, what: str) -> Path:
    return ROOT / "weights" / f"{name}.{what}.json"


def _manifest(name: str) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((ROOT / "weights" / f"{name}.json").read_text(encoding="utf-8"))
    history = _of_model(name, "training")
    runs: Sequence[Run] = read_history(history)
    if runs[-1].pixels != manifest["pixels"]:
        raise ResultsError(
            f"{history.name} ends at {runs[-1].pixels:,} pixels, {name}.json says another number"
        )
    return manifest


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(filled(path), encoding="utf-8")
