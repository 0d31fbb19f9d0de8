"""What a step needs and leaves alone: the host, frozen parts, noise; and the tools that look at it."""

import functools
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import safetensors.torch
import torch
import training_kit
from click.testing import CliRunner, Result
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from rdae.cli.main import main
from rdae.errors import MissingExtraError
from rdae.networks.architecture import TINY
from rdae.training import ms_ssim
from rdae.training.autoencoder import Autoencoder
from rdae.training.divergence import DivergenceCheck
from rdae.training.export import freeze
from rdae.training.log import Log
from rdae.training.optimisation.optimiser import Optimiser
from rdae.training.tensorboard import TensorBoardLog
from rdae.training.trainer import Trainer


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_kit.make_pictures(tmp_path_factory.mktemp("data") / "pictures", height=200, width=200)


def silent(_line: str, _passing: bool) -> None:
    pass


def rdae(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


# -- the host ----------------------------------------------------------------------------------------------------


def test_no_step_reads_a_number_from_the_device(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fake tensors have shapes and no values: whatever asked for one would raise."""
    all_there_is: dict[str, Any] = {"exact_phase": 1.0, "objective": "ms-ssim", "crop": 192, "batch": 1}
    config = training_kit.config(pictures, precision="bf16", validation=(), **all_there_is)
    made = Trainer(config, tmp_path, report=silent)
    crops, index = made._crops(0, config.crop), made._indices(0)
    ms_ssim._bands.cache_clear()
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        monkeypatch.setattr(made, "_crops", lambda _step, _side: fake.from_tensor(crops))
        monkeypatch.setattr(made, "_indices", lambda _step: fake.from_tensor(index))
        made.model = made._forward = Autoencoder(TINY)
        made._trained = [parameter for parameter in made.model.parameters() if parameter.requires_grad]
        made.optimiser, made.divergence = Optimiser(made.model, config), DivergenceCheck(made.device)
        made._set_average(made.model.state_dict())
        for _ in range(2):
            told = made._train_step()
            made.step += 1
        assert told.shape == (5,)
        with pytest.raises(DataDependentOutputException):
            told.tolist()
    ms_ssim._bands.cache_clear()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # as the compiler does
def test_the_model_is_one_graph_for_the_compiler(pictures: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Autoencoder(TINY)
    made = Trainer(training_kit.config(pictures, validation=()), tmp_path, report=silent, fresh=False)
    made.model = model
    x, index = made._crops(0, 64).float() / 255, made._indices(0)
    made._forward = model
    eager = made._pass(x, index)
    made._forward = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)
    whole = made._pass(x, index)
    assert torch.allclose(whole.x_hat, eager.x_hat, atol=1e-5)
    assert torch.allclose(whole.bits_y, eager.bits_y, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
def test_a_compiled_run_trains_as_an_eager_one(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the compiler's graphs of both passes, but torch's kernels: making new ones takes a CPU many minutes."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    losses = []
    for compiled in (False, True):
        run = tmp_path / str(compiled)
        config = training_kit.config(pictures, steps=4, validation=(), log_every=1, exact_phase=0.5)
        assert Trainer(config, run, report=silent, compiled=compiled).train()
        losses.append([row["loss"] for row in Log(run).rows()])
    assert losses[1] == pytest.approx(losses[0], rel=2e-3)


# -- parts and rounding ------------------------------------------------------------------------------------------


def test_the_synthesis_alone_is_trained_on_the_latents_that_files_will_have(
    pictures: Path, tmp_path: Path
) -> None:
    base, tuned = tmp_path / "base", tmp_path / "tuned"
    settings = ("--steps", "6", "--quiet")
    assert rdae(*training_kit.options(pictures, base), *settings).exit_code == 0
    freeze.export(base, tmp_path / "base.safetensors")
    options = [
        word for word in training_kit.options(pictures, tuned) if word != training_kit.ARCHITECTURE_OPTION
    ]
    options.remove("--architecture")
    more = ("--init", tmp_path / "base.safetensors", "--only", "synthesis", "--rounded", "--log-every", "1")
    done = rdae(*options, *settings, *more)
    assert done.exit_code == 0, done.output
    freeze.export(tuned, tmp_path / "tuned.safetensors")
    before, after = (
        safetensors.torch.load_file(tmp_path / f"{name}.safetensors") for name in ("base", "tuned")
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    # The files' latents, and with them their rates, are as they were: the same analysis, prior and tables.
    assert {name.partition(".")[0] for name in changed} == {"synthesis", "gains"}
    for name in ("gains.analysis", "gains.quantise"):  # kept as logarithms in between
        assert torch.allclose(before[name], after[name], rtol=1e-5)
    assert not torch.allclose(before["gains.restore"], after["gains.restore"], rtol=1e-5)
    rates = [
        [row["bpp"] for row in line["rows"]]
        for run in (base, tuned)
        for line in Log(run).rows()
        if line["kind"] == "validation" and line["step"] > 0
    ]
    assert rates[0] == pytest.approx(
        rates[1], rel=2e-3
    )  # of real weights in one, of exported ones in the other


def test_rounded_training_has_the_rate_of_rounded_latents(pictures: Path, tmp_path: Path) -> None:
    config = training_kit.config(pictures, validation=(), rounded=True)
    made = Trainer(config, tmp_path, report=silent)
    x, index = made._crops(0, 64).float() / 255, made._indices(0)
    assert made._rounds()
    first = made._pass(x, index)
    made.step += 1
    second = made._pass(x, index)
    assert torch.equal(second.bits_y, first.bits_y)
    assert torch.equal(second.bits_z, first.bits_z)
    with torch.no_grad():
        expected = made.model.eval()(x, index)
    assert torch.allclose(first.bits_y, expected.bits_y, rtol=1e-5)
    assert torch.allclose(first.bits_z, expected.bits_z, rtol=1e-5)
    noisy = Trainer(training_kit.config(pictures, validation=()), tmp_path, report=silent)
    one = noisy._pass(x, index)
    noisy.step += 1
    assert not torch.equal(noisy._pass(x, index).bits_y, one.bits_y)


def test_ms_ssim_is_trained_for_and_validated(pictures: Path, tmp_path: Path) -> None:
    command = [
        *training_kit.options(pictures, tmp_path),
        "--crop",
        "192",
        "--batch",
        "2",
        "--objective",
        "ms-ssim",
    ]
    done = rdae(*command, "--steps", "3", "--warmup-steps", "1", "--log-every", "1", "--quiet")
    assert done.exit_code == 0, done.output
    validations = [row for row in Log(tmp_path).rows() if row["kind"] == "validation"]
    assert [each["step"] for each in validations] == [0, 3]
    assert all(0 < row["ms_ssim"] < 1 for each in validations for row in each["rows"])


# -- tools -------------------------------------------------------------------------------------------------------


def test_a_profile_says_speed_and_share_and_leaves_nothing(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rdae.training import profile

    monkeypatch.setattr(profile, "_LEAST_S", 0.01)
    monkeypatch.chdir(tmp_path)
    command = training_kit.options(pictures, tmp_path)
    command[command.index("--run") : command.index("--run") + 2] = []
    done = rdae(*command, "--profile", "--quiet")
    assert done.exit_code == 0, done.output
    found = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert set(found) == {"step", "crops/s", "network", "optimiser", "achieved", "matrix"}
    assert 0 < float(found["matrix"].split()[-1].rstrip("%")) < 100
    assert list(tmp_path.iterdir()) == []


def test_the_counted_products_are_those_of_the_networks() -> None:
    """Against a count by hand of the transforms' matrices: the rest is the prior, of the same order."""
    from torch.utils.flop_counter import FlopCounterMode

    model = Autoencoder(TINY)
    fine = 192 * 16 + 3 * 16 * 16 + 2 * 9 * 16  # a position at 1/8: the map and a block of each transform
    coarse = 4 * 16 * 16 + 3 * 16 * 16 + 2 * 9 * 16
    expected = 2 * (fine / 64 + coarse / 256) * 64 * 64
    with FlopCounterMode(display=False) as count, torch.no_grad():
        y = model.analysis(torch.zeros(1, 3, 64, 64), torch.ones(1, 16, 1, 1))
        model.synthesis(y, torch.ones(1, 16, 1, 1))
    assert count.get_total_flops() == 2 * expected


def test_tensorboard_gets_the_numbers_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, float, int]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            written.append((folder, 0.0, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, value, step))

        def flush(self) -> None:
            pass

    stand_in = types.ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    log = TensorBoardLog(tmp_path)
    log.write({"step": 4, "pixels": 9, "elapsed_s": 1.0, "kind": "train", "loss": 0.5, "phase": "decay"})
    log.write({"step": 8, "kind": "validation", "rows": [{"index": 400, "bpp": 0.25}]})
    assert written == [
        (str(tmp_path / "tensorboard"), 0.0, 4),
        ("train/loss", 0.5, 4),
        ("validation/quality 50/bpp", 0.25, 8),
    ]


def test_without_tensorboard_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rdae\[tensorboard\]'") as caught:
        TensorBoardLog(tmp_path)
    assert "\n" not in str(caught.value)


def test_settings_of_a_command_line_reach_the_run(pictures: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(str(pictures) + "\n")
    run = tmp_path / "run"
    command = training_kit.options(pictures, run)
    command[1] = f"@{listed}"
    more = ("--weight", "*0.png=3", "--weight", "*=0.5", "--reduce", "0.1", "--stream", "0.2", "--reuse", "2")
    done = rdae(
        *command, *more, "--steps", "1", "--warmup-steps", "1", "--only", "analysis, prior", "--quiet"
    )
    assert done.exit_code == 0, done.output
    config = json.loads((run / "config.json").read_text())
    assert config["weights"] == [["*0.png", 3.0], ["*", 0.5]]
    assert (config["reduce"], config["stream"], config["reuse"]) == (0.1, 0.2, 2.0)
    assert config["only"] == ["analysis", "prior"]
    assert config["data"] == [f"@{listed}"]
    for arguments, message in (
        (("--crop", "x"), "expected SIDE"),
        (("--crop", "64:x,128"), "expected SIDE"),
        (("--crop", "64:0.9,128:0.5,192"), "must rise"),
        (("--weight", "x"), "expected PATTERN=NUMBER"),
        (("--weight", "=2"), "expected PATTERN=NUMBER"),
        (("--only", "decoder"), "expected some of analysis, synthesis, prior"),
        (("--objective", "ms-ssim"), "at least 192"),
        (("--resume", "first"), "is not one of"),
    ):
        refused = rdae(*training_kit.options(pictures, tmp_path / "none"), "--steps", "1", *arguments)
        assert refused.exit_code == 2, (arguments, refused.output)
        assert message in refused.stderr, (arguments, refused.stderr)
