"""What README and docs/ show is tried here, so that it stays true."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from rdae.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page that are marked with `language`."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The words of each `rdae …` command that a page's shell blocks call."""
    joined = "\n".join(blocks(page, "sh")).replace("\\\n", " ").replace("&&", "\n")
    lines = [shlex.split(line, comments=True) for line in joined.splitlines()]
    return [line[1:] for line in lines if line[:1] == ["rdae"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_into_the_repository_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_shown_exists_with_its_options(page: Path) -> None:
    context = main.make_context("rdae", ["--help"], resilient_parsing=True)
    for name, *rest in commands(page):
        command = main.get_command(context, name)
        assert command is not None, f"rdae {name}"
        known = {option for parameter in command.params for option in parameter.opts}
        used = {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert used <= known, f"rdae {name} {' '.join(rest)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_shown_puts_a_decoded_picture_in_the_place_of_an_original(page: Path) -> None:
    for name, *rest in commands(page):
        if name == "decompress" and {"-f", "--force"} & {*rest}:
            assert {"-o", "--output"} & {*rest}, f"rdae decompress {' '.join(rest)}"


def test_the_readme_shows_every_kind_of_block_that_is_tried_here() -> None:
    names = {name for name, *_ in commands(ROOT / "README.md")}
    assert {"compress", "decompress", "info", "train", "export", "eval", "plot", "benchmark"} <= names
    assert blocks(ROOT / "README.md", "python")


def test_the_python_examples_of_the_readme_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    for example in blocks(ROOT / "README.md", "python"):
        names: dict[str, Any] = {}
        exec(compile(example, "README.md", "exec"), names)  # noqa: S102 - our own page
        found |= names
        assert names["image"].mode == "RGB"
    assert found["sizes"] == sorted(found["sizes"])
    assert len(found["small"]) <= 20_000
    assert found["corner"].size == (64, 64)
    assert (tmp_path / "example.rdae").is_file()


def test_the_python_examples_of_bulk_run_and_find_what_they_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    shutil.copy(ROOT / "data" / "example.png", tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    (example,) = blocks(ROOT / "docs" / "bulk.md", "python")
    for _ in range(2):
        exec(compile(example, "bulk.md", "exec"), {})  # noqa: S102 - our own page
    assert (tmp_path / "small" / "example.rdae").is_file()
    assert capsys.readouterr().out.splitlines()[-1].endswith("skipped")
