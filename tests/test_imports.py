"""Who may import whom, and what stays out of a program that only compresses and decompresses.

The plan of the house: a stage knows those below it, never those above or beside it; they meet in `codec`.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FACTS = {
    "errors",
    "quality",
    "architecture",
    "clock",
    "rows",
    "tiles",
    "heap",
    "effort",
}  # known to every stage that needs it
STAGES = FACTS | {
    "container",
    "coding",
    "files",
    "pictures",
    "prior",
    "latents",
    "transforms",
    "model",
    "weights",
}
STAGES |= {"registry", "metrics", "targets", "devices"}
STAGES |= {"extras", "refinement"}

# A module or package directly under rdae -> those of rdae that it may import.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "quality": {"errors"},
    "architecture": {"errors"},
    "container": {"errors"},
    "coding": {"errors"},
    "files": {"errors", "container"},  # how a file of ours begins
    "pictures": {"errors", "container", "files"},  # one number: how many pixels a file may announce
    "extras": {"errors", "container", "pictures"},
    "pillow": STAGES | {"api"},
    "rows": set(),
    "heap": set(),
    "effort": set(),
    "tiles": {"architecture", "rows"},
    "registry": {"errors"},
    "clock": set(),
    "compressai_parts": {"errors"},
    "devices": {"errors"},
    "metrics": set(),
    "targets": {"errors", "quality"},
    "prior": FACTS | {"coding"},
    "latents": FACTS | {"coding", "prior"},
    "transforms": FACTS,
    "model": FACTS | {"coding", "prior", "transforms"},
    "weights": FACTS | {"coding", "prior", "transforms", "model", "registry"},
    "refinement": FACTS | {"coding", "prior", "latents", "transforms", "model"},
    "codec": STAGES,
    "api": STAGES | {"codec"},
    "training": STAGES | {"codec", "api", "compressai_parts"},
    "evaluation": STAGES
    | {"codec", "api", "compressai_parts", "training"},  # what a run logged, and its objective
    "reporting": STAGES | {"codec", "api", "evaluation"},
}
"""`cli` may import everything, and nothing but the tests imports `cli`."""

# Only these parts may name these libraries, wherever in the file.
LIBRARIES: dict[str, set[str]] = {
    "compressai": set(),  # training and evaluation have it from compressai_parts, which imports it by name
    "torchvision": set(),
    "matplotlib": {"reporting"},
    "constriction": {"coding"},
}

SOURCES = sorted((ROOT / "rdae").rglob("*.py"))


def part_of(source: Path) -> str:
    """The module or package directly under rdae/ that a source file belongs to."""
    return source.relative_to(ROOT / "rdae").parts[0].removesuffix(".py")


def imported(source: Path) -> set[str]:
    """Dotted names that a file imports, at its top or inside a function; `from a import b` gives a.b."""
    package = ("rdae", *source.relative_to(ROOT / "rdae").parts[:-1])
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # One dot is this package, each further one a package up.
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*base, *([node.module] if node.module else [])])
            names.update(f"{origin}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_downwards(source: Path) -> None:
    part = part_of(source)
    names = imported(source)
    below = {name.split(".")[1] for name in names if name.startswith("rdae.")} - {part}
    if part == "__init__":
        below -= {"api", "errors", "targets"}
        allowed: set[str] = set()
    else:
        assert part in ALLOWED, f"rdae/{part} has no place in the plan above"
        program = {"cli"} if source.name == "__main__.py" else set()  # `python -m`: an edge, as cli is
        allowed = ALLOWED[part] | program
    below -= {"data", "weights_data", "__version__"}  # files, reached by importlib.resources, and one string
    assert below <= allowed, f"{source.relative_to(ROOT)} imports {sorted(below - allowed)}"
    for library, parts in LIBRARIES.items():
        if part not in parts:
            assert library not in {name.split(".")[0] for name in names}, f"{source.name} imports {library}"


def test_the_plan_itself_has_no_cycle() -> None:
    placed: set[str] = set()
    rest = dict(ALLOWED)
    while rest:
        ready = {part for part, allowed in rest.items() if allowed <= placed}
        assert ready, f"a cycle among {sorted(rest)}"
        placed |= ready
        rest = {part: allowed for part, allowed in rest.items() if part not in ready}


def modules_after(code: str) -> set[str]:
    """Names in sys.modules of a fresh interpreter after it ran `code`."""
    report = "\nimport json, sys\nprint('MODULES' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("MODULES"))
    return set(json.loads(line.removeprefix("MODULES")))


def test_importing_rdae_loads_no_heavy_library() -> None:
    modules = modules_after("import rdae; rdae.RdaeError; dir(rdae)")
    assert not modules & {"torch", "numpy", "PIL", "constriction", "matplotlib", "compressai"}


def test_the_help_of_the_command_line_loads_no_heavy_library() -> None:
    modules = modules_after(
        "import sys; sys.argv = ['rdae', '--help']\n"
        "from rdae.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
    )
    assert "click" in modules
    assert not modules & {"torch", "numpy", "PIL", "constriction", "matplotlib", "compressai"}


def test_a_round_trip_loads_neither_training_nor_evaluation_nor_their_libraries() -> None:
    modules = modules_after(
        "import rdae\n"
        "from PIL import Image\n"
        "data = rdae.compress(Image.new('RGB', (33, 17), (200, 40, 90)), quality=30)\n"
        "assert rdae.decompress(data).size == (33, 17)\n"
    )
    assert {"torch", "constriction", "rdae.codec"} <= modules
    libraries = ("compressai", "torchvision", "matplotlib", "scipy")
    heavy = (*libraries, "rdae.compressai_parts", "rdae.training", "rdae.evaluation", "rdae.reporting")
    assert not {name for name in modules if name.startswith(heavy)}


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    import rdae

    with pytest.raises(AttributeError, match="no_such_name"):
        _ = rdae.no_such_name
