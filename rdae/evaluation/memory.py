"""How much memory a codec takes of one picture, in processes that do nothing else.

A new process opens the codec and lets it encode and decode a small picture, so that program, weights and tables are
there. Then the peak of its resident memory is set back, and one picture is encoded, or one file decoded. What counts
is the peak beyond what was resident before: the picture that is encoded is not in it, the picture that comes out of
decoding is. Encoding and decoding have a process each, as what one frees the other would take without being seen.
Only Linux tells so much about a process.

Run as a program it is such a process.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rdae.errors import RdaeError, ResultsError
from rdae.evaluation.another_process import answer, ask
from rdae.evaluation.codecs import Codec, reopen
from rdae.evaluation.results import Memory
from rdae.pictures import read_picture

COMMAND = (sys.executable, "-m", "rdae.evaluation.memory")
WARM_UP = (64, 64)


def measure(codec: Codec, pictures: Sequence[Path], quality: float) -> Memory:
    """The memory of encoding and decoding the largest of the pictures; ResultsError if it cannot be had."""
    sizes = {path: _size(path) for path in pictures}
    path = max((path for path, size in sizes.items() if size), key=lambda path: sizes[path], default=None)
    if path is None:
        raise ResultsError("no picture to measure memory with")
    height, width = read_picture(path).shape[:2]
    with tempfile.TemporaryDirectory(prefix="rdae-memory-") as folder:
        job = {
            "codec": codec.arguments,
            "picture": str(path.resolve()),
            "quality": quality,
            "file": str(Path(folder) / "coded"),
        }
        encoding, decoding = (
            ask(COMMAND, {**job, "decode": decode}, "measuring memory") for decode in (False, True)
        )
    return Memory(path.name, width, height, quality, encoding, decoding)


def _reply(job: dict[str, Any]) -> int:
    """The other side: bytes taken."""
    codec = reopen(job["codec"])
    height, width = WARM_UP
    ramp = np.linspace(0, 255, height * width * 3).reshape(height, width, 3).astype(np.uint8)
    codec.decode(codec.encode(ramp, job["quality"]))
    file = Path(job["file"])
    if job["decode"]:
        data = file.read_bytes()
        before = _mark()
        codec.decode(data)
        taken = _resident("VmHWM") - before
    else:
        picture = read_picture(Path(job["picture"]))
        before = _mark()
        data = codec.encode(picture, job["quality"])
        taken = _resident("VmHWM") - before
        file.write_bytes(data)
    return max(taken, 0)


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
    sys.exit(answer(_reply))
