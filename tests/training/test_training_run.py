"""Runs of a tiny model: they learn, survive kills to the bit, guard against NaN, and are driven by the command line."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import torch
import training_kit
from click.testing import CliRunner, Result

from rdae.cli.main import main
from rdae.errors import TrainingError
from rdae.networks import weights
from rdae.training import checkpoint, warm_start
from rdae.training import trainer as training
from rdae.training.log import Log
from rdae.training.trainer import Trainer


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_kit.make_pictures(tmp_path_factory.mktemp("data") / "pictures")


def silent(_line: str, _passing: bool) -> None:
    pass


def trainer(pictures: Path, run: Path, **changes: Any) -> Trainer:
    return Trainer(training_kit.config(pictures, **changes), run, report=silent)


def rows(run: Path, kind: str) -> list[dict[str, Any]]:
    """The lines of the log without what a clock says."""
    clocks = {"elapsed_s", "pixels_per_s"}
    return [
        {k: v for k, v in row.items() if k not in clocks} for row in Log(run).rows() if row["kind"] == kind
    ]


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """All leaves of a checkpoint by their path."""
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = dict(enumerate(value)).items()
    else:
        return {name: value}
    return {path: leaf for key, part in parts for path, leaf in flat(part, f"{name}/{key}").items()}


def assert_same_checkpoint(first: Path, second: Path) -> None:
    a, b = flat(checkpoint.load(first)), flat(checkpoint.load(second))
    assert a.keys() == b.keys()
    for name in a.keys() - {"/elapsed_s", "/config"}:
        if isinstance(a[name], torch.Tensor):
            assert torch.equal(a[name], b[name]), name
        else:
            assert a[name] == b[name], name


# -- learning ----------------------------------------------------------------------------------------------------


def test_a_tiny_training_lowers_the_loss_on_held_out_pictures(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    held_out = training_kit.make_pictures(tmp_path / "held-out", count=2, height=140)
    # A model this small bears larger steps than a real one.
    rates = {"rate": 5e-3, "matrix_rate": 5e-3, "projection_rate": 1e-3}
    started = trainer(
        pictures, run, steps=160, validation=(str(held_out),), validate_every=1000, average=0.9, **rates
    )
    run.mkdir()
    before = started.validate()
    assert started.train()
    after = rows(run, "validation")[-1]["rows"]
    assert len(before) == len(after) == 6
    for old, new in zip(before, after, strict=True):
        assert new["loss"] < old["loss"]
    assert sum(row["loss"] for row in after) < 0.6 * sum(row["loss"] for row in before)
    losses = [row["loss"] for row in rows(run, "train")]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_the_log_and_the_folder_say_what_was_done(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert trainer(pictures, run, steps=15).train()
    assert [row["step"] for row in rows(run, "train")] == [4, 8, 12, 15]
    assert [row["step"] for row in rows(run, "validation")] == [0, 14, 15]
    assert [row["quality"] for row in rows(run, "validation")[0]["rows"]] == [0, 20, 40, 60, 80, 100]
    row = next(row for row in Log(run).rows() if row["kind"] == "train")
    assert row["pixels"] == 4 * 4 * 64 * 64
    assert {"loss", "bpp", "mse", "pixels_per_s", "progress", "elapsed_s"} <= set(row)
    assert json.loads((run / "config.json").read_text())["steps"] == 15
    assert checkpoint.load(run)["step"] == 15
    assert sorted(path.name for path in run.iterdir()) == [
        *("checkpoint-before.pt", "checkpoint-constant.pt", "checkpoint.pt", "config.json", "metrics.jsonl"),
    ]


def test_the_last_step_of_a_run_is_logged_with_all_since_the_line_before(
    pictures: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"steps": 6, "validation": ()}
    assert trainer(pictures, tmp_path / "each", log_every=1, **changes).train()
    assert trainer(pictures, tmp_path / "last", log_every=1000, **changes).train()
    each, (last,) = rows(tmp_path / "each", "train"), rows(tmp_path / "last", "train")
    assert (last["step"], last["progress"]) == (6, 1.0)
    for key in ("loss", "bpp", "mse", "gradient_norm"):
        assert last[key] == pytest.approx(sum(row[key] for row in each) / 6)


@pytest.mark.parametrize("every_s", [0.0, 1e9])
def test_reports_by_the_clock_change_nothing_of_what_is_trained_and_logged(
    pictures: Path, unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_s: float
) -> None:
    monkeypatch.setattr(training, "REPORT_EVERY_S", every_s)
    run = tmp_path / "run"
    said: list[str] = []
    Trainer(training_kit.config(pictures), run, report=lambda line, _passing: said.append(line)).train()
    reported = [int(line.split()[1]) for line in said if line.startswith("step ")]
    assert reported == (list(range(1, 21)) if every_s == 0 else [4, 8, 12, 16, 20])
    assert_same_checkpoint(run, unbroken)
    for kind in ("train", "validation"):
        assert rows(run, kind) == rows(unbroken, kind)


def test_a_stopped_run_has_the_log_of_one_that_was_not(
    pictures: Path, unbroken: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    first = trainer(pictures, run)
    make_step = first._train_step

    def stop_at_six() -> torch.Tensor:
        if first.step == 5:
            first.stop()
        return make_step()

    first._train_step = stop_at_six  # type: ignore[method-assign]
    assert not first.train()
    second = trainer(pictures, run)
    second.resume()
    assert second.train()
    assert rows(run, "train") == rows(unbroken, "train")


def test_one_trade_off_is_trained_at_that_quality_only(pictures: Path, tmp_path: Path) -> None:
    one = trainer(pictures, tmp_path, quality_low=373, quality_high=373)
    assert set(one._indices(0).tolist()) == {373}
    (row,) = one.validate()
    assert row["index"] == 373


def test_a_narrow_range_is_validated_from_end_to_end(pictures: Path, tmp_path: Path) -> None:
    narrow = trainer(pictures, tmp_path, quality_low=400, quality_high=440)
    assert [row["index"] for row in narrow.validate()] == [400, 408, 416, 424, 432, 440]


def test_two_trainers_do_not_share_a_folder(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with checkpoint.held(run), pytest.raises(TrainingError, match="another process is training here"):
        trainer(pictures, run, steps=1).train()
    assert trainer(pictures, run, steps=1).train()


def test_higher_losses_stop_a_run_only_for_a_while(pictures: Path, tmp_path: Path) -> None:
    run = trainer(pictures, tmp_path, steps=1000)
    run.divergence.load(1e-6)
    skipped = 0
    while not run._train_step()[4]:
        run.step += 1
        skipped += 1
    assert 20 < skipped < 200


def test_qualities_cover_the_whole_range_evenly(pictures: Path, tmp_path: Path) -> None:
    drawn = trainer(pictures, tmp_path, batch=8)
    for step in range(20):
        index = drawn._indices(step)
        for part, drawn_index in enumerate(index.tolist()):
            assert math.floor(part * 801 / 8) <= drawn_index < (part + 1) * 801 / 8
    index = torch.cat([drawn._indices(step) for step in range(200)])
    assert int(index.min()) < 20
    assert int(index.max()) > 780


def test_bf16_trains_too(pictures: Path, tmp_path: Path) -> None:
    assert trainer(pictures, tmp_path / "run", steps=8, precision="bf16", exact_phase=0.5).train()
    assert all(row["loss"] < 100 for row in rows(tmp_path / "run", "train"))


@pytest.mark.parametrize("supported", [True, False])
@pytest.mark.parametrize("precision", ["bf16", "float32"])
def test_bf16_on_a_processor_that_is_slow_at_it_is_said_once(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, supported: bool
) -> None:
    monkeypatch.setattr(
        torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported, raising=False
    )  # what torch says of this processor
    lines: list[str] = []
    config = training_kit.config(pictures, precision=precision, steps=1)
    Trainer(config, tmp_path / "run", report=lambda line, _passing: lines.append(line)).train()
    said = [line for line in lines if "float32 is several times as fast" in line]
    assert len(said) == (precision == "bf16" and not supported)


# -- kills and resumption ----------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
import training_kit
from rdae.training.trainer import Trainer

class Doomed(Trainer):
    def _train_step(self):
        if self.step == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._train_step()

Doomed(training_kit.config(Path(sys.argv[1])), Path(sys.argv[2])).train()
"""


