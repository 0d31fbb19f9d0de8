"""Write the man page, cli/rdae.1, from the help of all commands: python tools/write_man.py

An install puts it into share/man/man1, where `man rdae` finds it on platforms that have man pages.
tools/write_commands.py writes it too.
"""

import inspect
import re
import textwrap
from pathlib import Path

import click

from rdae.cli.main import COMMANDS, main

PAGE = Path(__file__).resolve().parents[1] / "cli" / "rdae.1"
WIDTH = 100

HEAD = r""".\" Written by tools/write_man.py from the help of the commands.
.TH RDAE 1 "" "rdae" "User Commands"
.SH NAME
rdae \- compress pictures with a learned codec, and decompress them
.SH SYNOPSIS
.B rdae
.I COMMAND
.RI [ OPTIONS "] [" ARGUMENTS ]
.SH DESCRIPTION
.B rdae
compresses pictures to small
.I .rdae
files and decompresses them to the same picture on every machine.
.SH EXAMPLES
.nf
rdae compress photo.png                 # writes photo.rdae beside it
rdae compress photo.png \-o small.rdae \-q 30
rdae decompress small.rdae \-o again.png
rdae compress \-r photos \-d small        # a folder and all below it
rdae info small.rdae
.fi
"""

TAIL = r""".SH "EXIT STATUS"
.TP
.B 0
All was done.
.TP
.B 1
An input failed. The others were done. Errors are lines on standard error that begin with "rdae: " and the
name of the file.
.TP
.B 2
Wrong usage.
.TP
.B 130
Ended by Ctrl\-C; 143 after SIGTERM.
.SH ENVIRONMENT
.TP
.B RDAE_MODEL_PATH
Folders that are searched for models first, written like PATH.
.TP
.B RDAE_DEVICE
The device of the networks where
.B \-\-device
does not name one:
.B cpu
or
.BR cuda .
.SH FILES
.TP
.I \(ti/.local/share/rdae/models
Models of one user. On macOS
.IR "\(ti/Library/Application Support/rdae/models" ,
on Windows
.IR %LOCALAPPDATA%\erdae\emodels .
.SH "SEE ALSO"
.BR cjxl (1),
.BR avifenc (1),
.BR cwebp (1)
"""


def escaped(text: str) -> str:
    """Text that roff prints as it is, where no line of it begins as a request does."""
    return text.replace("\\", r"\e").replace("-", r"\-")


def kept(line: str) -> str:
    """An escaped line that is no request."""
    return rf"\&{line}" if line.startswith((".", "'")) else line


def prose(text: str) -> str:
    """A paragraph; what stands in backticks is a command, and bold."""
    words = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", escaped(" ".join(text.split())))
    lines = textwrap.wrap(words, WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(kept, lines))


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a help text; those after a backspace keep their lines, as in click."""
    made = []
    for part in re.split(r"\n[ \t]*\n", inspect.cleandoc(text)):
        if part.startswith("\b\n"):
            lines = "\n".join(kept(escaped(line)) for line in part[2:].split("\n"))
            made.append(f".PP\n.nf\n{lines}\n.fi")
        else:
            made.append(f".PP\n{prose(part)}")
    return made


def option_lines(option: click.Option, context: click.Context) -> list[str]:
    """An option with what it says of itself."""
    left, right = option.get_help_record(context) or ("", "")
    return [".TP", rf"\fB{escaped(left)}\fR", prose(right)]


def command_lines(name: str) -> list[str]:
    """The section of one command."""
    group = click.Context(main, info_name="rdae", **main.context_settings)
    command = main.get_command(group, name)
    assert command is not None
    context = click.Context(command, info_name=name, parent=group)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.SS "rdae {name}"',
        rf"\fBrdae {escaped(name)}\fR {escaped(usage)}",
        *paragraphs(command.help or ""),
    ]
    for option in command.get_params(context):
        if isinstance(option, click.Option) and not option.hidden:
            lines += option_lines(option, context)
    return lines


def page() -> str:
    """The whole page."""
    group = click.Context(main, info_name="rdae", **main.context_settings)
    lines = [".SH OPTIONS"]
    for option in main.get_params(group):
        if isinstance(option, click.Option):
            lines += option_lines(option, group)
    lines += [".SH COMMANDS"]
    for name in COMMANDS:
        lines += command_lines(name)
    return HEAD + "\n".join(lines) + "\n" + TAIL


def write() -> None:
    """Write it."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write()
