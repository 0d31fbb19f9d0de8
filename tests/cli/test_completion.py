"""Completion in the shells themselves: what a person types, and what the shell makes of the tab key."""

import importlib.metadata
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from rdae_command import rdae_command

from rdae.cli.completion import SHELLS

pty = pytest.importorskip("pty", reason="shells are tried on a Unix terminal")

SECONDS = 600
ESCAPES = re.compile(r"\x1b(\[[?\d;]*[a-zA-Z]|[=>])")
LINES = [
    ("rdae decomp", "rdae decompress"),
    ("rdae compress --verif", "rdae compress --verify"),
    ("rdae compress --tune vis", "rdae compress --tune visual"),
    ("rdae info pho", "rdae info photo.rdae"),
]


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder with photo.rdae in it, and an environment in which a shell finds the command rdae and no settings."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "photo.rdae").touch()
    program = tmp_path / "bin" / "rdae"
    program.parent.mkdir()
    code = "from rdae.cli.main import main; main(prog_name='rdae')"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return folder, {"PATH": path, "HOME": str(tmp_path), "TERM": "xterm", "LC_ALL": "C.UTF-8"}


def need(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    return found


def at_terminal(command: list[str], folder: Path, environment: Mapping[str, str], typed: list[str]) -> str:
    """What a shell prints on a terminal where these lines are typed."""
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    raw, printed = b"", ""
    try:
        for line in [*typed, "echo en''d\n"]:
            os.write(ours, line.encode())
        until = time.monotonic() + SECONDS
        while not re.search(r"^end$", printed, re.MULTILINE) and time.monotonic() < until:
            if select.select([ours], [], [], 0.2)[0]:
                raw += os.read(ours, 65536)
                printed = ESCAPES.sub("", raw.decode(errors="replace")).replace("\r", "\n")
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
    return printed


@pytest.mark.parametrize(("line", "whole"), LINES)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_tab_key_completes_what_is_typed(
    place: tuple[Path, dict[str, str]], shell: str, line: str, whole: str
) -> None:
    folder, environment = place
    command, setup = {
        "bash": (["--norc", "--noprofile", "-i"], ""),
        "zsh": (["-f", "-i"], "autoload -U compinit; compinit -u -D; bindkey -e\n"),
    }[shell]
    # The tab; then the line is made one that prints what it says, from its beginning.
    typed = [setup, f'eval "$(rdae completion {shell})"\n', f"{line}\t", "\x01echo 'told:' \n"]
    printed = at_terminal([need(shell), *command], folder, environment, typed)
    assert re.findall(r"^told: (.*?) *$", printed, re.MULTILINE) == [whole], printed


@pytest.mark.parametrize(("line", "whole"), LINES)
def test_fish_completes_what_is_typed(place: tuple[Path, dict[str, str]], line: str, whole: str) -> None:
    folder, environment = place
    code = f"rdae completion fish | source; complete --do-complete '{line}'"
    command = [need("fish"), "--no-config", "-c", code]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    offers = [offer.partition("\t")[0] for offer in done.stdout.splitlines()]
    assert offers == [whole.rpartition(" ")[2]], done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_a_completion_script_is_printed_or_why_it_is_not(shell: str) -> None:
    code, script, errors = rdae_command("completion", shell)
    version = tuple(map(int, importlib.metadata.version("click").split(".")[:2]))
    if shell == "powershell" and version < (8, 5):
        assert (code, script) == (1, "")
        assert errors.startswith("rdae: completion for powershell needs click 8.5 or newer, and this is 8.")
        return
    assert (code, errors) == (0, "")
    assert "_RDAE_COMPLETE" in script
    assert f"{shell}_complete" in script


def test_a_click_that_does_not_know_a_shell_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rdae.cli.completion.get_completion_class", lambda _shell: None)
    code, script, errors = rdae_command("completion", "powershell")
    assert (code, script) == (1, "")
    assert errors.startswith("rdae: completion for powershell needs click 8.5 or newer, and this is ")
    assert errors.count("\n") == 1
