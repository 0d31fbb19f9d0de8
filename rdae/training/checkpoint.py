"""Checkpoints: the whole state of a run in one file, written so that a kill at any moment leaves a sound one."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from rdae.errors import TrainingError
from rdae.training.config import TrainingConfig

if sys.platform != "win32":  # there, two trainers in one folder stay the user's affair
    import fcntl

NAME = "checkpoint.pt"


@contextlib.contextmanager
def held(run: Path) -> Iterator[None]:
    """Keep a run's folder to this process; TrainingError if another one has it.  A killed process lets go of it."""
    if sys.platform == "win32":
        yield
        return
    folder = os.open(run, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(folder)
        raise TrainingError(f"{run}: another process is training here") from error
    try:
        yield
    finally:
        os.close(folder)


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
