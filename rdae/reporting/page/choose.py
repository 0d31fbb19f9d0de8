"""What a page of results shows of all there is: which published curves, and which pictures to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rdae.errors import ResultsError
from rdae.evaluation.curves import KODAK, read_curve
from rdae.evaluation.run import collect_pictures
from rdae.reporting.page.gather import Comparison

ANCHORS = ("bpg444", "vtm")


def usual_anchors(results: Sequence[Path]) -> list[str]:
    """The published curves to compare result files with: ANCHORS if all of them are of Kodak, else none."""
    stated = [curve.pictures for curve in map(read_curve, results) if curve.pictures]
    return list(ANCHORS) if stated and all(names == KODAK for names in stated) else []


def choose_pictures(
    comparison: Comparison, pictures: Sequence[Path], show: Sequence[str], quality: float
) -> list[tuple[str, Path]]:
    """The pictures to look at: name in the results, and file.

    pictures: files, of which all are chosen, and folders, of which `show` says what is: "worst", "median" and "best"
    by what the first codec saves, or its loss at `quality`, and names of files.
    ResultsError if one is none of those measured.
    """
    names = {name.rsplit("/", 1)[-1]: name for name in comparison.pictures}
    files: dict[str, Path] = {}
    found: dict[str, Path] = {}
    for path in pictures:
        if path.is_dir():
            found |= {names[file.name]: file for file in collect_pictures([path]) if file.name in names}
        elif path.name not in names:
            raise ResultsError(f"{path}: no picture of this name was measured")
        else:
            files[names[path.name]] = path
    if any(path.is_dir() for path in pictures):
        ranked = [name for name in comparison.worst_first(quality) if name in found]
        if not ranked:
            raise ResultsError(
                f"{', '.join(map(str, pictures))}: none of the pictures that were measured is there"
            )
        ranks = {"worst": 0, "median": len(ranked) // 2, "best": len(ranked) - 1}
        for word in show:
            if word not in ranks and names.get(word) not in found:
                raise ResultsError(f"{word}: no picture of this name was measured, or it is not there")
            name = ranked[ranks[word]] if word in ranks else names[word]
            files.setdefault(name, found[name])
    return list(files.items())
