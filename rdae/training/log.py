"""The log of a run, metrics.jsonl: one JSON object a line, each with the step it was written at.

A killed run has usually logged steps beyond its last checkpoint; resumed, it makes those steps again.  Cutting the log
back to the checkpoint first leaves each step in it once.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

from rdae.training.files import named_errors, replaced

NAME = "metrics.jsonl"


class Log:
    """The log in one run folder."""

    def __init__(self, run: Path) -> None:
        """Name the log; nothing is read or written yet."""
        self.path = run / NAME

    def write(self, fields: dict[str, Any]) -> None:
        """Append a line.  fields: plain values, among them `kind` and `step`.  TrainingError as on a full disk."""
        with named_errors(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write(_line(fields))

    def rows(self) -> list[dict[str, Any]]:
        """Return all lines that are whole; a kill may have left half a one at the end."""
        found = []
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and isinstance(row.get("step"), int):
                found.append(row)
        return found

    def cut(self, step: int) -> None:
        """Drop all lines of steps after `step`, and whatever is not a line."""
        if self.path.is_file():
            kept = [_line(row) for row in self.rows() if row["step"] <= step]
            with replaced(self.path) as temporary:
                temporary.write_text("".join(kept), encoding="utf-8")

    def keep(self, step: int) -> None:
        """Copy the log of a phase that is left, with steps after `step`, to metrics-until-N.jsonl beside it."""
        last = max((row["step"] for row in self.rows()), default=step)
        if last > step:
            shutil.copyfile(self.path, self.path.with_name(f"metrics-until-{last}.jsonl"))

    def has(self, kind: str, step: int) -> bool:
        """Tell whether a line of this kind was written at this step."""
        return any(row["step"] == step and row.get("kind") == kind for row in self.rows())


def _line(fields: dict[str, Any]) -> str:
    return json.dumps(_as_json(fields), allow_nan=False) + "\n"


def _as_json(value: Any) -> Any:
    """The value with null for each number that is not finite, for which JSON has no word."""
    if isinstance(value, dict):
        return {key: _as_json(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
