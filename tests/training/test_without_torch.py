"""What needs PyTorch or CompressAI says in one line how to get it, before any work."""

import subprocess
import sys
from pathlib import Path

import pytest
import tiny_model
import training_kit

from rdae.training.compressai import importing

COMMAND = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from rdae.cli.main import main
main(sys.argv[1:], prog_name="rdae")
"""


def rdae_without(names: list[str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a fresh process where packages of these names cannot be imported."""
    command = [sys.executable, "-c", COMMAND.format(names=names), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def assert_one_line(done: subprocess.CompletedProcess[str], message: str) -> None:
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr == f"rdae: {message}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "pictures", "--run", "run", "--steps", "1"),
        ("train", "--run", "run", "--resume"),
        ("export", "run", "-o", "x.safetensors"),
        ("relaxation", "picture.png", "--model", "tiny.safetensors"),
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[-1]}",
)
def test_without_torch_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_model.write(tmp_path / "tiny.safetensors")
    (tmp_path / "picture.png").write_bytes(b"no picture")
    before = sorted(tmp_path.iterdir())
    done = rdae_without(["torch"], *arguments)
    assert_one_line(done, f"rdae {arguments[0]} needs torch: pip install 'rdae[train]'")
    assert sorted(tmp_path.iterdir()) == before


def test_without_onnx_graphs_cannot_be_made(tmp_path: Path) -> None:
    path = tiny_model.write(tmp_path / "tiny.safetensors")
    done = rdae_without(["onnx", "torch"], "export", path)
    assert_one_line(done, "rdae export needs onnx: pip install 'rdae[train]'")
    assert rdae_without(["torch"], "export", path).returncode == 0  # they need no PyTorch


def test_help_needs_neither() -> None:
    for command in ("train", "export", "relaxation"):
        done = rdae_without(["torch", "onnx", "compressai"], command, "--help")
        assert done.returncode == 0, done.stderr


def test_without_compressai_the_command_that_helps_is_named_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importing, "TOO_NEW", (99,))
    assert importing.remedy() == ": pip install 'rdae[compressai]'"
    monkeypatch.setattr(importing, "TOO_NEW", (3,))
    version = ".".join(map(str, sys.version_info[:2]))
    assert importing.remedy() == f", which is not to be had for Python {version}: use an older one"


def test_compressais_own_wishes_need_not_be_met() -> None:
    """Its models are imported, and code, where much of what the package asks for is absent."""
    pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")
    training_kit.need_compressai()
    code = COMMAND.format(
        names=["torchvision", "torch_geometric", "pytorch_msssim", "pandas", "einops", "tqdm"]
    )
    code = code[: code.index("from rdae.cli")] + (
        "import torch\n"
        "from rdae.training.compressai.importing import import_part\n"
        "network = import_part('compressai.models.google', 'this test').ScaleHyperprior(4, 6).eval()\n"
        "network.update()\n"
        "print(len(network.compress(torch.zeros(1, 3, 64, 64))['strings']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2\n", "")
