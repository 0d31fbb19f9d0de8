"""Seconds by stage: where the time of a picture goes, and what it goes to now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str, int, int], None]
"""Told what is being done, and how many of how many tiles of it are done; 0 of 0 where it has none."""


class Clock:
    """A stopwatch with a hand for each stage; a stage inside another is counted once, as its own.

    listener: is told of progress as it is made, in the thread that makes it.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self.listener = listener
        self._inner = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time spent inside to stage `name`."""
        outer_inner, self._inner = self._inner, 0.0
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent - self._inner
            self._inner = outer_inner + spent

    def tell(self, what: str, done: int = 0, total: int = 0) -> None:
        """Tell the listener, if there is one."""
        if self.listener is not None:
            self.listener(what, done, total)
