"""`rdae compress --effort`: files, Ctrl-C, and what is seen on a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fuzzing import frozen_path
from PIL import Image
from tiny_model import photo

import rdae
from rdae.cli.main import main
from rdae.cli.progress import JobLine
from rdae.cli.signals import Interruption
from rdae.codec.refinement import Progress

# The command, but that its line is drawn at once: the small model needs no seconds.
AT_ONCE = "import rdae.cli.batch as b; b.OF_MANY_AFTER_S = 0.0; from rdae.cli.main import main; main()"
RDAE = (sys.executable, "-c", AT_ONCE)
linux = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of Unix")


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo(128, 192)).save("a.png")
    Image.fromarray(photo(64, 64)).save("b.png")


def compress(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["compress", *arguments, "--quiet", "--model", str(frozen_path())])
    return int(end.value.code or 0)


def test_efforts_give_different_files_and_the_default_is_the_first_level() -> None:
    for effort in ("0", "1", "3"):
        assert compress("a.png", "-o", f"{effort}.rdae", "-e", effort) == 0
    assert compress("a.png") == 0
    files = {name: Path(f"{name}.rdae").read_bytes() for name in ("0", "1", "3", "a")}
    assert files["a"] == files["1"] != files["0"] != files["3"]
    with Image.open("a.png") as image:
        model = rdae.open_model(frozen_path())
        assert files["3"] == model.compress(image, 50, effort=3)


def test_an_effort_beyond_nine_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert compress("a.png", "-e", "10") == 2
    assert "0<=x<=9" in capsys.readouterr().err


def test_workers_make_the_same_files_with_effort() -> None:
    assert compress("a.png", "b.png", "-d", "one", "-e", "2", "-j", "1") == 0
    assert compress("a.png", "b.png", "-d", "two", "-e", "2", "-j", "2") == 0
    for name in ("a.rdae", "b.rdae"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()


def test_finishing_needs_this_process_to_do_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert compress("a.png", "b.png", "-j", "2", "--on-interrupt", "finish") == 2
    assert "-j" in capsys.readouterr().err


def started(*arguments: str, terminal: int | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*RDAE, "compress", *arguments, "--model", str(frozen_path())],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if terminal is None else terminal,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        start_new_session=True,
    )


def seen_on(terminal: int, wanted: bytes, seconds: float = 60.0) -> bytes:
    """What a terminal shows until `wanted` is there."""
    text, end = b"", time.monotonic() + seconds
    while wanted not in text and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            text += os.read(terminal, 4096)
    return text


@linux
@pytest.mark.parametrize("choice", ["discard", "finish"])
def test_ctrl_c_amid_a_search_leaves_nothing_or_the_best_so_far(choice: str) -> None:
    ours, theirs = pty.openpty()
    process = started("a.png", "b.png", "-e", "9", "--on-interrupt", choice, terminal=theirs)
    text = seen_on(ours, b"saved")
    assert b"a.png" in text
    assert b"left" in text
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    os.close(ours)
    os.close(theirs)
    assert not Path("b.rdae").exists()
    assert Path("a.rdae").exists() == (choice == "finish")
    if choice == "finish":
        assert rdae.open_model(frozen_path()).decompress(Path("a.rdae").read_bytes()).size == (192, 128)
    assert {path.suffix for path in Path().iterdir()} <= {".png", ".rdae"}


def test_the_line_of_a_search_ends_it_when_that_was_asked_for() -> None:
    interruption = Interruption()
    line = JobLine("x", interruption, draw=False)
    progress = Progress(step=1, steps=2, plain_bits=100.0, saved_bits=3.0)
    assert not line.searched(progress)
    interruption.asked = True
    assert line.searched(progress)
