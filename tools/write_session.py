"""Write the terminal session of docs/guide.md, commands with what they print: python tools/write_session.py.

The commands run in this process, in a folder of their own with the published weights, on a terminal that is not there:
what a passing line leaves visible is what a reader would see.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from rdae.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "guide.md"
BEGIN, END = "<!-- session: begin -->\n", "<!-- session: end -->\n"

COMMANDS = (
    "rdae compress photo.png",
    "rdae info photo.rdae",
    "rdae decompress photo.rdae",
    "rdae decompress photo.rdae -o half.webp --scale 1/2",
    "rdae verify photo.rdae",
    "rdae compress photo.png -o small.rdae --size 4KB",
    "rdae compress photo.png -o fine.rdae --tune psnr --psnr 40",
    "rdae compress -r album -d small -j 2",
    "echo $?",
    "rdae compress -r album -d small --skip-existing",
)


class Terminal(io.StringIO):
    """Standard output and error, as on a screen."""

    def isatty(self) -> bool:
        """As if somebody looked on."""
        return True

    def seen(self) -> str:
        """What is left of lines that were written over."""
        return "\n".join(line.rpartition("\r\x1b[K")[2] for line in self.getvalue().split("\n"))


def prepare(folder: Path) -> None:
    """Put photo.png there, and album/ with three pictures and a file that is none."""
    with Image.open(ROOT / "data" / "example.png") as opened:
        photo = opened.convert("RGB")
    photo.save(folder / "photo.png")
    album = folder / "album"
    (album / "2019").mkdir(parents=True)
    photo.crop((0, 0, 256, 256)).save(album / "2019" / "left.png")
    photo.crop((256, 0, 512, 256)).convert("L").save(album / "2019" / "right.png")
    photo.resize((256, 192)).save(album / "whole.jpg", quality=90)
    (album / "notes.jpg").write_text("not yet taken\n")


def session() -> str:
    """The commands and what they print."""
    shown, status = [], 0
    with tempfile.TemporaryDirectory(prefix="rdae-session-") as name, _inside(Path(name)):
        prepare(Path())
        for line in COMMANDS:
            if line == "echo $?":
                printed = f"{status}\n"
            else:
                status, printed = run(line)
            shown.append(f"$ {line}\n{printed}")
    return "".join(shown)


def run(line: str) -> tuple[int, str]:
    """Exit status of a command, and what is seen of it."""
    screen, status = Terminal(), 0
    with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
        try:
            main(shlex.split(line)[1:], prog_name="rdae")
        except SystemExit as end:
            status = int(end.code or 0)
    return status, screen.seen()


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def block(text: str) -> str:
    """As it stands in the page."""
    return f"{BEGIN}```console\n{text}```\n{END}"


def written() -> str:
    """What is in the page."""
    pattern = re.escape(BEGIN) + "```console\n(.*?)```\n" + re.escape(END)
    found = re.search(pattern, PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return found[1] if found else ""


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"{PAGE} has no place for it: {BEGIN}{END}")
    PAGE.write_text(before + block(session()) + after, encoding="utf-8")
