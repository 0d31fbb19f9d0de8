"""What is seen of a long run while it lasts: a line on stderr that is rewritten.

On a terminal a passing line overwrites the one before; in a log, which is read afterwards, one every ten seconds is
enough.
"""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING

from .signals import Interruption

if TYPE_CHECKING:
    from rdae.codec.refinement import Progress

LOG_EVERY_S = 10.0
DRAW_EVERY_S = 0.1


class PassingLine:
    """A line on stderr that stands for those that were there before: the last one counts."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self._open = False  # a passing line stands there, without its end
        self._last = -math.inf

    def passing(self, line: str) -> None:
        """Show a line that the next one may overwrite, unless there was one a moment ago."""
        now = time.monotonic()
        if now - self._last >= (DRAW_EVERY_S if self.terminal else LOG_EVERY_S):
            self._last = now
            self._write(line, stays=not self.terminal)

    def lasting(self, line: str) -> None:
        """Show a line that stays."""
        self._write(line, stays=True)

    def clear(self) -> None:
        """Take a passing line away, for others to write here."""
        if self._open:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._open = False
            self._last = -math.inf

    def close(self) -> None:
        """End a passing line, which stays."""
        if self._open:
            sys.stderr.write("\n")
            self._open = False

    def _write(self, line: str, *, stays: bool) -> None:
        sys.stderr.write(("\r\x1b[K" if self._open else "") + line + ("\n" if stays else ""))
        sys.stderr.flush()
        self._open = not stays


def clock_time(seconds: float) -> str:
    """Seconds as 1:02:03, or 2:03 below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class CountLine:
    """A passing line with how many of a number of measurements are done, and the time left."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._line = PassingLine()

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show that `done` of `total` are done (total 0: unknown)."""
        now = time.monotonic()
        if done == 0:
            self._start = now
        left = f", {clock_time((now - self._start) * (total - done) / done)} left" if 0 < done < total else ""
        line = (f"{done} of {total}{left}: " if total else "") + what
        if done < total:
            self._line.passing(line)
        else:
            self._line.lasting(line)


class SearchLine:
    """A passing line about a search for better latents, on a terminal; ends the search when that was asked for."""

    def __init__(self, name: str, interruption: Interruption, *, draw: bool) -> None:
        """Take the name of what is compressed."""
        self._name, self._interruption = name, interruption
        self._line = PassingLine() if draw else None
        self._began = time.monotonic()

    def __enter__(self) -> SearchLine:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, *_error: object) -> None:
        if self._line is not None:
            self._line.clear()

    def __call__(self, progress: Progress) -> bool:
        """Show a step of the search; True if it shall end."""
        if self._line is not None and self._line.terminal:
            share = progress.step / progress.steps
            left_s = (time.monotonic() - self._began) * (1 - share) / share
            saved = progress.saved_bits / progress.plain_bits
            self._line.passing(f"{self._name}  {share:4.0%}  {saved:.1%} saved  {clock_time(left_s)} left")
        return self._interruption.asked
