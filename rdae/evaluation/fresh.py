"""Decoding in a process that has never seen the encoder: proof that the file alone says it all.

Run as a program it is that process.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rdae.errors import ResultsError
from rdae.evaluation.another_process import answer, ask
from rdae.evaluation.codecs import Codec, Rdae, reopen
from rdae.evaluation.points import Agreement
from rdae.metrics import Picture

COMMAND = (sys.executable, "-m", "rdae.evaluation.fresh")


@dataclass(frozen=True)
class Job:
    """A file to decode, the encoder's reconstruction as .npy, and the SHA-256 of the latents (hex)."""

    file: Path
    reconstruction: Path
    latents_sha256: str


def compare(expected: Picture, found: Picture, *, latents_equal: bool) -> Agreement:
    """Count the pixels in which two pictures differ; ResultsError if even their shapes do."""
    if expected.shape != found.shape:
        raise ResultsError(f"decoded to shape {found.shape}, expected {expected.shape}")
    difference = np.abs(expected.astype(np.int16) - found.astype(np.int16))
    differing = int(np.count_nonzero(difference.max(axis=2)))
    return Agreement(differing, int(difference.max()), latents_equal)


def run(jobs: Sequence[Job], codec: Codec, command: Sequence[str]) -> list[Agreement]:
    """Decode all jobs in one new process; ResultsError if it fails or cannot decode a file."""
    files = [[str(job.file), str(job.reconstruction), job.latents_sha256] for job in jobs]
    found = ask(command, {"codec": codec.arguments, "files": files}, "decoding in a fresh process")
    return [Agreement(*fields) for fields in found]


def decode_all(model: Any, files: Sequence[Sequence[str]]) -> list[list[Any]]:
    """The other side: the fields of an Agreement for each file."""
    found: list[list[Any]] = []
    for file, reconstruction, latents_sha256 in files:
        decoded = model.decode(Path(file).read_bytes())
        equal = decoded.latents_sha256 == latents_sha256
        agreement = compare(np.load(reconstruction), decoded.picture, latents_equal=equal)
        found.append([agreement.differing_pixels, agreement.max_difference, agreement.latents_equal])
    return found


def _reply(question: Any) -> list[list[Any]]:
    codec = reopen(question["codec"])
    assert isinstance(codec, Rdae)
    return decode_all(codec.model, question["files"])


if __name__ == "__main__":
    sys.exit(answer(_reply))
