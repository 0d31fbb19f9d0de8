"""Decode the same files under many instruction sets and thread counts, and compare: `python tools/exactness_matrix.py`.

Instruction sets are chosen by environment variables that torch reads once, so each setting is a process of its own,
which runs this file again (`--one`).  Files are written here, by the exact prior and by the one in floats; each
process reads them all and says what they are to it.  `test_exactness.py` runs the same with fewer settings.
"""

# ruff: noqa: T201 - a program that prints

from __future__ import annotations

import argparse
import base64
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import tests_on_path  # noqa: F401 - before what it makes importable
import tiny_model
import torch
from float_prior import with_float_prior
from PIL import Image

from rdae import codec, weights
from rdae.errors import RdaeError
from rdae.model import Model
from rdae.networks.architecture import Architecture

Picture = npt.NDArray[np.uint8]
Report = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """What a process is told of instruction sets (None: nothing) and how many threads it has."""

    onednn: str | None
    aten: str | None
    threads: int

    def __str__(self) -> str:
        return f"{self.onednn or '-'} {self.aten or '-'} {self.threads}"


MATRIX = [
    Setting(*values)
    for values in itertools.product(
        ["SSE41", "AVX2", "AVX512_CORE", None], ["default", "avx2", "avx512", None], [1, 2]
    )
]

PLAIN = "plain"


@contextmanager
def torch_told(name: str) -> Iterator[None]:
    """Settings of torch itself that a user may have made; all but autocast last."""
    if name == "autocast":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            yield
        return
    if name == "matmul":
        torch.set_float32_matmul_precision("medium")
    elif name == "float64":
        torch.set_default_dtype(torch.float64)
    elif name == "bf16" and hasattr(
        torch.backends.mkldnn, "conv"
    ):  # a newer name, of which older versions know nothing
        backends: Any = torch.backends
        backends.fp32_precision = "bf16"
    yield


@dataclass(frozen=True)
class Case:
    """A model and files that were written with it.

    folder: holds the model unless that is a published one, NAME.rdae by the exact prior, float/NAME.rdae by the one in
    floats, and picture.npy for others to encode.  latents: SHA-256 by file name, as the writer had them.
    """

    folder: Path
    model: Model
    latents: dict[str, str]
    pictures: dict[str, Picture]


def make_case(folder: Path, architecture: Architecture | None, files: dict[str, tuple[Picture, int]]) -> Case:
    """Write files: by name a picture and a quality index.  Without an architecture, with the published weights."""
    (folder / "float").mkdir(parents=True)
    path = None if architecture is None else tiny_model.write(folder / "model.safetensors", architecture)
    model = weights.load(path)
    latents, pictures = {}, {}
    for writer, prefix in ((model, ""), (with_float_prior(model), "float/")):
        for name, (picture, index) in files.items():
            encoded = codec.encode(picture, writer, index)
            (folder / f"{prefix}{name}.rdae").write_bytes(encoded.data)
            latents[f"{prefix}{name}.rdae"] = encoded.latents_sha256
            if not prefix:
                pictures[f"{name}.rdae"] = encoded.reconstruction
    np.save(folder / "picture.npy", tiny_model.photo(70, 90))
    return Case(folder, model, latents, pictures)


def small_case(folder: Path) -> Case:
    files = {"photo": (tiny_model.photo(200, 330), 800), "noise": (tiny_model.noise(3, 33, 47), 150)}
    return make_case(folder, tiny_model.SMALL, files)


def wide_case(folder: Path) -> Case:
    """A random model of the full size: livelier than a trained one."""
    return make_case(folder, Architecture(), {"photo": (tiny_model.photo(260, 390), 400)})


def published_case(folder: Path) -> Case:
    with Image.open(Path(__file__).parents[1] / "data" / "example.png") as image:
        picture = np.asarray(image.convert("RGB"))[:250, :380]
    files = {"low": (picture, 0), "middle": (picture, 404), "high": (picture, 800)}
    return make_case(folder, None, files | {"pixel": (picture[:1, :1], 300)})


def model_of(folder: Path, device: str = "cpu") -> Model:
    path = folder / "model.safetensors"
    return weights.load(path if path.exists() else None, device)


