"""Worker processes: the same bytes, one that dies, Ctrl-C and SIGTERM in the middle, and a parent without a runtime."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fuzzing import frozen_path
from PIL import Image
from tiny_model import photo

from rdae.cli import batch
from rdae.cli.main import main

RDAE = (sys.executable, "-m", "rdae.cli")
linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the pictures in/0.png to in/4.png."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number in range(5):
        Image.fromarray(photo(20 + 10 * number, 40)).save(f"in/{number}.png")


def rdae(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [*RDAE, *arguments, "--model", str(frozen_path())]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def contents(folder: str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*.*"))}


def names(folder: str) -> list[str]:
    """The files in a folder, of which some may be given another name at any moment."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*.*"))


def test_any_number_of_workers_makes_the_same_bytes_and_loads_a_model_each() -> None:
    """The parent loads no runtime, and the workers not the one in this folder; bad files fail alone."""
    with contextlib.suppress(SystemExit):
        main(["compress", "-r", "in", "-d", "out1", "-j", "1", "--quiet", "--model", str(frozen_path())])
    assert len(contents("out1")) == 5
    Path("in/bad.png").write_bytes(b"junk")
    Path("onnxruntime.py").write_text("raise SystemExit('not this one')")
    arguments = ["compress", "-r", "in", "none.png", "-d", "out2", "-j", "2", "--json", "-v"]
    code = (
        "import sys\n"
        "from rdae.cli.main import main\n"
        f"try: main({[*arguments, '--model', str(frozen_path())]})\n"
        "except SystemExit as end: print(end.code, 'onnxruntime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *lines, last = done.stdout.splitlines()
    assert last == "1 False"
    assert contents("out1") == contents("out2")
    told = {Path(each["input"]).name: each for each in map(json.loads, lines)}
    assert len(lines) == len(told) == 7
    assert told.pop("bad.png")["error"] == "not a picture in a known format"
    assert told.pop("none.png")["error"] == "No such file or directory"
    # Opening loads the runtime; finding a model open takes no time.
    assert 1 <= sum(each["stages"]["model"] > 0.01 for each in told.values()) <= 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("rdae: ")]
    assert sorted(errors) == [
        "rdae: in/bad.png: not a picture in a known format",
        "rdae: none.png: No such file or directory",
    ]


def test_targets_regions_scales_and_shards_mean_the_same_to_workers() -> None:
    def with_workers(*arguments: str) -> list[dict[str, Any]]:
        done = rdae(*arguments, "-j", "2", "--json")
        assert (done.returncode, done.stderr.count("rdae: ")) == (0, 0), done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def without(*arguments: str) -> None:
        with pytest.raises(SystemExit) as end:
            main([*arguments, "-j", "1", "--quiet", "--model", str(frozen_path())])
        assert end.value.code == 0

    without("compress", "-r", "in", "-d", "one", "--size", "150", "--no-exact")
    told = with_workers("compress", "-r", "in", "-d", "two", "--size", "150", "--no-exact")
    assert len({each["quality"] for each in told}) > 1  # each picture has its own
    assert all(0 < each["bytes"] <= 150 for each in told)
    assert len(told) == 5
    assert contents("one") == contents("two")

    part = ("--region", "3,2,20,15", "--scale", "1/2")
    without("decompress", "-r", "one", "-d", "back1", *part)
    shard = with_workers("decompress", "-r", "one", "-d", "back2", *part, "--shard", "1/2")
    assert {(each["width"], each["height"]) for each in shard} == {(11, 8)}
    assert len(shard) == len(contents("back2")) == 3
    without("decompress", "-r", "one", "-d", "back2", *part, "--shard", "2/2")
    assert contents("back1") == contents("back2")


@pytest.mark.parametrize(
    ("options", "processes", "threads"),
    [
        ([], 1, None),
        (["--threads", "3"], 1, 3),
        (["-j", "1"], 1, 1),
        (["-j", "4"], 4, 1),
        (["-j", "4", "--threads", "2"], 4, 2),
        (["-j", "0"], 5, 1),
    ],
)
def test_how_many_processes_and_threads_do_the_work(
    monkeypatch: pytest.MonkeyPatch, options: list[str], processes: int, threads: int | None
) -> None:
    asked: list[tuple[int, int | None]] = []

    def run(task: Any, _jobs: object, *, processes: int, **_rest: object) -> Iterator[Any]:
        asked.append((processes, task.threads))
        yield from ()

    monkeypatch.setattr(batch, "run", run)
    monkeypatch.setattr(batch, "available_processors", lambda: 5)
    for command in (["compress", "-r", "in"], ["decompress", "a.rdae"], ["verify", "a.rdae"]):
        with pytest.raises(SystemExit) as end:
            main([*command, *options])
        assert not end.value.code
    assert asked == [(processes, threads)] * 3


@pytest.mark.slow
def test_weights_that_cannot_be_had_end_all_workers() -> None:
    command = [*RDAE, "compress", "-r", "in", "-d", "out", "-j", "3", "--model", "nowhere/x.safetensors"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "rdae: nowhere/x.safetensors: No such file or directory\n")
    assert not Path("out").exists()


def children(parent: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                status = (entry / "stat").read_text()
            except OSError:
                continue
            if int(status.rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry.name))
    return found


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < end, "nothing happened in ten minutes"
        time.sleep(0.05)


