"""What SIGTERM and Ctrl-C do: an orderly end, or, where that was asked for, the best that was found so far."""

from __future__ import annotations

import contextlib
import signal
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass


@contextlib.contextmanager
def orderly_termination() -> Iterator[None]:
    """Let SIGTERM end this process as Ctrl-C does, with status 143: what is half done is taken away."""

    def leave(number: int, _frame: types.FrameType | None) -> None:
        sys.exit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, leave)
    except ValueError:  # not in the main thread: whoever runs that decides
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@dataclass
class Interruption:
    """Whether a user has asked for what there is."""

    asked: bool = False


@contextlib.contextmanager
def finishing(interruption: Interruption) -> Iterator[None]:
    """Let the first Ctrl-C ask for what there is, and the second end everything; status 130 at the end of the first."""

    def ask(_number: int, _frame: types.FrameType | None) -> None:
        interruption.asked = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interruption.asked:
        sys.exit(128 + signal.SIGINT)
