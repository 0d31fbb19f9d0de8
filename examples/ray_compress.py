"""Compress a folder of pictures with Ray Data, one model a worker: on this machine, or on the cluster of RAY_ADDRESS.

    pip install 'rdae[ray]'
    python examples/ray_compress.py photos/ compressed/ --workers 8 > compressed.jsonl

The tree below the first folder is mirrored in the second; both must be seen by all machines, as folders or as URLs.  A
line of JSON is printed for each picture as it is done.  What is there already is left out, so a run that was broken off
is simply started again.  It is meant to be copied and changed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import ray
import ray.data

from rdae import batch
from rdae.networks.registry import TUNES
from rdae.pictures import SUFFIXES
from rdae.storage.urls import is_url


class Compressor:
    """What each worker has: a task, whose model is opened once, and one thread."""

    def __init__(self, quality: float, model: str | None, tune: str | None) -> None:
        self.task = batch.Compress(quality=quality, model=model, tune=tune, threads=1)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Compress one picture; one that is bad is a row with an error, and the others go on."""
        outcome = batch.perform(self.task, batch.Job(row["input"], row["output"], problem=row["problem"]))
        return {
            "input": row["input"],
            "output": row["output"],
            "bytes": 0 if outcome.facts is None else outcome.facts.rdae_bytes,
            "error": outcome.error,
            "worker": os.getpid(),
        }


def missing(source: str, target: str) -> list[dict[str, str]]:
    """Each picture below `source` with its output below `target`, where that is not there yet."""
    inputs = batch.find_inputs([source], SUFFIXES, recursive=True)
    # The whole name is kept, so that a.png and a.jpg do not meet.
    jobs = batch.plan_jobs(inputs, ".rdae", directory=target, keep_suffix=True)
    rows = batch.unfinished(jobs)
    return [{"input": job.input, "output": job.output, "problem": job.problem} for job in rows]


def absolute(text: str) -> str:
    """A folder as all workers find it, wherever they run."""
    return text if is_url(text) else str(Path(text).resolve())


def main() -> int:
    """The command line of this program; exit status 1 if a picture failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=absolute, help="folder of pictures")
    parser.add_argument("target", type=absolute, help="folder for the .rdae files")
    parser.add_argument("-q", "--quality", type=float, default=50.0, help="0 to 100 (50)")
    parser.add_argument(
        "--workers", type=int, default=2, help="how many, each with one processor and one model (2)"
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--model", help="an installed model's name or a weights file")
    chosen.add_argument("--tune", choices=TUNES, help="which of the published models")
    options = parser.parse_args()
    rows = missing(options.source, options.target)
    failed = 0
    if rows:
        done = ray.data.from_items(rows).map(
            Compressor,
            fn_constructor_kwargs={"quality": options.quality, "model": options.model, "tune": options.tune},
            compute=ray.data.ActorPoolStrategy(size=options.workers),
            num_cpus=1,
        )
        for row in done.iter_rows():
            failed += bool(row["error"])
            print(json.dumps(row), flush=True)
    print(f"{len(rows)} pictures, {failed} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
