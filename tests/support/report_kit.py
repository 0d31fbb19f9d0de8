"""A small real report: pictures cut out of the example, measured with the published weights and three peers."""

import dataclasses
import functools
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from rdae_command import rdae_command

from rdae.api import open_model
from rdae.evaluation import run
from rdae.evaluation.codecs import PILLOW_CODECS, Rdae
from rdae.evaluation.results import Memory

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "<img src=x onerror=alert(1)>.png"
NAMES = ("first.png", HOSTILE, "third & last.png")
SIDE = 176  # MS-SSIM needs 161


class Kit(NamedTuple):
    """Where the parts of a report are."""

    folder: Path
    results: Path
    peers: tuple[Path, ...]


_FOLDER = tempfile.TemporaryDirectory(prefix="rdae-report-")


@functools.cache
def kit() -> Kit:
    """Pictures and result files, made once for all tests, which leave them as they are."""
    folder = Path(_FOLDER.name)
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    with Image.open(ROOT / "data" / "example.png") as image:
        example = np.asarray(image.convert("RGB"))
    for i, name in enumerate(NAMES):
        top, left = (i * (side - SIDE) // 2 for side in example.shape[:2])
        Image.fromarray(example[top : top + SIDE, left : left + SIDE]).save(pictures / name)
    paths = [pictures / name for name in NAMES]
    work = folder / "work"
    work.mkdir()
    made = run.evaluate(Rdae(open_model()), paths, (10, 40, 70), folder=work, progress=lambda *_: None)
    memory = Memory(NAMES[0], SIDE, SIDE, 40.0, 50_000_000, 30_000_000)
    results = folder / "own.json"
    results.write_text(dataclasses.replace(made, memory=memory).to_json(), encoding="utf-8")
    peers = []
    for name, qualities in (("jpeg", (5, 20, 50, 80)), ("webp", (5, 30, 60, 85))):
        there = folder / name
        there.mkdir()
        peer = run.evaluate(PILLOW_CODECS[name], paths, qualities, folder=there, progress=lambda *_: None)
        peers.append(folder / f"{name}.json")
        peers[-1].write_text(peer.to_json(), encoding="utf-8")
    return Kit(folder, results, tuple(peers))


def report(page: Path, *options: str, pictures: bool = True) -> str:
    """Make a page by the command, all three pictures in it; return it."""
    made = kit()
    line = ["report", str(made.results), *map(str, made.peers), "-o", str(page), "-f", "--quiet", *options]
    if pictures:
        line += ["--pictures", str(made.folder / "pictures")]
    done = rdae_command(*line)
    assert done.exit_code == 0, done.stderr
    return page.read_text(encoding="utf-8")
