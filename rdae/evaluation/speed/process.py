"""What a user waits for who types `rdae decompress`: the whole process, beside what it cannot do without.

That is a process that imports what runs the networks and ends, and a decode in a process where the model is loaded.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rdae.errors import ResultsError
from rdae.evaluation.environment import RUNTIME
from rdae.evaluation.speed.measure import CLOCKS

COMMAND_LINE = ("-m", "rdae.cli")
IMPORT_RUNTIME = ("-c", f"import {RUNTIME}")

# Runs the command line, then says what its memory's peak was.  Only the process itself can: what the system tells of a
# child that has ended may be the peak of its parent, whose copy it began as.
_PEAK = """
import sys
from rdae.cli.main import main
try:
    main()
except SystemExit as end:
    if end.code:
        raise
with open("/proc/self/status") as status:
    print([int(line.split()[1]) for line in status if line.startswith("VmHWM")][0])
"""


@dataclass(frozen=True)
class Process:
    """Medians, in seconds of the chosen clock.

    decompress_s: of the process `rdae decompress`; import_s: of one that imports RUNTIME; decode_s: of a decode with
    the model loaded. ratio: the first over the sum of the others, the median over the rounds.
    peak_bytes: the most memory that the process had resident; None where the system does not tell.
    """

    pixels: int
    rounds: int
    clock: str
    decompress_s: float
    import_s: float
    decode_s: float
    ratio: float
    peak_bytes: int | None

    def as_json(self) -> dict[str, Any]:
        """Everything measured, as JSON's own types."""
        return asdict(self)

    def lines(self) -> list[str]:
        """What was measured, as text."""
        unit = "seconds" if self.clock == "wall" else "processor seconds"
        megapixels = f"{self.pixels / 1e6:.2f} megapixels"
        least = f"import {RUNTIME} {self.import_s:.3f} + decode {self.decode_s:.3f}"
        processes = f"{self.rounds} process{'es' if self.rounds > 1 else ''}"
        text = [
            f"rdae decompress of {megapixels} to PNG, median of {processes}, {unit}:",
            f"  whole process {self.decompress_s:.3f}; {least}: {self.ratio:.2f} times as long",
        ]
        if self.peak_bytes is not None:
            text.append(f"  peak memory {self.peak_bytes / 1e6:.0f} MB, of everything in the process")
        return text


def measure(
    data: bytes,
    pixels: int,
    decode: Callable[[], object],
    *,
    rounds: int,
    note: Callable[[str], None],
    options: Sequence[str] = (),
    threads: int | None = None,
    clock: str = "wall",
) -> Process:
    """Time processes in turns with `decode`, which decodes the same file here.

    data: of the file; options: more of `rdae decompress`; clock: one of CLOCKS, of which "cpu" needs a system that
    counts it for other processes, ResultsError on Windows.
    """
    environment = dict(os.environ)
    if threads is not None:
        environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    here = CLOCKS[clock]
    runs: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        file, picture = Path(folder, "a.rdae"), Path(folder, "a.png")
        file.write_bytes(data)
        words = ("decompress", str(file), "-o", str(picture), "--force", "--quiet", *options)

        def timed(*arguments: str) -> float:
            return _timed([sys.executable, *arguments], environment, clock)

        decode()
        timed(*IMPORT_RUNTIME)  # the first process reads the libraries from the disk
        for done in range(rounds):
            note(f"process {done + 1} of {rounds}")
            whole = timed(*COMMAND_LINE, *words)
            importing = timed(*IMPORT_RUNTIME)
            start = here()
            decode()
            runs.append((whole, importing, here() - start))
        peak = _peak(words, environment)
    whole_s, import_s, decode_s = (statistics.median(run[i] for run in runs) for i in range(3))
    ratio = statistics.median(whole / (importing + decoding) for whole, importing, decoding in runs)
    return Process(pixels, rounds, clock, whole_s, import_s, decode_s, ratio, peak)


def _timed(command: Sequence[str], environment: dict[str, str], clock: str) -> float:
    """Seconds of a process; ResultsError if it fails."""
    before = _children_s() if clock == "cpu" else time.perf_counter()
    _run(command, environment)
    return (_children_s() if clock == "cpu" else time.perf_counter()) - before


def _run(command: Sequence[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        said = (done.stderr.strip() or "nothing").splitlines()[-1]
        raise ResultsError(f"a process that was to be timed ended with status {done.returncode}: {said}")
    return done.stdout


def _children_s() -> float:
    """Processor seconds of all child processes that have ended."""
    if sys.platform == "win32":
        raise ResultsError(
            "this system does not count processor seconds of other processes: use --clock wall"
        )
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _peak(words: Sequence[str], environment: dict[str, str]) -> int | None:
    if not Path("/proc/self/status").exists():
        return None
    return 1024 * int(_run([sys.executable, "-c", _PEAK, *words], environment).split()[-1])
