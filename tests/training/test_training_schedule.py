"""Phases of a run: rates and crops over the budget, and what a larger budget does to them."""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import training_kit
from click.testing import CliRunner, Result

from rdae.cli.main import main
from rdae.training import checkpoint
from rdae.training.config import TrainingConfig
from rdae.training.log import Log
from rdae.training.optimisation.schedule import CONSTANT, DECAY, WARM_UP, crop_side, phase, rate_factor

CONFIG = TrainingConfig(data=("pictures",), steps=1000, warmup_steps=100, decay=0.25)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_kit.make_pictures(tmp_path_factory.mktemp("data") / "pictures", height=200, width=200)


def rdae(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def rows(run: Path, kind: str = "train") -> list[dict[str, Any]]:
    return [row for row in Log(run).rows() if row["kind"] == kind]


def trained(pictures: Path, run: Path, *more: str | Path) -> Result:
    done = rdae(*training_kit.options(pictures, run), *more)
    assert done.exit_code == 0, done.output
    return done


# -- as functions of the budget ----------------------------------------------------------------------------------


def test_the_phases_are_named_and_the_rates_follow_them() -> None:
    named = [phase(step / 1000, step, CONFIG) for step in range(1000)]
    assert [(name, len(list(group))) for name, group in itertools.groupby(named)] == [
        *((WARM_UP, 99), (CONSTANT, 652), (DECAY, 249)),
    ]
    for step, name in enumerate(named):
        factor = rate_factor(step / 1000, step, CONFIG)
        assert (factor == 1.0) == (name == CONSTANT), step
    endless = dataclasses.replace(CONFIG, decay=0.0)
    assert {phase(step / 1000, step, endless) for step in range(1001)} == {WARM_UP, CONSTANT}


def test_a_run_that_goes_on_rises_from_the_rate_it_had() -> None:
    factors = [rate_factor(0.45 + step / 2000, step, CONFIG, floor=0.4) for step in range(200)]
    assert factors[0] == pytest.approx(0.4 + 0.6 / 100)
    assert factors == sorted(factors)
    assert factors[99] == 1.0


def test_crops_grow_with_the_budget_that_is_used() -> None:
    config = dataclasses.replace(CONFIG, crop=256, crops=((64, 0.3), (128, 0.5)))
    sides = [crop_side(step / 100, config) for step in range(101)]
    assert [(side, len(list(group))) for side, group in itertools.groupby(sides)] == [
        (64, 30),
        (128, 20),
        (256, 51),
    ]
    assert config.largest_crop == 256
    assert dataclasses.replace(config, crop=64).largest_crop == 128
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"crops": ((96, 0.5),)},
        {"crops": ((64, 0.5), (128, 0.5))},
        {"crops": ((64, 1.0),)},
        {"crops": ((64, 0.0),)},
        {"objective": "ssim"},
        {"objective": "ms-ssim", "crop": 128},
        {"objective": "ms-ssim", "crops": ((128, 0.5),)},
        {"only": ("decoder",)},
        {"weights": (("*", -1.0),)},
        {"stream": 0.0},
        {"reuse": 0.0},
        {"reduce": 1.5},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        dataclasses.replace(CONFIG, **wrong)


# -- in runs -----------------------------------------------------------------------------------------------------


def test_a_run_says_its_phase_its_rates_its_crops_and_its_gradient(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained(pictures, run, "--steps", "20", "--crop", "64:0.5,128", "--decay", "0.4", "--log-every", "1")
    found = rows(run)
    assert [row["step"] for row in found] == list(range(1, 21))
    assert [row["crop"] for row in found] == [64] * 10 + [128] * 10
    assert [row["phase"] for row in found] == ["warm-up"] * 4 + ["constant"] * 9 + ["decay"] * 7
    assert [row["rate"] for row in found[5:12]] == [1e-3] * 7
    assert found[16]["matrix_rate"] == pytest.approx(2.5e-3 * 0.5)
    assert found[16]["projection_rate"] == pytest.approx(1e-4 * 0.5)
    assert all(row["gradient_norm"] > 0 and row["skipped"] == 0 for row in found)
    assert checkpoint.load(run)["pixels"] == 4 * (10 * 64**2 + 10 * 128**2)


def test_going_on_from_before_the_decay_leaves_the_decay_out(pictures: Path, tmp_path: Path) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    settings = ("--decay", "0.5", "--exact-phase", "0", "--log-every", "1")
    trained(pictures, run, *settings, "--steps", "12")
    assert checkpoint.read(run / checkpoint.CONSTANT)["step"] == 7  # the first beyond the half is step 7
    done = rdae("train", "--run", run, "--resume", "constant", "--steps", "24", "--threads", "1")
    assert done.exit_code == 0, done.output
    assert "from step 7" in done.stderr
    trained(pictures, whole, *settings, "--steps", "24")
    # A rate that never fell has nothing to rise from: the run is the one that had the larger budget at once.
    keys = ("step", "phase", "rate", "crop", "loss")
    assert [[row[key] for key in keys] for row in rows(run)] == [
        [row[key] for key in keys] for row in rows(whole)
    ]
    kept = (run / "metrics-until-12.jsonl").read_text().splitlines()
    assert sum('"decay"' in line for line in kept) == 5
    assert rdae("train", "--run", tmp_path / "none", "--resume", "constant").exit_code == 1


def test_the_same_command_begins_and_goes_on(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = (*training_kit.options(pictures, run), "--resume", "auto", "--steps", "6")
    first = rdae(*command)
    assert first.exit_code == 0, first.output
    assert "from step 0" in first.stderr
    second = rdae(*command)
    assert second.exit_code == 0, second.output
    assert "the budget is used up" in second.stderr
    other = rdae(*command, "--batch", "2")
    assert other.exit_code == 2
    assert "The run goes on with batch 4, not 2." in other.stderr


def test_a_corrupt_checkpoint_gives_way_to_the_one_before(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained(pictures, run, "--steps", "9")
    last = run / checkpoint.NAME
    assert (checkpoint.read(last)["step"], checkpoint.read(run / checkpoint.BEFORE)["step"]) == (9, 7)
    sound = last.read_bytes()
    for damage in (sound[: len(sound) // 2], sound[:5000] + bytes([sound[5000] ^ 1]) + sound[5001:], None):
        if damage is None:
            last.unlink()
        else:
            last.write_bytes(damage)
        lines: list[str] = []
        state = checkpoint.load(run, lambda line, _passing, lines=lines: lines.append(line))  # type: ignore[misc]
        assert state["step"] == 7
        if damage is not None:
            assert "not a sound checkpoint" in lines[0]
            assert "going on from checkpoint-before.pt, step 7" in lines[0]
    again = rdae("train", "--run", run, "--resume", "--threads", "1")
    assert again.exit_code == 0, again.output
    assert "from step 7" in again.stderr
    assert checkpoint.load(run)["step"] == 9
