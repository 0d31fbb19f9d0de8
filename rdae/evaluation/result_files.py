"""Result files that are gone on with: what is there of the same codec is read, and what is new is written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rdae.evaluation.results import Evaluation
from rdae.evaluation.reuse import Known, known_from
from rdae.networks import graphs, registry
from rdae.storage.files import check_output, encoded, identities, write_atomically


@dataclass(frozen=True)
class ResultFile:
    """Where an evaluation is written, and what an earlier one there spares; without a path nothing is written."""

    path: Path | None = None
    known: Known = field(default_factory=Known)

    def write(self, result: Evaluation) -> None:
        """Write an evaluation, whole or in part, unless the file says the same already."""
        if self.path is not None and result != self.known.evaluation:
            write_atomically(self.path, encoded(result.to_json()), force=True)


def result_path(output: Path, suffix: str) -> Path:
    """Where one codec's results go: results.jpeg.json for `output` results.json and suffix .jpeg."""
    return output.with_suffix(suffix + output.suffix)


def model_files(model: Path | None) -> list[Path]:
    """The weights, manifest and graphs of a model, by name or path, which no result may replace; of None, none.

    WeightsError if no model has such a name.
    """
    weights = None if model is None else registry.find(model)
    if weights is None or not weights.name:  # a folder: to open it will say so
        return []
    return [weights, weights.with_suffix(registry.MANIFEST_SUFFIX), *graphs.beside(weights)]


def is_one_of(path: Path, others: Sequence[Path]) -> bool:
    """Whether a path leads to the file of another one, be it there or not yet.

    Not so a device or a pipe, which takes all that is written to it.
    """
    if path.exists() and not path.is_file():
        return False
    same_place = os.path.realpath(path) in map(os.path.realpath, others)
    return same_place or not identities([path]).isdisjoint(identities(others))


def result_file(
    output: Path | None,
    suffix: str,
    codec: Mapping[str, Any],
    pictures: Iterable[str],
    qualities: Sequence[float],
    *,
    afresh: bool = False,
) -> ResultFile:
    """The file of one codec of a run, at `result_path`; its folder is made.

    codec: all that decides about its numbers, an Evaluation's `codec`. pictures: their labels. afresh: measure again
    what is there. OutputExistsError, before any work, if what is there would be lost; see `known_from`.
    """
    if output is None:
        return ResultFile()
    path = result_path(output, suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    check_output(path, force=True)
    return ResultFile(path, Known() if afresh else known_from(path, codec, pictures, qualities))
