"""Checkpoints: the whole state of a run in one file, written so that a kill at any moment leaves a sound one.

The one before the last is kept: should a disk have lost a part of the last, the run goes on from there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from rdae.errors import TrainingError
from rdae.training.config import TrainingConfig
from rdae.training.files import replaced

if sys.platform != "win32":  # there, two trainers in one folder stay the user's affair
    import fcntl

NAME = "checkpoint.pt"

BEFORE = "checkpoint-before.pt"
"""The checkpoint before the last one."""

CONSTANT = "checkpoint-constant.pt"
"""Where the learning rate began to fall: the place to go on from with a larger budget."""

_NO_LONGER = re.compile(r"conditional\.|bottleneck\.(?!matrices\.|biases\.|factors\.|quantiles$)")
"""Tensors of older checkpoints that nothing reads: CompressAI's likelihoods, which training used, had tables."""


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


def save(run: Path, state: dict[str, Any], name: str = NAME) -> None:
    """Write the state under a temporary name, sync it, and rename it; the last checkpoint becomes the one before.

    TrainingError if it cannot be written, as on a full disk; the checkpoints that are there stay as they are.
    """
    with replaced(run / name) as temporary:
        with temporary.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        if name == NAME:
            with contextlib.suppress(FileNotFoundError):
                (run / NAME).replace(run / BEFORE)


def config(run: Path, state: dict[str, Any]) -> TrainingConfig:
    """Return the settings saved in a run's state; TrainingError if they are not of this version."""
    try:
        return TrainingConfig.from_dict(json.loads(state["config"]))
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{run / NAME}: settings of another version ({error})") from error


def clear(run: Path) -> None:
    """Forget a run's checkpoints, so that one begun anew in its folder cannot go on from them."""
    for name in (NAME, BEFORE, CONSTANT):
        (run / name).unlink(missing_ok=True)


def exists(run: Path) -> bool:
    """Tell whether a run has a checkpoint, sound or not."""
    return (run / NAME).exists() or (run / BEFORE).exists()


def load(run: Path, report: Callable[[str, bool], None] | None = None) -> dict[str, Any]:
    """Read a run's last sound checkpoint: the one before if the last is broken or was about to be replaced.

    report: told in a line that the last one is broken.  TrainingError if there is none, or both are broken.
    """
    if not exists(run):
        raise TrainingError(f"{run}: no checkpoint to go on from")
    if not (run / NAME).exists():
        return read(run / BEFORE)
    try:
        return read(run / NAME)
    except TrainingError as error:
        try:
            state = read(run / BEFORE)
        except TrainingError:
            raise error from None
        if report is not None:
            report(f"{error}; going on from {BEFORE}, step {state.get('step')}", False)
        return state


def read(path: Path) -> dict[str, Any]:
    """Read one checkpoint; TrainingError if it is not there or broken.  Never runs pickled code."""
    if not path.is_file():
        raise TrainingError(f"{path}: no such checkpoint")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load looks at no checksum
        if damaged is not None:
            raise ValueError(f"bad CRC-32 of {damaged}")  # noqa: TRY301 - torch.load has many errors of its own
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        for name in ("model", "average"):
            if name in state:
                state[name] = {key: value for key, value in state[name].items() if not _NO_LONGER.match(key)}
    except Exception as error:
        raise TrainingError(f"{path}: not a sound checkpoint ({error})".splitlines()[0]) from error
    return state
