"""Nothing that rdae reads can run code: no pickle is ever loaded from outside, and no data is executed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path for folder in ("rdae", "cli", "data", "weights") for path in (ROOT / folder).rglob("*.py")
)

# Modules that build objects, or code, from data; torch.load and numpy.load are looked at below.
FORBIDDEN = {
    "pickle",
    "cPickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "shelve",
    "marshal",
    "yaml",
}
EXECUTE = {"eval", "exec", "compile", "__import__"}

# What would let a graph be more than known operations on numbers.
LIBRARIES = {"register_custom_ops_library", "register_custom_ops", "register_execution_provider_library"}


def faults(tree: ast.AST) -> Iterator[str]:
    """What in a module could run what it reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            names = []
        if any(set(name.split(".")) & FORBIDDEN for name in names):
            yield f"line {node.lineno}: imports {names}"  # type: ignore[attr-defined]
        if "torch.load" in names or "numpy.load" in names:
            yield f"line {node.lineno}: load under another name"  # type: ignore[attr-defined]
        if isinstance(node, ast.Call):
            yield from faults_of_call(node)


def faults_of_call(call: ast.Call) -> Iterator[str]:
    called = ast.unparse(call.func)
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    constants = {name: value.value for name, value in given.items() if isinstance(value, ast.Constant)}
    if called in EXECUTE:
        yield f"line {call.lineno}: calls {called}"
    if called.rpartition(".")[2] in LIBRARIES:
        yield f"line {call.lineno}: {called} loads code that graphs may call"
    if called in ("torch.load", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter") and not (
        called == "torch.load" and constants.get("weights_only") is True
    ):
        yield f"line {call.lineno}: {called} may load a pickle"
    if "allow_pickle" in given and constants.get("allow_pickle") is not False:
        yield f"line {call.lineno}: {called} may load a pickle"
    if None in given and called.endswith(".load"):
        yield f"line {call.lineno}: {called} with options that are not seen here"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_loads_a_pickle_or_runs_what_it_reads(source: Path) -> None:
    assert list(faults(ast.parse(source.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "def f():\n    from pickle import loads",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import torch\ntorch.load(path, weights_only=wish)",
        "import torch\ntorch.load(path, **options)",
        "from torch import load\nload(path)",
        "import torch\ntorch.jit.load(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import multiprocessing.reduction\nfrom multiprocessing.reduction import pickle",
        "eval(text)",
        "options.register_custom_ops_library(path)",
    ],
)
def test_such_a_module_would_be_noticed(code: str) -> None:
    assert list(faults(ast.parse(code)))


def test_checkpoints_of_training_are_the_only_thing_that_torch_loads() -> None:
    """Ours, and CompressAI's that a person has: and so the rule above is about something."""
    users = [path.parent.name for path in SOURCES if " torch.load(" in path.read_text(encoding="utf-8")]
    assert users == ["training", "compressai"]


def test_a_checkpoint_that_is_a_pickle_of_code_is_refused_unrun(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")
    from rdae.errors import TrainingError
    from rdae.training import checkpoint

    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (mark,)  # type: ignore[return-value]

    torch.save({"step": Evil()}, tmp_path / checkpoint.NAME)
    with pytest.raises(TrainingError):
        checkpoint.load(tmp_path)
    assert not mark.exists()
