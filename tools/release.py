"""Build a release and try it as its users will: python tools/release.py [--tag]

It builds from what is committed, in a temporary folder: the sdist, from it the wheel `rdae` with its models, and the
wheel `rdae-codec`, which has none.  It checks sizes, contents and metadata, installs the wheel into a fresh environment
of each Python that pyproject.toml names, the sdist and rdae-codec into one, and runs tools/smoke.py there.  What passed
is put into dist/.  With --tag, and only then, the commit is tagged, if nothing failed and nothing was left out.

It needs git, PyPI, and npm for the viewer of `rdae view`; without npm the wheel has no viewer, and that is said.
Interpreters are looked for by name (python3.12), among pyenv's, and by --python.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WHEEL_LIMIT = 50_000_000
CODEC_LIMIT = 1_000_000
"""Bytes of the wheels, with both models and without any, at most."""

NAME, CODEC = "rdae", "rdae-codec"
NOT_IN_CODEC = ("weights/*.safetensors", "weights/*.onnx", "weights/*.json", "weights/*.md", "data/*.png")
VIEWER = Path("web", "dist", "viewer", "index.html")


class ReleaseError(Exception):
    """Something that a release must not have."""


@dataclass
class Report:
    """What was done, what was left out, and what failed."""

    lines: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        print(line, flush=True)  # noqa: T201 - a program that prints
        self.lines.append(line)

    def leave_out(self, what: str) -> None:
        self.say(f"left out: {what}")
        self.left_out.append(what)

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Go on after a failure: one run shall tell all that is wrong."""
        try:
            yield
        except ReleaseError as error:
            self.say(f"FAILED: {what}: {error}")
            self.failed.append(what)
        else:
            self.say(f"passed: {what}")


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Run a command and return its output; ReleaseError with the end of what it said if it fails."""
    hidden = {"PYTHONPATH", "VIRTUAL_ENV", "RDAE_MODEL_PATH", "RDAE_DEVICE"}
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=clean | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise ReleaseError(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        shown = " ".join(str(part) for part in command[:4])
        raise ReleaseError(f"{shown} … ended with {done.returncode}: {done.stdout.strip()[-2000:]}")
    return done.stdout


# --- What is released -------------------------------------------------------------------------------------------------


def committed_tree(folder: Path) -> Path:
    """Unpack the commit into a folder."""
    archive = folder / "tree.tar"
    run("git", "-C", ROOT, "archive", "--output", archive, "HEAD")
    tree = folder / "tree"
    with tarfile.open(archive) as opened:
        # What git itself packed; the filter is there from 3.10.12 on.
        opened.extractall(tree, filter="data") if hasattr(tarfile, "data_filter") else opened.extractall(tree)  # noqa: S202
    return tree


def version_of(tree: Path) -> str:
    """The version, as rdae/__init__.py states it."""
    found = re.search(
        r'^__version__ = "(.+)"$', (tree / "rdae" / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE
    )
    if not found:
        raise ReleaseError("rdae/__init__.py states no version")
    return found[1]


def pythons_of(tree: Path) -> list[str]:
    """The versions of Python that pyproject.toml says rdae runs on."""
    text = (tree / "pyproject.toml").read_text(encoding="utf-8")
    return re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text)


def states_address(tree: Path) -> bool:
    """Whether pyproject.toml says where the project lives."""
    text = (tree / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(r"^\[project\.urls\]$", text, re.MULTILINE) is not None


def check_words(tree: Path, version: str) -> None:
    """The places that repeat the version say the same."""
    citation = (tree / "CITATION.cff").read_text(encoding="utf-8")
    if f"\nversion: {version}\n" not in citation:
        raise ReleaseError(f"CITATION.cff does not say version: {version}")
    headings = re.findall(
        r"^## \[(.+?)\](.*)$", (tree / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    if is_development(version):
        if headings[:1] != [("Unreleased", "")]:
            raise ReleaseError(f"{version} is no release, and CHANGELOG.md does not begin with [Unreleased]")
    elif not re.fullmatch(r" - \d{4}-\d{2}-\d{2}", dict(headings).get(version, "")):
        raise ReleaseError(f"CHANGELOG.md has no heading [{version}] with a date")


def is_development(version: str) -> bool:
    """Whether a version is one before a release."""
    return ".dev" in version


# --- Building ---------------------------------------------------------------------------------------------------------


def environment_of(python: str | Path, folder: Path) -> Path:
    """Make an environment without pip, which Debian's Pythons cannot always bring; return its Python."""
    run(python, "-m", "venv", "--without-pip", folder)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


