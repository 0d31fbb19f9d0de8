"""Decode the same files in many ways of computing, and compare: `python tools/exactness_matrix.py`.

The ways are ONNX Runtime's levels of graph optimisation, which choose other kernels, and numbers of threads; for other
versions of it, or of Python, environments that have rdae can be named: --python PATH.  Neither the runtime nor its
library of kernels can be told to leave instructions out that a processor has, so their instruction sets are tried on
processors that are emulated, where qemu is installed (Debian's qemu-user-static): a Nehalem has SSE4.2, a Haswell AVX2
and FMA, and what is here often AVX-512.  OpenBLAS, of which numpy has its products of matrices, and --exact so, can be
told which processor it is to think of.

Each setting is a process of its own, which runs this file again (`--one`).  Files are written here, by the exact prior
and by the one in floats; each process reads them all and says what they are to it.  `test_exactness.py` runs the same
with fewer settings.
"""

# ruff: noqa: T201 - a program that prints

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import importlib
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import tests_on_path  # noqa: F401 - before what it makes importable
import tiny_model
from float_prior import with_float_prior
from PIL import Image

from rdae.codec import decode, encode
from rdae.errors import RdaeError
from rdae.networks import weights
from rdae.networks.architecture import Architecture
from rdae.networks.model import Model
from rdae.networks.registry import TUNES, tuned_path

Picture = npt.NDArray[np.uint8]
Report = dict[str, Any]


LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")
"""The runtime's levels of graph optimisation by name; the last is its default, and ours."""

PROCESSORS = ("Nehalem", "Haswell")
"""As qemu calls them, and OpenBLAS."""


@dataclass(frozen=True)
class Setting:
    """A way of computing: a level of graph optimisation and threads.

    blas: the processor that OpenBLAS thinks of; None: the one there is.  emulated: that processor is emulated.
    python: of an environment that has rdae.
    """

    level: str = LEVELS[-1]
    threads: int = 1
    blas: str | None = None
    emulated: bool = False
    python: str = sys.executable

    def __str__(self) -> str:
        return f"{self.level} {self.threads} {self.blas or '-'}{' emulated' if self.emulated else ''}"


def emulator() -> str | None:
    """The program that emulates x86 processors, or None: it is for Linux on x86 here, whose libraries it runs."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    return shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")


def matrix(pythons: Iterable[str] = ()) -> list[Setting]:
    """All settings that can be tried here."""
    settings = [Setting(*each) for each in itertools.product(LEVELS, (1, 2))]
    settings += [Setting(blas=each) for each in PROCESSORS]
    ends = (LEVELS[0], LEVELS[-1])
    if emulator():
        emulated = itertools.product(ends, PROCESSORS)
        settings += [Setting(level, blas=each, emulated=True) for level, each in emulated]
    others = itertools.product(ends, (1, 2), pythons)
    return settings + [Setting(level, threads, python=each) for level, threads, each in others]


def tell_runtime(level: str) -> None:
    """Let all sessions that are opened from now on be of a level of graph optimisation."""
    ordinary = onnxruntime.SessionOptions

    def options() -> onnxruntime.SessionOptions:
        made = ordinary()
        made.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        return made

    onnxruntime.SessionOptions = options


@dataclass(frozen=True)
class Case:
    """A model and files that were written with it.

    folder: holds model.txt, which says where the model is, NAME.rdae by the exact prior, float/NAME.rdae by the one in
    floats, and picture.npy for others to encode.  latents: SHA-256 by file name, as the writer had them.
    """

    folder: Path
    model: Model
    latents: dict[str, str]
    pictures: dict[str, Picture]


def make_case(folder: Path, chosen: Architecture | Path, files: dict[str, tuple[Picture, int]]) -> Case:
    """Write files: by name a picture and a quality index.  chosen: weights, or the sizes of a random model."""
    (folder / "float").mkdir(parents=True)
    path = chosen if isinstance(chosen, Path) else tiny_model.write(folder / "model.safetensors", chosen)
    (folder / "model.txt").write_text(str(path))
    model = weights.load(path, threads=1)
    latents, pictures = {}, {}
    for writer, prefix in ((model, ""), (with_float_prior(model), "float/")):
        for name, (picture, index) in files.items():
            encoded = encode.encode(picture, writer, index)
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


def _published_case(folder: Path, tune: str) -> Case:
    with Image.open(Path(__file__).parents[1] / "data" / "example.png") as image:
        picture = np.asarray(image.convert("RGB"))[:250, :380]
    files = {"low": (picture, 0), "middle": (picture, 404), "high": (picture, 800)}
    return make_case(folder, tuned_path(tune), files | {"pixel": (picture[:1, :1], 300)})


CASES: dict[str, Callable[[Path], Case]] = {
    "small": small_case,
    "wide": wide_case,
    **{name: functools.partial(_published_case, tune=tune) for tune, name in TUNES.items()},
}
"""What makes each case, by its name."""


def model_of(folder: Path, device: str = "cpu", threads: int = 1) -> Model:
    return weights.load(Path((folder / "model.txt").read_text()), device, threads)


def report_one(folder: Path, level: str, threads: int) -> Report:
    """What this process makes of a case's files."""
    tell_runtime(level)
    model = model_of(folder, threads=threads)
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.rdae"))}
    decoded = {file: decode.decode(data, model) for file, data in files.items()}
    exact = {file: decode.decode(data, model, exact=True) for file, data in files.items()}
    encoded = encode.encode(np.load(folder / "picture.npy"), model, 400)
    return {
        "level": level,
        "threads": threads,
        "versions": f"onnxruntime {onnxruntime.__version__}, Python {platform.python_version()}",
        "instructions": instructions(),
        "latents": {file: one.latents_sha256 for file, one in decoded.items()},
        "exact_pixels": {file: sha256(one.picture) for file, one in exact.items()},
        "pixels": {file: pack_picture(one.picture) for file, one in decoded.items()},
        "float": read_floats(folder, model),
        "written": (base64.b64encode(encoded.data).decode(), encoded.latents_sha256),
    }


