"""Write the figures of README, model card and docs from the results in the repository: python tools/figures.py

After a further training run: python tools/figures.py --add-run WEIGHTS RUN [NAME], which first appends what the run
logged to the history beside these weights, rdae-base or rdae-visual. Needs the extra plot.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from rdae.evaluation import results
from rdae.evaluation.curves import Curve, published, read_curve
from rdae.evaluation.effort_levels import read_effort_levels
from rdae.evaluation.history import append_run, read_history, read_run
from rdae.evaluation.relaxation import read_relaxation
from rdae.reporting import account, effort_levels, rate_distortion, relaxation, training_curves

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "weights" / "rdae-base.safetensors"
VISUAL = ROOT / "weights" / "rdae-visual.safetensors"
RELAXATION = WEIGHTS.with_suffix(".relaxation.json")
EFFORTS = WEIGHTS.with_suffix(".efforts.json")
# What the README's figure shows beside rdae, as far as it was measured: more would hide more than it tells.
PEERS = ("jxl", "avif", "webp", "jpeg2000", "jpeg")
ANCHORS = ("elic", "vtm", "bpg444")


def kodak_curves(metric: str) -> list[Curve]:
    """The committed weights and the peers that were measured by a metric on the Kodak pictures, its own model first."""
    models = [VISUAL, WEIGHTS] if metric == "ssimulacra2" else [WEIGHTS, VISUAL]
    files = [ROOT / "data" / "measured" / f"{name}.json" for name in PEERS]
    peers = [read_curve(path) for path in files if path.exists()]
    own = [read_curve(path.with_suffix(".kodak.json")) for path in models]
    return [*own, *(curve for curve in peers if curve.values(metric))]


def kodak(metric: str) -> bytes:
    """The curves of one metric, with the published ones that have it."""
    anchors = [published(name) for name in ANCHORS]
    return rate_distortion.draw(kodak_curves(metric), anchors, file_format="svg", metric=metric)


def lossless_bpp() -> float:
    """Bits per pixel of the Kodak pictures as rdae stores them exactly, by tools/lossless.py."""
    found = json.loads((ROOT / "data" / "lossless.json").read_text())
    return float(found["formats"]["rdae --lossless"]["bpp"])


def training(weights: Path) -> bytes:
    """How weights were trained."""
    return training_curves.draw(read_history(weights.with_suffix(".training.json")), file_format="svg")


# Name in docs/: what draws it.
FIGURES: dict[str, Callable[[], bytes]] = {
    "rd-kodak-ssimulacra2.svg": lambda: kodak("ssimulacra2"),
    "rd-kodak.svg": lambda: kodak("psnr"),
    "rd-kodak-ms-ssim.svg": lambda: kodak("ms-ssim"),
    "account.svg": lambda: account.draw(
        results.read(WEIGHTS.with_suffix(".kodak.json")), file_format="svg", exact_bpp=lossless_bpp()
    ),
    "training.svg": lambda: training(WEIGHTS),
    "training-visual.svg": lambda: training(VISUAL),
    "relaxation.svg": lambda: relaxation.draw(read_relaxation(RELAXATION), file_format="svg"),
    "efforts.svg": lambda: effort_levels.draw(read_effort_levels(EFFORTS), file_format="svg"),
}


def main() -> None:
    """Write all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--add-run",
        nargs="+",
        metavar=("WEIGHTS", "RUN"),
        help="name of weights, folder of a run, a name for it",
    )
    arguments = parser.parse_args()
    if arguments.add_run:
        weights, folder, *name = arguments.add_run
        run = read_run(Path(folder))
        history = ROOT / "weights" / f"{weights}.training.json"
        append_run(history, dataclasses.replace(run, name=name[0]) if name else run)
    for name, draw in FIGURES.items():
        (ROOT / "docs" / name).write_bytes(draw())


if __name__ == "__main__":
    main()
