"""A file means the same on any CPU, with any number of threads and any settings of torch (DESIGN, section 4).

Instruction sets are chosen by environment variables that torch reads once, so each combination is a process.  On
processors other than x86 the variables do nothing, and the tests say only that processes agree.
"""

import base64
import itertools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model
import torch

from rdae import codec, weights
from rdae.architecture import Architecture
from rdae.codec import Encoded
from rdae.errors import WeightsError
from rdae.model import Model
from rdae.prior import layers

# In each process: decode all files of a folder, once as torch comes and once for each line of SETTINGS, and encode a
# picture of its own.
PROGRAM = """
import base64, json, sys
from pathlib import Path
import numpy as np
import torch
from rdae import codec, weights

folder, settings = Path(sys.argv[1]), sys.argv[2:]
exec(settings[0])
model = weights.load(folder / "model.safetensors")
files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.rdae"))}
hashes = {}
for setting in settings[1:]:
    if setting == "autocast":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            decoded = {name: codec.decode(data, model) for name, data in files.items()}
    else:
        exec(setting)
        decoded = {name: codec.decode(data, model) for name, data in files.items()}
    hashes[setting] = {name: one.latents_sha256 for name, one in decoded.items()}
    if setting == "pass":
        for name, one in decoded.items():
            np.save(folder / f"{name}.npy", one.picture)
encoded = codec.encode(np.load(folder / "picture.npy"), model, 400)
report = {
    "hashes": hashes,
    "threads": torch.get_num_threads(),
    "data": base64.b64encode(encoded.data).decode(),
    "latents": encoded.latents_sha256,
}
print(json.dumps(report))
"""

DURING = (
    "pass",
    "autocast",
    "torch.set_float32_matmul_precision('medium')",
    "torch.set_default_dtype(torch.float64)",
)


@dataclass(frozen=True)
class Case:
    """A model, and what this process made of some pictures with it."""

    folder: Path
    model: Model
    encoded: dict[str, Encoded]


def make_case(folder: Path, architecture: Architecture, pictures: dict[str, Any]) -> Case:
    model = weights.load(tiny_model.write(folder / "model.safetensors", architecture))
    encoded = {}
    for number, (name, picture) in enumerate(pictures.items()):
        encoded[name] = codec.encode(picture, model, 150 + 250 * number)
        (folder / f"{name}.rdae").write_bytes(encoded[name].data)
    np.save(folder / "picture.npy", tiny_model.photo(70, 90))
    return Case(folder, model, encoded)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Case:
    pictures = {"photo": tiny_model.photo(200, 330), "noise": tiny_model.noise(3, 33, 47)}
    return make_case(tmp_path_factory.mktemp("small"), tiny_model.SMALL, pictures)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("base"), Architecture(), {"photo": tiny_model.photo(260, 390)})


def elsewhere(
    case: Case,
    onednn: str | None,
    aten: str | None,
    threads: int,
    *,
    start: str = "pass",
    during: Any = DURING,
) -> dict[str, Any]:
    """What a process with these instruction sets and settings made of the case's files."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    for name, value in (("ONEDNN_MAX_CPU_ISA", onednn), ("ATEN_CPU_CAPABILITY", aten)):
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(case.folder), start, *during],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def check(case: Case, report: dict[str, Any], levels: int = 1) -> None:
    expected = {f"{name}.rdae": encoded.latents_sha256 for name, encoded in case.encoded.items()}
    for setting, hashes in report["hashes"].items():
        assert hashes == expected, setting
    for name, encoded in case.encoded.items():
        picture = np.load(case.folder / f"{name}.rdae.npy")
        assert np.abs(picture.astype(int) - encoded.reconstruction).max() <= levels
    # The other way: what is encoded there is read here.
    assert codec.decode(base64.b64decode(report["data"]), case.model).latents_sha256 == report["latents"]


@pytest.mark.parametrize(
    ("onednn", "aten", "threads"), [("SSE41", "default", 1), ("AVX2", "avx2", 2), (None, None, 2)]
)
def test_latents_do_not_depend_on_the_instruction_set(
    small: Case, onednn: str | None, aten: str | None, threads: int
) -> None:
    report = elsewhere(small, onednn, aten, threads)
    assert report["threads"] == threads
    check(small, report)


@pytest.mark.parametrize(
    "start",
    [
        "torch.set_default_dtype(torch.float64)",
        # torch's newer names for the same switches, of which older versions know nothing
        "if hasattr(torch.backends.mkldnn, 'conv'): torch.backends.fp32_precision = 'bf16'",
    ],
)
def test_latents_do_not_depend_on_settings_made_before_loading(small: Case, start: str) -> None:
    # Pixels may follow the settings: who asks for bf16 gets bf16's error.
    check(small, elsewhere(small, None, None, 1, start=start, during=("pass",)), levels=8)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["highest", "high"])
def test_latents_do_not_depend_on_the_device(small: Case, precision: str) -> None:
    model = weights.load(small.folder / "model.safetensors", "cuda")
    torch.set_float32_matmul_precision(precision)
    try:
        for encoded in small.encoded.values():
            assert codec.decode(encoded.data, model).latents_sha256 == encoded.latents_sha256
        there = codec.encode(tiny_model.photo(70, 90), model, 400)
        assert codec.decode(there.data, small.model).latents_sha256 == there.latents_sha256
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("onednn", "aten", "threads"),
    list(itertools.product(["SSE41", "AVX2", None], ["default", "avx2", "avx512", None], [1, 2])),
)
def test_latents_of_a_model_of_full_size_do_not_depend_on_the_instruction_set(
    small: Case, base: Case, onednn: str | None, aten: str | None, threads: int
) -> None:
    for case in (small, base):
        check(case, elsewhere(case, onednn, aten, threads))


def test_a_machine_whose_float32_products_are_not_exact_is_refused(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = torch.nn.functional.conv2d

    def inexact(x: torch.Tensor, weight: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
        return exact(x.bfloat16(), weight.bfloat16(), *rest, **options).float()

    layers.check_arithmetic(torch.device("cpu"))
    monkeypatch.setattr("rdae.prior.layers.F.conv2d", inexact)
    with pytest.raises(WeightsError, match="computed at lower precision"):
        weights.load(tiny_path)
