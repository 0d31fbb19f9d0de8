"""A process that does jobs for `rdae.cli.work`, which starts it: JSON lines on its standard streams.

The first line says what to do with each job; every further one is a job, and is answered by one line.  The end of the
input, or of whoever reads the answers, is the end.
"""

import dataclasses
import importlib
import json
import os
import signal
import sys
import types
from typing import Any, BinaryIO

from .report import Failure
from .work import Done, Job, Task, perform


def main() -> None:
    """Serve until the parent is done, or gone."""
    signal.signal(signal.SIGTERM, _leave)
    requests, answers = _own_streams()
    with requests, answers:
        task: Task | None = None
        for line in requests:
            told = json.loads(line)
            if task is None:
                module = importlib.import_module(f".{told['task']}", __package__)
                task = module.Task(**told["settings"])
            else:
                try:
                    answers.write(json.dumps(_answer(task, Job(**told))).encode() + b"\n")
                    answers.flush()
                except BrokenPipeError:
                    os._exit(1)  # nobody is left to be told


def _answer(task: Task, job: Job) -> dict[str, Any]:
    try:
        return dataclasses.asdict(perform(task, job))
    except Failure as failure:
        return {"failure": failure.message}
    except Exception as error:  # noqa: BLE001 - a bug; the other files are not to suffer from it
        message = f"unexpected {type(error).__name__}: {error} (without -j there is a traceback)"
        return dataclasses.asdict(Done(job, error=message))


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep the two pipes for us: what a library prints goes to stderr, and what it reads is empty."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return requests, answers


def _leave(number: int, _frame: types.FrameType | None) -> None:
    sys.exit(128 + number)
