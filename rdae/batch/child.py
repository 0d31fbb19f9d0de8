"""A process that does jobs for `rdae.batch.processes`, which starts it: JSON lines on its standard streams.

The first line says what to do with each job; every further one is a job, and is answered by one line.  The end of the
input, or of whoever reads the answers, is the end.
"""

import dataclasses
import importlib
import importlib.util
import json
import os
import signal
import sys
import types
import warnings
from typing import Any, BinaryIO

from rdae.batch.tasks import Job, Task, perform
from rdae.errors import BatchError


def main() -> None:
    """Serve until the parent is done, or gone."""
    signal.signal(signal.SIGTERM, _leave)
    warnings.filterwarnings(
        "ignore", module=r"PIL\."
    )  # of odd files, which end as notes and errors of our own
    requests, answers = _own_streams()
    with requests, answers:
        task: Task | None = None
        for line in requests:
            told = json.loads(line)
            if task is None:
                task = _task_of(told)
            else:
                try:
                    answers.write(json.dumps(_answer(task, Job(**told))).encode() + b"\n")
                    answers.flush()
                except BrokenPipeError:
                    os._exit(1)  # nobody is left to be told


def _task_of(told: dict[str, Any]) -> Task:
    """The task as the parent describes it; its folder is looked in last, and only for what is not installed."""
    if importlib.util.find_spec(told["module"].partition(".")[0]) is None:
        sys.path.append(told["folder"])
    task: Task = getattr(importlib.import_module(told["module"]), told["class"])(**told["settings"])
    return task


def _answer(task: Task, job: Job) -> dict[str, Any]:
    try:
        return dataclasses.asdict(perform(task, job))
    except BatchError as error:
        return {"end": str(error)}


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep the two pipes for us: what a library prints goes to stderr, which is there, and what it reads is empty."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return requests, answers


def _leave(number: int, _frame: types.FrameType | None) -> None:
    sys.exit(128 + number)
