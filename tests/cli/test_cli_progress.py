"""What is seen on a terminal while one file is worked on, and where nothing is."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from fuzzing import frozen_path
from PIL import Image
from tiny_model import photo

from rdae import batch
from rdae.cli import progress
from rdae.cli.batch import OF_MANY_AFTER_S, ONE_FILE_AFTER_S, Request
from rdae.cli.progress import JobLine, PassingLine, cut, shortened
from rdae.clock import Clock
from rdae.codec import decode, encode
from rdae.codec.refinement import Progress
from rdae.codec.tiles import Region
from rdae.networks.model import Model

# The command, but that its line does not wait for a second, and is drawn often: the small model needs no second.
AT_ONCE = """
import rdae.cli.batch, rdae.cli.main, rdae.cli.progress
rdae.cli.batch.ONE_FILE_AFTER_S = 0.0
rdae.cli.progress.DRAW_EVERY_S = 0.001
rdae.cli.main.main()
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def seen(*arguments: str) -> str:
    """What a terminal shows on stderr until the command ends well."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", AT_ONCE, *arguments, "--model", str(frozen_path())]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 4096):
                text += part
        except OSError:  # how Linux says that the other side is closed
            pass
        os.close(ours)
    assert process.returncode == 0
    return text.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of Unix")
@pytest.mark.parametrize("effort", ["0", "1"])
def test_one_photograph_shows_a_bar_in_both_directions(effort: str) -> None:
    """Of six tiles, as it has more than four megapixels."""
    Image.fromarray(photo(2000, 2200)).save("a.png")
    text = seen("compress", "a.png", "-e", effort, "--no-exact")
    assert re.search(r"a\.png  encoding \[[#.]{24}\] \d of 6 tiles", text)
    assert re.search(r"\d% saved, \d+:\d\d left", text) or effort == "0"
    assert text.count("\n") == 1  # the line that stays
    assert re.search(r"\x1b\[Ka\.png -> a\.rdae ", text)
    assert re.search(
        r"a\.rdae  decoding \[[#.]{24}\] \d of 6 tiles", seen("decompress", "a.rdae", "-o", "b.jpg")
    )
    assert re.search(r"a\.rdae  verifying \[[#.]{24}\] \d of 6 tiles", seen("verify", "a.rdae"))


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of Unix")
def test_nothing_is_drawn_with_quiet_or_json() -> None:
    Image.fromarray(photo(500, 600)).save("a.png")
    for option in ("--quiet", "--json"):
        assert seen("compress", "a.png", "-f", option) == ""
        assert seen("decompress", "a.rdae", "-o", "b.png", "-f", option) == ""


def request(
    *inputs: str, processes: int | None = None, as_json: bool = False, quiet: bool = False
) -> Request:
    return Request(
        inputs=inputs,
        recursive=False,
        shard=None,
        processes=processes,
        threads=None,
        as_json=as_json,
        quiet=quiet,
        verbose=False,
    )


def test_it_is_drawn_for_this_process_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert request("a.png").watch() is None
    monkeypatch.setattr(progress.PassingLine, "terminal", True, raising=False)
    monkeypatch.setattr(progress.PassingLine, "__init__", lambda self: setattr(self, "_open", False))
    assert request("a.png").watch() is not None
    assert request("a.png", processes=2).watch() is None
    assert request("a.png", as_json=True).watch() is None
    assert request("a.png", quiet=True).watch() is None


def test_one_file_has_it_after_a_second_and_one_of_many_later() -> None:
    assert ONE_FILE_AFTER_S == 1.0 < OF_MANY_AFTER_S


def test_the_line_says_what_is_done_and_how_much_of_it() -> None:
    line = JobLine("a\nb.png", draw=False)
    line.told("reading", 0, 0)
    assert line._text() == "a b.png  reading, 0:00"
    line.told("encoding", 0, 12)
    assert line._text() == f"a b.png  encoding [{'.' * 24}] 0 of 12 tiles"
    line.told("encoding", 6, 12)
    line._since = time.monotonic() - 30
    assert line._text() == f"a b.png  encoding [{'#' * 12}{'.' * 12}] 6 of 12 tiles, 0:30 left"
    line.searched(Progress(step=1, steps=4, plain_bits=100.0, saved_bits=3.0))
    assert line._text() == f"a b.png  [{'#' * 6}{'.' * 18}]  25%  3.0% saved, 1:30 left"
    line.told("verifying", 1, 1)
    assert line._text() == f"a b.png  verifying [{'#' * 24}] 1 of 1 tile, 0:00 left"
    assert JobLine("-", draw=False)._text().startswith("standard input  ")


def test_a_line_is_cut_to_the_cells_of_the_terminal() -> None:
    assert cut("abcdef", 4) == "abcd"
    assert cut("abc", 4) == "abc"
    assert cut("a\u0301bcd", 3) == "a\u0301bc"
    assert cut("写真写真", 5) == "写真"
    assert shortened("a" * 32) == "a" * 32
    assert shortened("folder/" * 9 + "name.png", 12) == "…er/name.png"


@pytest.mark.parametrize(("term", "drawn"), [("xterm", True), ("dumb", False)])
def test_what_passes_is_cut_where_it_can_be_taken_away(
    term: str, drawn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
    monkeypatch.setenv("TERM", term)
    with os.fdopen(theirs, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        line = PassingLine()
        assert line.terminal is drawn
        line.passing("x" * 100)
        line.lasting("y" * 100)
        text = ""
        while not text.endswith("y\r\n"):  # a terminal may give what was written in parts
            text += os.read(ours, 4096).decode()
    os.close(ours)
    if drawn:
        assert text == f"\r\x1b[K{'x' * 29}\r\x1b[K{'y' * 100}\r\n"
    else:
        assert text == f"{'x' * 100}\r\n{'y' * 100}\r\n"


def test_a_clock_tells_how_many_tiles_are_done(tiny: Model) -> None:
    told: list[tuple[str, int, int]] = []
    clock = Clock(lambda *what: told.append(what))
    data = encode.compress(photo(290, 560), tiny, 400, tile=4, clock=clock, verify=True)
    assert told == [(what, done, 6) for what in ("encoding", "verifying") for done in range(7)]
    told.clear()
    whole = decode.decode(data, tiny, clock=clock).picture
    assert {(what, total) for what, _, total in told} == {("decoding", 6)}
    counts = [done for _, done, _ in told]
    assert (counts[0], counts[-1]) == (0, 6)
    assert counts == sorted(counts)
    told.clear()
    part = decode.decode(data, tiny, clock=clock, region=Region(0, 0, 30, 20)).picture
    assert (part == whole[:20, :30]).all()
    assert (told[0], told[-1]) == (("decoding", 0, 1), ("decoding", 1, 1))


class Kept:
    """A watcher that keeps what it is told."""

    def __init__(self, name: str) -> None:
        self.name, self.heard = name, list[str]()

    def __enter__(self) -> Kept:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, *_error: object) -> None:
        self.heard.append("end")

    def told(self, what: str, _done: int, _total: int) -> None:
        if what not in self.heard:
            self.heard.append(what)

    def searched(self, _progress: Progress) -> bool:
        return False


def test_tasks_tell_of_reading_and_writing_too() -> None:
    Image.fromarray(photo(50, 60)).save("a.png")
    kept: list[Kept] = []

    def watch(name: str) -> Kept:
        kept.append(Kept(name))
        return kept[-1]

    model = str(frozen_path())
    for task, job in (
        (batch.Compress(model=model, watch=watch), batch.Job("a.png", "a.rdae")),
        (batch.Decompress(model=model, watch=watch), batch.Job("a.rdae", "b.png")),
        (batch.Verify(model=model, watch=watch), batch.Job("a.rdae")),
    ):
        assert batch.perform(task, job).error == ""
    assert [(each.name, each.heard) for each in kept] == [
        ("a.png", ["reading", "loading the model", "encoding", "verifying", "writing", "end"]),
        ("a.rdae", ["reading", "loading the model", "decoding", "writing", "end"]),
        ("a.rdae", ["reading", "loading the model", "verifying", "end"]),
    ]
