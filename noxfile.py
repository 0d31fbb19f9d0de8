"""The repository's checks by name: `nox -s lint`, `types`, `tests`, `training`, `slow`, `docs`; `.ci/run` does most.

`tests` is light, and skips what needs PyTorch; `training` has PyTorch and skips nothing for want of it.
`lowest` and `newest` try the oldest and the newest libraries that the project allows, and read each other's files:
`nox -s lowest newest && nox -R -s lowest`.  Each session has an environment of its own; `nox -R` reuses it.
"""

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests", "training"]
nox.options.reuse_existing_virtualenvs = True

CONSTRAINTS = ("-c", "constraints.txt")
ON_ALL_CORES = ("-n", "auto", "--dist", "worksteal")


@nox.session
def lint(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python="3.11")
def types(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "-e", ".[test,train,dev]")
    session.run("mypy")


@nox.session(python=["3.10", "3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "-e", ".[test]")
    session.run("pytest", *ON_ALL_CORES, *session.posargs)


@nox.session
def training(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "-e", ".[test,train]")
    session.run("python", "-c", "import torch, onnx")  # or tests would be skipped
    session.run("pytest", *ON_ALL_CORES, *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "-e", ".[test,train]")
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "-e", ".[docs]")
    session.run("mkdocs", "build", "--strict", "--site-dir", session.create_tmp())


@nox.session(python="3.10")
def lowest(session: nox.Session) -> None:
    required = nox.project.load_toml("pyproject.toml")["project"]["dependencies"]
    session.install("-e", ".", *(bound.replace(">=", "==") for bound in required), *EXCHANGE_NEEDS)
    exchange(session)


@nox.session(python="3.14")
def newest(session: nox.Session) -> None:
    session.install("--upgrade", "-e", ".", *EXCHANGE_NEEDS)
    exchange(session)


EXCHANGE_NEEDS = ("pytest>=8.2", "hypothesis>=6.100", "onnx>=1.16")


def exchange(session: nox.Session) -> None:
    """Run what exactness rests on, write files, and read those that all such sessions have written so far."""
    session.run(
        "pytest",
        "tests/codec/test_golden.py",
        "tests/codec/test_exactness.py",
        "tests/networks/test_exact_synthesis.py",
        "tests/networks/test_layers.py",
        "tests/networks/test_prior.py",
        "tests/networks/test_runtime.py",
        "tests/networks/test_transforms.py",
    )
    folder = Path(".nox", "exchange", session.name)
    session.run("python", "tools/exchange.py", "write", str(folder))
    session.run("python", "tools/exchange.py", "read", *map(str, sorted(folder.parent.iterdir())))