def kill_at(step: int, pictures: Path, run: Path) -> None:
    """Train in another process that is killed before it makes this step."""
    paths = [str(Path(training_kit.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", KILLED, str(pictures), str(run), str(step)]
    # Elsewhere than in the checkout, whose folder rdae would hide an installed one.
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=pictures.parent
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture(scope="module")
def unbroken(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "unbroken"
    trainer(pictures, run).train()
    return run


# Past a checkpoint, in the middle of a log line, before and after a validation; and while still warming up.
@pytest.mark.parametrize("step", [10, 17])
def test_a_killed_run_ends_where_an_unbroken_one_does_to_the_bit(
    pictures: Path, unbroken: Path, tmp_path: Path, step: int
) -> None:
    run = tmp_path / "run"
    kill_at(step, pictures, run)
    assert checkpoint.load(run)["step"] == step // 7 * 7
    resumed = trainer(pictures, run)
    resumed.resume()
    assert resumed.step == step // 7 * 7
    resumed.train()
    assert_same_checkpoint(run, unbroken)
    for kind in ("train", "validation"):
        assert rows(run, kind) == rows(unbroken, kind)


def test_a_run_stopped_while_warming_up_warms_up_on(pictures: Path, tmp_path: Path) -> None:
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    trainer(pictures, whole, warmup_steps=18).train()
    first = trainer(pictures, halved, warmup_steps=18)
    make_step = first._train_step

    def stop_at_six() -> torch.Tensor:
        if first.step == 5:
            first.stop()
        return make_step()

    first._train_step = stop_at_six  # type: ignore[method-assign]
    assert not first.train()
    assert checkpoint.load(halved)["step"] == 6
    second = trainer(pictures, halved, warmup_steps=18)
    second.resume()
    second.train()
    assert_same_checkpoint(whole, halved)


def test_validation_that_a_kill_prevented_is_made_up_for(
    pictures: Path, unbroken: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    kill_at(17, pictures, run)
    log = Log(run)
    log.cut(13)  # as if killed between the checkpoint of step 14 and its validation
    resumed = trainer(pictures, run)
    resumed.resume()
    resumed.train()
    assert rows(run, "validation") == rows(unbroken, "validation")


def test_a_longer_budget_goes_on_and_warms_up_again(pictures: Path, unbroken: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trainer(pictures, run).train()
    longer = trainer(pictures, run, steps=30)
    longer.resume()
    assert longer.step == longer._started_at == 20
    assert longer.train()
    assert checkpoint.load(run)["step"] == 30
    assert rows(run, "train")[:5] == rows(unbroken, "train")


def test_an_older_checkpoint_without_the_newer_facts_still_resumes(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trainer(pictures, run, steps=7).train()
    state = checkpoint.load(run)
    core = ("config", "model", "average", "optimiser", "step", "elapsed_s", "pixels")
    for weights_of in ("model", "average"):  # they had tables of CompressAI's likelihoods
        state[weights_of] |= {"bottleneck._offset": torch.zeros(0), "conditional.scale_table": torch.zeros(0)}
    checkpoint.save(run, {key: state[key] for key in core})
    resumed = trainer(pictures, run, steps=7)
    resumed.resume()
    assert resumed.step == 7


def test_checkpoints_that_do_not_fit_are_one_line(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trainer(pictures, run, steps=1, validation=()).train()
    state = checkpoint.load(run)
    changes: list[dict[str, Any]] = [{"model": {}}, {"optimiser": []}, {"config": "{}"}]
    for change in changes:
        checkpoint.save(run, state | change)
        with pytest.raises(TrainingError, match=r"checkpoint\.pt: not a checkpoint of this run") as caught:
            trainer(pictures, run).resume()
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize("name", ["checkpoint.pt", "metrics.jsonl", "config.json"])
def test_a_full_disk_is_one_line_and_costs_no_checkpoint(pictures: Path, tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    options = training_kit.options(pictures, run)
    assert trainer(pictures, run, steps=5).train()
    before = (run / "checkpoint.pt").read_bytes()
    written = run / name if name == "metrics.jsonl" else run / f".{name}.tmp"
    written.unlink(missing_ok=True)
    written.symlink_to("/dev/full")
    full = rdae(*options, "--steps", "7", "--resume", "auto", "--quiet")
    assert (full.exit_code, full.output) == (1, f"rdae: {run / name}: No space left on device\n")
    assert not list(run.glob(".*"))
    assert (run / "checkpoint.pt").read_bytes() == before


def test_a_budget_below_what_was_spent_changes_nothing(unbroken: Path, tmp_path: Path) -> None:
    run = shutil.copytree(unbroken, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    resumed = rdae("train", "--run", run, "--resume", "--steps", "8")
    assert resumed.exit_code == 0, resumed.stderr
    assert "the budget is used up" in resumed.stderr
    assert "still rising" not in resumed.stderr
    assert_one_line(
        rdae("train", "--run", run, "--resume", "constant", "--steps", "8"),
        "checkpoint-constant.pt: has spent more than this budget",
    )
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


# -- divergence --------------------------------------------------------------------------------------------------


def poison(victim: Trainer, steps: range) -> None:
    """Let the pictures of these steps be NaN by way of the loss."""
    make_crops = victim._crops

    def crops(step: int, side: int) -> torch.Tensor:
        made = make_crops(step, side)
        return made * torch.nan if step in steps else made

    victim._crops = crops  # type: ignore[method-assign]


def test_a_step_without_a_finite_gradient_changes_nothing(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    victim = trainer(pictures, run, steps=3, validation=())
    poison(victim, range(3))
    before = {name: value.clone() for name, value in victim.model.state_dict().items()}
    victim.train()
    assert all(torch.equal(before[name], value) for name, value in victim.model.state_dict().items())
    assert all(bool(value.isfinite().all()) for value in victim.average.values())


def test_training_goes_on_after_such_a_step_and_the_log_stays_json(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    victim = trainer(pictures, run, validation=())
    poison(victim, range(5, 7))
    assert victim.train()
    assert [row["step"] for row in rows(run, "train")] == [4, 8, 12, 16, 20]
    assert "NaN" not in Log(run).path.read_text()
    assert all(bool(value.isfinite().all()) for value in victim.model.state_dict().values())


def test_a_loss_far_beyond_the_usual_is_skipped(pictures: Path, tmp_path: Path) -> None:
    victim = trainer(pictures, tmp_path / "run", steps=12, validation=())
    make_crops = victim._crops
    seen = []

    def crops(step: int, side: int) -> torch.Tensor:
        # Pictures a hundred times as bright as there are: a finite loss some ten thousand times the usual.
        return make_crops(step, side) * (torch.tensor(100.0) if step == 10 else torch.tensor(1.0))

    make_step = victim._train_step

    def step() -> torch.Tensor:
        terms = make_step()
        seen.append((bool(terms.isfinite().all()), bool(terms[4])))
        return terms

    victim._crops, victim._train_step = crops, step  # type: ignore[method-assign]
    victim.train()
    assert [number for number, (_, usable) in enumerate(seen) if not usable] == [10]
    assert all(finite for finite, _ in seen)


def test_a_run_that_cannot_go_on_gives_up_in_one_line(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    victim = trainer(pictures, run, steps=1000, validation=(), checkpoint_every=5)
    poison(victim, range(10, 1000))
    with pytest.raises(TrainingError, match=r"10\d steps in a row without a usable gradient") as caught:
        victim.train()
    assert "\n" not in str(caught.value)
    assert all(bool(value.isfinite().all()) for value in checkpoint.load(run)["average"].values())


def test_weights_that_are_not_finite_replace_no_checkpoint(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    victim = trainer(pictures, run, steps=20, validation=(), checkpoint_every=5)
    make_step = victim._train_step

    def step() -> torch.Tensor:
        if victim.step == 6:
            next(victim.model.parameters()).data.fill_(torch.inf)
        return make_step()

    victim._train_step = step  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="the weights are not finite at step 10"):
        victim.train()
    assert checkpoint.load(run)["step"] == 5


# -- the command line --------------------------------------------------------------------------------------------


def rdae(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_one_line(result: Result, message: str) -> None:
    assert result.exit_code == 1, result.output
    assert message in result.stderr
    assert result.stderr.startswith("rdae: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_train_resume_extend_export_and_start_from_the_result(
    pictures: Path, unbroken: Path, tmp_path: Path
) -> None:
    run, made = tmp_path / "run", tmp_path / "made.safetensors"
    options = training_kit.options(pictures, run)
    done = rdae(*options, "--steps", "20")
    assert done.exit_code == 0, done.stderr
    assert "4 pictures" in done.stderr
    assert "validation at step 20" in done.stderr
    *_, last, closing = done.stderr.splitlines()
    assert closing == f"20 steps in 0.00 h; rdae export {run} -o weights.safetensors"
    assert last.startswith("validation")  # and not a word of the warm-up, which was left
    assert_same_checkpoint(run, unbroken)  # the command line adds nothing of its own

    assert_one_line(rdae(*options, "--steps", "20"), "holds a run already")
    again = rdae("train", "--run", run, "--resume")
    assert again.exit_code == 0
    assert "the budget is used up" in again.stderr
    assert rows(run, "validation") == rows(unbroken, "validation")
    longer = rdae("train", pictures, "--run", run, "--resume", "--steps", "24")
    assert longer.exit_code == 0, longer.stderr
    assert "from step 20" in longer.stderr
    assert checkpoint.load(run)["step"] == 24

    frozen = rdae("export", run, "-o", made)
    assert frozen.exit_code == 0, frozen.stderr
    assert weights.load(made).sha256 in frozen.stdout
    assert_one_line(rdae("export", run, "-o", made), "made.safetensors")

    fine = [
        option for option in options if option not in ("--architecture", training_kit.ARCHITECTURE_OPTION)
    ]
    deeper = ("--architecture", "synthesis_fine=2")
    tuned = rdae(
        *fine, "--init", made, "--steps", "2", "--warmup-steps", "2", "--beta", "0.01", "--force", *deeper
    )
    assert tuned.exit_code == 0, tuned.stderr
    state = checkpoint.load(run)
    config = json.loads(state["config"])
    assert config["quality_low"] == config["quality_high"] == 373  # 800 * log10(0.01 / 0.0004) / 3
    assert config["architecture"]["synthesis_fine"] == 2
    assert not torch.equal(
        state["model"]["synthesis.fine.1.scale"], torch.ones(16)
    )  # measured for new blocks too
    assert state["step"] == 2
    assert state["pixels"] == warm_start.read(made).pixels + 2 * 4 * 64 * 64
    # The log of the run before is gone; this one begins with what its weights are worth.
    assert [row["step"] for row in Log(run).rows()] == [0, 2, 2]

    other = tmp_path / "other.safetensors"
    assert rdae("export", run, "-o", other).exit_code == 0
    both = rdae(*fine, "--init", made, "--init", other, "--steps", "2", "--warmup-steps", "2", "--force")
    assert both.exit_code == 0, both.stderr
    state = checkpoint.load(run)
    assert json.loads(state["config"])["architecture"]["synthesis_fine"] == 2  # of the deeper one
    assert state["pixels"] == warm_start.read(other).pixels + 2 * 4 * 64 * 64


def shell(command: str, folder: Path) -> str:
    """Run a line of docs/gpu.md in a folder."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_a_visit_to_another_machine_by_small_files(pictures: Path, unbroken: Path, tmp_path: Path) -> None:
    """docs/gpu.md from end to end: weights and data travel there, a run starts from them, its result travels back."""
    home, there = tmp_path / "home", tmp_path / "there"
    assert rdae("export", unbroken, "-o", home / "base.safetensors").exit_code == 0
    shutil.copytree(pictures, home / pictures.name)
    split = "split -d -b 100K - ../there/data.tar. && cd ../there && sha256sum data.tar.* > data.sha256"
    there.mkdir()
    shell(f"tar c {pictures.name} base.json base.safetensors base.*.onnx | {split}", home)
    assert len(list(there.glob("data.tar.*"))) > 3
    shell("sha256sum -c data.sha256 && cat data.tar.* | tar x", there)

    run, made = there / "runs" / "visit", there / "made" / "visit.safetensors"
    settings = ("--batch", "2", "--crop", "64", "--threads", "1", "--precision", "bf16", "--log-every", "1")
    start = ("--init", there / "base.safetensors", "--steps", "3", "--warmup-steps", "3", "--run", run)
    assert rdae("train", there / pictures.name, *start, *settings).exit_code == 0
    assert rdae("export", run, "-o", made).exit_code == 0
    shell("tar c made runs/visit/metrics.jsonl | split -d -b 100K - result.tar.", there)
    shell("sha256sum result.tar.* > result.sha256", there)

    brought = home / "brought"
    shell("cp ../../there/result.* . && sha256sum -c result.sha256 && cat result.tar.* | tar x", brought)
    found = brought / "made" / "visit.safetensors"
    assert weights.load(found).sha256 == weights.load(made).sha256
    assert warm_start.read(found).pixels == (20 * 4 + 3 * 2) * 64 * 64
    metrics = Path("runs", "visit", "metrics.jsonl")
    assert (brought / metrics).read_bytes() == (there / metrics).read_bytes()


def test_a_short_run_shows_its_steps_and_says_that_its_warm_up_was_not_left(
    pictures: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = [*training_kit.options(pictures, run), "--log-every", "1000"]
    options[options.index("--warmup-steps") + 1] = "1000000"
    done = rdae(*options, "--hours", "0.00002")  # 72 ms: ends before its speed can be told
    assert done.exit_code == 0, done.stderr
    steps = checkpoint.load(run)["step"]
    assert f"step {steps}  loss " in done.stderr
    assert [row["step"] for row in rows(run, "train")] == [steps]
    warning, closing = done.stderr.splitlines()[-2:]
    assert warning.startswith(f"the learning rates were still rising at the end, {1000000 - steps} steps")
    assert closing.startswith(f"{steps} step")


def test_threads_that_wait_spin_briefly_unless_the_user_decides(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    command = [
        sys.executable,
        "-m",
        "rdae.cli",
        *training_kit.options(pictures, tmp_path / "run"),
        "--steps",
        "1",
    ]
    command[command.index("--warmup-steps") + 1] = "1"
    policy = {"OMP_WAIT_POLICY": "passive"}
    for given, spins in (({}, "5000"), ({"GOMP_SPINCOUNT": "7"}, "7"), (policy, None)):
        shown = {"OMP_DISPLAY_ENV": "verbose", **given}  # OpenMP tells when torch loads it
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=tmp_path, env=os.environ | shown
        )
        shutil.rmtree(tmp_path / "run")
        if "GOMP_SPINCOUNT" not in done.stderr:
            pytest.skip("torch has another OpenMP than GNU's")
        found = re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
        assert set(found) == {spins or "0"}


def test_a_quiet_run_says_nothing(pictures: Path, tmp_path: Path) -> None:
    done = rdae(*training_kit.options(pictures, tmp_path / "run"), "--steps", "5", "--quiet")
    assert (done.exit_code, done.output) == (0, "")


def test_wrong_requests_are_wrong_usage(pictures: Path, tmp_path: Path) -> None:
    run = ["--run", str(tmp_path / "run")]
    for arguments, message in (
        ([str(pictures), *run], "Give a budget"),
        ([*run, "--steps", "1"], "Missing argument 'DATA...'"),
        ([str(pictures), *run, "--steps", "1", "--hours", "1"], "--hours and --steps both"),
        ([str(pictures), *run, "--steps", "1", "--beta", "1"], "expected 0.0004 to 0.4"),
        ([str(pictures), *run, "--steps", "1", "--beta", "nan"], "expected 0.0004 to 0.4"),
        ([str(pictures), *run, "--steps", "1", "--quality", "0", "101"], "expected 0 to 100"),
        ([str(pictures), *run, "--steps", "1", "--quality", "60", "40"], "60.0 is above 40.0"),
        ([str(pictures), *run, "--steps", "1", "--quality", "1", "2", "--beta", "0.1"], "both choose"),
        ([str(pictures), *run, "--steps", "1", "--crop", "100"], "expected a multiple of 64"),
        ([str(pictures), *run, "--steps", "1", "--architecture", "fine=x"], "expected NAME=NUMBER"),
        ([str(pictures), *run, "--steps", "1", "--architecture", "latents=18"], "expected a multiple of 4"),
        (
            [str(pictures), *run, "--steps", "1", "--rate", "nan"],
            "rate is nan, expected a finite number above 0",
        ),
        ([str(pictures), *run, "--steps", "1", "--threads", "257"], "1<=x<=256"),
        ([str(pictures), *run, "--steps", "1", "--ms-ssim-share", "0"], "is for --objective ssimulacra2"),
        ([*run, "--resume", "--batch", "2"], "--batch cannot be changed"),
        ([*run, "--resume", "--init", "x"], "--init cannot be changed"),
    ):
        done = rdae("train", *arguments)
        assert done.exit_code == 2, (arguments, done.output)
        assert message in done.stderr, arguments
    assert not (tmp_path / "run").exists()


def test_bad_input_is_one_line(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    budget = ("--run", run, "--steps", "1", "--warmup-steps", "1")
    assert_one_line(rdae("train", tmp_path / "absent", *budget), "no such folder")
    (tmp_path / "empty").mkdir()
    assert_one_line(rdae("train", tmp_path / "empty", *budget), "no picture with both sides")
    assert_one_line(rdae("train", "--run", run, "--resume"), "no checkpoint to go on from")
    assert_one_line(rdae("train", pictures, *budget, "--init", tmp_path / "x.safetensors"), "x.safetensors")
    assert_one_line(rdae("train", pictures, *budget, "--device", "nonsense"), "has no device nonsense")
    if not torch.cuda.is_available():
        assert_one_line(rdae("train", pictures, *budget, "--device", "cuda"), "has no device cuda")
    assert not run.exists()
    run.mkdir()
    (run / "checkpoint.pt").write_bytes(b"half a checkpoint")
    assert_one_line(rdae("train", "--run", run, "--resume"), "not a sound checkpoint")
    assert_one_line(rdae("export", run, "-o", tmp_path / "x.safetensors"), "not a sound checkpoint")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_checkpoint(
    pictures: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    run = tmp_path / "run"
    options = training_kit.options(pictures, run)
    options[options.index("--checkpoint-every") + 1] = "1000000"
    command = [sys.executable, "-m", "rdae.cli", *options, "--hours", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        deadline = time.monotonic() + 120
        while not rows(run, "train"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not (run / "checkpoint.pt").exists()
        process.send_signal(number)
        _, errors = process.communicate(timeout=600)
    assert process.returncode == status
    assert "--resume goes on from here" in errors
    assert "Traceback" not in errors
    last = max(row["step"] for row in Log(run).rows())
    assert checkpoint.load(run)["step"] >= last > 0
