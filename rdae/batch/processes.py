"""Doing many jobs, here or in processes of their own, and going on past those that fail.

These processes are programs (`rdae.batch.child`), started when the first job needs one and spoken to through pipes, a
line of JSON for each job and each outcome: one that dies takes only its own file with it, and no other module knows
that there are any.  Each has a thread here that waits for it.
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
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rdae.batch.outputs import OutputCheck
from rdae.batch.tasks import Facts, Job, Outcome, Task, perform
from rdae.errors import BatchError

TICK_S = 0.5  # how often the caller of `run` is given a turn when nothing ends
# Not -m, by which modules would be looked for in the current folder first, where a stranger's module may lie.
START = "import sys; sys.path[:] = filter(None, sys.path); from rdae.batch.child import main; main()"
# What libraries read from the environment when they are loaded.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
PATIENCE_S = 5.0  # for a process that was asked to end

Check = Callable[[Job], Outcome | Job]


def run(
    task: Task,
    jobs: Sequence[Job],
    *,
    processes: int = 1,
    skip_existing: bool = False,
    inputs: Iterable[str] | None = None,
    idle: Callable[[], None] | None = None,
) -> Generator[Outcome, None, None]:
    """Do the jobs and yield how each ended: in their order with one process, which is this one, else as they end.

    task: `Compress`, `Decompress`, `Verify`, or one of your own, for which see `Task`.
    processes: how many do the work, of one thread each unless the task says otherwise, and each with its own model.
    skip_existing: leave out jobs whose outputs are there. inputs: locations that no output may replace, whatever is
    forced; None: the inputs of these jobs. idle: called from time to time while several processes work.

    A file that fails is an Outcome with an error, whatever it fails of, also if its process dies of it. BatchError ends
    everything, and so does closing the generator, which takes the processes with it. ValueError if a task cannot go to
    other processes.
    """
    check = OutputCheck(
        [job.input for job in jobs] if inputs is None else inputs, skip_existing=skip_existing
    )
    processes = min(processes, len(jobs))
    if processes > 1:
        yield from _Pool(task, jobs, processes, check).outcomes(idle or (lambda: None))
        return
    for each in jobs:
        job = check(each)
        yield job if isinstance(job, Outcome) else perform(task, job)


class _Pool:
    """The processes of one run."""

    def __init__(self, task: Task, jobs: Iterable[Job], processes: int, check: Check) -> None:
        told = _told(task)
        self._jobs = iter(jobs)
        self._check = check
        self._lock = threading.Lock()
        self._ended: queue.SimpleQueue[Outcome | BaseException | None] = queue.SimpleQueue()
        self._stopping = False
        self._children = [_Child(told) for _ in range(processes)]

    def outcomes(self, idle: Callable[[], None]) -> Iterator[Outcome]:
        threads = [
            threading.Thread(target=self._serve, args=(child,), daemon=True) for child in self._children
        ]
        for thread in threads:
            thread.start()
        try:
            running = len(threads)
            while running:
                try:
                    ended = self._ended.get(timeout=TICK_S)
                except queue.Empty:
                    idle()
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
            for child in self._children:
                child.stop()
            for thread, child in zip(threads, self._children, strict=True):
                thread.join(PATIENCE_S)
                if not thread.is_alive():  # else it waits for the end of the output, and closes that then
                    child.close()

    def _serve(self, child: _Child) -> None:
        """Give a process one job after another, until there is none left."""
        try:
            while True:
                with self._lock:
                    job = None if self._stopping else next(self._jobs, None)
                if job is None:
                    break
                checked = self._check(job)
                outcome = checked if isinstance(checked, Outcome) else child.do(checked)
                if not self._stopping:
                    self._ended.put(outcome)
            child.finish()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._ended.put(error)
        else:
            self._ended.put(None)


class _Child:
    """A process that does jobs; started with the first, and anew after it died."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()  # held where a process comes to be or ends
        self._stopped = False

    def do(self, job: Job) -> Outcome:
        """Send a job and wait for its end, be it the process's own."""
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
            return Outcome(job, error=self._why_it_ended(), seconds=time.perf_counter() - began)
        answer = json.loads(line)
        if "end" in answer:
            raise BatchError(answer["end"])
        return outcome_from(answer)

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

    def close(self) -> None:
        """Close what leads to a process that has ended."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            _close_pipes(process)

    def _started(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._process is None and not self._stopped:
                # A session of its own: Ctrl-C on the terminal is for the parent, which ends its children in turn.
                alone: dict[str, Any] = {"start_new_session": True}
                if os.name == "nt":
                    alone = {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
                self._process = subprocess.Popen(  # noqa: S603 - our own words
                    [sys.executable, "-c", START],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=_errors_to(),
                    env={**os.environ, **dict.fromkeys(THREADS, str(self._told["threads"]))},
                    **alone,
                )
                assert self._process.stdin is not None
                with contextlib.suppress(OSError):
                    _send(self._process.stdin, self._told)
            return self._process

    def _why_it_ended(self) -> str:
        """What is said of the file on which the process died; the next job gets a new process."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return "interrupted"
        _close_pipes(process)
        status = process.wait()
        if status >= 0:
            return f"the worker process ended with status {status}"
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        hint = " (is there enough memory?)" if name == "SIGKILL" else ""
        return f"the worker process was ended by {name}{hint}"


def _errors_to() -> int | None:
    """Where a process's stderr goes: where ours does, or nowhere if we have none."""
    try:
        os.fstat(2)
    except OSError:
        return subprocess.DEVNULL
    return subprocess.DEVNULL if sys.stderr is None else None


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # nobody reads what was not sent yet
            if pipe is not None:
                pipe.close()


def _send(pipe: Any, message: dict[str, Any]) -> None:
    pipe.write(json.dumps(message).encode() + b"\n")
    pipe.flush()


def outcome_from(answer: dict[str, Any]) -> Outcome:
    """An outcome as another process wrote it, with `dataclasses.asdict`."""
    facts = answer.pop("facts")
    job = Job(**answer.pop("job"))
    notes = tuple(answer.pop("notes"))
    return Outcome(job=job, facts=None if facts is None else Facts(**facts), notes=notes, **answer)


def _told(task: Task) -> dict[str, Any]:
    """What another process needs to know to build a task: its class, where that is, and its fields."""
    kind = type(task)
    module = sys.modules[kind.__module__]
    file = getattr(module, "__file__", None)
    if not hasattr(kind, "__dataclass_fields__") or module.__name__ == "__main__" or file is None:
        raise ValueError(
            f"{kind.__qualname__} of {module.__name__}, expected a dataclass of a module that can be imported"
        )
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(kind)  # type: ignore[arg-type]
    settings = {each.name: getattr(task, each.name) for each in fields if each.init}
    threads = getattr(task, "threads", None) or 1
    if "threads" in settings:
        settings["threads"] = threads
    try:
        json.dumps(settings)
    except TypeError as error:
        raise ValueError(f"{kind.__qualname__} cannot go to another process: {error}") from error
    # A program's own module is where this program found it, be that in its own folder.
    depth = module.__name__.count(".") + (Path(file).name == "__init__.py")
    folder = str(Path(file).resolve().parents[depth])
    return {
        "module": module.__name__,
        "class": kind.__name__,
        "folder": folder,
        "settings": settings,
        "threads": threads,
    }
