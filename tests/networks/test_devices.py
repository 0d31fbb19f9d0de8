"""The networks run on the device that is asked for, but the prior on the CPU; what a file means does not depend on it.

On a real GPU the same is tried by test_exactness.py, and by the last test here.
"""

import json
from pathlib import Path

import onnxruntime
import pytest
from rdae_command import rdae_command
from tiny_model import photo

import rdae
from rdae.codec import encode
from rdae.networks import devices, graphs, weights
from rdae.networks.model import Model
from rdae.pictures import write_picture

HERE = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
on_a_gpu = pytest.mark.skipif(not HERE, reason="needs a GPU, and a runtime that was built for it")
without_gpus = pytest.mark.skipif(HERE, reason="needs a runtime that knows no GPU")


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv(devices.VARIABLE, raising=False)
    return monkeypatch


@pytest.fixture
def with_cuda(clean: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A runtime that says it was built with CUDA."""
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    clean.setattr(onnxruntime, "get_available_providers", lambda: providers)
    return clean


def test_the_cpu_is_the_default_and_the_environment_may_say_another(with_cuda: pytest.MonkeyPatch) -> None:
    assert devices.find() == devices.find("cpu") == devices.CPU
    assert devices.find("cuda").name == "cuda"
    with_cuda.setenv(devices.VARIABLE, "cuda:1")
    assert devices.find().name == "cuda:1"
    assert devices.find("cpu") == devices.CPU
    with_cuda.setenv(devices.VARIABLE, "")
    assert devices.find() == devices.CPU


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:", "cuda:x", "CUDA", "cpu:0", "meta", "cuda:123"])
def test_other_names_are_errors(name: str, with_cuda: pytest.MonkeyPatch) -> None:
    with pytest.raises(rdae.DeviceError, match=f"^device '{name}', expected cpu, cuda, or cuda:1 and so on$"):
        devices.find(name)
    with_cuda.setenv(devices.VARIABLE, name)
    with pytest.raises(rdae.DeviceError, match=f"^device '{name}'"):
        devices.find()


def test_a_gpu_that_the_runtime_does_not_know_is_an_error(clean: pytest.MonkeyPatch, tiny_path: Path) -> None:
    clean.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    words = r"^device cuda: ONNX Runtime \S+ was built without CUDA; pip install onnxruntime-gpu brings one that was$"
    with pytest.raises(rdae.DeviceError, match=words):
        rdae.open_model(tiny_path, device="cuda")


@pytest.mark.parametrize(("name", "number"), [("cuda", "0"), ("cuda:0", "0"), ("cuda:12", "12")])
def test_a_gpu_computes_in_full_precision(name: str, number: str) -> None:
    first, second = devices.Device(name).providers
    assert first == ("CUDAExecutionProvider", {"device_id": number, "use_tf32": "0"})
    assert second == "CPUExecutionProvider"
    assert devices.CPU.providers == ["CPUExecutionProvider"]


def test_all_but_what_must_be_exact_follows_the_model_to_its_device(
    tiny_path: Path, with_cuda: pytest.MonkeyPatch
) -> None:
    model = weights.load(tiny_path, "cuda:1")
    assert model.source.device == "cuda:1"
    on_the_cpu = {name for name, graph in model.graphs.items() if graph._device == devices.CPU}
    assert on_the_cpu == graphs.EXACT == {"check", "hyper_synthesis", *(f"context.{i}" for i in range(4))}
    assert {graph._device.name for name, graph in model.graphs.items() if name not in on_the_cpu} == {
        "cuda:1"
    }
    assert with_cuda


@without_gpus
@pytest.mark.parametrize("command", ["compress", "decompress", "verify", "eval", "benchmark"])
def test_commands_that_ask_for_a_gpu_say_in_one_line_that_there_is_none(
    command: str, tmp_path: Path, tiny_path: Path, tiny: Model, clean: pytest.MonkeyPatch
) -> None:
    clean.chdir(tmp_path)
    write_picture("a.png", photo(20, 30))
    Path("b.rdae").write_bytes(encode.compress(photo(20, 30), tiny, 400))
    name = "b.rdae" if command in ("decompress", "verify") else "a.png"
    done = rdae_command(command, name, "--model", str(tiny_path), "--device", "cuda")
    assert done.exit_code == 1
    assert done.stderr.startswith("rdae: device cuda: ONNX Runtime ")
    assert done.stderr.count("\n") == 1
    assert rdae_command(command, name, "--model", str(tiny_path), "--device", "tpu").exit_code == 2


def test_the_command_line_takes_the_device_of_the_environment(
    tmp_path: Path, tiny_path: Path, clean: pytest.MonkeyPatch
) -> None:
    clean.chdir(tmp_path)
    write_picture("a.png", photo(20, 30))
    clean.setenv(devices.VARIABLE, "abacus")
    assert rdae_command("compress", "a.png", "--model", str(tiny_path)).exit_code == 2
    assert rdae_command("compress", "a.png", "--model", str(tiny_path), "--device", "cpu").exit_code == 0


@on_a_gpu
def test_commands_use_the_gpu(tmp_path: Path, tiny_path: Path, clean: pytest.MonkeyPatch) -> None:
    clean.chdir(tmp_path)
    write_picture("a.png", photo(200, 300))
    options = ("--model", str(tiny_path), "--device", "cuda")
    done = rdae_command("compress", "a.png", *options, "--psnr", "15", "--json", "-v")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["bytes"] == Path("a.rdae").stat().st_size
    assert rdae_command("decompress", "a.rdae", *options, "-o", "b.png").exit_code == 0
    assert rdae_command("verify", "a.rdae", "--model", str(tiny_path)).exit_code == 0
    session = weights.load(tiny_path, "cuda").graphs["synthesis"]._opened()
    assert session.get_providers()[0] == "CUDAExecutionProvider"
