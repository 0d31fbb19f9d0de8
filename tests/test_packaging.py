"""The wheel: it holds what the repository holds, under one name, and works from any folder.

It is built from a copy of the tree, because setuptools leaves build/ and an egg-info where it builds.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"rdae": "rdae", "cli": "rdae/cli", "weights": "rdae/weights_data", "data": "rdae/data"}


def pip(command: str, *arguments: str | Path) -> None:
    """Run one pip command without network and without dependencies."""
    line = [sys.executable, "-m", "pip", command, "--quiet", "--no-deps", "--no-index", *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a wheel built from this checkout, without network and build isolation."""
    base = tmp_path_factory.mktemp("wheel")
    tree = base / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip("wheel", "--no-build-isolation", "--wheel-dir", base, tree)
    (built,) = base.glob("rdae-*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed in it, as site-packages would hold it."""
    target = tmp_path_factory.mktemp("site")
    pip("install", "--target", target, wheel)
    return target


def run_installed(site: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command `rdae` with `arguments` in the folder `cwd`."""
    # PYTHONPATH comes before an editable install of the same package, so this tests the wheel.
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, str(site / "bin" / "rdae"), *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_only_top_level_name_is_rdae(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0].rpartition(".")[2] for name in names}
    assert tops == {"rdae", "dist-info", "data"}
    (beside,) = (name for name in names if ".data/" in name)
    assert beside.endswith(".data/data/share/man/man1/rdae.1")


def test_every_module_weight_and_curve_of_the_repository_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    suffixes = {".py", ".typed", ".safetensors", ".onnx", ".json", ".png", ".md", ".html", ".css", ".js"}
    for folder, package in FOLDERS.items():
        sources = [path for path in (ROOT / folder).rglob("*") if path.suffix in suffixes]
        wanted = {f"{package}/{path.relative_to(ROOT / folder).as_posix()}" for path in sources}
        assert wanted, f"{folder}/ holds nothing"
        assert wanted <= packed, sorted(wanted - packed)


def test_the_wheel_says_what_pyproject_says(wheel: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(metadata).decode().splitlines()
        (licence,) = (name for name in archive.namelist() if name.endswith("/LICENSE"))
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert f"Requires-Python: {project['requires-python']}" in lines
    assert "License-Expression: BSD-3-Clause" in lines
    for extra in project["optional-dependencies"]:
        assert f"Provides-Extra: {extra}" in lines


def test_an_install_brings_no_pytorch_and_says_which_extra_does(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    required = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
    names = {re.split(r"[^\w-]", line)[0] for line in required if "extra ==" not in line}
    assert names == {"click", "constriction", "numpy", "onnxruntime", "pillow", "safetensors"}
    with_torch = {
        line.rpartition("extra == ")[2].strip("\"'") for line in required if line.startswith("torch")
    }
    assert with_torch == {"train", "compressai", "perceptual"}


def test_the_version_is_the_same_everywhere(site: Path, tmp_path: Path) -> None:
    import rdae

    done = run_installed(site, tmp_path, "--version")
    assert done.returncode == 0, done.stderr
    assert rdae.__version__ in done.stdout
    assert (site / f"rdae-{rdae.__version__}.dist-info").is_dir()


def test_the_installed_packages_are_those_of_the_wheel(site: Path, tmp_path: Path) -> None:
    # Guards the tests around it: an editable install beside this one could fill in what a wheel lacks.
    code = "from rdae import cli, data, weights_data as w\nprint(cli.__file__, data.__file__, w.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    output = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=environment, text=True)
    assert [Path(line).parent.parent for line in output.split()] == [site / "rdae"] * 3


def test_the_installed_command_finds_its_weights_from_any_folder(site: Path, tmp_path: Path) -> None:
    shutil.copy(site / "rdae" / "data" / "example.png", tmp_path / "picture.png")
    done = run_installed(site, tmp_path, "compress", "picture.png", "-q", "20")
    assert done.returncode == 0, done.stderr
    done = run_installed(site, tmp_path, "decompress", "picture.rdae", "-o", "again.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again.png").stat().st_size > 0
    assert (tmp_path / "picture.rdae").stat().st_size < (tmp_path / "picture.png").stat().st_size


def test_in_the_folder_above_a_clone_the_package_is_found_and_not_the_clone(tmp_path: Path) -> None:
    (tmp_path / "rdae").symlink_to(ROOT, target_is_directory=True)
    code = "import rdae; print(callable(rdae.compress))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.stdout.strip() == "True", found.stderr
