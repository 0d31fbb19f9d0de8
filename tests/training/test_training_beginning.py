"""A run's first hour: what it begins with, is measured by, and tells of afterwards."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import torch
import training_kit
from click.testing import CliRunner, Result

from rdae.cli.main import main
from rdae.errors import TrainingError
from rdae.training import objective
from rdae.training.autoencoder import Output
from rdae.training.export import freeze
from rdae.training.trainer import Trainer


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_kit.make_pictures(tmp_path_factory.mktemp("data") / "pictures")


def silent(_line: str, _passing: bool) -> None:
    pass


def trainer(pictures: Path, run: Path, **changes: Any) -> Trainer:
    return Trainer(training_kit.config(pictures, **changes), run, report=silent)


def rdae(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_run_begins_with_a_validation_whose_qualities_have_names(pictures: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    config = training_kit.config(pictures, steps=1, quality_low=160, quality_high=480)
    Trainer(config, tmp_path / "run", report=lambda line, _passing: lines.append(line)).train()
    told = [line for line in lines if line.startswith("validation at step 0: ")]
    assert len(told) == 1
    qualities = [part.split()[:2] for part in told[0].partition(": ")[2].split(", ")]
    assert qualities == [["quality", str(quality)] for quality in (20, 28, 36, 44, 52, 60)]
    # It can take minutes.  Before and after the one step:
    counts = [line for line in lines if line.startswith("validating: ")]
    total = 6 * len(list(pictures.iterdir()))
    assert counts == 2 * [f"validating: {done} of {total} measurements" for done in range(1, total + 1)]


def test_a_validation_is_of_8_bits_as_an_evaluation(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels: list[torch.Tensor] = []
    terms = objective.terms

    def watched(x: torch.Tensor, output: Output, *rest: Any, **options: Any) -> objective.Terms:
        levels.append(output.x_hat)
        return terms(x, output, *rest, **options)

    monkeypatch.setattr(objective, "terms", watched)
    trainer(pictures, tmp_path, quality_low=400, quality_high=400).validate()
    for found in levels:
        assert torch.allclose(found * 255, (found * 255).round(), atol=1e-3)
    assert len(levels) == 4


def test_a_warm_up_longer_than_the_run_is_refused(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    refused = rdae(*training_kit.options(pictures, run), "--steps", "4")
    assert refused.exit_code == 2
    assert "a warm-up of 5 steps is longer than the run of 4; --warmup-steps shortens it" in refused.stderr
    # In hours it shows when the speed of the run is known.
    timed = training_kit.config(
        pictures,
        hours=1e-2,
        warmup_steps=10**6,
        validation=(),
        decay=1.0,
        checkpoint_every=1000,
        log_every=10**6,
    )
    with pytest.raises(TrainingError, match=r"run of 0\.01 hours, about \d+ steps at this speed"):
        Trainer(timed, run, report=silent).train()
    assert not (run / "checkpoint.pt").exists()
    # A run that goes on is as it was begun.
    assert trainer(pictures, run, steps=5).train()
    again = rdae(*training_kit.options(pictures, run), "--steps", "4", "--resume", "auto")
    assert again.exit_code == 0, again.stderr


def test_the_manifest_says_what_a_run_began_with_and_was_held_to(pictures: Path, tmp_path: Path) -> None:
    base = tmp_path / "base.safetensors"
    assert trainer(pictures, tmp_path / "first", steps=5).train()
    freeze.export(tmp_path / "first", base)
    run = tmp_path / "run"
    options = training_kit.options(pictures, run)
    at = options.index("--architecture")
    del options[at : at + 2]
    begun: list[str | Path] = [*options, "--init", base, "--steps", "5"]
    assert rdae(*begun).exit_code == 0
    freeze.export(run, tmp_path / "tuned.safetensors")
    manifests = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("base", "tuned")]
    assert [each["training"]["init"] for each in manifests] == [[], [f"base {manifests[0]['sha256'][:8]}"]]
    assert [each["training"]["validation"] for each in manifests] == [[pictures.name]] * 2
    assert str(tmp_path) not in json.dumps(manifests)
    # The same command goes on, one from other weights does not.
    assert rdae(*begun, "--resume", "auto").exit_code == 0
    other = rdae(*options, "--init", tmp_path / "tuned.safetensors", "--steps", "5", "--resume", "auto")
    assert other.exit_code == 2
    assert "The run goes on with init" in other.stderr