def reads(process: int, path: Path) -> bool:
    """Whether a process has a file open."""
    try:
        return any(link.resolve() == path for link in Path(f"/proc/{process}/fd").iterdir())
    except OSError:
        return False


@pytest.fixture
def stuck() -> Iterator[Path]:
    """A picture that never comes: a pipe with a writer that is silent, on which a worker waits."""
    path = Path("stuck.png").resolve()
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)
    yield path
    os.close(descriptor)


class Running:
    """`rdae compress` with two workers, of which one waits for a picture that never comes."""

    def __init__(self, stuck: Path, *arguments: str) -> None:
        command = [*RDAE, "compress", str(stuck), *arguments, "-d", "out", "-j", "2"]
        self.process = subprocess.Popen(
            [*command, "--model", str(frozen_path())],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        wait_for(lambda: any(reads(child, stuck) for child in children(self.process.pid)))
        self.workers = children(self.process.pid)
        (self.waiting,) = (child for child in self.workers if reads(child, stuck))

    def end(self) -> tuple[int, str, str]:
        stdout, stderr = self.process.communicate(timeout=600)
        return self.process.returncode, stdout, stderr


@linux
def test_a_worker_that_is_killed_is_its_files_failure_and_no_hang(stuck: Path) -> None:
    running = Running(stuck, "in/0.png", "in/1.png", "--json")
    os.kill(running.waiting, signal.SIGKILL)
    status, stdout, stderr = running.end()
    assert status == 1
    told = {Path(each["input"]).name: each for each in map(json.loads, stdout.splitlines())}
    assert "ended by SIGKILL" in told["stuck.png"]["error"]
    assert {name for name, each in told.items() if "error" not in each} == {"0.png", "1.png"}
    assert sorted(contents("out")) == ["0.rdae", "1.rdae"]
    assert stderr.startswith(f"rdae: {stuck}: the worker process was ended by SIGKILL")


@linux
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_takes_its_workers_with_it(stuck: Path, number: int, status: int) -> None:
    Path("junk.png").touch()
    running = Running(stuck, "junk.png", "--quiet")
    os.kill(running.process.pid, number)
    code, stdout, stderr = running.end()
    assert (code, stdout) == (status, "")
    assert set(stderr.splitlines()) <= {"", "rdae: junk.png: the file is empty"}
    assert not any(Path(f"/proc/{worker}").exists() for worker in running.workers)
    assert not Path("out").exists()


@linux
def test_a_measurement_that_is_terminated_leaves_nothing_behind(stuck: Path) -> None:
    Path("tmp").mkdir()
    command = [*RDAE, "eval", str(stuck), "--peers-only", "--peers", "jpeg", "--quiet"]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(Path("tmp").resolve())}) as process:
        try:
            wait_for(lambda: reads(process.pid, stuck))
            assert len(list(Path("tmp").glob("rdae-*"))) == 1
            process.terminate()
            assert process.wait(60) == 143
        finally:
            process.kill()
    assert not list(Path("tmp").glob("rdae-*"))


@linux
@pytest.mark.parametrize(
    ("options", "advice"),
    [((), "run again with --skip-existing for the rest"), (("--force",), "run again to redo them all")],
)
def test_an_interrupted_run_says_how_far_it_came_and_how_to_go_on(
    options: tuple[str, ...], advice: str, stuck: Path
) -> None:
    Path("junk.png").touch()
    running = Running(stuck, "in/0.png", "in/1.png", "junk.png", *options)
    wait_for(lambda: names("out") == ["0.rdae", "1.rdae"])
    assert running.process.stderr is not None
    told = [running.process.stderr.readline() for _ in range(3)]  # so that all three are known to have ended
    os.kill(running.process.pid, signal.SIGINT)
    code, _, stderr = running.end()
    assert code == 130
    assert "rdae: junk.png: the file is empty\n" in told
    assert stderr == f"\ninterrupted: 2 of 4 done, 1 failed; {advice}\n"


@linux
def test_workers_end_when_their_parent_is_killed(stuck: Path) -> None:
    Path("junk.png").touch()
    running = Running(stuck, "junk.png")
    running.process.kill()
    running.process.wait()
    others = [worker for worker in running.workers if worker != running.waiting]
    wait_for(lambda: not any(Path(f"/proc/{worker}/fd/0").exists() for worker in others))
    os.kill(
        running.waiting, signal.SIGKILL
    )  # it would wait for its picture for ever, as any reader of a pipe
    running.end()


@linux
@pytest.mark.slow
def test_runs_interrupted_at_any_moment_leave_whole_files_and_are_finished_by_the_next() -> None:
    for number in range(40):
        Image.fromarray(photo(60, 40 + number)).save(f"in/{number}.png")
    assert rdae("compress", "-r", "in", "-d", "whole", "-j", "1").returncode == 0
    whole = contents("whole")
    command = [*RDAE, "compress", "-r", "in", "-d", "out", "-j", "2", "--skip-existing"]
    began = time.monotonic()
    for turn in range(12):
        process = subprocess.Popen(
            [*command, "--model", str(frozen_path())],
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        wait_for(lambda: Path("out").exists() or time.monotonic() - began > 60)
        time.sleep(0.3 * turn)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 130)
        made = contents("out")
        assert made.items() <= whole.items()
        assert not list(Path("out").rglob(".rdae-*"))
    assert rdae(*command[3:]).returncode == 0
    assert contents("out") == whole
