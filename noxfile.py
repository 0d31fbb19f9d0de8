"""The checks of this repository by name: `nox -s lint`, `types`, `tests`, `slow`; `.ci/run` runs the same.

Each session has an environment of its own; `nox -R` reuses it, which spares the download of torch.
"""

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

CONSTRAINTS = ("-c", "constraints.txt")


@nox.session
def lint(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "ruff")
    session.run("ruff", "check", ".")


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
