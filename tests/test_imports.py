"""Who may import whom, and what stays out of a program that only compresses and decompresses.

The plan of the house: imports point only downwards, and nothing outside of `training` needs PyTorch. What stands
against it is listed as an exception for the time being; those lists must be empty in the end.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "rdae"

LAYERS: tuple[set[str], ...] = (
    # The ground: these may import each other.
    {
        "errors",
        "quality",
        "metrics",
        "objective",
        "ssimulacra2",
        "targets",
        "clock",
        "effort",
        "processors",
        "limits",
    },
    {"storage"},
    {"networks", "pictures"},
    {"codec"},
    {"api"},
    {"batch", "training", "pillow", "viewing"},
    {"evaluation"},
    {"reporting"},
    {"cli"},
)
"""Modules and packages directly under rdae/, from the ground up. Only on the ground do neighbours meet."""

GROUND = LAYERS[0]
BESIDE = {
    "__init__",
    "data",
    "weights_data",
    "__version__",
}  # files, reached by importlib.resources, and one string

FROM_API = {"compress", "decompress", "open_model", "Model"}

# Only these may name these libraries, wherever in the file: parts of the path below rdae/.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "compressai": (),  # training has it from training/compressai/importing.py, which imports it by name
    "torchvision": (),
    "click": (),  # the command line's
    "matplotlib": ("reporting/",),
    "constriction": ("codec/range_coding.py",),
}

SOURCES = sorted(PACKAGE.rglob("*.py"))


def name_of(source: Path) -> str:
    return source.relative_to(PACKAGE).as_posix()


def module_of(source: Path) -> str:
    return ".".join(source.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def part_of(source: Path) -> str:
    """The module or package directly under rdae/ that a source file belongs to."""
    return source.relative_to(PACKAGE).parts[0].removesuffix(".py")


def layer_of(part: str) -> int:
    (layer,) = (number for number, parts in enumerate(LAYERS) if part in parts)
    return layer


@cache
def tree_of(source: Path) -> ast.Module:
    return ast.parse(source.read_text(encoding="utf-8"))


def names_in(node: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    """Dotted names that one import statement imports; `from a import b` gives a.b."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        # One dot is this package, each further one a package up.
        base = package[: len(package) - node.level + 1] if node.level else ()
        origin = ".".join([*base, *([node.module] if node.module else [])])
        yield from (f"{origin}.{alias.name}" for alias in node.names)


def imported(source: Path, *, at_once: bool = False) -> set[str]:
    """Dotted names that a file imports; at_once: only those that importing the file imports."""

    def nodes(parent: ast.AST) -> Iterator[ast.AST]:
        for node in ast.iter_child_nodes(parent):
            later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            if not (at_once and (later or for_types)):
                yield node
                yield from nodes(node)

    package = ("rdae", *source.relative_to(PACKAGE).parts[:-1])
    return {name for node in nodes(tree_of(source)) for name in names_in(node, package)}


@pytest.mark.parametrize("source", SOURCES, ids=name_of)
def test_imports_point_downwards(source: Path) -> None:
    names = imported(source)
    for library, allowed in LIBRARIES.items():
        if not name_of(source).startswith(allowed or "-"):
            assert library not in {name.split(".")[0] for name in names}, f"{source.name} imports {library}"
    part = part_of(source)
    others = {name.split(".")[1] for name in names if name.startswith("rdae.")} - {part} - BESIDE
    if others & FROM_API:  # what rdae itself hands on
        others = others - FROM_API | {"api"}
    if part == "__init__":
        assert others <= {"api", "errors", "targets"}
        return
    if source.name == "__main__.py":  # `python -m`: an edge, as cli is
        others -= {"cli"}
    above = {other for other in others if layer_of(other) >= layer_of(part)}
    if part in GROUND:
        above -= GROUND
    assert not above


@pytest.mark.parametrize("part", ["batch", "storage"])
def test_batch_and_storage_name_neither_torch_nor_training(part: str) -> None:
    """Not even inside of functions: these are for any program, and wait for numbers' libraries until a task does."""
    for source in sorted((PACKAGE / part).rglob("*.py")):
        names = imported(source)
        assert not {name for name in names if name.startswith(("torch", "rdae.training"))}, source
        at_once = {name.split(".")[0] for name in imported(source, at_once=True)}
        assert not at_once & {"numpy", "PIL", "fsspec"}, source


