"""Levels that come a band of rows at a time, put together: in memory, or of a large picture in a temporary file.

An array like any other comes of it. Of one that is in a file only what is being read takes memory, and `release` gives
that back: so a picture of 100 megapixels need not be held to be compressed. The file has no name, or none for long,
and goes with the array; where there is no room for one the levels are held in memory after all.
"""

import contextlib
import mmap
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

HELD_PIXELS = 1 << 24
"""Larger pictures go to a file: 50 MB and more."""

_LARGE_FILES = Path("/var/tmp")  # noqa: S108 - on a disk, where /tmp may be in memory; the name there is chosen at random

Levels = npt.NDArray[np.uint8]  # (h, w, 3)


class Collector:
    """Takes the rows of a picture of height x width pixels, top to bottom, and has its levels in the end."""

    def __init__(self, height: int, width: int) -> None:
        self._shape = (height, width)
        self._rows = 0
        self._channels = 3
        self._held: Levels | None = None
        self._file: Any | None = None

    def add(self, band: npt.NDArray[np.uint8]) -> None:
        """Take the next rows, uint8 (k, w, 3), or (k, w) of a grey picture, which all bands are then."""
        if self._rows == 0:
            self._begin(1 if band.ndim == 2 else 3)
        band = band.reshape(len(band), -1, self._channels)
        if self._file is not None:
            rest = np.ascontiguousarray(band).reshape(-1).data
            try:
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError:
                self._hold()
        if self._held is not None:
            self._held[self._rows : self._rows + len(band)] = band
        self._rows += len(band)

    def levels(self) -> Levels:
        """uint8 (h, w, 3), when all rows are there. An array that is in a file cannot be written to."""
        if self._file is not None:
            try:
                return self._repeated(self._mapped(self._file))
            except OSError:  # there are file systems without
                self._hold()
        assert self._held is not None
        return self._repeated(self._held)

    def _begin(self, channels: int) -> None:
        self._channels = channels
        height, width = self._shape
        if height * width > HELD_PIXELS:
            with contextlib.suppress(OSError):
                # Unbuffered, so that what does not fit on the disk is told at once.
                self._file = tempfile.TemporaryFile(dir=_folder(), buffering=0)  # noqa: SIM115 - see _mapped
        if self._file is None:
            self._held = np.empty((height, width, channels), np.uint8)

    def _mapped(self, file: Any) -> Levels:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        file.close()  # which the mapping outlives
        return np.frombuffer(mapping, np.uint8).reshape(*self._shape, self._channels)

    def _repeated(self, levels: Levels) -> Levels:
        """All three channels of a grey picture: of a large one without a copy."""
        if self._channels == 3:
            return levels
        height, width = self._shape
        if height * width > HELD_PIXELS:
            return np.broadcast_to(levels, (height, width, 3))
        return np.repeat(levels, 3, axis=2)

    def _hold(self) -> None:
        """Go on in memory with what is in the file."""
        assert self._file is not None
        self._held = np.empty((*self._shape, self._channels), np.uint8)
        part = self._held[: self._rows].reshape(-1).data
        with self._file as file:
            file.seek(0)
            while part:
                part = part[file.readinto(part) :]
        self._file = None


def release(levels: Levels) -> None:
    """Give back the memory that reading levels of a file has taken; nothing else changes."""
    base: Any = levels
    while base is not None and not isinstance(base, mmap.mmap):
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    if base is not None and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def _folder() -> str | None:
    """Where large temporary files belong: where the user says, or on a disk; None: where small ones do."""
    if any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")) or not os.access(
        _LARGE_FILES, os.W_OK
    ):
        return None
    return str(_LARGE_FILES)
