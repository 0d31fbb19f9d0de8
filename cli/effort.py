"""The option of effort, what is seen of a search for better latents, and how Ctrl-C ends one that keeps its best."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rdae.effort import DEFAULT_EFFORT, MAX_EFFORT

from .progress import PassingLine, clock_time

if TYPE_CHECKING:
    from rdae.refinement import Progress


def effort_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option of commands that make files: `effort`, from 0 to 9.  text: its help."""
    return click.option(
        "-e",
        "--effort",
        type=click.IntRange(0, MAX_EFFORT),
        default=DEFAULT_EFFORT,
        show_default=True,
        help=text,
    )


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


class Watch:
    """Is told of each step of a search: draws a line on a terminal, and ends the search when that was asked for."""

    def __init__(self, name: str, interruption: Interruption | None, *, draw: bool) -> None:
        """Take the name of what is compressed."""
        self._name, self._interruption = name, interruption
        self._line = PassingLine() if draw else None
        self._began = time.monotonic()

    def __call__(self, progress: Progress) -> bool:
        """Show progress; True if the search shall end."""
        if self._line is not None and self._line.terminal:
            share = progress.step / progress.steps
            left_s = (time.monotonic() - self._began) * (1 - share) / share
            saved = progress.saved_bits / progress.plain_bits
            self._line.passing(f"{self._name}  {share:4.0%}  {saved:.1%} saved  {clock_time(left_s)} left")
        return self._interruption is not None and self._interruption.asked

    def close(self) -> None:
        """Take the line away."""
        if self._line is not None:
            self._line.clear()
