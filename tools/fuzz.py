"""Decode many hostile files, and say of each one that does not end in a picture or an error of the closed list.

    python tools/fuzz.py -n 100000            before a release
    python tools/fuzz.py --seed 1 --only 12345  one mutant again, with its traceback

The decoding happens in a process of its own, which says what it is about to do before it does it: so a crash or a
hang is laid to the right mutant, and the rest goes on in a new process. One mutant in CLI_EVERY goes through the
command `rdae decompress`, which must leave a whole picture or nothing.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import io
import os
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from rdae.errors import CorruptError, NotRdaeError, StreamError, TruncatedError, VersionError, WeightsError

LIMIT_S = 2.0  # of one mutant, of a processor's time: on a machine in use the clock would say nothing
HANG_S = 60.0  # by the clock: for what waits instead of working, and for what never ends
START_S = 300.0  # of the process that decodes, on a busy machine
CLI_EVERY = 40
CLOSED_LIST = (CorruptError, NotRdaeError, StreamError, TruncatedError, VersionError, WeightsError)
DECODED = "decoded"
ALLOWED = {DECODED, *(error.__name__ for error in CLOSED_LIST)}

Command = Callable[[int, int], list[str]]


@dataclasses.dataclass(frozen=True)
class Failure:
    """A mutant that did what none may do."""

    index: int
    what: str


@dataclasses.dataclass(frozen=True)
class Report:
    """What came of mutants start..start + number - 1."""

    number: int
    outcomes: collections.Counter[str]
    failures: list[Failure]
    slowest_s: float
    slowest: int


def fuzz(
    number: int,
    command: Command,
    *,
    start: int = 0,
    stop_after_s: float | None = None,
    limit_s: float = LIMIT_S,
    hang_s: float = HANG_S,
) -> Report:
    """Have `command(first, end)` work through mutants, and start it again after each that ends it.

    The command prints "index" and a line feed before a mutant, and "index what seconds" after it. With
    stop_after_s fewer are done if time runs out: the report says how many.
    """
    outcomes: collections.Counter[str] = collections.Counter()
    failures: list[Failure] = []
    slowest = (0.0, start)
    began = time.monotonic()
    at, end = start, start + number
    late = False
    while at < end and not late:
        doing = at - 1
        with contextlib.closing(_Worker(command(at, end))) as worker:
            try:
                while at < end and not late:
                    words = worker.line(hang_s if doing == at else START_S).split()
                    doing = int(words[0])
                    if len(words) == 1:
                        continue
                    what, seconds = words[1], float(words[2])
                    outcomes[what] += 1
                    if what not in ALLOWED:
                        failures.append(Failure(doing, what))
                    if seconds > limit_s:
                        failures.append(Failure(doing, f"took {seconds} s"))
                    slowest = max(slowest, (seconds, doing))
                    at = doing + 1
                    late = stop_after_s is not None and time.monotonic() - began > stop_after_s
            except (_EndedError, TimeoutError) as error:
                if doing < at:
                    raise RuntimeError(f"the decoding process does not work: {error}") from error
                failures.append(Failure(doing, str(error)))
                at = doing + 1
    return Report(at - start, outcomes, failures, *slowest)


class _EndedError(Exception):
    """The decoding process is no more."""


class _Worker:
    """The decoding process and its lines."""

    def __init__(self, command: list[str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed below; a pipe would fill and stop it
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors)
        self._rest = b""

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def line(self, limit_s: float) -> str:
        """The next line. TimeoutError if none comes for that long, _EndedError if none will."""
        assert self._process.stdout is not None
        while b"\n" not in self._rest:
            if not select.select([self._process.stdout], [], [], limit_s)[0]:
                raise TimeoutError(f"no end after {limit_s} s")
            read = os.read(self._process.stdout.fileno(), 1 << 16)
            if not read:
                raise _EndedError(f"ended with status {self._process.wait()}: {self._last_words()}")
            self._rest += read
        line, self._rest = self._rest.split(b"\n", 1)
        return line.decode()

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip().split("\n")[-1]


def worker_command(seed: int) -> Command:
    """This program, as the process that decodes."""

    def command(start: int, end: int) -> list[str]:
        return [sys.executable, __file__, "--seed", str(seed), "--work", str(start), str(end)]

    return command


def work(seed: int, start: int, end: int) -> None:
    """Decode mutants start..end - 1 and print what came of each, as `fuzz` reads it."""
    from fuzzing import Mutants, frozen_model

    model = frozen_model()
    mutants = Mutants(model)
    with tempfile.TemporaryDirectory() as folder:
        for index in range(start, end):
            mutant = mutants.mutant(seed, index)
            click.echo(str(index))
            began = time.process_time()
            try:
                through = _through_command if index % CLI_EVERY == 0 else _decode
                what = through(mutant.data, mutant.max_pixels, model, Path(folder))
            except Exception as error:  # noqa: BLE001 - that there is none is what is tested
                what = re.sub(r"\s+", "_", f"{type(error).__name__}:{error}"[:200])
            click.echo(f"{index} {what} {time.process_time() - began:.4f}")


def _decode(data: bytes, max_pixels: int, model: object, _folder: Path) -> str:
    from rdae.codec import decode

    try:
        decoded = decode.decode(data, model, max_pixels=max_pixels)  # type: ignore[arg-type]
    except CLOSED_LIST as error:
        if type(error) not in CLOSED_LIST or "\n" in str(error):
            raise
        return type(error).__name__
    assert decoded.picture.size
    return DECODED


def _through_command(data: bytes, max_pixels: int, _model: object, folder: Path) -> str:
    """`rdae decompress` in this process: status 0 and a picture, or status 1, one line, and nothing left behind."""
    from fuzzing import frozen_path
    from PIL import Image

    from rdae.cli.main import main

    source, target = folder / "mutant.rdae", folder / "mutant.png"
    source.write_bytes(data)
    out, err = io.StringIO(), io.StringIO()
    options = ["--model", str(frozen_path()), "--max-pixels", str(max_pixels), "--quiet"]
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(["decompress", str(source), "-o", str(target), *options], prog_name="rdae")
        except SystemExit as end:
            code = end.code
    left = sorted(path.name for path in folder.iterdir())
    if code in (0, None) and left == [target.name, source.name] and not err.getvalue():
        with Image.open(target) as image:
            image.load()
        target.unlink()
        return DECODED
    said = err.getvalue()
    if code == 1 and left == [source.name] and said.startswith(f"rdae: {source}: ") and said.count("\n") == 1:
        # The command says no class: what decode() raises of the same bytes is the answer.
        return _decode(data, max_pixels, _model, folder)
    return f"command_status_{code}_left_{'+'.join(left)}_said_{said[:100]!r}".replace(" ", "_")


def main() -> int:
    """The command line of this program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-n", type=int, default=10_000, help="how many mutants")
    parser.add_argument("--start", type=int, default=0, help="the first one's number")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="decode this one here and let the error through")
    parser.add_argument("--save", type=Path, help="with --only: write its bytes to this file")
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.seed, *options.work)
        return 0
    if options.only is not None:
        return _once(options.seed, options.only, options.save)
    began = time.monotonic()
    report = fuzz(options.n, worker_command(options.seed), start=options.start)
    spent = time.monotonic() - began
    click.echo(
        f"{report.number:,} mutants of seed {options.seed} in {spent:.0f} s; slowest {report.slowest_s:.3f} s",
        nl=False,
    )
    click.echo(f" (mutant {report.slowest}); failures: {len(report.failures)}")
    for outcome, times in report.outcomes.most_common():
        click.echo(f"  {times:>8,}  {outcome}")
    for failure in report.failures:
        click.echo(
            f"FAILED {failure.index}: {failure.what}; again: --seed {options.seed} --only {failure.index}"
        )
    return 1 if report.failures else 0


def _once(seed: int, index: int, save: Path | None) -> int:
    from fuzzing import Mutants, frozen_model

    from rdae.codec import decode

    model = frozen_model()
    mutant = Mutants(model).mutant(seed, index)
    click.echo(
        f"mutant {index} of seed {seed}: {mutant.recipe}, max_pixels {mutant.max_pixels}, {len(mutant.data)} bytes"
    )
    click.echo(mutant.data.hex() if len(mutant.data) <= 2000 else mutant.data[:2000].hex() + "...")
    if save is not None:
        save.write_bytes(mutant.data)
    click.echo(decode.decode(mutant.data, model, max_pixels=mutant.max_pixels).picture.shape)
    return 0


if __name__ == "__main__":
    sys.exit(main())
