"""A task of a program's own, in a module that is not installed: it copies files and counts on what its name says."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rdae.batch import Facts, Job
from rdae.clock import Clock
from rdae.errors import BatchError, PictureError


class Panic(BaseException):
    """As libraries in Rust raise it."""


@dataclass(frozen=True)
class Plain:
    """Does nothing, with fields of no meaning to anybody else, and says in which process."""

    word: str

    def __call__(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        with clock.stage("nothing"):
            note(f"{self.word} {job.input}")
        return Facts(1, 1, 1, width=os.getpid(), height=1)


@dataclass(frozen=True)
class Copy:
    """Copies an input; "bad" in its name is an error, "end" ends everything, "die" kills the process.

    "bug", "panic" and "memory" are other errors, and "loud" prints.
    """

    mark: str = ""
    threads: int | None = None

    def __call__(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        name = Path(job.input).name
        if "bad" in name:
            raise PictureError("not good")
        if "end" in name:
            raise BatchError("nothing can go on")
        if "die" in name:
            os._exit(7)
        if "loud" in name:
            os.write(1, b"as a library may\n")
        if "panic" in name:
            raise Panic("two\nlines")
        if "memory" in name:
            raise MemoryError
        if "bug" in name:
            raise KeyError(name)
        with clock.stage("copy"):
            data = Path(job.input).read_bytes()
            Path(job.output).write_bytes(data)
        note(f"{self.mark} {self.threads} {os.environ.get('OMP_NUM_THREADS')}")
        return Facts(len(data), len(data), len(data), width=os.getpid(), height=1)