def report_one(folder: Path, start: str, names: Iterable[str]) -> Report:
    """What this process makes of a case's files, under `start` and then under each of the settings `names`."""
    with torch_told(start):
        model = model_of(folder)
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.rdae"))}
    report: Report = {
        "threads": torch.get_num_threads(),
        "aten": torch.backends.cpu.get_cpu_capability(),
        "latents": {},
        "float": {},
        "exact_pixels": {},
        "pixels": {},
    }
    for name in names:
        with torch_told(name):
            decoded = {file: codec.decode(data, model) for file, data in files.items()}
            exact = {file: codec.decode(data, model, exact=True) for file, data in files.items()}
        report["latents"][name] = {file: one.latents_sha256 for file, one in decoded.items()}
        report["exact_pixels"][name] = {file: sha256(one.picture) for file, one in exact.items()}
        if name == PLAIN:
            report["pixels"] = {file: pack_picture(one.picture) for file, one in decoded.items()}
            report["float"] = read_floats(folder, model)
    encoded = codec.encode(np.load(folder / "picture.npy"), model, 400)
    report["written"] = base64.b64encode(encoded.data).decode(), encoded.latents_sha256
    return report


def read_floats(folder: Path, model: Model) -> dict[str, str]:
    """What the files of the prior in floats are to a reader with such a prior: their latents, or how reading ended."""
    values = {}
    for path in sorted((folder / "float").glob("*.rdae")):
        reader = with_float_prior(model, watched=True)
        prior: Any = reader.prior
        try:
            value = codec.decode(path.read_bytes(), reader).latents_sha256
        except RdaeError as error:
            value = f"{type(error).__name__} after {prior.told.hexdigest()}"
        values[f"float/{path.name}"] = value
    return values


def sha256(picture: Picture) -> str:
    return hashlib.sha256(picture.tobytes()).hexdigest()


def pack_picture(picture: Picture) -> tuple[tuple[int, ...], str]:
    return picture.shape, base64.b64encode(picture.tobytes()).decode()


def unpack_picture(packed: tuple[tuple[int, ...], str]) -> Picture:
    return np.frombuffer(base64.b64decode(packed[1]), np.uint8).reshape(packed[0])


def elsewhere(
    folder: Path, setting: Setting, *, start: str = PLAIN, names: tuple[str, ...] = (PLAIN,)
) -> Report:
    """What a process with this setting makes of a case's files."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(setting.threads), ONEDNN_VERBOSE="1")
    environment["OMP_WAIT_POLICY"] = "PASSIVE"  # threads that spin take minutes on a busy machine
    for name, value in (("ONEDNN_MAX_CPU_ISA", setting.onednn), ("ATEN_CPU_CAPABILITY", setting.aten)):
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    done = subprocess.run(
        [sys.executable, __file__, "--one", str(folder), start, *names],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"under {setting}: {done.stderr}")
    report: Report = json.loads(done.stdout.splitlines()[-1])
    # oneDNN says at its first step which instructions it uses; on other processors it may say nothing.
    isa = re.search(r"isa:(.*)", done.stdout)
    report["onednn"] = isa.group(1).strip() if isa else "unknown"
    return report


def values_of(reports: Iterable[Report], kind: str) -> dict[str, set[str]]:
    """By file, the different values that processes found; kind: latents, float or exact_pixels."""
    values: dict[str, set[str]] = {}
    for report in reports:
        runs = [report[kind]] if kind == "float" else report[kind].values()
        for file, value in itertools.chain.from_iterable(run.items() for run in runs):
            values.setdefault(file, set()).add(value)
    return values


def spread_of(reports: list[Report]) -> dict[str, int]:
    """By file, how many levels any two processes' pictures differ at most, without --exact."""
    spread = {}
    for file in reports[0]["pixels"]:
        pictures = np.stack([unpack_picture(report["pixels"][file]) for report in reports])
        spread[file] = int((pictures.max(axis=0).astype(int) - pictures.min(axis=0)).max())
    return spread


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs="+", metavar="ARGUMENT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        folder, start, *names = arguments.one
        print(json.dumps(report_one(Path(folder), start, names)))
        return 0
    sound = True
    for make in (small_case, wide_case, published_case):
        with TemporaryDirectory() as folder:
            case = make(Path(folder) / "case")
            reports = [elsewhere(case.folder, setting) for setting in MATRIX]
        print(f"{make.__name__.removesuffix('_case')}: {len(reports)} settings, {len(case.pictures)} files")
        for what in ("onednn", "aten"):
            print(f"  {what} instruction sets reached: {', '.join(sorted({r[what] for r in reports}))}")
        counts = {}
        for kind in ("latents", "exact_pixels", "float"):
            counts[kind] = [len(values) for values in values_of(reports, kind).values()]
        levels = max(spread_of(reports).values())
        print(f"  different latents of a file: {max(counts['latents'])}")
        print(f"  different pictures of a file with --exact: {max(counts['exact_pixels'])}")
        print(f"  levels between pictures without --exact: at most {levels}")
        print(f"  different latents of a file with float networks: up to {max(counts['float'])}")
        sound &= max(counts["latents"] + counts["exact_pixels"]) == 1 and levels <= 1
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
