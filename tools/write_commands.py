"""Write docs/commands.md and the man page, the help of all commands: python tools/write_commands.py

To be run after any change of commands and options.
"""

import sys
from pathlib import Path

import click
import write_man

from rdae.cli.main import COMMANDS, main

PAGE = Path(__file__).parent.parent / "docs" / "commands.md"
WIDTH = 100

HEAD = """# Commands

What `rdae COMMAND --help` says, all on one page. Written by `python tools/write_commands.py`; a test finds options
that are missing here.

Exit status of all commands: 0 if all was done, 1 if an input failed, 2 for wrong usage, 130 after Ctrl-C (143 after
SIGTERM). Errors are lines on standard error that begin with `rdae: ` and the file's name.
"""


def help_of(name: str) -> str:
    """The help of a command, or with "" of the group, as in a terminal."""
    group = click.Context(main, info_name="rdae", terminal_width=WIDTH, **main.context_settings)
    if not name:
        return str(main.get_help(group))
    command = main.get_command(group, name)
    assert command is not None
    return str(command.get_help(click.Context(command, info_name=name, parent=group, terminal_width=WIDTH)))


def page() -> str:
    """The whole page."""
    parts = [HEAD.rstrip()]
    for name in ("", *COMMANDS):
        heading = f"## rdae {name}".rstrip()
        parts += ["", heading, "", "```text", help_of(name), "```"]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    write_man.write()
    sys.exit(0)
