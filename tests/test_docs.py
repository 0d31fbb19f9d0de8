"""What README and documentation show is tried here, so that it stays true: links, commands, and blocks of code.

Blocks of shell and Python are run, one after the other, in a folder of small pictures that each page has for itself.
A comment before a block changes that: `<!-- run: slow -->` leaves it to `pytest -m slow`, `<!-- not run: WHY -->` says
why it is not run, and `<!-- setup: NAME -->` that .ci/run does it.  `<!-- no block is run: WHY -->` is for a page.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from rdae_command import rdae_command

from rdae.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted(path for folder in ("docs", "weights", "data") for path in (ROOT / folder).rglob("*.md")),
]
LONGEST_README = 150

BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
NOT_ONE = re.compile(r"^<!-- no block is run: (.+) -->$", re.MULTILINE)
MARKS = re.compile(r"run: slow|not run: .+|setup: \w+")
RUN = {"sh", "python"}
SHELL = set("|<>$;&`*?()~")
"""What only a shell understands; a command without it is called here, which saves the start of a process."""


@dataclass(frozen=True)
class Block:
    """A block of code of a page; mark: what the comment before it says, or ""."""

    language: str
    text: str
    mark: str


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """The code blocks of a page, all or those that are marked with `language`."""
    text = page.read_text(encoding="utf-8")
    found = [Block(each["language"], each["text"], each["mark"] or "") for each in BLOCK.finditer(text)]
    return [each for each in found if language in (None, each.language)]


def lines(block: Block) -> list[str]:
    """The commands of a block of shell, without comments."""
    joined = block.text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if shlex.split(line, comments=True)]


def commands(page: Path) -> list[list[str]]:
    """The words of each `rdae …` command that a page's shell blocks call."""
    whole = [line for block in blocks(page, "sh") for line in lines(block)]
    words = [shlex.split(part, comments=True) for part in "\n".join(whole).replace("&&", "\n").splitlines()]
    return [each[1:] for each in words if each[:1] == ["rdae"]]


