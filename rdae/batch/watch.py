"""Who is told how far the work on one file is, where that is done in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from rdae.clock import Clock

if TYPE_CHECKING:
    from rdae.codec.refinement import Progress


class Watcher(Protocol):
    """Is told as the work goes on, by the thread that does it."""

    def told(self, what: str, done: int, total: int) -> None:
        """Take what is being done, and how many of how many tiles of it are; 0 of 0: it has none."""

    def searched(self, progress: Progress) -> bool | None:
        """Take how far a search for better latents is; True ends it."""


Watch = Callable[[str], contextlib.AbstractContextManager[Watcher]]
"""Makes a watcher of an input, for as long as that is worked on."""


@contextlib.contextmanager
def watched(watch: Watch | None, name: str, clock: Clock) -> Iterator[Watcher | None]:
    """Let a watcher hear what the clock is told, if there is to be one."""
    if watch is None:
        yield None
        return
    with watch(name) as watcher:
        clock.listener = watcher.told
        yield watcher