class Tools:
    """An environment with pip, build and twine, that builds and installs into others."""

    def __init__(self, folder: Path) -> None:
        run(sys.executable, "-m", "venv", folder)
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.epoch = run("git", "-C", ROOT, "log", "-1", "--format=%ct").strip()
        run(self.python, "-m", "pip", "install", "--quiet", "--upgrade", "pip", "build", "twine")

    def build(self, tree: Path, output: Path, *what: str) -> None:
        """Build in an isolated environment; files have the time of the commit."""
        run(self.python, "-m", "build", "--outdir", output, *what, tree, SOURCE_DATE_EPOCH=self.epoch)

    def check(self, paths: Sequence[Path]) -> None:
        """Let twine look at the metadata."""
        run(self.python, "-m", "twine", "check", "--strict", *paths)

    def install(self, python: Path, package: Path, constraints: Path) -> None:
        """Install a package into an environment."""
        pip = (self.python, "-m", "pip", "--python", python, "install", "--quiet", "--no-input")
        run(*pip, "-c", constraints, package)


def build_viewer(tree: Path, report: Report) -> bool:
    """Build the viewer of `rdae view`; whether it is there."""
    npm = shutil.which("npm")
    if not (tree / "web" / "package-lock.json").is_file():
        report.leave_out("the viewer: web/ is not committed")
    elif npm is None:
        report.leave_out("the viewer: npm is not installed")
    else:
        run(npm, "ci", "--no-audit", "--no-fund", cwd=tree / "web")
        run(npm, "run", "build", cwd=tree / "web")
        shutil.rmtree(tree / "web" / "node_modules")
        return (tree / VIEWER).is_file()
    return False


def codec_tree(tree: Path, folder: Path) -> Path:
    """A copy of the tree from which rdae-codec is built: another name, no weights, no viewer, no example."""
    copy = folder / "codec"
    shutil.copytree(tree, copy, ignore=shutil.ignore_patterns("*.egg-info", "build", "web"))
    for path in [path for pattern in NOT_IN_CODEC for path in copy.glob(pattern)]:
        path.unlink()
    project = copy / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    line = f'name = "{NAME}"\n'
    if text.count(line) != 1:
        raise ReleaseError("pyproject.toml: expected one line that names the project")
    project.write_text(text.replace(line, f'name = "{CODEC}"\n'), encoding="utf-8")
    return copy


def check_contents(wheel: Path, tree: Path, *, models: bool, viewer: bool) -> None:
    """A wheel holds rdae, and models, man page and viewer where it should."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.split("/")[0] for name in names}
    if strange := {
        top for top in tops if top != "rdae" and not re.fullmatch(r"rdae.*\.(data|dist-info)", top)
    }:
        raise ReleaseError(f"holds {', '.join(sorted(strange))}")
    weights = {f"rdae/weights_data/{path.name}" for path in (tree / "weights").glob("*.safetensors")}
    if not weights or (weights <= names) != models or (bool(weights & names) and not models):
        raise ReleaseError("holds weights" if not models else f"lacks weights: {sorted(weights - names)}")
    if ("rdae/web_data/viewer/index.html" in names) != viewer:
        raise ReleaseError("holds a viewer" if not viewer else "lacks the viewer")
    if not any(name.endswith("share/man/man1/rdae.1") for name in names):
        raise ReleaseError("lacks the man page")


def check_size(path: Path, limit: int) -> None:
    """At most so many bytes."""
    size = path.stat().st_size
    if size > limit:
        raise ReleaseError(f"{size:,} bytes, expected at most {limit:,}")


# --- Trying -----------------------------------------------------------------------------------------------------------


def interpreters(wanted: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """An interpreter for each version of Python that can be found: those that were given, by name, pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found: dict[str, str] = {}
    for version in wanted:
        own = sorted(pyenv.glob(f"{version}.*/bin/python"), key=lambda path: path.stat().st_mtime)
        for candidate in (*given, f"python{version}", *map(str, reversed(own))):
            try:
                told = run(candidate, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])").strip()
            except ReleaseError:  # there is none, or it is one of pyenv's that stand for nothing
                continue
            if told == version:
                found[version] = candidate
                break
    return found