def heading_names(page: Path) -> set[str]:
    """The anchors of a page's headings, as forges name them; those of the site are checked when it is built."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", each).lower() for each in found]
    return {re.sub(r"[^\w\- ]", "", each).replace(" ", "-") for each in plain}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_into_the_repository_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)", text) + re.findall(
        r"<img src=\"([^\"]+)\"", text
    )
    local = [target.partition("#") for target in targets if "://" not in target]
    missing = [path for path, _, _ in local if path and not (page.parent / path).exists()]
    assert missing == []
    for path, _, anchor in local:
        target = page.parent / path if path else page
        assert not anchor or anchor in heading_names(target), f"{path}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_shown_exists_with_its_options(page: Path) -> None:
    context = main.make_context("rdae", ["--help"], resilient_parsing=True)
    for name, *rest in commands(page):
        if name.startswith("-"):
            continue
        command = main.get_command(context, name)
        assert command is not None, f"rdae {name}"
        known = {option for parameter in command.params for option in parameter.opts}
        used = {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert used <= known, f"rdae {name} {' '.join(rest)}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_command_shown_puts_a_decoded_picture_in_the_place_of_an_original(page: Path) -> None:
    for name, *rest in commands(page):
        if name == "decompress" and {"-f", "--force"} & {*rest}:
            assert {"-o", "--output"} & {*rest}, f"rdae decompress {' '.join(rest)}"


def test_the_readme_is_short_and_the_guide_shows_every_kind_of_command() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= LONGEST_README
    readme = {name for name, *_ in commands(ROOT / "README.md")}
    assert {"compress", "decompress", "compare", "train"} <= readme
    guide = {name for name, *_ in commands(ROOT / "docs" / "guide.md")}
    assert {
        "compress",
        "decompress",
        "verify",
        "info",
        "eval",
        "plot",
        "report",
        "inspect",
        "models",
    } <= guide
    assert blocks(ROOT / "README.md", "python")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    found = [block for block in blocks(page) if block.language in RUN]
    assert [block.mark for block in found if block.mark and not MARKS.fullmatch(block.mark)] == []
    if NOT_ONE.search(page.read_text(encoding="utf-8")):
        assert found
        assert [block.mark for block in found if block.mark.startswith("run:")] == []


def run_here(page: Path, *, slow: bool) -> list[Block]:
    """The blocks of a page that are run, with `slow` those too that take long."""
    if NOT_ONE.search(page.read_text(encoding="utf-8")):
        return []
    marks = {"", "run: slow"} if slow else {""}
    return [block for block in blocks(page) if block.language in RUN and block.mark in marks]


def lend(name: str, folder: Path) -> None:
    """Put a folder of the repository there, by a link where the system lets us make one."""
    try:
        (folder / name).symlink_to(ROOT / name, target_is_directory=True)
    except OSError:
        shutil.copytree(ROOT / name, folder / name)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with all that the pages' commands name, as the current one."""
    for name in ("data", "tools", "examples", "weights"):
        lend(name, tmp_path)
    with Image.open(ROOT / "data" / "example.png") as opened:
        photo = opened.convert("RGB").crop((100, 60, 308, 268))
    photo.save(tmp_path / "photo.png")
    photo.crop((0, 0, 80, 64)).save(tmp_path / "a.png")
    drawing = Image.new("RGB", (120, 90), "white")
    ImageDraw.Draw(drawing).line((10, 80, 50, 20, 110, 60), fill="navy", width=2)
    drawing.save(tmp_path / "plot.png")
    icon = drawing.resize((48, 36)).convert("RGBA")
    icon.putalpha(Image.fromarray(np.linspace(0, 255, 48 * 36).astype(np.uint8).reshape(36, 48)))
    icon.save(tmp_path / "icon.png")
    for album in ("photos", "pictures"):
        (tmp_path / album / "2019").mkdir(parents=True)
        photo.crop((0, 0, 192, 192)).save(tmp_path / album / "2019" / "rome.jpg", quality=95)
        photo.crop((8, 8, 200, 200)).save(tmp_path / album / "window.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    return tmp_path


def run_shell(block: Block, bash: str) -> None:
    for line in lines(block):
        words = shlex.split(line, comments=True)
        unquoted = re.sub(r"'[^']*'|\"[^\"$`]*\"|(?:^|\s)#.*", "", line)
        if words[0] == "rdae" and not SHELL & {*unquoted}:
            done = rdae_command(*words[1:])
            assert done.exit_code == 0, f"{line}\n{done.stdout}{done.stderr}"
        else:
            ran = subprocess.run(
                [bash, "-euo", "pipefail", "-c", line], capture_output=True, text=True, check=False
            )
            assert ran.returncode == 0, f"{line}\n{ran.stdout}{ran.stderr}"


def run_blocks(page: Path, found: list[Block]) -> dict[str, Any]:
    """Run blocks of a page, and return what names its Python has left."""
    bash = shutil.which("bash")
    if bash is None and any(block.language == "sh" for block in found):
        pytest.skip("no bash on this machine")
    names: dict[str, Any] = {}
    for block in found:
        if block.language == "sh":
            run_shell(block, str(bash))
        else:
            exec(compile(block.text, name_of(page), "exec"), names)  # noqa: S102 - our own page
    return names


WITH_BLOCKS = [page for page in PAGES if run_here(page, slow=False)]
WITH_SLOW = [page for page in PAGES if run_here(page, slow=True) != run_here(page, slow=False)]


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=name_of)
def test_the_blocks_run(page: Path, folder: Path) -> None:
    names = run_blocks(page, run_here(page, slow=False))
    if name_of(page) == "README.md":
        assert names["image"].mode == "RGB"
        assert len(names["small"]) <= 20_000
        for made in ("photo.rdae", "back.webp", "small/2019/rome.rdae", "strip.png"):
            assert (folder / made).is_file()
    if name_of(page) == "docs/python.md":
        assert names["sizes"] == sorted(names["sizes"])
        assert len(names["small"]) <= 20_000
        assert names["corner"].size == (64, 64)
        assert (folder / "example.rdae").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_SLOW, ids=name_of)
def test_the_slow_blocks_run_too(page: Path, folder: Path) -> None:  # noqa: ARG001
    pytest.importorskip("torch", reason="training and some measures need PyTorch, which is not installed")
    run_blocks(page, run_here(page, slow=True))


def test_most_blocks_of_readme_and_guide_are_run() -> None:
    for name in ("README.md", "docs/guide.md", "docs/python.md", "docs/bulk.md", "docs/graphics.md"):
        found = [each for each in blocks(ROOT / name) if each.language in RUN and "setup:" not in each.mark]
        assert len(run_here(ROOT / name, slow=False)) >= len(found) / 2, name


def test_a_block_that_fails_is_found(folder: Path) -> None:
    for wrong in ("rdae info nothing.rdae", "false | cat", "rdae decompress - < photo.png > /dev/null"):
        with pytest.raises(AssertionError, match=wrong.split()[0]):
            run_blocks(folder, [Block("sh", f"rdae models\n{wrong}  # why\n", "")])


def test_the_python_of_bulk_finds_what_it_made(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = blocks(ROOT / "docs" / "bulk.md", "python")
    for _ in range(2):
        run_blocks(ROOT / "docs" / "bulk.md", [example])
    assert (folder / "small" / "2019" / "rome.rdae").is_file()
    assert capsys.readouterr().out.splitlines()[-1].endswith("skipped")
