"""How much memory a codec takes of one picture, in processes that do nothing else.

A new process opens the codec and lets it encode and decode a small picture, so that program, weights and tables are
there. Then the peak of its resident memory is set back, and one picture is encoded, or one file decoded. What counts
is the peak beyond what was resident before: the picture that is encoded is not in it, the picture that comes out of
decoding is. Encoding and decoding have a process each, as what one frees the other would take without being seen.
Only Linux tells so much about a process.

Run as a program it is such a process: it reads a job as JSON from stdin and writes the bytes to stdout.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rdae.errors import RdaeError, ResultsError
from rdae.evaluation.fresh import model_from_elsewhere
from rdae.evaluation.results import Memory
from rdae.metrics import Picture
from rdae.pictures import read_picture

WARM_UP = (64, 64)
Coder = tuple[Callable[[Picture, float], bytes], Callable[[bytes], Picture]]


@dataclass(frozen=True)
class Subject:
    """What the process opens: the codec that `arguments` name (rdae.training.compressai.checkpoints), else a model.

    model: the weights' path; None: the weights of the package. command: what to start, for tests.
    """

    model: Path | None = None
    arguments: tuple[str, ...] = ()
    command: tuple[str, ...] = (sys.executable, "-m", "rdae.evaluation.memory")


def measure(subject: Subject, pictures: Sequence[Path], quality: float) -> Memory:
    """The memory of encoding and decoding the largest of the pictures; ResultsError if it cannot be had."""
    sizes = {path: _size(path) for path in pictures}
    path = max((path for path, size in sizes.items() if size), key=lambda path: sizes[path], default=None)
    if path is None:
        raise ResultsError("no picture to measure memory with")
    height, width = read_picture(path).shape[:2]
    with tempfile.TemporaryDirectory(prefix="rdae-memory-") as folder:
        job = {
            "model": model_from_elsewhere(subject.model),
            "arguments": subject.arguments,
            "picture": str(path.resolve()),
            "quality": quality,
            "file": str(Path(folder) / "coded"),
        }
        encoding, decoding = (_run(subject, {**job, "decode": decode}, folder) for decode in (False, True))
    return Memory(path.name, width, height, quality, encoding, decoding)


def serve(open_coder: Callable[[dict[str, Any]], Coder]) -> int:
    """The other side: a job from stdin, bytes to stdout. Returns the exit status."""
    job = json.load(sys.stdin)
    try:
        encode, decode = open_coder(job)
        height, width = WARM_UP
        ramp = np.linspace(0, 255, height * width * 3).reshape(height, width, 3).astype(np.uint8)
        decode(encode(ramp, job["quality"]))
        file = Path(job["file"])
        if job["decode"]:
            data = file.read_bytes()
            before = _mark()
            decode(data)
            taken = _resident("VmHWM") - before
        else:
            picture = read_picture(Path(job["picture"]))
            before = _mark()
            data = encode(picture, job["quality"])
            taken = _resident("VmHWM") - before
            file.write_bytes(data)
    except (RdaeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(max(taken, 0)))
    return 0


def open_coder(job: dict[str, Any]) -> Coder:
    """The codec that a job names: how it encodes and decodes."""
    if job["arguments"]:
        from rdae.training.compressai.checkpoints import find_codecs

        (codec,) = find_codecs(job["arguments"])
        return codec.encode, codec.decode
    from rdae.api import open_model

    model = open_model(job["model"])
    return (
        lambda picture, quality: model.encode(picture, quality).data,
        lambda data: model.decode(data).picture,
    )


def _run(subject: Subject, job: dict[str, Any], folder: str) -> int:
    done = subprocess.run(  # noqa: S603 - this very interpreter, no shell
        subject.command,
        input=json.dumps(job),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        cwd=folder,  # -m would import a checkout's rdae/ from the current folder before the installed one
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ResultsError(f"measuring memory failed: {last}")
    taken: int = json.loads(done.stdout)
    return taken


def _size(path: Path) -> int:
    """Pixels of a picture; 0 for one that cannot be read, which is reported where it is measured."""
    try:
        height, width = read_picture(path).shape[:2]
    except (RdaeError, OSError):
        return 0
    return int(height * width)


def _mark() -> int:
    """Resident bytes now, from which the peak is counted anew."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _resident("VmRSS")
    except OSError as error:
        raise ResultsError("this system does not tell the peak memory of a process; Linux does") from error


def _resident(field: str) -> int:
    """VmRSS (now) or VmHWM (the peak) of this process, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


if __name__ == "__main__":
    sys.exit(serve(open_coder))
