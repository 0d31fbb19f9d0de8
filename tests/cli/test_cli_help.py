"""Help that leaves nothing out: each option of each command says what it does, there and in docs/commands.md."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from write_commands import PAGE

from rdae.cli.main import COMMANDS, main


def command(name: str) -> click.Command:
    found: click.Command | None = main.get_command(click.Context(main), name)
    assert found is not None
    return found


def options(name: str) -> list[click.Option]:
    given = main if not name else command(name)
    return [parameter for parameter in given.params if isinstance(parameter, click.Option)]


def words(text: str) -> str:
    """Without white space, which is where versions of click break lines differently."""
    return re.sub(r"\s+", "", text)


def section(name: str) -> str:
    """What docs/commands.md says of a command."""
    text = PAGE.read_text(encoding="utf-8")
    heading = f"\n## rdae {name}".rstrip() + "\n"
    assert heading in text
    return text.partition(heading)[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_option_says_what_it_does_in_the_help_and_in_the_docs(name: str) -> None:
    described = words(section(name))
    for option in options(name):
        for spelling in (*option.opts, *option.secondary_opts):
            assert spelling in described, f"rdae {name} {spelling}: run tools/write_commands.py"
        assert option.help, f"rdae {name} {option.opts[-1]}"
        assert words(option.help) in described, f"rdae {name} {option.opts[-1]}: run tools/write_commands.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_in_the_help_and_in_the_docs(name: str) -> None:
    text = command(name).help
    assert text
    assert words(text.replace("\b", "")) in words(section(name)), "run tools/write_commands.py"
    assert words(COMMANDS[name][1]) in words(section(""))


@pytest.mark.parametrize(
    ("line", "expected"),
    [("rdae comp", "compress"), ("rdae compress --ver", "--verify"), ("rdae verify x", "file")],
)
def test_shells_are_told_how_words_go_on(line: str, expected: str, tmp_path: Path) -> None:
    environment = {"_RDAE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    code = "from rdae.cli.main import main; main(prog_name='rdae')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert expected in re.split(r"[,\n]", done.stdout), done.stderr
