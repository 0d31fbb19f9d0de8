"""Checkpoints: the whole state of a run in one file, written so that a kill at any moment leaves a sound one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from rdae.errors import TrainingError
from rdae.training.config import TrainingConfig

NAME = "checkpoint.pt"


def save(run: Path, state: dict[str, Any]) -> None:
    """Write the state under a temporary name, sync it, and rename it over the last checkpoint."""
    temporary = run / f".{NAME}.tmp"
    with temporary.open("wb") as stream:
        torch.save(state, stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(run / NAME)


def config(run: Path, state: dict[str, Any]) -> TrainingConfig:
    """Return the settings saved in a run's state; TrainingError if they are not of this version."""
    try:
        return TrainingConfig.from_dict(json.loads(state["config"]))
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{run / NAME}: settings of another version ({error})") from error


def clear(run: Path) -> None:
    """Forget a run's checkpoint, so that one begun anew in its folder cannot go on from it."""
    (run / NAME).unlink(missing_ok=True)


def load(run: Path) -> dict[str, Any]:
    """Read a run's checkpoint; TrainingError if there is none or it is broken.  Never runs pickled code."""
    path = run / NAME
    if not path.is_file():
        raise TrainingError(f"{run}: no checkpoint to go on from")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise TrainingError(f"{path}: not a sound checkpoint ({error})".splitlines()[0]) from error
    return state
