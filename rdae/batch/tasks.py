"""What is done with many files, one job each, and how each ended: plain values that can go to another process."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rdae.clock import Clock
from rdae.errors import BatchError, OutputExistsError, RdaeError, describe
from rdae.storage.files import Terms


@dataclass(frozen=True)
class Job:
    """One input with its output, as `rdae.storage.locations.locate` reads them; output: empty if there is none.

    force: replace an output that exists. problem: why there is nothing to do after all. blocked: why nothing must be
    written, should the input be good. only_own: replace nothing but what rdae wrote. parents: make the output's folder.
    """

    input: str
    output: str = ""
    force: bool = False
    problem: str = ""
    blocked: str = ""
    only_own: bool = False
    parents: bool = True

    def check(self) -> None:
        """OutputExistsError if nothing must be written."""
        if self.blocked:
            raise OutputExistsError(self.blocked)

    @property
    def terms(self) -> Terms:
        """The terms on which its output is written, as far as the job says them."""
        return Terms(only_own=self.only_own, parents=self.parents)


@dataclass(frozen=True)
class Facts:
    """What is known of a file that was done.

    rdae_bytes: of the .rdae file, whether it went in or came out; input_bytes: 0 if unknown.  width, height: of what is
    outside of it, which may be a region of its picture, or that made smaller; pixels: of all of it, if not those.
    model, quality: that it was written with.
    """

    rdae_bytes: int
    input_bytes: int
    output_bytes: int
    width: int
    height: int
    pixels: int | None = None
    model: str = ""
    quality: float | None = None

    @property
    def bpp(self) -> float:
        """Bits of the .rdae file for each of its pixels."""
        return 8 * self.rdae_bytes / (self.pixels or self.width * self.height)


@dataclass(frozen=True)
class Outcome:
    """How a job ended: with facts, with an error of one line, or skipped.

    notes: what was left out or changed. seconds: it took; stages: where they went, by name.
    """

    job: Job
    facts: Facts | None = None
    error: str = ""
    skipped: bool = False
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)


class Task(Protocol):
    """What is done with each file: `Compress`, `Decompress`, `Verify`, or one of a program's own.

    To run in other processes it must be a dataclass of plain values, JSON's, at the top of a module that can be
    imported; each process then builds it anew, once.  If it has a field `threads`, that says how many compute; None: as
    many as there are processors, or one in each of several processes.
    """

    def __call__(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        """Do one job; BatchError concerns all of them, every other error this job alone.

        clock: gets the seconds of each stage. note: takes a line of what was left out or changed.
        """


def perform(task: Task, job: Job) -> Outcome:
    """Do one job in this process, and say how it ended; BatchError if no other would end better."""
    if job.problem:
        return Outcome(job, error=job.problem)
    clock, notes = Clock(), list[str]()
    began = time.perf_counter()
    facts, error = None, ""
    try:
        facts = task(job, clock, notes.append)
    except (BatchError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as caught:  # noqa: BLE001 - libraries raise what they like; panics of Rust are no Exception
        error = failure(caught, job.input)
    spent_s = time.perf_counter() - began
    return Outcome(job, facts, error, notes=tuple(notes), seconds=spent_s, stages=clock.seconds)


def failure(error: BaseException, path: str) -> str:
    """Why a file failed, for a line that already names `path`; of an error that nobody expected also where it was."""
    if isinstance(error, RdaeError | OSError):
        return describe(error, path)
    if isinstance(error, MemoryError):
        return "not enough memory"
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" ({Path(frame.filename).name}, line {frame.lineno})" for frame in frames)
    return f"unexpected {type(error).__name__}: {' '.join(str(error).split())}{place}"