def instructions() -> str:
    """The widest of the instruction sets that the kernels are written for and this processor has, as numpy sees it."""
    core = "numpy._core" if hasattr(np, "_core") else "numpy.core"  # numpy 2, and before
    features = importlib.import_module(f"{core}._multiarray_umath").__cpu_features__
    found = [name for name in ("SSE42", "AVX", "AVX2", "AVX512F", "ASIMD", "SVE") if features.get(name)]
    return found[-1] if found else "unknown"


def read_floats(folder: Path, model: Model) -> dict[str, str]:
    """What the files of the prior in floats are to a reader with such a prior: their latents, or how reading ended."""
    values = {}
    for path in sorted((folder / "float").glob("*.rdae")):
        reader = with_float_prior(model, watched=True)
        prior: Any = reader.prior
        try:
            value = decode.decode(path.read_bytes(), reader).latents_sha256
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


def elsewhere(folder: Path, setting: Setting) -> Report:
    """What a process with this setting makes of a case's files."""
    command = [setting.python, __file__, "--one", str(folder), setting.level, str(setting.threads)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(setting.threads)}
    if setting.blas is not None:
        environment["OPENBLAS_CORETYPE"] = setting.blas
    if setting.emulated:
        program = emulator()
        assert program is not None, "nothing emulates processors here"
        assert setting.blas is not None, "which processor?"
        command = [program, "-cpu", setting.blas, *command]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"under {setting}: {done.stderr}")
    report: Report = json.loads(done.stdout.splitlines()[-1])
    return report


def values_of(reports: Iterable[Report], kind: str) -> dict[str, set[str]]:
    """By file, the different values that processes found; kind: latents, float or exact_pixels."""
    values: dict[str, set[str]] = {}
    for report in reports:
        for file, value in report[kind].items():
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", action="append", default=[], help="the Python of another environment")
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "LEVEL", "THREADS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        folder, level, threads = arguments.one
        print(json.dumps(report_one(Path(folder), level, int(threads))))
        return 0
    if emulator() is None:
        print("no qemu here: one instruction set only, the one that the runtime chooses")
    sound = True
    for name, make in CASES.items():
        with TemporaryDirectory() as folder:
            case = make(Path(folder) / "case")
            reports = [elsewhere(case.folder, setting) for setting in matrix(arguments.python)]
        print(f"{name}: {len(reports)} settings, {len(case.pictures)} files")
        for what in ("versions", "instructions"):
            print(f"  {what}: {'; '.join(sorted({report[what] for report in reports}))}")
        counts = {}
        for kind in ("latents", "exact_pixels", "float"):
            counts[kind] = [len(values) for values in values_of(reports, kind).values()]
        levels = max(spread_of(reports).values())
        print(f"  different latents of a file: {max(counts['latents'])}")
        print(f"  different pictures of a file with --exact: {max(counts['exact_pixels'])}")
        print(f"  levels between pictures without --exact: at most {levels}")
        print(f"  different latents of a file with float networks: up to {max(counts['float'])}", flush=True)
        sound &= max(counts["latents"] + counts["exact_pixels"]) == 1 and levels <= 1
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
