"""The networks run on the device that is asked for, and on no other; what a file means does not depend on it.

On a real GPU the same is tried by test_exactness.py, and by the last test here.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from other_device import THERE, other_device
from rdae_command import rdae_command
from tiny_model import photo

import rdae
from rdae import codec, weights
from rdae.model import Model
from rdae.networks import devices
from rdae.training.modules import context_model, layers

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
without_gpus = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv(devices.VARIABLE, raising=False)
    return monkeypatch


def test_the_cpu_is_the_default_and_the_environment_may_say_another(clean: pytest.MonkeyPatch) -> None:
    assert devices.find() == devices.find("cpu") == torch.device("cpu")
    clean.setattr(torch.cuda, "is_available", lambda: True)
    clean.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.find("cuda") == torch.device("cuda")
    clean.setenv(devices.VARIABLE, "cuda:1")
    assert devices.find() == torch.device("cuda:1")
    assert devices.find("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:", "cuda:x", "CUDA", "cpu:0", "meta"])
def test_other_names_are_errors(name: str) -> None:
    with pytest.raises(rdae.DeviceError, match=f"^device '{name}', expected cpu, cuda, or cuda:1 and so on$"):
        devices.find(name)


def test_a_gpu_that_is_not_there_is_an_error(clean: pytest.MonkeyPatch, tiny_path: Path) -> None:
    clean.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        rdae.DeviceError, match=r"^device cuda: torch \S+ (was built without CUDA|finds no GPU)$"
    ):
        rdae.open_model(tiny_path, device="cuda")
    clean.setattr(torch.cuda, "is_available", lambda: True)
    clean.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(rdae.DeviceError, match=r"^device cuda:2: there are 2 GPUs, counted from 0$"):
        devices.find("cuda:2")


@pytest.fixture(scope="module")
def there(tiny_path: Path) -> Model:
    """The tiny model on a device that is not the CPU."""
    with other_device():
        return weights.load(tiny_path, THERE)


@pytest.mark.parametrize(("tile", "index"), [(None, 400), (4, 700)])
def test_everything_follows_the_model_to_its_device(
    tiny: Model, there: Model, tile: int | None, index: int
) -> None:
    picture = photo(70, 90) if tile is None else photo(270, 90)
    encoded = codec.encode(picture, tiny, index, tile=tile)
    with other_device() as crossing:
        again = codec.encode(picture, there, index, tile=tile)
        assert crossing.operations > 100
        assert codec.compress(picture, there, index, tile=tile, verify=True) == again.data
        # What is encoded may differ, as the analysis may be computed otherwise; what a file says may not.
        for decoded in (codec.decode(again.data, tiny), codec.decode(again.data, there)):
            assert decoded.latents_sha256 == again.latents_sha256
            assert np.array_equal(decoded.picture, again.reconstruction)
        codec.verify(encoded.data, there)
        for exact in (False, True):
            decoded = codec.decode(encoded.data, there, exact=exact)
            assert decoded.latents_sha256 == encoded.latents_sha256
            assert np.array_equal(decoded.picture, codec.decode(encoded.data, tiny, exact=exact).picture)
        trials = codec.Trials(picture, there, tile=tile)
        assert trials.compress(index) == again.data


def test_a_tensor_on_the_wrong_device_would_be_noticed(there: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    planes = context_model.cell_planes
    monkeypatch.setattr(
        "rdae.prior.exact.cell_planes", lambda h, w, one, _like: planes(h, w, one, torch.zeros(1))
    )
    with other_device(), pytest.raises(RuntimeError, match="tensors on two devices"):
        codec.compress(photo(20, 30), there, 400)


@pytest.mark.parametrize(("kernel", "channels"), [(0, (96, 40)), (3, (40, 40)), (5, (24, 24))])
def test_the_sums_of_the_prior_are_the_same_in_the_way_of_a_gpu(
    kernel: int, channels: tuple[int, int]
) -> None:
    rng = np.random.default_rng(kernel)
    entering, leaving = channels
    shape = (leaving, 1, kernel, kernel) if kernel else (leaving, entering)
    most = 2**24 / layers.HIDDEN_MAX / (kernel**2 or entering)
    w = torch.from_numpy(rng.integers(-int(most), int(most), shape)).float()
    b = torch.from_numpy(rng.integers(-999, 999, leaving)).float()
    x = torch.from_numpy(rng.integers(0, layers.HIDDEN_MAX, (1, entering, 7, 5))).float()
    with layers.exact_float32(), other_device():
        found = layers.exact_sums(w.to(THERE), b.to(THERE), x.to(THERE))
        assert found.device == THERE
        assert torch.equal(found.cpu(), layers.exact_sums(w, b, x))


@without_gpus
@pytest.mark.parametrize("command", ["compress", "decompress", "verify", "eval", "benchmark"])
def test_commands_that_ask_for_a_gpu_say_in_one_line_that_there_is_none(
    command: str, tmp_path: Path, tiny_path: Path, tiny: Model, clean: pytest.MonkeyPatch
) -> None:
    clean.chdir(tmp_path)
    rdae.pictures.write_picture("a.png", photo(20, 30))
    Path("b.rdae").write_bytes(codec.compress(photo(20, 30), tiny, 400))
    name = "b.rdae" if command in ("decompress", "verify") else "a.png"
    done = rdae_command(command, name, "--model", str(tiny_path), "--device", "cuda")
    assert done.exit_code == 1
    assert done.stderr.startswith("rdae: device cuda: torch ")
    assert done.stderr.count("\n") == 1
    assert rdae_command(command, name, "--model", str(tiny_path), "--device", "tpu").exit_code == 2


def test_the_command_line_takes_the_device_of_the_environment(
    tmp_path: Path, tiny_path: Path, clean: pytest.MonkeyPatch
) -> None:
    clean.chdir(tmp_path)
    rdae.pictures.write_picture("a.png", photo(20, 30))
    clean.setenv(devices.VARIABLE, "abacus")
    assert rdae_command("compress", "a.png", "--model", str(tiny_path)).exit_code == 2
    assert rdae_command("compress", "a.png", "--model", str(tiny_path), "--device", "cpu").exit_code == 0


@on_a_gpu
def test_commands_use_the_gpu(tmp_path: Path, tiny_path: Path, clean: pytest.MonkeyPatch) -> None:
    clean.chdir(tmp_path)
    rdae.pictures.write_picture("a.png", photo(200, 300))
    options = ("--model", str(tiny_path), "--device", "cuda")
    torch.cuda.reset_peak_memory_stats()
    done = rdae_command("compress", "a.png", *options, "--psnr", "15", "--json", "-v")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["bytes"] == Path("a.rdae").stat().st_size
    assert rdae_command("decompress", "a.rdae", *options, "-o", "b.png").exit_code == 0
    assert rdae_command("verify", "a.rdae", "--model", str(tiny_path)).exit_code == 0
    assert torch.cuda.max_memory_allocated() > 1 << 20
