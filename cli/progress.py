"""What is seen of a long run while it lasts: a line on stderr that is rewritten.

On a terminal a passing line overwrites the one before; in a log, which is read afterwards, one every ten seconds is
enough.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
import unicodedata
from typing import TYPE_CHECKING

from rdae.storage.locations import STANDARD

from .messages import one_line
from .signals import Interruption

if TYPE_CHECKING:
    from rdae.codec.refinement import Progress

LOG_EVERY_S = 10.0
DRAW_EVERY_S = 0.1
BAR = 24  # cells
USUAL_COLUMNS = 80
MOST_OF_NAME = 32
"""Characters of a file's name in a line that says more of it."""


class PassingLine:
    """A line on stderr that stands for those that were there before: the last one counts."""

    def __init__(self) -> None:
        # What cannot take a line away is written to as a log is.
        self.terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
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
        if not stays:  # of one that goes on in the next row, only that row could be taken away
            line = cut(line, _columns() - 1)
        # On a terminal another passing line may stand there, that of all files or of one.
        sys.stderr.write(("\r\x1b[K" if self._open or self.terminal else "") + line + ("\n" if stays else ""))
        sys.stderr.flush()
        self._open = not stays


def _columns() -> int:
    """How wide the terminal is just now."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or USUAL_COLUMNS
    except (OSError, ValueError):  # a stream that is none of the system's
        return USUAL_COLUMNS


def cut(text: str, columns: int) -> str:
    """The beginning of a text that fits into so many columns, of which some characters take two and some none."""
    taken = 0
    for place, character in enumerate(text):
        wide = unicodedata.east_asian_width(character) in "WF"
        taken += 0 if unicodedata.combining(character) else 2 if wide else 1
        if taken > columns:
            return text[:place]
    return text


def shortened(name: str, most: int = MOST_OF_NAME) -> str:
    """A name of at most so many characters: of a longer one the end."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def bar(share: float) -> str:
    """A share, 0 to 1, as a bar of BAR cells."""
    return f"[{'#' * round(BAR * share):.<{BAR}}]"


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

    def clear(self) -> None:
        """Take the line away, for others to write here."""
        self._line.clear()


class JobLine:
    """A passing line about one file, on a terminal: what is being done with it, how much of that is, the time left.

    A thread draws it, from `after_s` on: some of the work has nothing to tell for seconds. It also ends a search for
    better latents when that was asked for. See `rdae.batch.watch.Watcher`.
    """

    def __init__(
        self, name: str, interruption: Interruption | None = None, *, draw: bool = True, after_s: float = 1.0
    ) -> None:
        """Take the name of what is worked on."""
        self._name = shortened(one_line(name)) if name != STANDARD else "standard input"
        self._interruption = interruption
        self._after_s = after_s
        self._line = PassingLine()
        self._draw = draw and self._line.terminal
        self._began = self._since = time.monotonic()
        self._now: tuple[str, int, int] = ("", 0, 0)
        self._search: Progress | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> JobLine:  # noqa: PYI034 - Self needs Python 3.11
        if self._draw:
            self._thread = threading.Thread(target=self._redraw, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
            self._line.clear()

    def told(self, what: str, done: int, total: int) -> None:
        """Take what is being done now, and how many of how many tiles of it are."""
        if what != self._now[0] or done == 0:
            self._since = time.monotonic()
            self._search = None
        self._now = (what, done, total)

    def searched(self, progress: Progress) -> bool:
        """Take how far a search is; True if it shall end."""
        self._search = progress
        return self._interruption is not None and self._interruption.asked

    def _redraw(self) -> None:
        pause_s = self._after_s
        while not self._ended.wait(pause_s):
            pause_s = DRAW_EVERY_S
            with contextlib.suppress(OSError, ValueError):  # nobody is there to see it any more
                self._line.passing(self._text())

    def _text(self) -> str:
        (what, done, total), search, now = self._now, self._search, time.monotonic()
        if search is not None:
            share = search.step / search.steps
            saved = search.saved_bits / search.plain_bits
            left = clock_time((now - self._since) * (1 - share) / share)
            return f"{self._name}  {bar(share)} {share:4.0%}  {saved:.1%} saved, {left} left"
        if not total:
            return f"{self._name}  {what or 'starting'}, {clock_time(now - self._began)}"
        left = f", {clock_time((now - self._since) * (total - done) / done)} left" if done else ""
        return (
            f"{self._name}  {what} {bar(done / total)} {done} of {total} tile{'s' if total > 1 else ''}{left}"
        )
