"""What tools/release.py checks, on small trees; the whole takes minutes and is run by hand."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import release
from release import ReleaseError, Report

import rdae

ROOT = Path(__file__).resolve().parents[1]


def tree(folder: Path, version: str, *, cited: str | None = None, changes: str = "## [Unreleased]\n") -> Path:
    """As much of a checkout as stating a version takes."""
    (folder / "rdae").mkdir()
    (folder / "rdae" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    (folder / "CITATION.cff").write_text(f"title: x\nversion: {cited or version}\nlicense: y\n")
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n{changes}")
    return folder


def test_this_checkout_says_one_version_everywhere() -> None:
    version = release.version_of(ROOT)
    assert version == rdae.__version__
    release.check_words(ROOT, version)
    assert release.pythons_of(ROOT) == ["3.10", "3.11", "3.12", "3.13", "3.14"]


@pytest.mark.parametrize(
    ("version", "changes", "wrong"),
    [
        ("1.0.0", "## [1.0.0] - 2027-01-31\n", None),
        ("1.0.0", "## [Unreleased]\n\n## [1.0.0] - 2027-01-31\n", None),
        ("1.0.0", "## [Unreleased]\n", r"no heading \[1\.0\.0\] with a date"),
        ("1.0.0", "## [1.0.0]\n", r"no heading \[1\.0\.0\] with a date"),
        ("1.1.0.dev0", "## [Unreleased]\n\n## [1.0.0] - 2027-01-31\n", None),
        ("1.1.0.dev0", "## [1.0.0] - 2027-01-31\n", r"does not begin with \[Unreleased\]"),
    ],
)
def test_the_changelog_must_fit_the_version(
    tmp_path: Path, version: str, changes: str, wrong: str | None
) -> None:
    made = tree(tmp_path, version, changes=changes)
    assert release.version_of(made) == version
    if wrong is None:
        release.check_words(made, version)
        return
    with pytest.raises(ReleaseError, match=wrong):
        release.check_words(made, version)


def test_the_citation_must_state_the_version(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"CITATION\.cff does not say version: 1\.1\.0\.dev0"):
        release.check_words(tree(tmp_path, "1.1.0.dev0", cited="1.0.0"), "1.1.0.dev0")


@pytest.mark.parametrize(
    ("text", "stated"), [("[project.urls]\nHome = 'x'\n", True), ("# no [project.urls]\n", False)]
)
def test_an_address_is_one_that_the_project_states(tmp_path: Path, text: str, stated: bool) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[project]\n\n{text}")
    assert release.states_address(tmp_path) is stated


def test_a_tag_is_refused_where_something_was_left_out_or_nothing_is_released() -> None:
    report = Report()
    with pytest.raises(ReleaseError, match=r"not tagged: 1\.0\.0\.dev0 is no release"):
        release.tag("1.0.0.dev0", report)
    report.leave_out("Python 3.14: not found, not tried")
    with pytest.raises(ReleaseError, match=r"not tagged, as this was left out: Python 3\.14"):
        release.tag("1.0.0", report)


def test_a_tag_is_made_by_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "ROOT", tmp_path)
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (("init", "-q"), (*who, "commit", "-q", "--allow-empty", "-m", "x")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "a@b")
    release.tag("1.0.0", Report())
    tags = subprocess.run(["git", "tag"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert tags == "v1.0.0\n"


def test_one_run_tells_all_that_is_wrong() -> None:
    report = Report()
    with report.trying("first"):
        release.check_size(Path(os.devnull), -1)
    with report.trying("second"):
        pass
    assert report.failed == ["first"]
    assert report.lines == ["FAILED: first: 0 bytes, expected at most -1", "passed: second"]


def wheel(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("rdae/__init__.py", "rdae-1.dist-info/METADATA", *names):
            archive.writestr(name, "")
    return path


MAN = "rdae-1.data/data/share/man/man1/rdae.1"
VIEWER = "rdae/web_data/viewer/index.html"


@pytest.mark.parametrize(
    ("names", "models", "viewer", "wrong"),
    [
        ((MAN, "rdae/weights_data/a.safetensors"), True, False, None),
        ((MAN, "rdae/weights_data/a.safetensors", VIEWER), True, True, None),
        ((MAN,), False, False, None),
        ((MAN,), True, False, "lacks weights"),
        ((MAN, "rdae/weights_data/a.safetensors"), False, False, "holds weights"),
        ((MAN,), False, True, "lacks the viewer"),
        ((MAN, VIEWER), False, False, "holds a viewer"),
        ((), False, False, "lacks the man page"),
        ((MAN, "tests/x.py"), False, False, "holds tests"),
    ],
)
def test_a_wheel_holds_what_it_should(
    tmp_path: Path, names: tuple[str, ...], models: bool, viewer: bool, wrong: str | None
) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "a.safetensors").touch()
    made = wheel(tmp_path / "a.whl", *names)
    if wrong is None:
        release.check_contents(made, tmp_path, models=models, viewer=viewer)
        return
    with pytest.raises(ReleaseError, match=wrong):
        release.check_contents(made, tmp_path, models=models, viewer=viewer)


def test_a_package_may_be_so_large_and_no_larger(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(1000))
    release.check_size(path, 1000)
    with pytest.raises(ReleaseError, match="1,000 bytes, expected at most 999"):
        release.check_size(path, 999)


def test_the_package_without_models_has_another_name_and_no_weights(tmp_path: Path) -> None:
    original = tmp_path / "tree"
    for name in (
        "weights/a.safetensors",
        "weights/a.json",
        "weights/a.check.onnx",
        "weights/__init__.py",
        "web/x",
    ):
        (original / name).parent.mkdir(parents=True, exist_ok=True)
        (original / name).touch()
    (original / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    copy = release.codec_tree(original, tmp_path)
    assert [path.name for path in (copy / "weights").iterdir()] == ["__init__.py"]
    assert not (copy / "web").exists()
    before, after = ((each / "pyproject.toml").read_text().splitlines() for each in (original, copy))
    changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert changed == [('name = "rdae"', 'name = "rdae-codec"')]


@pytest.mark.skipif(os.name == "nt", reason="the pretended interpreters are shell scripts")
def test_interpreters_are_taken_for_what_they_say_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = "{}.{}".format(*sys.version_info[:2])
    broken = tmp_path / "python3.99"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert release.interpreters([version, "3.98", "3.99"], []) == {}
    given = [str(broken), str(tmp_path / "none"), sys.executable]
    assert release.interpreters([version, "3.98", "3.99"], given) == {version: sys.executable}
    own = tmp_path / "versions" / f"{version}.0" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to(sys.executable)
    assert release.interpreters([version], []) == {version: str(own)}


def test_a_command_that_fails_is_one_error_with_what_it_said() -> None:
    with pytest.raises(ReleaseError, match=re.compile("ended with 3: why", re.DOTALL)):
        release.run(sys.executable, "-c", "import sys; print('why'); sys.exit(3)")
    with pytest.raises(ReleaseError, match="no-such-program: No such file"):
        release.run("no-such-program")
    assert release.run(sys.executable, "-c", "print('said')") == "said\n"
