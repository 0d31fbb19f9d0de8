"""Where outputs go, which are there already, and which may not be written."""

import os
import re
from pathlib import Path, PurePath

import pytest

from rdae.batch import Input, Job, Outcome, plan_jobs, unfinished
from rdae.batch.outputs import OutputCheck


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def inputs(*names: str) -> list[Input]:
    return [Input(str(Path("in", name)), PurePath(name)) for name in names]


def outputs(jobs: list[Job]) -> list[str]:
    return [Path(job.output).as_posix() for job in jobs]


def test_outputs_are_beside_their_inputs_or_as_deep_in_a_folder() -> None:
    found = inputs("a.png", "deep/b.jpg")
    assert outputs(plan_jobs(found, ".rdae")) == ["in/a.rdae", "in/deep/b.rdae"]
    assert outputs(plan_jobs(found, ".rdae", directory="out")) == ["out/a.rdae", "out/deep/b.rdae"]
    assert outputs(plan_jobs(found, ".rdae", directory="out", keep_suffix=True)) == [
        "out/a.png.rdae",
        "out/deep/b.jpg.rdae",
    ]
    assert outputs(plan_jobs(found[:1], ".rdae", output="x/y")) == ["x/y"]
    assert [job.output for job in plan_jobs(found, None)] == ["", ""]


def test_inputs_for_one_output_fail_and_the_others_go_on() -> None:
    found = inputs("wall.png", "wall.jpg", "b.png", "c.png", "c.gif", "c.bmp")
    one, other, fine, *three = plan_jobs(found, ".rdae", directory="out")
    assert one.problem == other.problem
    assert re.fullmatch(
        r"in.wall\.png and in.wall\.jpg would both go to out.wall\.rdae; --keep-suffix keeps them apart",
        one.problem,
    )
    assert not fine.problem
    assert all("c.png, " in each.problem and " would all go to " in each.problem for each in three)
    many = plan_jobs(inputs(*(f"a.{number}" for number in range(9))), ".rdae", directory="out")
    assert ", " in many[0].problem
    assert " and 7 others would all go to " in many[8].problem
    assert not any(job.problem for job in plan_jobs(found, ".rdae", directory="out", keep_suffix=True))


def test_one_folder_by_two_names_is_one() -> None:
    """Or the second output would replace the first, and with --rm a picture would be lost."""
    Path("in").mkdir(exist_ok=True)
    Path("link").symlink_to("in")
    places = ["in/a.png", str(Path("in/a.jpg").absolute()), "link/a.gif", "in/../in/b.png"]
    *three, alone = plan_jobs([Input(place, PurePath(PurePath(place).name)) for place in places], ".rdae")
    assert all(" would all go to " in each.problem for each in three)
    assert not alone.problem
    first, second = (Input(place, PurePath(PurePath(place).name)) for place in places[:2])
    for directory in ("link", "in"):
        assert plan_jobs([first, second], ".rdae", directory=directory)[0].problem
    assert not plan_jobs([first, second], None)[0].problem


def test_one_output_is_of_one_input_and_what_has_a_problem_takes_no_name() -> None:
    found = inputs("a.png", "a.jpg")
    with pytest.raises(ValueError, match="one output"):
        plan_jobs(found, ".rdae", output="x")
    bad = Input("in/a.jpg", PurePath("a.jpg"), "no file")
    assert [job.problem for job in plan_jobs([found[0], bad], ".rdae", directory="out")] == ["", "no file"]


def test_what_is_there_is_finished() -> None:
    jobs = plan_jobs(inputs("a.png", "b.png"), ".rdae", directory="out")
    assert unfinished(jobs) == jobs
    Path("out").mkdir()
    Path("out/a.rdae").touch()
    assert unfinished(jobs) == jobs[1:]
    assert unfinished(plan_jobs(inputs("a.png"), None))  # nothing shows that it was done


def test_a_check_keeps_what_is_there_unless_it_is_forced_and_inputs_in_any_case() -> None:
    for name in ("a.png", "a.rdae"):
        Path(name).touch()
    check = OutputCheck(["a.png"])
    free, taken = Job("a.png", "b.rdae"), Job("a.png", "a.rdae")
    assert check(free) == free
    assert check(taken) == Outcome(taken, error="the output a.rdae is already there; --force replaces it")
    forced = Job("a.png", "a.rdae", force=True)
    assert check(forced) == forced
    assert OutputCheck(["a.png"], skip_existing=True)(taken) == Outcome(taken, skipped=True)
    refused = OutputCheck(["a.png", "a.rdae"])(forced)
    assert isinstance(refused, Outcome)
    assert "which is never overwritten" in refused.error
    itself = check(Job("a.png", "a.png"))  # its input is looked at first: it is none, perhaps
    assert isinstance(itself, Job)
    assert "already there" in itself.blocked or "never overwritten" in itself.blocked


def test_a_folder_that_cannot_be_written_to_is_found_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.png").touch()
    Path("closed").mkdir()
    access = os.access  # root may write everywhere
    monkeypatch.setattr(
        os, "access", lambda path, mode, **_: Path(path).name != "closed" and access(path, mode)
    )
    for output in ("closed/a.rdae", "closed/deep/a.rdae"):
        refused = OutputCheck(["a.png"])(Job("a.png", output))
        assert isinstance(refused, Outcome)
        assert refused.error == f"{Path(output)}: Permission denied"
    assert isinstance(OutputCheck(["a.png"])(Job("a.png", os.devnull)), Job)
    for name in ("there.rdae", "closed/there.rdae"):
        Path(name).touch()
    Path("closed/link.rdae").symlink_to(Path("there.rdae").resolve())  # a file is made where a link leads
    Path("link.rdae").symlink_to(Path("closed/there.rdae").resolve())
    forced = [Job("a.png", name, force=True) for name in ("closed/link.rdae", "link.rdae")]
    assert [isinstance(OutputCheck(["a.png"])(job), Job) for job in forced] == [True, False]


def test_a_problem_and_a_job_without_output_need_no_look_at_any_file() -> None:
    check = OutputCheck([])
    assert check(Job("x", problem="no file")) == Outcome(Job("x", problem="no file"), error="no file")
    assert check(Job("x")) == Job("x")
