"""Doing many jobs, here or in worker processes, and going on past those that fail.

Workers are programs of their own (`rdae.cli.worker`), started when the first job needs one and spoken to through pipes,
a line of JSON for each job and each result: one that dies takes only its own file with it, and no module of the
parent but this knows that there are any.  Each has a thread here that waits for it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from rdae.clock import Clock
from rdae.errors import OutputExistsError, RdaeError

from .report import Failure, describe

TICK_S = 0.5  # how often the caller of `results` is given a turn when nothing is done
# Not -m, by which modules would be looked for in the current folder first, where a stranger's torch.py may lie.
START = "import sys; sys.path[:] = filter(None, sys.path); from rdae.cli.worker import main; main()"
PATIENCE_S = 5.0  # for a worker that was asked to end


@dataclass(frozen=True)
class Job:
    """One input with its output, as `places.place` reads them.

    problem: why there is nothing to do after all; blocked: why nothing must be written, should the input be good.
    """

    source: str
    target: str = ""
    problem: str = ""
    blocked: str = ""

    def check(self) -> None:
        """OutputExistsError if nothing must be written."""
        if self.blocked:
            raise OutputExistsError(self.blocked)


@dataclass(frozen=True)
class Facts:
    """What is known of a file that was done.

    rdae_bytes: of the .rdae file, whether it went in or came out; input_bytes: 0 if unknown.  width, height: of what is
    outside of it, which may be a part of its picture, or that made smaller; pixels: of all of it, if not those.
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
class Done:
    """How a job ended: with facts, with an error, or skipped."""

    job: Job
    facts: Facts | None = None
    error: str = ""
    skipped: bool = False
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)


class Task(Protocol):
    """What a command does with each file: a dataclass of plain values, so that a worker can be told them.

    name: the module of this package that has the class, under the name Task.
    """

    name: ClassVar[str]

    def __call__(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        """Do one job; RdaeError and OSError concern this job, Failure all of them."""

    def line(self, facts: Facts) -> str:
        """What is printed about a job that was done."""


def perform(task: Task, job: Job) -> Done:
    """Do one job in this process."""
    clock, notes = Clock(), list[str]()
    began = time.perf_counter()
    facts, error = None, ""
    try:
        facts = task(job, clock, notes.append)
    except (RdaeError, OSError) as caught:
        error = describe(caught, job.source)
    spent_s = time.perf_counter() - began
    return Done(job, facts, error, notes=tuple(notes), seconds=spent_s, stages=clock.seconds)


def results(
    task: Task, jobs: Iterable[Job], workers: int, before: Callable[[Job], Done | Job]
) -> Generator[Done | None, None, None]:
    """Do the jobs and yield how each ended: in their order with one worker, which is this process, else as they come.

    before: is asked ahead of each job, here; if it knows the end already, no worker is asked, else it returns the job.
    None is yielded from time to time while nothing ends.  Failure ends everything; so does closing the iterator.
    """
    if workers > 1:
        yield from _Crew(task, jobs, workers, before).results()
        return
    for each in jobs:
        job = before(each)
        yield job if isinstance(job, Done) else perform(task, job)


class _Crew:
    """The workers of one command."""

    def __init__(
        self, task: Task, jobs: Iterable[Job], workers: int, before: Callable[[Job], Done | Job]
    ) -> None:
        self._first_line = {"task": task.name, "settings": dataclasses.asdict(task)}  # type: ignore[call-overload]
        self._jobs = iter(jobs)
        self._before = before
        self._lock = threading.Lock()
        self._ended: queue.SimpleQueue[Done | BaseException | None] = queue.SimpleQueue()
        self._stopping = False
        self._workers = [_Worker(self._first_line) for _ in range(workers)]

    def results(self) -> Iterator[Done | None]:
        threads = [
            threading.Thread(target=self._serve, args=(worker,), daemon=True) for worker in self._workers
        ]
        for thread in threads:
            thread.start()
        try:
            running = len(threads)
            while running:
                try:
                    ended = self._ended.get(timeout=TICK_S)
                except queue.Empty:
                    yield None
                    continue
                if isinstance(ended, BaseException):
                    raise ended
                if ended is None:
                    running -= 1
                else:
                    yield ended
        finally:
            with self._lock:
                self._stopping = True
            for worker in self._workers:
                worker.stop()
            for thread in threads:
                thread.join(PATIENCE_S)

    def _serve(self, worker: _Worker) -> None:
        """Give a worker one job after another, until there is none left."""
        try:
            while True:
                with self._lock:
                    job = None if self._stopping else next(self._jobs, None)
                if job is None:
                    break
                checked = self._before(job)
                done = checked if isinstance(checked, Done) else worker.do(checked)
                if not self._stopping:
                    self._ended.put(done)
            worker.finish()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._ended.put(error)
        else:
            self._ended.put(None)


class _Worker:
    """A process that does jobs; started with the first, and anew after it died."""

    def __init__(self, first_line: dict[str, Any]) -> None:
        self._first_line = first_line
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()  # held where a process comes to be or ends
        self._stopped = False

    def do(self, job: Job) -> Done:
        """Send a job and wait for its end, be it the worker's own."""
        began = time.perf_counter()
        process = self._started()
        line = b""
        if process is not None:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(OSError):  # it died already: there will be no line
                _send(process.stdin, dataclasses.asdict(job))
                line = process.stdout.readline()
        if not line.endswith(b"\n"):
            return Done(job, error=self._obituary(), seconds=time.perf_counter() - began)
        told = json.loads(line)
        if "failure" in told:
            raise Failure(told["failure"])
        return done_from(told)

    def finish(self) -> None:
        """Let the process end: there is nothing more to do."""
        with self._lock:
            process, self._process = self._process, None
            self._stopped = True
        if process is not None:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            process.wait()
            process.stdout.close()

    def stop(self) -> None:
        """End the process at once; it takes a half-written file with it, unless it has to be killed."""
        with self._lock:
            self._stopped = True
            process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _started(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._process is None and not self._stopped:
                # One thread, from the first import of torch on.  A session of its own: Ctrl-C on the terminal is for
                # the parent, which ends its workers in turn.
                alone: dict[str, Any] = {"start_new_session": True}
                if os.name == "nt":
                    alone = {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
                self._process = subprocess.Popen(  # noqa: S603 - our own words
                    [sys.executable, "-c", START],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
                    **alone,
                )
                assert self._process.stdin is not None
                with contextlib.suppress(OSError):
                    _send(self._process.stdin, self._first_line)
            return self._process

    def _obituary(self) -> str:
        """What is said of the file on which the process died; the next job gets a new process."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return "interrupted"
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        status = process.wait()
        if status >= 0:
            return f"the worker process ended with status {status}"
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        hint = " (is there enough memory?)" if name == "SIGKILL" else ""
        return f"the worker process was ended by {name}{hint}"


def _send(pipe: Any, message: dict[str, Any]) -> None:
    pipe.write(json.dumps(message).encode() + b"\n")
    pipe.flush()


def done_from(told: dict[str, Any]) -> Done:
    """A result as a worker wrote it, with `dataclasses.asdict`."""
    facts = told.pop("facts")
    job = Job(**told.pop("job"))
    notes = tuple(told.pop("notes"))
    return Done(job=job, facts=None if facts is None else Facts(**facts), notes=notes, **told)


def processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def orderly_termination() -> Iterator[None]:
    """Let SIGTERM end this process as Ctrl-C does, with status 143: what is half done is taken away."""

    def leave(number: int, _frame: types.FrameType | None) -> None:
        sys.exit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, leave)
    except ValueError:  # not in the main thread: whoever runs that decides
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