def try_package(tools: Tools, python: str, package: Path, tree: Path, version: str, *more: str) -> str:
    """Install a package into a fresh environment of this Python and run tools/smoke.py there; return what it said."""
    with tempfile.TemporaryDirectory(prefix="rdae-try-") as folder:
        installed = environment_of(python, Path(folder, "env"))
        tools.install(installed, package, tree / "constraints.txt")
        here = Path(folder, "here")
        here.mkdir()
        return run(installed, tree / "tools" / "smoke.py", tree, "--version", version, *more, cwd=here)


# --- The whole --------------------------------------------------------------------------------------------------------


def release(options: argparse.Namespace, report: Report, folder: Path) -> None:
    """Build and try; what happened is in the report."""
    if changed := run("git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no").splitlines():
        report.leave_out(f"{len(changed)} changed files that are not committed")
    tree = committed_tree(folder)
    version = version_of(tree)
    commit = run("git", "-C", ROOT, "rev-parse", "--short", "HEAD").strip()
    report.say(f"rdae {version}, commit {commit}")
    if not states_address(tree):
        report.say("note: the project states no address; it has no public one yet")
    with report.trying("version, changelog and citation agree"):
        check_words(tree, version)

    if options.no_viewer:
        report.leave_out("the viewer: --no-viewer")
    viewer = not options.no_viewer and build_viewer(tree, report)
    tools = Tools(folder / "tools")
    built = folder / "dist"
    codec_from = codec_tree(tree, folder)
    tools.build(tree, built)  # the sdist, and the wheel from it
    tools.build(codec_from, built, "--wheel")
    (sdist,), (wheel,), (codec,) = (
        tuple(built.glob(pattern)) for pattern in ("rdae-*.tar.gz", "rdae-*.whl", "rdae_codec-*.whl")
    )
    for path in (sdist, wheel, codec):
        report.say(f"built: {path.name}, {path.stat().st_size:,} bytes")
    with report.trying(f"{wheel.name} is at most {WHEEL_LIMIT:,} bytes"):
        check_size(wheel, WHEEL_LIMIT)
    with report.trying(f"{codec.name} is at most {CODEC_LIMIT:,} bytes"):
        check_size(codec, CODEC_LIMIT)
    with report.trying("contents of the wheels"):
        check_contents(wheel, tree, models=True, viewer=viewer)
        check_contents(codec, tree, models=False, viewer=False)
    with report.trying("metadata, by twine"):
        tools.check([sdist, wheel, codec])

    wanted = pythons_of(tree)
    found = interpreters(wanted, options.python)
    shown = ["--viewer"] if viewer else []
    for number in wanted:
        if number not in found:
            report.leave_out(f"Python {number}: not found, not tried")
            continue
        with report.trying(f"the wheel in Python {number}"):
            report.say(try_package(tools, found[number], wheel, tree, version, *shown).rstrip())
    if found:
        number, python = next(iter(reversed(found.items())))
        with report.trying(f"the sdist in Python {number}"):
            report.say(try_package(tools, python, sdist, tree, version, *shown).rstrip())
        with report.trying(f"{codec.name} in Python {number}"):
            report.say(try_package(tools, python, codec, tree, version, "--no-models").rstrip())
    if not report.failed:
        options.output.mkdir(parents=True, exist_ok=True)
        for path in (sdist, wheel, codec):
            shutil.copy(path, options.output)
        report.say(f"in {options.output}: {sdist.name}, {wheel.name}, {codec.name}")
        if options.tag:
            tag(version, report)


def tag(version: str, report: Report) -> None:
    """Tag the commit, unless something was left out or this is no release."""
    if report.left_out:
        raise ReleaseError(f"not tagged, as this was left out: {'; '.join(report.left_out)}")
    if is_development(version):
        raise ReleaseError(f"not tagged: {version} is no release")
    run("git", "-C", ROOT, "tag", "--annotate", f"v{version}", "--message", f"rdae {version}")
    report.say(f"tagged: v{version}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tag", action="store_true", help="tag the commit, if all passed and nothing was left out"
    )
    parser.add_argument(
        "--python", action="append", default=[], metavar="PATH", help="another interpreter to try in"
    )
    parser.add_argument("--no-viewer", action="store_true", help="leave out the viewer of rdae view")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "dist", help="folder for what was built")
    options = parser.parse_args(arguments)
    report = Report()
    try:
        with tempfile.TemporaryDirectory(prefix="rdae-release-") as folder:
            release(options, report, Path(folder))
    except ReleaseError as error:
        report.say(f"FAILED: {error}")
        return 1
    report.say(f"{len(report.failed)} failed, {len(report.left_out)} left out")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
