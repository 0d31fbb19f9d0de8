"""The checks of this repository by name: `nox -s lint`, `types`, `tests`, `slow`; `.ci/run` runs the same.

`lowest` and `newest` try the oldest and the newest libraries that the project allows, and read each other's files:
`nox -s lowest newest && nox -R -s lowest`.  Each session has an environment of its own; `nox -R` reuses it, which
spares the download of torch.
"""

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

CONSTRAINTS = ("-c", "constraints.txt")


@nox.session
def lint(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python="3.11")
def types(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "-e", ".[test,dev]")
    # Annotations are checked against numpy 2's; that compressai asks for 1 matters to its metadata only.
    session.install("--no-deps", "numpy==2.4.6")
    session.run("mypy")


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "-e", ".[test]")
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session(python="3.10")
def lowest(session: nox.Session) -> None:
    required = nox.project.load_toml("pyproject.toml")["project"]["dependencies"]
    session.install("-e", ".", *(bound.replace(">=", "==") for bound in required), *EXCHANGE_NEEDS)
    exchange(session)


@nox.session(python="3.13")
def newest(session: nox.Session) -> None:
    session.install("--upgrade", "-e", ".", *EXCHANGE_NEEDS)
    exchange(session)


EXCHANGE_NEEDS = ("pytest>=8.2", "hypothesis>=6.100")


def exchange(session: nox.Session) -> None:
    """Run what exactness rests on, write files, and read those that all such sessions have written so far."""
    session.run(
        "pytest",
        "tests/codec/test_golden.py",
        "tests/networks/test_prior.py",
        "tests/codec/test_exactness.py",
    )
    folder = Path(".nox", "exchange", session.name)
    session.run("python", "tools/exchange.py", "write", str(folder))
    session.run("python", "tools/exchange.py", "read", *map(str, sorted(folder.parent.iterdir())))
