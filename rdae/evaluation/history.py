"""How a training went: what a run's folder logged, and the compact JSON of it that is kept beside weights.

    {"kind": "rdae training", "runs": [{"name", "steps", "pixels_before", "pixels", "hours", "settings",
      "train": {"pixels": [...], "loss": [...], "bpp": [...], "mse": [...]},
      "validation": [{"step", "pixels", "hours", "quality": [...], "bpp": [...], "psnr": [...], "loss": [...],
        "ssimulacra2": [...] if that was the objective}]}]}

Runs stand in the order in which they were trained, each from the weights of the one before; pixels go on from run to
run. Training rows are thinned to a few hundred means, validation is kept whole.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rdae.errors import ResultsError
from rdae.evaluation.bdrate import bd_rate
from rdae.evaluation.curves import Curve, read_json
from rdae.quality import from_index
from rdae.storage.files import write_atomically

KIND = "rdae training"
KEPT_ROWS = 200
"""Training rows that the compact form keeps of a run."""

_MEASURED = ("loss", "bpp", "mse")  # what each training row has beside its pixels
# Settings worth keeping: where data lay on some machine, and the architecture, are not.
_LEFT_OUT = ("data", "validation", "architecture", "seed", "log_every", "checkpoint_every", "validate_every")


@dataclass(frozen=True)
class Validation:
    """One validation: the means over the held-out pictures, an entry a quality.

    pixels: seen so far, those of earlier runs included. hours: spent in this run. bpp, psnr (dB), loss and, where it
    was the objective, ssimulacra2 are of rounded latents; the rate is estimated, not that of files.
    """

    step: int
    pixels: int
    hours: float
    quality: tuple[float, ...]
    bpp: tuple[float, ...]
    psnr: tuple[float, ...]
    loss: tuple[float, ...]
    ssimulacra2: tuple[float, ...] = ()

    def curve(self) -> Curve:
        """The points by rising rate."""
        order = sorted(range(len(self.bpp)), key=lambda i: self.bpp[i])
        name = f"step {self.step:,}"
        return Curve(name, tuple(self.bpp[i] for i in order), tuple(self.psnr[i] for i in order))

    def against(self, other: Validation, metric: str = "psnr") -> float | None:
        """BD-rate in percent against another one, by "psnr" or "ssimulacra2"; None where there is none."""
        anchor, test = (sorted(zip(each.bpp, getattr(each, metric), strict=False)) for each in (other, self))
        try:
            return bd_rate(
                [bpp for bpp, _ in anchor],
                [value for _, value in anchor],
                [bpp for bpp, _ in test],
                [value for _, value in test],
            ).value
        except ResultsError:
            return None


@dataclass(frozen=True)
class Run:
    """One training run.

    pixels_before: what its first weights had seen; pixels: what its last had. hours: spent training.
    train: columns of equal length: "pixels", "loss", "bpp", "mse" (of pixels in 0..255) and the learning rates that
    were logged, under their names; each row is a mean over some steps.
    """

    name: str
    steps: int
    pixels_before: int
    pixels: int
    hours: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    validation: tuple[Validation, ...] = ()

    @property
    def rates(self) -> list[str]:
        """The names of the learning rates among the columns of `train`."""
        return [key for key in self.train if key not in ("pixels", *_MEASURED)]


def is_run(path: Path) -> bool:
    """Whether a path is the folder of a training run."""
    from rdae.training.log import NAME

    return (path / NAME).is_file()


def read_run(folder: Path) -> Run:
    """Read what a run has logged so far; ResultsError if the folder holds no rows of training."""
    from rdae.training.log import NAME, Log

    if not is_run(folder):
        if {"data", "steps", "hours"} <= _config(
            folder
        ).keys():  # the trainer's, written before the first step
            raise ResultsError(f"{folder}: the run has no log yet")
        raise ResultsError(f"{folder}: no {NAME} in it, so not the folder of a training run")
    # A step that was made again after a kill counts once, as it was made last.
    rows = {(row.get("kind"), row["step"]): row for row in Log(folder).rows()}
    ordered = [rows[key] for key in sorted(rows, key=lambda key: (key[1], str(key[0])))]
    needed = ("pixels", *_MEASURED)
    train = [
        row for row in ordered if row.get("kind") == "train" and all(_is_finite(row.get(k)) for k in needed)
    ]
    checks = [found for row in ordered if (found := _validation(row)) is not None]
    if not train:
        raise ResultsError(f"{folder / NAME}: no rows of training in it")
    first, last = train[0], ordered[-1]
    # Rows come after some steps: what the first steps saw follows from the pace of the next ones.
    pace = (
        (train[1]["pixels"] - first["pixels"]) / max(1, train[1]["step"] - first["step"])
        if len(train) > 1
        else first["pixels"] / max(1, first["step"])
    )
    return Run(
        name=folder.resolve().name,
        steps=int(last["step"]),
        pixels_before=max(0, round(first["pixels"] - pace * first["step"])),
        pixels=round(max(_number(row, "pixels") for row in ordered)),
        hours=_hours(last),
        settings=_settings(folder),
        train={key: tuple(float(row[key]) for row in train) for key in (*needed, *_rate_names(train))},
        validation=tuple(checks),
    )


def thinned(run: Run, count: int = KEPT_ROWS) -> Run:
    """The run with at most `count` training rows, each the mean of neighbouring ones."""
    length = len(run.train["pixels"])
    if length <= count:
        return run
    edges = [round(i * length / count) for i in range(count + 1)]
    spans = list(itertools.pairwise(edges))
    train = {key: tuple(sum(column[a:b]) / (b - a) for a, b in spans) for key, column in run.train.items()}
    return replace(run, train=train)


def read_history(path: Path) -> list[Run]:
    """The runs in a compact JSON; ResultsError if it is none."""
    content = read_json(path)
    try:
        if content["kind"] != KIND:
            raise ResultsError(f"{path}: of kind {content['kind']!r}, expected {KIND!r}")
        return [_run_from_json(run) for run in content["runs"]]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ResultsError(
            f"{path}: not the history of a training ({type(error).__name__}: {error})"
        ) from error


def to_json(runs: Sequence[Run]) -> str:
    """The content of a compact JSON, numbers to five significant digits, a column a line."""
    content = {"kind": KIND, "runs": [_run_to_json(thinned(run)) for run in runs]}
    text = json.dumps(content, indent=1, allow_nan=False)
    return re.sub(r"\[[\s\d.,e+-]*\]", lambda found: " ".join(found[0].split()), text) + "\n"


def append_run(path: Path, run: Run) -> list[Run]:
    """Append a run to a compact JSON, which need not exist yet, and return all its runs.

    ResultsError if the run does not go on where the last one ended.  The first may have begun with any weights.
    """
    runs = read_history(path) if path.exists() else []
    seen = runs[-1].pixels if runs else run.pixels_before
    if abs(run.pixels_before - seen) > 0.001 * run.pixels:
        raise ResultsError(
            f"{run.name}: starts after {run.pixels_before:,} pixels, but {path.name} ends at {seen:,}"
        )
    runs = [*runs, run]
    write_atomically(path, to_json(runs).encode(), force=True)
    return runs


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _number(row: Mapping[str, Any], key: str) -> float:
    value = row.get(key)
    return float(value) if isinstance(value, (int, float)) and _is_finite(value) else 0.0


def _hours(row: Mapping[str, Any]) -> float:
    return round(_number(row, "elapsed_s") / 3600, 3)


def _rate_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys of learning rates: every row has a number under a name that ends in "rate" or is "lr"."""
    names = [key for key in rows[0] if key == "lr" or key.endswith("rate")]
    return [key for key in names if all(_is_finite(row.get(key)) for row in rows)]