def test_no_two_modules_import_each_other_at_once() -> None:
    modules = {module_of(source): source for source in SOURCES if source != PACKAGE / "__init__.py"}
    rest: dict[str, set[str]] = {}
    for module, source in modules.items():
        names = imported(source, at_once=True)
        found = {name if name in modules else name.rpartition(".")[0] for name in names}
        rest[module] = found & modules.keys() - {module}
    while rest:
        ready = {module for module, needed in rest.items() if not needed & rest.keys()}
        assert ready, f"a cycle among {sorted(rest)}"
        rest = {module: needed for module, needed in rest.items() if module not in ready}


BLOCKED = """
import importlib, json, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name == "torch" or name.startswith(("torch.", "rdae.training")):
            raise ModuleNotFoundError(f"blocked: {name}", name=name)
sys.meta_path.insert(0, Blocked())
failed = {}
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        failed[name] = str(error)
print("FAILED" + json.dumps(failed))
"""


def test_nothing_but_training_imports_torch_or_training_at_once() -> None:
    modules = [
        module_of(source)
        for source in SOURCES
        if source.name != "__main__.py" and part_of(source) != "training"
    ]
    command = [sys.executable, "-c", BLOCKED, json.dumps(sorted(modules))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("FAILED"))
    assert json.loads(line.removeprefix("FAILED")) == {}


def test_nothing_but_training_names_torch() -> None:
    """Not even inside of functions: what needs it is in rdae.training, and loaded from there."""
    for source in SOURCES:
        if part_of(source) != "training":
            assert not {name for name in imported(source) if name.split(".")[0] == "torch"}, name_of(source)


def modules_after(code: str) -> set[str]:
    """Names in sys.modules of a fresh interpreter after it ran `code`."""
    report = "\nimport json, sys\nprint('MODULES' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("MODULES"))
    return set(json.loads(line.removeprefix("MODULES")))


def test_importing_rdae_loads_no_heavy_library() -> None:
    modules = modules_after("import rdae; rdae.RdaeError; dir(rdae)")
    assert not modules & {"torch", "onnxruntime", "numpy", "PIL", "constriction", "matplotlib", "compressai"}


def test_the_help_of_the_command_line_loads_no_heavy_library() -> None:
    modules = modules_after(
        "import sys; sys.argv = ['rdae', '--help']\n"
        "from rdae.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
    )
    assert "click" in modules
    assert not modules & {"torch", "onnxruntime", "numpy", "PIL", "constriction", "matplotlib", "compressai"}


def test_a_round_trip_loads_neither_training_nor_evaluation_nor_their_libraries() -> None:
    modules = modules_after(
        "import rdae\n"
        "from PIL import Image\n"
        "data = rdae.compress(Image.new('RGB', (33, 17), (200, 40, 90)), quality=30)\n"
        "assert rdae.decompress(data).size == (33, 17)\n"
    )
    assert {"onnxruntime", "constriction", "rdae.codec"} <= modules
    libraries = ("torch", "compressai", "torchvision", "matplotlib", "scipy")
    heavy = (*libraries, "rdae.training", "rdae.evaluation", "rdae.reporting")
    assert not {name for name in modules if name.startswith(heavy)}


def test_decompressing_loads_no_encoder(tmp_path: Path) -> None:
    from PIL import Image

    import rdae

    path = tmp_path / "small.rdae"
    path.write_bytes(rdae.compress(Image.effect_noise((33, 17), 30), quality=30, effort=0, exact=False))
    modules = modules_after(f"import rdae; assert rdae.decompress({str(path)!r}).size == (33, 17)")
    assert "rdae.codec.decode" in modules
    unneeded = (
        "rdae.codec.enc",
        "rdae.codec.refinement",
        "rdae.codec.target",
        "rdae.networks.exact_synthesis",
    )
    assert not {name for name in modules if name.startswith(unneeded)}


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    import rdae

    with pytest.raises(AttributeError, match="no_such_name"):
        _ = rdae.no_such_name
