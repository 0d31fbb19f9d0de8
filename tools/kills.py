"""Kill processes that write, at random moments, and look at what is there: the old file, a new one whole, or none.

    python tools/kills.py -n 200                 rdae's writer, by itself
    python tools/kills.py -n 200 --what compress   the whole command, in a loop
    python tools/kills.py -n 200 --what naive      a writer that just writes: the count of broken files must not be 0

Prints one JSON object. A child is forked for each kill, from a process that has loaded all it needs, so that the kills
fall into the work and not into the start.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import tests_on_path  # noqa: F401 - before what it makes importable

from rdae.storage.files import write_atomically

SPAN = 4  # kills come within this many times what one writing takes, after a child has begun
CONTENT_BYTES = 1 << 18
LEFTOVER = re.compile(r"\.rdae-[0-9a-f]{16}\.part")

Work = Callable[[Path, int], None]  # writes one of two contents to the path
Check = Callable[[bytes], bool]  # whether bytes are whole


def content(number: int) -> bytes:
    """Bytes of which any part is told from the whole: their SHA-256 comes first."""
    rest = random.Random(number % 2).randbytes(CONTENT_BYTES)
    return hashlib.sha256(rest).digest() + rest


CONTENTS = (content(0), content(1))


def _write(path: Path, number: int) -> None:
    write_atomically(path, CONTENTS[number % 2], force=True)


def _naive(path: Path, number: int) -> None:
    path.write_bytes(CONTENTS[number % 2])


def _commands(folder: Path) -> dict[str, tuple[Work, Check]]:
    """`rdae compress` and `rdae decompress` with the smallest model, and what they write when nobody kills them."""
    from fuzzing import frozen_path
    from PIL import Image
    from tiny_model import noise

    from rdae.cli.main import main

    Image.fromarray(noise(1, 90, 120)).save(folder / "source.png")

    def rdae(*arguments: str) -> None:
        with contextlib.suppress(SystemExit):
            main([*arguments, "--force", "--quiet", "--model", str(frozen_path())], prog_name="rdae")

    def compress(path: Path, number: int) -> None:
        rdae("compress", str(folder / "source.png"), "-o", str(path), "-q", ("20", "90")[number % 2])

    def decompress(path: Path, number: int) -> None:
        rdae("decompress", str(folder / f"{number % 2}.rdae"), "-o", str(path))

    made: dict[str, tuple[Work, Check]] = {}
    for name, work, suffix in (("compress", compress, ".rdae"), ("decompress", decompress, ".ppm")):
        for number in range(2):
            work(folder / f"{number}{suffix}", number)
        whole = {(folder / f"{number}{suffix}").read_bytes() for number in range(2)}
        made[name] = (work, whole.__contains__)
    return made


def kill_many(work: Work, whole: Check, number: int, folder: Path, suffix: str) -> dict[str, int]:
    """Kill `number` children that write to one path again and again, and count what was found there.

    Half of them find an old file. "broken" counts files that are neither the old nor a new one, and old ones lost.
    """
    rng = random.Random(number)
    found: collections.Counter[str] = collections.Counter(old=0, new=0, none=0, broken=0, leftovers=0)
    path = folder / f"out{suffix}"
    before: bytes | None = None
    began = time.perf_counter()
    for turn in range(4):
        work(path, turn)
    span_s = SPAN * (time.perf_counter() - began) / 4
    for turn in range(number):
        if turn % 2 == 0:
            path.unlink(missing_ok=True)
            before = None
        _kill_one(lambda: work(path, 0), lambda: work(path, 1), rng.uniform(0, span_s))
        after = path.read_bytes() if path.exists() else None
        if after is None:
            found["none" if before is None else "broken"] += 1
        elif not whole(after):
            found["broken"] += 1
        else:
            found["old" if after == before else "new"] += 1
        before = after
        for entry in folder.iterdir():
            if LEFTOVER.fullmatch(entry.name):
                found["leftovers"] += 1
                entry.unlink()
            elif entry != path:
                found["broken"] += 1  # what else is here was not asked for
    return dict(found)


def _kill_one(first: Callable[[], None], second: Callable[[], None], after_s: float) -> None:
    """Fork a child that does the two things in turn for ever, and kill it so long after it has begun."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"!")
        try:
            while True:
                first()
                second()
        finally:
            os._exit(1)
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError("a writing process ended by itself")


def main() -> int:
    """The command line of this program; exit status 1 if a file was broken."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-n", type=int, default=200, help="how many kills")
    parser.add_argument("--what", choices=("write", "naive", "compress", "decompress"), default="write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as inputs, tempfile.TemporaryDirectory() as outputs:
        choices: dict[str, tuple[Work, Check]] = {
            "write": (_write, CONTENTS.__contains__),
            "naive": (_naive, CONTENTS.__contains__),
        }
        if options.what not in choices:
            choices |= _commands(Path(inputs))
        work, whole = choices[options.what]
        suffix = {"compress": ".rdae", "decompress": ".ppm"}.get(options.what, ".bin")
        found = kill_many(work, whole, options.n, Path(outputs), suffix)
    click.echo(json.dumps({"kills": options.n, **found}))
    return 1 if found["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
