"""The standard streams as all commands expect them: there, able to say any name, and stderr never in the way."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from typing import TextIO


def prepare_streams() -> None:
    """Make the standard streams fit for any command, before its first word.

    A name that a stream's encoding cannot say is escaped. Without stderr, or with one that nobody reads, everything
    goes on as with --quiet: errors are seen by the exit status alone.
    """
    _hold_descriptors()
    if isinstance(sys.stdout, io.TextIOWrapper):  # not so a notebook's, nor where there is none
        sys.stdout.reconfigure(errors="backslashreplace")
        if codecs.lookup(sys.stdout.encoding).name == "ascii":
            sys.stdout = AsciiStream(
                sys.stdout.buffer, "ascii", "backslashreplace", line_buffering=sys.stdout.line_buffering
            )
    if not isinstance(sys.stderr, ErrorStream):
        sys.stderr = ErrorStream(sys.stderr)


def _hold_descriptors() -> None:
    """Open the null device by the numbers of standard streams that are closed.

    Else the next file that is opened gets such a number, and what a library prints on "stderr" ends up in it.
    """
    for descriptor in range(3):
        if not _is_open(descriptor):
            held = os.open(os.devnull, os.O_RDONLY if descriptor == 0 else os.O_WRONLY)
            os.set_inheritable(held, True)  # it stands for a standard stream in child processes too


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


class AsciiStream(io.TextIOWrapper):
    """A stream of ASCII by a name that nobody knows: click takes ASCII for a mistake, and would write UTF-8."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """For people."""
        return "ASCII with escapes"


class ErrorStream(io.TextIOBase):
    """Standard error, whose failures stop nothing: there is nobody left who could be told.

    stream: what is written to; None: nothing is. It has no `buffer`, so that click writes to this and not past it.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Write what can be written, with escapes for what the encoding cannot say."""
        if not isinstance(text, str):
            raise TypeError(f"{type(text).__name__}, expected str")
        if self._stream is not None:
            sayable = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
            with contextlib.suppress(OSError, ValueError):  # nobody reads it, the disk is full, it is closed
                self._stream.write(sayable)
        return len(text)

    def flush(self) -> None:
        """Write what was held back, if it can be written."""
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):
                self._stream.flush()

    def isatty(self) -> bool:
        """Whether somebody looks on."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # it is closed
            return False

    def fileno(self) -> int:
        """The descriptor of the stream; io.UnsupportedOperation if it has none."""
        return super().fileno() if self._stream is None else self._stream.fileno()
