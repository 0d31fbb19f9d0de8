"""Models that another package brings: tools/models_package.py makes it, pip installs it, and rdae finds it."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import models_package
import pytest
import tiny_model

from rdae.codec import encode
from rdae.errors import RdaeError, WeightsError
from rdae.networks import known_models, registry, weights
from rdae.networks.known_models import KnownModel
from rdae.networks.model import Model


@pytest.fixture(scope="module")
def built(tiny_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the tiny model, built without network."""
    return models_package.build([tiny_path], tmp_path_factory.mktemp("dist"), "1.0", isolated=False)


@pytest.fixture(scope="module")
def site(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed in it, as site-packages would hold it."""
    return installed(built, tmp_path_factory.mktemp("site"))


def installed(wheel: Path, folder: Path) -> Path:
    line = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(folder),
    ]
    done = subprocess.run([*line, str(wheel)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def rdae_with(folders: list[Path], cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run rdae where these folders are on Python's path."""
    path = os.pathsep.join(map(str, folders))
    environment = {**os.environ, "PYTHONPATH": path, "XDG_DATA_HOME": str(cwd), registry.PATH_VARIABLE: ""}
    command = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", "-m", "rdae", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_a_package_holds_a_models_files_and_no_code(built: Path, tiny_path: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        packed = {Path(name).name for name in names if name.startswith("rdae_models/")}
        (metadata,) = (name for name in names if name.endswith("METADATA"))
        assert (
            f"| tiny | {sha256_of(tiny_path)[:8]} | {sha256_of(tiny_path)} |"
            in archive.read(metadata).decode()
        )
    assert packed == {path.name for path in tiny_path.parent.glob("tiny.*")}
    assert not [name for name in names if name.endswith(".py")]
    assert built.name == "rdae_models-1.0-py3-none-any.whl"


def test_a_file_opens_once_the_package_with_its_model_is_installed(
    site: Path, tiny: Model, tmp_path: Path
) -> None:
    data = encode.compress(tiny_model.photo(20, 30), tiny, 300)
    (tmp_path / "a.rdae").write_bytes(data)
    done = rdae_with([], tmp_path, "decompress", "a.rdae")
    assert done.returncode == 1
    assert done.stderr.startswith(f"rdae: a.rdae: needs model {tiny.sha256[:8]}, which is not installed")
    done = rdae_with([site], tmp_path, "decompress", "a.rdae")
    assert (done.returncode, done.stderr) == (0, "a.rdae -> a.png  30 x 20\n")
    done = rdae_with([site], tmp_path, "info", "a.rdae")
    assert f"model     {tiny.sha256[:8]}, tiny\n" in done.stdout
    done = rdae_with([site], tmp_path, "models")
    assert str(site / "rdae_models" / "tiny.safetensors") in done.stdout


def test_several_packages_bring_models_side_by_side(site: Path, tmp_path: Path) -> None:
    other_path = tiny_model.write(tmp_path / "other.safetensors", seed=2)
    wheel = models_package.build([other_path], tmp_path, "1.0", "rdae-models-2", isolated=False)
    assert wheel.name == "rdae_models_2-1.0-py3-none-any.whl"
    second = installed(wheel, tmp_path / "second")
    done = rdae_with([site, second], tmp_path, "models", "--check")
    assert done.returncode == 0, done.stderr
    for folder, name in ((site, "tiny"), (second, "other")):
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(f"{name} "))
        assert str(folder / "rdae_models" / f"{name}.safetensors") in line
        assert line.endswith("(sound)")


def test_a_module_of_the_same_name_is_neither_run_nor_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rdae_models.py").write_text("raise SystemExit('was run')")
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.companions() == []


def test_other_packages_are_searched_last(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(site)
    assert registry.folders()[-2:] == [registry.packaged(), site / "rdae_models"]
    assert registry.find("tiny") == site / "rdae_models" / "tiny.safetensors"


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_damaged_model_is_not_packed(tmp_path: Path) -> None:
    path = tiny_model.write(tmp_path / "mine.safetensors")
    with pytest.raises(RdaeError, match="two models of one name"):
        models_package.build(
            [path, tiny_model.write(tmp_path / ".." / path.name)], tmp_path, "1.0", isolated=False
        )
    graph = tmp_path / "mine.synthesis.onnx"
    sound = graph.read_bytes()
    graph.write_bytes(sound[:-1])
    with pytest.raises(WeightsError, match=r"mine\.synthesis\.onnx: "):
        models_package.build([path], tmp_path, "1.0", isolated=False)
    graph.write_bytes(sound)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="the file is damaged"):
        models_package.build([path], tmp_path, "1.0", isolated=False)
    path.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match=r"mine\.json: No such file"):
        models_package.build([path], tmp_path, "1.0", isolated=False)
    assert not list(tmp_path.glob("*.whl"))


def test_a_package_that_is_too_large_or_empty_is_refused(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RdaeError, match="no model has its home there"):
        models_package.build([], tmp_path, "1.0", isolated=False)
    monkeypatch.setattr(models_package, "LIMIT", 10_000)
    with pytest.raises(RdaeError, match="expected at most 10,000: make two packages of it"):
        models_package.build([tiny_path], tmp_path, "1.0", isolated=False)
    assert not list(tmp_path.glob("*.whl"))


def test_what_is_packed_unless_told_otherwise_is_what_moved_there(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(registry.PATH_VARIABLE, str(tiny_path.parent))
    there = KnownModel("rdae-1", sha256_of(tiny_path), "rdae-models")
    monkeypatch.setattr(models_package, "KNOWN", (there, *known_models.KNOWN))
    assert models_package.moved("rdae-models") == [tiny_path]
    assert models_package.moved("rdae-models-2") == []
    assert weights.load(models_package.moved("rdae-models")[0], threads=1).sha256 == there.sha256
