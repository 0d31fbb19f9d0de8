"""Decoding in a process that has never seen the encoder: proof that the file alone says it all.

Run as a program it reads a job list as JSON from stdin and writes what it found as JSON to stdout.
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
from rdae.evaluation.results import Agreement
from rdae.metrics import Picture


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


def run(jobs: Sequence[Job], model: Path | None, command: Sequence[str]) -> list[Agreement]:
    """Decode all jobs in one new process; ResultsError if it fails or cannot decode a file."""
    request = {
        "model": model_from_elsewhere(model),
        "jobs": [[str(job.file), str(job.reconstruction), job.latents_sha256] for job in jobs],
    }
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(  # noqa: S603 - this very interpreter, no shell
            command,
            input=json.dumps(request),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            cwd=elsewhere,  # -m would import a checkout's rdae/ from the current folder before the installed one
        )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ResultsError(f"decoding in a fresh process failed: {last}")
    return [Agreement(*found) for found in json.loads(done.stdout)]


def model_from_elsewhere(model: Path | None) -> str | None:
    """A weights file by its whole path, for a process that runs in another folder; a model's name as it is."""
    if model is None:
        return None
    return str(model.resolve() if model.exists() else model)


def serve(open_model: Callable[[str | None], Any]) -> int:
    """The other side: jobs from stdin, agreements to stdout. Returns the exit status."""
    request = json.load(sys.stdin)
    try:
        model = open_model(request["model"])
        found: list[list[Any]] = []
        for file, reconstruction, latents_sha256 in request["jobs"]:
            decoded = model.decode(Path(file).read_bytes())
            equal = decoded.latents_sha256 == latents_sha256
            agreement = compare(np.load(reconstruction), decoded.picture, latents_equal=equal)
            found.append([agreement.differing_pixels, agreement.max_difference, agreement.latents_equal])
    except (RdaeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    from rdae.api import open_model

    sys.exit(serve(open_model))