def _validation(row: Mapping[str, Any]) -> Validation | None:
    """What a logged row says of a validation; None if it is of another kind or not whole."""
    points = row.get("rows")
    if row.get("kind") != "validation" or not isinstance(points, list) or not points:
        return None
    keys: tuple[str, ...] = ("index", "bpp", "psnr", "loss")
    if not all(isinstance(p, Mapping) and all(_is_finite(p.get(k)) for k in keys) for p in points):
        return None
    if all(_is_finite(p.get("ssimulacra2")) for p in points):
        keys = (*keys, "ssimulacra2")
    return Validation(
        int(row["step"]),
        round(_number(row, "pixels")),
        _hours(row),
        tuple(from_index(int(p["index"])) for p in points),
        **{key: tuple(float(p[key]) for p in points) for key in keys[1:]},
    )


def _config(folder: Path) -> dict[str, Any]:
    """The settings that a run was begun with; empty if they cannot be read."""
    try:
        return read_json(folder / "config.json")
    except (OSError, ResultsError):
        return {}


def _settings(folder: Path) -> dict[str, Any]:
    config = _config(folder)
    return {key: value for key, value in config.items() if key not in _LEFT_OUT and value is not None}


def _run_to_json(run: Run) -> dict[str, Any]:
    checks = [
        {key: _short(value) for key, value in vars(check).items() if value != ()} for check in run.validation
    ]
    return {
        "name": run.name,
        "steps": run.steps,
        "pixels_before": run.pixels_before,
        "pixels": run.pixels,
        "hours": run.hours,
        "settings": dict(run.settings),
        "train": {key: _short(column) for key, column in run.train.items()},
        "validation": checks,
    }


def _run_from_json(content: Mapping[str, Any]) -> Run:
    train = {str(key): _numbers(column) for key, column in content["train"].items()}
    if len({len(column) for column in train.values()}) != 1 or not {"pixels", *_MEASURED} <= set(train):
        raise ValueError("train has not the columns it should")
    if not train["pixels"]:
        raise ValueError("train has no rows")
    checks = []
    for check in content["validation"]:
        keys = ("quality", "bpp", "psnr", "loss", *(["ssimulacra2"] if "ssimulacra2" in check else []))
        columns = {key: _numbers(check[key]) for key in keys}
        if len({len(column) for column in columns.values()}) != 1 or not columns["bpp"]:
            raise ValueError("validation has columns of different lengths")
        checks.append(Validation(int(check["step"]), int(check["pixels"]), float(check["hours"]), **columns))
    numbers = {key: int(content[key]) for key in ("steps", "pixels_before", "pixels")}
    return Run(
        name=str(content["name"]),
        hours=float(content["hours"]),
        settings=dict(content["settings"]),
        train=train,
        validation=tuple(checks),
        **numbers,
    )


def _numbers(column: Sequence[Any]) -> tuple[float, ...]:
    numbers = tuple(map(float, column))
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a number is not finite")
    return numbers


def _short(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_short(item) for item in value]
    if isinstance(value, float) and abs(value) >= 1e5:
        return round(value)
    return float(f"{value:.5g}") if isinstance(value, float) else value
