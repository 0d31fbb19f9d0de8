"""Two processes on one machine train as one does, stop together, and leave what one process can go on with."""

import json
import os
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
from click.testing import CliRunner

from rdae.cli.main import main
from rdae.errors import TrainingError
from rdae.networks.architecture import TINY
from rdae.training import checkpoint
from rdae.training.data.sampling import rounding_noise
from rdae.training.distributed import Group
from rdae.training.log import Log


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_kit.make_pictures(tmp_path_factory.mktemp("data") / "pictures")


def launched(options: list[str]) -> list[str]:
    """The command that starts two processes with Gloo between them."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return [*torchrun, "-m", "rdae.training", *("-o" if word == "--run" else word for word in options[1:])]


def rows(run: Path, kind: str) -> list[dict[str, Any]]:
    return [row for row in Log(run).rows() if row["kind"] == kind]


def test_a_batch_is_shared_evenly_or_refused() -> None:
    assert [Group(rank, 3).rows(12) for rank in range(3)] == [range(4), range(4, 8), range(8, 12)]
    with pytest.raises(TrainingError, match="10 crops cannot be shared evenly by 3 processes"):
        Group(0, 3).rows(10)


@pytest.mark.parametrize("world", [2, 5])
def test_each_process_draws_its_part_of_the_noise(world: int) -> None:
    whole = rounding_noise(TINY, 64, range(20), 7, torch.device("cpu"))
    parts = [
        rounding_noise(TINY, 64, Group(rank, world).rows(20), 7, torch.device("cpu")) for rank in range(world)
    ]
    for kind, all_rows in enumerate(whole):
        assert torch.equal(torch.cat([part[kind] for part in parts]), all_rows)
        assert 0.45 < float(all_rows.max()) <= 0.5
        assert -0.5 <= float(all_rows.min()) < -0.45
        assert abs(float(all_rows.mean())) < 0.1
    assert [tuple(kind.shape[1:]) for kind in whole] == [(TINY.latents, 4, 4), (TINY.hyper_latents, 1, 1)]
    other = rounding_noise(TINY, 64, range(20), 8, torch.device("cpu"))
    assert not torch.equal(other[0], whole[0])


def test_two_processes_with_half_the_batch_each_train_as_one_does(pictures: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    settings = ["--steps", "8", "--log-every", "1", "--decay", "0.5", "--quiet"]
    alone = CliRunner().invoke(main, [*training_kit.options(pictures, one), *settings])
    assert alone.exit_code == 0, alone.output
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = launched([*training_kit.options(pictures, two), *settings])
    together = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=600
    )
    assert together.returncode == 0, together.stderr
    assert "Warning" not in together.stderr
    assert sorted(path.name for path in two.iterdir()) == sorted(path.name for path in one.iterdir())

    first, second = rows(one, "train"), rows(two, "train")
    assert [row["step"] for row in second] == list(range(1, 9))  # each line once: one process writes
    assert second[0]["loss"] == pytest.approx(first[0]["loss"], rel=1e-6)
    assert second[0]["gradient_norm"] == pytest.approx(first[0]["gradient_norm"], rel=1e-4)
    for a, b in zip(first, second, strict=True):
        assert a.keys() == b.keys()
        for name in ("loss", "bpp", "mse"):
            # Seen: 1e-7. Muon computes in bf16, where a last bit of a gradient may cost an update its eighth.
            assert b[name] == pytest.approx(a[name], rel=1e-4), (a["step"], name)
        for name in ("pixels", "phase", "rate", "skipped", "crop"):
            assert a[name] == b[name]
    for a, b in zip(rows(one, "validation"), rows(two, "validation"), strict=True):
        assert a["step"] == b["step"]
        for old, new in zip(a["rows"], b["rows"], strict=True):
            assert new == pytest.approx(old, rel=1e-3)

    state = checkpoint.load(two)
    assert state["step"] == 8
    more = CliRunner().invoke(
        main, ["train", "--run", str(two), "--resume", "--steps", "10", "--threads", "1"]
    )
    assert more.exit_code == 0, more.output
    assert checkpoint.load(two)["step"] == 10


@pytest.mark.slow
def test_two_processes_stop_at_the_same_step_when_one_is_asked_to(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = [*training_kit.options(pictures, run), "--hours", "1", "--stream", "0.05"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        launched(options), stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 300
        while not rows(run, "train"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(
            process.pid, signal.SIGTERM
        )  # as schedulers do: to the launcher, who passes it on, and to all
        _, errors = process.communicate(timeout=600)
    assert process.returncode != 0
    assert "--resume goes on from here" in errors
    state = checkpoint.load(run)
    assert state["step"] >= max(row["step"] for row in Log(run).rows()) > 0
    assert len(state["streams"]) == 2
    # Twice as many shares of the corpus make one: the epoch begins anew.
    steps = ["--steps", str(state["step"] + 2)]
    more = CliRunner().invoke(main, ["train", "--run", str(run), "--resume", *steps, "--threads", "1"])
    assert more.exit_code == 0, more.output
    assert json.loads(checkpoint.load(run)["config"])["stream"] == 0.05
