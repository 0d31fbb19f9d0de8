"""The man page says what the help says, and programs that show man pages find nothing wrong with it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import write_man

from rdae.cli.main import COMMANDS, main

TEXT = write_man.PAGE.read_text(encoding="utf-8")


def words(text: str) -> str:
    """Without white space, and without what roff alone reads."""
    plain = re.sub(r"^\.[A-Za-z]{2}\b.*|\\f[A-Z]|\\&|\\(?=[-])", "", text, flags=re.MULTILINE).replace(
        r"\e", "\\"
    )
    return re.sub(r"[\s`\b]+", "", plain)


def section(name: str) -> str:
    heading = f'.SS "rdae {name}"\n'
    assert heading in TEXT, "run tools/write_commands.py"
    return words(re.split(r"^\.S[SH] ", TEXT.partition(heading)[2], maxsplit=1, flags=re.MULTILINE)[0])


@pytest.mark.parametrize("name", COMMANDS)
def test_it_says_of_each_command_what_the_help_says(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.help
    described = section(name)
    assert words(command.help) in described, "run tools/write_commands.py"
    options = [option for option in command.params if isinstance(option, click.Option)]
    for option in options:
        assert option.help
        assert words(", ".join(option.opts)) in described, "run tools/write_commands.py"
        assert words(option.help) in described, "run tools/write_commands.py"
    headings = re.findall(r'^\.SS "rdae (.*)"$', TEXT, re.MULTILINE)
    assert headings == list(COMMANDS), "run tools/write_commands.py"


def test_no_line_of_a_text_is_taken_for_a_request() -> None:
    text = "`rdae x` reads a\\b, ends in ... and\n'quotes'\n\n\b\n.dot\n'quote -x"
    assert write_man.paragraphs(text) == [
        ".PP\n\\fBrdae x\\fR reads a\\eb, ends in ... and 'quotes'",
        ".PP\n.nf\n\\&.dot\n\\&'quote \\-x\n.fi",
    ]
    assert write_man.prose(f"{'x' * 99} ...") == f"{'x' * 99}\n\\&..."


def shown(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100", "MAN_KEEP_FORMATTING": "", **more}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)


def test_man_shows_it_without_a_warning() -> None:
    done = shown("man", "--warnings", "--local-file", str(write_man.PAGE))
    if "No manual entry" in done.stderr or "has been minimized" in done.stdout:
        pytest.skip("man is not installed whole")
    assert (done.returncode, done.stderr) == (0, "")
    plain = re.sub(".\b", "", done.stdout)
    assert re.search(r"^NAME\n +rdae - compress pictures", plain, re.MULTILINE)
    assert "rdae compress photo.png -o small.rdae -q 30" in plain
    assert re.search(r"^ +-q, --quality ", plain, re.MULTILINE)


def test_mandoc_finds_no_error() -> None:
    done = shown("mandoc", "-T", "lint", "-W", "error", str(write_man.PAGE))
    assert (done.returncode, done.stdout) == (0, "")


def test_man_finds_it_beside_an_installed_command(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("how man looks beside commands differs")
    page = (
        tmp_path / "share" / "man" / "man1" / "rdae.1"
    )  # as pip lays it; tests/test_packaging.py has the wheel
    page.parent.mkdir(parents=True)
    shutil.copy(write_man.PAGE, page)
    (tmp_path / "bin").mkdir()
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = shown("man", "--where", "rdae", PATH=path, MANPATH="")
    assert done.stdout.strip() == str(page), done.stderr
