"""Where inputs come from and outputs go: files, the standard streams, and URLs, all with the same few methods.

A location is written as one string (`locate` reads it, `str` writes it), so that it can be sent to another process.
"""

from __future__ import annotations

import contextlib
import errno
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from rdae.errors import RdaeError
from rdae.storage.attributes import Attributes, attributes_of, unmark
from rdae.storage.files import (
    USUAL,
    Data,
    Identity,
    Terms,
    check_output,
    identities,
    open_input,
    read_bounded,
    whole,
    write_atomically,
)
from rdae.storage.urls import RemoteObject, is_url, without_file_scheme

STANDARD = "-"


class Location(Protocol):
    """Something that can be read or written as a whole; as a string it is what a user would type."""

    @property
    def name(self) -> str:
        """The last part, with its suffix."""

    def open(
        self, wrong_kind: type[RdaeError], too_large: type[RdaeError]
    ) -> contextlib.AbstractContextManager[BinaryIO]:
        """Open for reading, within bounds; OSError or the given errors."""

    def size(self) -> int:
        """Bytes that would be read, or 0 if that is not known beforehand."""

    def is_there(self) -> bool:
        """Whether there is something already, which --skip-existing leaves as it is."""

    def check(self, *, force: bool, inputs: frozenset[Identity | str], terms: Terms = USUAL) -> None:
        """OutputExistsError or OSError if nothing must be written here; inputs: `identity` of each."""

    def identity(self) -> frozenset[Identity | str]:
        """What tells this location from others whatever it is called; empty if nothing is there."""

    def attributes(self) -> Attributes | None:
        """Permissions, time and more of a regular file; None of anything else."""

    def write(self, data: Data, *, force: bool, terms: Terms = USUAL) -> int:
        """Write all or nothing; return how many bytes."""

    def unmark(self) -> None:
        """Forget that rdae wrote it: it is an original from now on."""

    def remove(self, known: Attributes | None) -> str:
        """Remove a regular file that still is as it was when it had the attributes `known`; else say why not."""


def locate(text: str) -> Location:
    """The location that `text` means: a path, a URL that fsspec knows or of file://, or - for the standard streams."""
    if text == STANDARD:
        return StandardStream()
    return RemoteObject(text) if is_url(text) else LocalFile(Path(without_file_scheme(text)))


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine."""

    path: Path

    def __str__(self) -> str:
        text = str(self.path)
        return f"./{text}" if text == STANDARD else text

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.name

    def open(self, wrong_kind: type[RdaeError], too_large: type[RdaeError]) -> BinaryIO:
        """Open the file; see `rdae.storage.files`."""
        return open_input(self.path, wrong_kind, too_large)

    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size

    def is_there(self) -> bool:
        """Whether there is a file."""
        return self.path.is_file()

    def check(self, *, force: bool, inputs: frozenset[Identity | str], terms: Terms = USUAL) -> None:
        """See `rdae.storage.files.check_output`."""
        known = frozenset(each for each in inputs if not isinstance(each, str))
        check_output(self.path, force=force, only_own=terms.only_own, inputs=known)
        folder = self.path.parent
        if not terms.parents and not folder.exists():
            raise FileNotFoundError(errno.ENOENT, "no such folder; -d makes one", str(folder))

    def identity(self) -> frozenset[Identity | str]:
        """Device and inode."""
        return frozenset(identities([self.path]))

    def attributes(self) -> Attributes | None:
        """Those of the file that a link leads to."""
        return attributes_of(self.path)

    def write(self, data: Data, *, force: bool, terms: Terms = USUAL) -> int:
        """Make the folder, then the file, in one step."""
        if terms.parents:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        return write_atomically(self.path, data, force=force, terms=terms)

    def unmark(self) -> None:
        """See `rdae.storage.attributes`."""
        unmark(self.path)

    def remove(self, known: Attributes | None) -> str:
        """Remove the file, but not a link to it."""
        found = attributes_of(self.path, follow=False)
        if found is None or known is None:
            return "it is no ordinary file"
        if found != known:
            return "it was changed meanwhile"
        self.path.unlink()
        return ""


@dataclass(frozen=True)
class StandardStream:
    """Standard input where it is read, standard output where it is written."""

    def __str__(self) -> str:
        return STANDARD

    name = STANDARD

    @contextlib.contextmanager
    def open(self, _wrong_kind: type[RdaeError], too_large: type[RdaeError]) -> Iterator[BinaryIO]:
        """Read standard input to its end."""
        if sys.stdin is None:
            raise OSError("standard input is closed")
        yield io.BytesIO(read_bounded(sys.stdin.buffer, too_large))

    def size(self) -> int:
        """Unknown."""
        return 0

    def is_there(self) -> bool:
        """Never: each run of the program has its own."""
        return False

    def check(self, *, force: bool, inputs: frozenset[Identity | str], terms: Terms = USUAL) -> None:
        """Anything may be written."""

    def identity(self) -> frozenset[Identity | str]:
        """None: input and output are two."""
        return frozenset()

    def attributes(self) -> Attributes | None:
        """None."""
        return None

    def unmark(self) -> None:
        """Nothing to forget."""

    def remove(self, known: Attributes | None) -> str:  # noqa: ARG002 - as other locations have it
        """Never."""
        return "it is standard input"

    def write(self, data: Data, *, force: bool, terms: Terms = USUAL) -> int:  # noqa: ARG002 - as other locations have it
        """Write to standard output, unbuffered, so that errors are seen here and not at the end of the program."""
        data = whole(data)  # before anything is written: what comes after a pipe should get no half of it
        if sys.stdout is None:
            raise OSError("standard output is closed")
        sys.stdout.flush()
        buffer = sys.stdout.buffer
        stream: Any = getattr(buffer, "raw", buffer)
        rest = memoryview(data)
        while rest:
            rest = rest[stream.write(rest) :]
        return len(data)
