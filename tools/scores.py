"""Which quality gives which SSIMULACRA2 score: python tools/scores.py results.json results.jpeg.json results.webp.json

Prints a table of the files that `rdae eval --ssimulacra2 --peers jpeg,webp,avif -o results.json` wrote, of both tunes
if there are two: by score the quality to type, for rdae and for other codecs.  tools/tables.py writes the same into
pages, from the results in the repository.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rdae.errors import RdaeError, ResultsError
from rdae.evaluation.results import Evaluation, read
from rdae.networks.registry import TUNES

SCORES = (30, 40, 50, 60, 70, 75, 80, 85, 90)


def table(files: Sequence[Path]) -> list[str]:
    """A Markdown table of result files: a row a score, a column a codec, of quality and bits per pixel.

    Scores are means over the pictures.  ResultsError if a file has no scores, or is of other pictures than the first.
    """
    results = [read(path) for path in files]
    for path, result in zip(files, results, strict=True):
        if "ssimulacra2" not in result.means():
            raise ResultsError(f"{path}: measured without --ssimulacra2")
        if {each.name for each in result.pictures} != {each.name for each in results[0].pictures}:
            raise ResultsError(f"{path}: of other pictures than {files[0]}")
    columns = [[_cell(result, score) for score in SCORES] for result in results]
    lines = [f"| score | {' | '.join(map(_title, results))} |", f"|---:{'|---:' * len(results)}|"]
    lines += [
        f"| {score} | {' | '.join(cells)} |"
        for score, *cells in zip(SCORES, *columns, strict=True)
        if any(cell != "-" for cell in cells)
    ]
    return [
        *lines,
        "",
        f"Quality, and in brackets bits per pixel: means of {len(results[0].pictures)} pictures.",
    ]


def _title(result: Evaluation) -> str:
    tune = next((tune for tune, name in TUNES.items() if name == result.name), None)
    return result.name if tune is None else f"rdae, `--tune {tune}`"


def _cell(result: Evaluation, score: float) -> str:
    """The lowest whole quality of this mean score or a better one, and the rate there; - beyond what was measured."""
    points = result.means()
    quality, rate, scores = (
        np.array(points[key], dtype=float) for key in ("quality", "bpp", "ssimulacra2")
    )  # a mean that is not known is nan, and met by nothing
    # On this scale scores grow nearly linearly with quality, and so does the logarithm of the rate.
    straight, aim = -np.log(np.maximum(100 - scores, 1e-9)), -math.log(100 - score)
    reached = np.flatnonzero(straight >= aim)
    if not reached.size or (first := int(reached[0])) == 0:
        return "-"
    between = slice(first - 1, first + 1)
    exact = float(np.interp(aim, straight[between], quality[between]))
    whole = math.ceil(exact - 1e-6)
    bpp = math.exp(float(np.interp(whole, quality, np.log(rate))))
    return f"{whole} ({bpp:.2f})"


def main() -> int:
    """Print the table of the files on the command line; exit status 1 if there is none."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("files", nargs="+", type=Path, help="result files of rdae eval --ssimulacra2")
    try:
        sys.stdout.write("\n".join([*table(parser.parse_args().files), ""]))
    except (RdaeError, OSError) as error:
        sys.stderr.write(f"scores: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
