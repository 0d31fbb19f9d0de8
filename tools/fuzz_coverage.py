"""Coverage-guided fuzzing of the decoder with atheris: inputs that reach new branches are kept and changed further.

    pip install atheris            (in an environment that has rdae; Linux or macOS, not part of the extras)
    python tools/fuzz_coverage.py CORPUS -max_total_time=1200

CORPUS is a folder for the inputs that are kept; options with one dash are libFuzzer's. An input is a file without its
CRC-32, which is put behind it, and one byte before it that says how much of the decoder is asked: nobody would find
a right checksum by chance. libFuzzer's own mutations take turns with those of tools/fuzzing.py.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]

with atheris.instrument_imports(include=["rdae"]):
    from rdae.codec import container, decode  # which loads all of the codec
    from rdae.codec.range_coding import SymbolDecoder

import numpy as np
from fuzz import CLOSED_LIST
from fuzzing import FEW_PIXELS, Mutants, frozen_model, with_crc

MODEL = frozen_model()
MUTANTS = Mutants(MODEL)
MAX_INPUT = 4096
SYMBOLS = 200


def one_input(data: bytes) -> None:
    """Ask one part of the decoder; any exception but those of the closed list is a finding."""
    what, body = data[:1], data[1:]
    try:
        if what < b"\x20":
            container.parse(body)
        elif what < b"\x40":
            container.parse(with_crc(body))
        elif what < b"\x60":
            decoder = SymbolDecoder(body)
            tables = MODEL.prior.y_tables
            decoder.get(np.arange(SYMBOLS, dtype=np.int32) % len(tables.limits), tables)
            decoder.finish()
        else:
            decode.decode(with_crc(body), MODEL, max_pixels=FEW_PIXELS)
    except CLOSED_LIST as error:
        if "\n" in str(error):  # a message is one line
            raise


def change(data: bytes, max_size: int, seed: int) -> bytes:
    """One turn in three by the knowledge of the format."""
    rng = random.Random(seed)
    if rng.random() < 1 / 3:
        return (b"\xff" + MUTANTS.mutant(seed, 0).data[:-4])[:max_size]
    return bytes(atheris.Mutate(data, max_size))


def main() -> None:
    """Start from sound files, so that the first minutes are not spent on finding the magic."""
    folders = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    if not folders:
        sys.exit(__doc__)
    folders[0].mkdir(parents=True, exist_ok=True)
    for number, base in enumerate(MUTANTS.bases):
        for how in (b"\x30", b"\xff"):
            (folders[0] / f"sound-{number}-{how.hex()}").write_bytes(how + base.draft.to_bytes()[:-4])
        (folders[0] / f"payload-{number}").write_bytes(b"\x50" + base.draft.pieces[0].payload)
    atheris.Setup(
        [*sys.argv, f"-max_len={MAX_INPUT}", "-timeout=5", "-rss_limit_mb=4000"],
        one_input,
        custom_mutator=change,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
