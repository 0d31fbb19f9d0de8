"""The terminal session of the README is what the commands print, but for times and for the last digits of sizes."""

import re

import pytest
from write_session import BEGIN, COMMANDS, END, PAGE, Terminal, session, written

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def comparable(text: str) -> tuple[list[str], list[float]]:
    """The text around numbers, and the numbers, without times and checksums of what may differ in a bit."""
    text = re.sub(r"[\d.]+ s \([\d.]+ MP/s\)", "TIME", text)
    text = re.sub(r"checksum  [0-9a-f]{8}", "checksum", text)
    return NUMBER.split(text), [float(number.replace(",", "")) for number in NUMBER.findall(text)]


def test_the_session_of_the_readme_is_what_happens() -> None:
    expected, found = comparable(written()), comparable(session())
    assert found[0] == expected[0], "run tools/write_session.py"
    # Another processor rounds latents in another way, another Pillow packs PNG and JPEG in another way.
    assert found[1] == pytest.approx(expected[1], rel=0.1), "run tools/write_session.py"


def test_it_is_worth_reading() -> None:
    text = written()
    assert PAGE.read_text(encoding="utf-8").count(BEGIN) == PAGE.read_text(encoding="utf-8").count(END) == 1
    assert [line[2:] for line in text.splitlines() if line.startswith("$ ")] == list(COMMANDS)
    assert len(text.splitlines()) <= 35
    assert max(map(len, text.splitlines())) <= 100


def test_what_was_written_over_is_not_seen() -> None:
    screen = Terminal("one\n1 of 2\r\x1b[K2 of 2\r\x1b[Kdone\nend\n")
    assert screen.seen() == "one\ndone\nend\n"
