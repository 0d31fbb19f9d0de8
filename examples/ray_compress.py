"""Compress a folder of pictures with Ray Data, one model a worker: on this machine, or on the cluster of RAY_ADDRESS.

    pip install 'rdae[ray]'
    python examples/ray_compress.py photos/ compressed/ --workers 8 > compressed.jsonl

The tree below the first folder is mirrored in the second; both must be seen by all machines.  A line of JSON is
printed for each picture as it is done.  What is there already is left out, so a run that was broken off is simply
started again.  It is meant to be copied and changed.
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
import torch
from PIL import Image

import rdae
from rdae.files import write_atomically
from rdae.pictures import SUFFIXES


class Compressor:
    """What each worker has: a model, opened once, and one thread."""

    def __init__(self, quality: float, model: str | None) -> None:
        torch.set_num_threads(1)
        self.quality = quality
        self.model = rdae.open_model(model)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Compress one picture; one that is bad is a row with an error, and the others go on."""
        told = {
            "input": row["input"],
            "output": row["output"],
            "bytes": 0,
            "error": "",
            "worker": os.getpid(),
        }
        try:
            with Image.open(row["input"]) as picture:
                data = self.model.compress(picture, quality=self.quality, verify=True)
            target = Path(row["output"])
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, data, force=True)
        except (rdae.RdaeError, OSError) as error:
            return told | {"error": str(error)}
        return told | {"bytes": len(data)}


def missing(source: Path, target: Path) -> list[dict[str, str]]:
    """Each picture below `source` with its output below `target`, where that is not there yet."""
    pictures = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
    # The whole name is kept, so that a.png and a.jpg do not meet.
    pairs = [(path, target / path.relative_to(source).with_name(f"{path.name}.rdae")) for path in pictures]
    return [{"input": str(path), "output": str(output)} for path, output in pairs if not output.exists()]


def main() -> int:
    """The command line of this program; exit status 1 if a picture failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help="folder of pictures")
    parser.add_argument("target", type=Path, help="folder for the .rdae files")
    parser.add_argument("-q", "--quality", type=float, default=50.0, help="0 to 100 (50)")
    parser.add_argument(
        "--workers", type=int, default=2, help="how many, each with one processor and one model (2)"
    )
    parser.add_argument("--model", help="an installed model's name or a weights file (rdae-base)")
    options = parser.parse_args()
    rows = missing(options.source.resolve(), options.target.resolve())
    failed = 0
    if rows:
        done = ray.data.from_items(rows).map(
            Compressor,
            fn_constructor_kwargs={"quality": options.quality, "model": options.model},
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
