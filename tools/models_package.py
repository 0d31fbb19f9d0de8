"""Build a package of models that rdae no longer brings, for pip to install beside it: rdae-models.

python tools/models_package.py --version 1.0 -o dist                          # all whose home that package is
python tools/models_package.py --version 1.0 -o dist weights/mine.safetensors # these

A wheel of the models' files as `rdae export` writes them (weights, manifest, graphs), in the folder rdae_models, where
rdae looks for them (rdae/networks/registry.py).  --project gives another name: a package holds at most 30 MB, so that
there may be several.  Whoever moves a model out of rdae says so by its home in rdae/networks/known_models.py.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from rdae.errors import RdaeError, WeightsError
from rdae.networks import graphs, registry
from rdae.networks.known_models import KNOWN

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 30_000_000
"""Bytes of a wheel, at most."""

PYPROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{project}"
version = "{version}"
description = "Models that rdae no longer brings itself: {names}"
readme = "README.md"
license = "BSD-3-Clause"
license-files = ["LICENSE"]
requires-python = ">=3.10"

[tool.setuptools]
packages = ["{package}"]
include-package-data = false

[tool.setuptools.package-data]
{package} = ["*.safetensors", "*.json", "*.onnx"]
"""

README = """# {project}

Models of the picture codec rdae that rdae itself no longer brings. Install it beside rdae, and files that were made
with them open again. No code is in this package.

| name | id | SHA-256 |
|---|---|---|
"""


def files_of(weights: Path) -> list[Path]:
    """The files of a model: weights, manifest, and the graphs that it states. WeightsError if one is wrong."""
    try:
        manifest = registry.manifest_of(weights)
        found = registry.sha256_of(weights)
    except OSError as error:
        raise WeightsError(f"{error.filename}: {error.strerror}") from error
    if found != manifest["sha256"]:
        raise WeightsError(f"{weights}: {registry.damage(found, manifest['sha256'])}")
    stated = manifest.get("graphs")
    if not isinstance(stated, dict) or not stated:
        raise WeightsError(f"{weights}: has no graphs: make them with rdae export {weights}")
    for name, digest in stated.items():
        graphs.read(weights, name, digest)  # as whoever opens it would
    return [weights, weights.with_suffix(".json"), *(graphs.path_of(weights, name) for name in stated)]


def moved(project: str) -> list[Path]:
    """The weights files of all models whose home is this package; WeightsError if one is not here."""
    return [
        registry.find_by_id(bytes.fromhex(model.sha256)[: registry.ID_BYTES])
        for model in KNOWN
        if model.home == project
    ]


def build(
    models: Iterable[Path], folder: Path, version: str, project: str = "rdae-models", *, isolated: bool = True
) -> Path:
    """Build the wheel into a folder and return its path; RdaeError if a model is wrong or the wheel is too large.

    isolated: let pip fetch setuptools for it; else what is installed here builds.
    """
    files = {weights: files_of(weights) for weights in models}
    if not files:
        raise RdaeError(f"{project}: no model has its home there, and none was named")
    if len({weights.name for weights in files}) < len(files):
        raise RdaeError(f"{project}: two models of one name")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary, "tree")
        package = tree / registry.MODELS_PACKAGE
        package.mkdir(parents=True)
        for path in (each for of_model in files.values() for each in of_model):
            shutil.copy(path, package)
        names = ", ".join(sorted(weights.stem for weights in files))
        fields = {"project": project, "version": version, "names": names, "package": registry.MODELS_PACKAGE}
        (tree / "pyproject.toml").write_text(PYPROJECT.format_map(fields), encoding="utf-8")
        (tree / "README.md").write_text(README.format_map(fields) + table(files), encoding="utf-8")
        shutil.copy(ROOT / "LICENSE", tree)
        command = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            str(temporary),
        ]
        isolation = [] if isolated else ["--no-build-isolation", "--no-index"]
        done = subprocess.run([*command, *isolation, str(tree)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RdaeError(f"{project}: pip wheel failed: {done.stderr.strip()}")
        (wheel,) = Path(temporary).glob("*.whl")
        size = wheel.stat().st_size
        if size > LIMIT:
            raise RdaeError(f"{project}: {size:,} bytes, expected at most {LIMIT:,}: make two packages of it")
        return Path(shutil.move(wheel, folder / wheel.name))


def table(weights: Iterable[Path]) -> str:
    """A row for each model."""
    rows = []
    for path in sorted(weights):
        sha256 = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["sha256"]
        rows.append(f"| {path.stem} | {sha256[: 2 * registry.ID_BYTES]} | {sha256} |\n")
    return "".join(rows)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", nargs="*", type=Path, help="default: all whose home the package is")
    parser.add_argument("--version", required=True, help="of the package")
    parser.add_argument("--project", default="rdae-models", help="its name")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "dist", help="folder for the wheel")
    options = parser.parse_args(arguments)
    try:
        models = options.weights or moved(options.project)
        wheel = build(models, options.output, options.version, options.project)
    except RdaeError as error:
        sys.exit(f"models_package: {error}")
    print(f"{wheel}: {wheel.stat().st_size:,} bytes")  # noqa: T201 - a program that prints


if __name__ == "__main__":
    main()
