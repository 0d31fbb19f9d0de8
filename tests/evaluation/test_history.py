import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdae.errors import ResultsError
from rdae.evaluation.curves import curve_from_json
from rdae.evaluation.history import Run, append_run, is_run, read_history, read_run, thinned, to_json

POINTS = [{"index": i, "bpp": 0.1 + i / 400, "psnr": 25.0 + i / 50, "loss": 1.0} for i in (0, 400, 800)]


def row(step: int, before: int = 0, **changes: Any) -> dict[str, Any]:
    """A row of training as the trainer logs it: 1,000 pixels a step."""
    fields = {"kind": "train", "step": step, "pixels": before + 1000 * step, "elapsed_s": 2.0 * step}
    return {**fields, "loss": 3 / step, "bpp": 2 / step, "mse": 50.0, "pixels_per_s": 500.0, **changes}


def write(folder: Path, *rows: dict[str, Any], end: str = "") -> Path:
    """A run's folder."""
    folder.mkdir(exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows) + end)
    (folder / "config.json").write_text('{"batch": 8, "hours": null, "data": ["/somewhere/on/a/machine"]}')
    return folder


def run_of(folder: Path, before: int = 0, count: int = 5) -> Run:
    """A run of `count` rows, ten steps apart, and a validation at its end."""
    last = row(10 * count, before)
    check = {**last, "kind": "validation", "rows": POINTS}
    return read_run(write(folder, *(row(10 * i, before) for i in range(1, count + 1)), check))


def test_a_run_is_read_with_what_it_saw_before_it_began(tmp_path: Path) -> None:
    run = run_of(tmp_path / "first", before=7000)
    assert (run.name, run.steps, run.pixels_before, run.pixels) == ("first", 50, 7000, 57000)
    assert run.hours == round(100 / 3600, 3)
    assert run.settings == {"batch": 8}  # no place on this machine
    assert list(run.train["pixels"]) == [17000, 27000, 37000, 47000, 57000]
    (check,) = run.validation
    assert list(check.quality) == [0, 50, 100]
    assert list(check.curve().psnr) == [25, 33, 41]


def test_scores_of_a_validation_are_kept_where_all_points_have_one(tmp_path: Path) -> None:
    def checked(step: int, gained: float) -> dict[str, Any]:
        points = [{**p, "ssimulacra2": p["psnr"] + gained, "psnr": p["psnr"] - gained / 2} for p in POINTS]
        return {**row(step), "kind": "validation", "rows": points}

    part = {**row(30), "kind": "validation", "rows": [{**POINTS[0], "ssimulacra2": 1.0}, *POINTS[1:]]}
    folder = write(tmp_path / "run", row(10), checked(10, 0.0), row(20), checked(20, 2.0), part)
    path = tmp_path / "history.json"
    append_run(path, read_run(folder))
    (run,) = read_history(path)
    before, after, unscored = run.validation
    assert list(after.ssimulacra2) == [27, 35, 43]
    assert unscored.ssimulacra2 == ()
    by_score, by_psnr = after.against(before, "ssimulacra2"), after.against(before)
    assert by_score is not None
    assert by_psnr is not None
    assert by_score < 0 < by_psnr
    assert before.against(unscored, "ssimulacra2") is None


def test_steps_made_again_count_once_and_broken_rows_not_at_all(tmp_path: Path) -> None:
    nan = row(40, loss=float("nan"))
    half = {"kind": "validation", "step": 20, "rows": [{"index": 0}]}
    folder = write(
        tmp_path, row(10, bpp=9.0), row(30), row(20), row(10, bpp=1.0), nan, half, end='{"step": 5'
    )
    run = read_run(folder)
    assert run.train["bpp"] == (1.0, 2 / 20, 2 / 30)
    assert run.validation == ()


def test_learning_rates_are_kept_where_every_row_has_them(tmp_path: Path) -> None:
    rows = [row(10 * i, matrix_rate=0.1 / i, lr=1.0) for i in (1, 2)]
    assert read_run(write(tmp_path, *rows)).rates == ["matrix_rate", "lr"]
    assert read_run(write(tmp_path, *rows, row(30))).rates == []


def test_a_folder_without_rows_of_training_is_one_line(tmp_path: Path) -> None:
    assert not is_run(tmp_path)
    with pytest.raises(ResultsError, match=r"no metrics\.jsonl"):
        read_run(tmp_path)
    with pytest.raises(ResultsError, match="no rows of training"):
        read_run(write(tmp_path, {"kind": "validation", "step": 1, "rows": POINTS}))


def test_a_run_that_has_logged_nothing_yet_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"data": ["p"], "steps": None, "hours": 2.0}))
    with pytest.raises(ResultsError, match=f"^{tmp_path}: the run has no log yet$"):
        read_run(tmp_path)


def test_thinning_keeps_means_and_says_no_less_than_it_is_asked_to(tmp_path: Path) -> None:
    run = run_of(tmp_path, count=40)
    thin = thinned(run, 8)
    assert len(thin.train["loss"]) == 8
    assert thin.train["loss"][0] == pytest.approx(sum(run.train["loss"][:5]) / 5)
    assert thinned(run, 40) == run
    assert thin.validation == run.validation


def test_runs_are_appended_to_a_small_file_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "weights.training.json"
    first, second = run_of(tmp_path / "a"), run_of(tmp_path / "b", before=50000, count=300)
    append_run(path, first)
    append_run(path, replace(second, name="named"))
    back = read_history(path)
    assert [run.name for run in back] == ["a", "named"]
    assert back[0].train["loss"] == pytest.approx(first.train["loss"], rel=1e-4)
    assert back[1].validation == second.validation
    assert to_json(back) == path.read_text()
    assert path.stat().st_size < 15_000
    with pytest.raises(
        ResultsError, match=r"starts after 0 pixels, but weights\.training\.json ends at 3,050,000"
    ):
        append_run(path, first)
    assert read_history(path) == back
    with pytest.raises(ResultsError, match="expected results"):
        curve_from_json(json.loads(path.read_text()), "a training is no result")


leaves = st.none() | st.floats() | st.integers() | st.text(max_size=2)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
train = st.dictionaries(st.sampled_from(["pixels", "loss", "bpp", "mse"]), values)
keys = ["name", "steps", "pixels_before", "pixels", "hours", "settings", "train", "validation"]
runs = st.dictionaries(st.sampled_from(keys), values | train)


@settings(max_examples=60)
@given(st.fixed_dictionaries({"kind": st.just("rdae training"), "runs": values | st.lists(runs, max_size=2)}))
def test_any_json_is_a_history_or_a_results_error(content: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rdae.evaluation.history.read_json", lambda _: content)
        try:
            found = read_history(Path("any.json"))
        except ResultsError:
            return
    assert all(len(run.train["loss"]) == len(run.train["pixels"]) for run in found)
