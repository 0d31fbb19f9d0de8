"""Jobs in this process and in others: how they end, what a program's own task may be, and who pays for a crash."""

import dataclasses
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import own_task
import pytest

from rdae import batch
from rdae.batch import Facts, Job, Outcome, perform, processes, run
from rdae.batch.processes import outcome_from
from rdae.clock import Clock
from rdae.errors import BatchError


def jobs(folder: Path, *names: str) -> list[Job]:
    for name in names:
        (folder / name).write_bytes(name.encode())
    return [Job(str(folder / name), str(folder / f"{name}.copy")) for name in names]


@pytest.mark.parametrize("count", [1, 3])
def test_each_job_ends_once_and_bad_ones_alone(tmp_path: Path, count: int) -> None:
    todo = [*jobs(tmp_path, "a", "bad", "b", "c"), Job("x", problem="no such thing")]
    ended = {Path(each.job.input).name: each for each in run(own_task.Copy("m"), todo, processes=count)}
    assert ended.keys() == {"a", "bad", "b", "c", "x"}
    assert (ended["bad"].error, ended["x"].error) == ("not good", "no such thing")
    assert (tmp_path / "c.copy").read_bytes() == b"c"
    assert list(ended["c"].stages) == ["copy"]
    assert ended["c"].seconds >= 0
    facts = [ended[name].facts for name in "abc"]
    assert all(each is not None and each.rdae_bytes == 1 for each in facts)
    if count == 1:
        assert list(ended) == ["a", "bad", "b", "c", "x"]


@pytest.mark.parametrize(("threads", "expected"), [(None, "m 1 1"), (2, "m 2 2")])
def test_each_of_several_processes_has_one_thread_unless_told_otherwise(
    tmp_path: Path, threads: int | None, expected: str
) -> None:
    ended = list(run(own_task.Copy("m", threads), jobs(tmp_path, "a", "b"), processes=2))
    assert {each.notes for each in ended} == {(expected,)}


def test_a_process_that_dies_costs_its_own_file_and_a_bug_too(tmp_path: Path) -> None:
    todo = jobs(tmp_path, "die", "a", "bug", "b", "c", "d")
    ended = {Path(each.job.input).name: each for each in run(own_task.Copy(), todo, processes=2)}
    assert ended.pop("die").error == "the worker process ended with status 7"
    assert ended.pop("bug").error.startswith("unexpected KeyError: 'bug' (")
    assert ended.keys() == set("abcd")
    assert not any(each.error for each in ended.values())


@pytest.mark.parametrize("count", [1, 2])
def test_whatever_a_file_fails_of_the_others_go_on(tmp_path: Path, count: int) -> None:
    todo = [*jobs(tmp_path, "a", "bug", "panic", "memory", "b"), Job(str(tmp_path / "a"), "no\0name")]
    ended = [(Path(each.job.input).name, each.error) for each in run(own_task.Copy(), todo, processes=count)]
    assert sorted(name for name, error in ended if not error) == ["a", "b"]
    errors = {name: error for name, error in ended if error}
    assert errors["memory"] == "not enough memory"
    assert re.fullmatch(r"unexpected KeyError: 'bug' \(own_task.py, line \d+\)", errors["bug"])
    assert re.fullmatch(r"unexpected Panic: two lines \(own_task.py, line \d+\)", errors["panic"])
    assert "embedded null" in errors["a"]


@pytest.mark.parametrize("count", [1, 2])
def test_a_task_needs_no_field_that_it_has_no_use_for(tmp_path: Path, count: int) -> None:
    ended = list(run(own_task.Plain("done"), jobs(tmp_path, "a", "b"), processes=count))
    assert [each.error for each in ended] == ["", ""]
    assert [each.notes[0].split()[0] for each in ended] == ["done", "done"]


def test_a_request_that_makes_no_sense_is_refused_before_any_file() -> None:
    with pytest.raises(ValueError, match="quality"):
        batch.Compress(quality=500)
    with pytest.raises(ValueError, match="effort 10"):
        batch.Compress(effort=10)


@pytest.mark.parametrize("count", [1, 2])
def test_what_no_file_can_go_on_with_ends_everything(tmp_path: Path, count: int) -> None:
    with pytest.raises(BatchError, match="nothing can go on"):
        list(run(own_task.Copy(), jobs(tmp_path, "end", "end2", "end3"), processes=count))


def test_what_is_there_is_skipped_and_the_inputs_are_kept(tmp_path: Path) -> None:
    todo = jobs(tmp_path, "a", "b")
    assert [each.skipped for each in run(own_task.Copy(), todo[:1])] == [False]
    assert [each.skipped for each in run(own_task.Copy(), todo, skip_existing=True)] == [True, False]
    assert all("already there" in each.error for each in run(own_task.Copy(), todo))
    forced = [dataclasses.replace(job, force=True) for job in todo]
    assert not any(each.error for each in run(own_task.Copy(), forced))
    others = [todo[0].output]
    assert ["never overwritten" in each.error for each in run(own_task.Copy(), forced, inputs=others)] == [
        True,
        False,
    ]


def test_the_caller_has_a_turn_while_processes_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "TICK_S", 0.001)
    turns: list[int] = []
    list(run(own_task.Copy(), jobs(tmp_path, "a", "b"), processes=2, idle=lambda: turns.append(1)))
    assert turns


@dataclass(frozen=True)
class Unsendable:
    """A task with something that is no plain value."""

    callback: Callable[[], None] = lambda: None
    threads: int | None = None

    def __call__(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        raise NotImplementedError


def test_a_task_that_cannot_go_to_another_process_is_a_value_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, Unsendable.__module__, sys.modules[__name__])
    todo = jobs(tmp_path, "a", "b")
    with pytest.raises(ValueError, match="Unsendable cannot go to another process: "):
        list(run(Unsendable(), todo, processes=2))
    monkeypatch.setattr(Unsendable, "__module__", "__main__")
    with pytest.raises(ValueError, match="Unsendable of __main__, expected a dataclass"):
        list(run(Unsendable(), todo, processes=2))


def test_an_outcome_comes_back_from_another_process_as_it_was() -> None:
    done = Outcome(
        Job("a\udc80.png", "b", blocked="x", force=True),
        Facts(1, 2, 3, 4, 5),
        notes=("n",),
        seconds=0.5,
        stages={"read": 1.0},
    )
    assert outcome_from(json.loads(json.dumps(dataclasses.asdict(done)))) == done
    failed = Outcome(Job("a"), error="no", skipped=True)
    assert outcome_from(json.loads(json.dumps(dataclasses.asdict(failed)))) == failed


def test_one_job_can_be_performed_where_one_likes(tmp_path: Path) -> None:
    good, bad = jobs(tmp_path, "a", "bad")
    assert perform(own_task.Copy(), good).facts is not None
    assert perform(own_task.Copy(), bad).error == "not good"
    assert perform(own_task.Copy(), Job("x", problem="none")).error == "none"
    with pytest.raises(BatchError):
        perform(own_task.Copy(), Job("end", "out"))


def test_the_public_names_are_there() -> None:
    assert all(hasattr(batch, name) for name in batch.__all__)
