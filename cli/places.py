"""Where inputs come from and outputs go: files, the standard streams, and URLs, all with the same few methods.

A place is written as one string (`place` reads it, `str` writes it), so that it can be sent to another process.
URLs are left to fsspec, an extra: any that has a backend installed, such as s3://, gs://, https:// or memory://.
"""

from __future__ import annotations

import contextlib
import io
import re
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from rdae.errors import MissingExtraError, OutputExistsError, RdaeError
from rdae.files import (
    MAX_FILE_BYTES,
    Data,
    Identity,
    check_output,
    identities,
    open_input,
    read_bounded,
    whole,
    write_atomically,
)

STANDARD = "-"

# Two letters at least, and both slashes: neither C:\ nor a name with a colon is a URL.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(::[A-Za-z0-9+.-]+)*://")

# Stores in which an object appears with its last byte and not before; elsewhere a new name is given at the end.
_WHOLE_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "memory"})


class Place(Protocol):
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

    def check(self, *, force: bool, sources: frozenset[Identity | str]) -> None:
        """OutputExistsError if nothing must be written here; sources: `identity` of each input."""

    def identity(self) -> frozenset[Identity | str]:
        """What tells this place from others whatever it is called; empty if nothing is there."""

    def write(self, data: Data, *, force: bool) -> int:
        """Write all or nothing; return how many bytes."""


def place(text: str) -> Place:
    """The place that `text` means."""
    if text == STANDARD:
        return Standard()
    return Remote(text) if is_url(text) else File(Path(without_scheme(text)))


def is_url(text: str) -> bool:
    """Whether `text` is for fsspec; file:// URLs are paths."""
    return _URL.match(text) is not None and not text.lower().startswith("file://")


def without_scheme(text: str) -> str:
    """The path that a file:// URL means, or the text itself."""
    return url2pathname(urlsplit(text).path) if text.lower().startswith("file://") else text


@dataclass(frozen=True)
class File:
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
        """Open the file; see `rdae.files`."""
        return open_input(self.path, wrong_kind, too_large)

    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size

    def is_there(self) -> bool:
        """Whether there is a file."""
        return self.path.is_file()

    def check(self, *, force: bool, sources: frozenset[Identity | str]) -> None:
        """See `rdae.files.check_output`."""
        known = frozenset(source for source in sources if not isinstance(source, str))
        check_output(self.path, force=force, inputs=known)

    def identity(self) -> frozenset[Identity | str]:
        """Device and inode."""
        return frozenset(identities([self.path]))

    def write(self, data: Data, *, force: bool) -> int:
        """Make the folder, then the file, in one step."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return write_atomically(self.path, data, force=force)


@dataclass(frozen=True)
class Standard:
    """Standard input, or standard output."""

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

    def check(self, *, force: bool, sources: frozenset[Identity | str]) -> None:
        """Anything may be written."""

    def identity(self) -> frozenset[Identity | str]:
        """None: input and output are two."""
        return frozenset()

    def write(self, data: Data, *, force: bool) -> int:  # noqa: ARG002 - as other places have it
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


@dataclass(frozen=True)
class Remote:
    """An object that fsspec reaches by its URL."""

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of the URL's path."""
        return PurePosixPath(self.url).name

    @contextlib.contextmanager
    def open(self, _wrong_kind: type[RdaeError], too_large: type[RdaeError]) -> Iterator[BinaryIO]:
        """Fetch the object."""
        with _errors_of(self.url):
            system, path = _filesystem(self.url)
            if (system.size(path) or 0) > MAX_FILE_BYTES:
                raise too_large(f"{system.size(path)} bytes, expected at most {MAX_FILE_BYTES}")
            with system.open(path, "rb") as file:
                data = read_bounded(file, too_large)
        yield io.BytesIO(data)

    def size(self) -> int:
        """Bytes of the object, where the store says them."""
        with _errors_of(self.url):
            system, path = _filesystem(self.url)
            return int(system.size(path) or 0)

    def is_there(self) -> bool:
        """Ask the store."""
        with _errors_of(self.url):
            system, path = _filesystem(self.url)
            return bool(system.exists(path))

    def check(self, *, force: bool, sources: frozenset[Identity | str]) -> None:
        """As for files; an input counts as the same if its URL is."""
        if self.url in sources:
            raise OutputExistsError(f"the output {self} is an input as well, which is never overwritten")
        if not force and self.is_there():
            raise OutputExistsError(f"the output {self} is already there; --force replaces it")

    def identity(self) -> frozenset[Identity | str]:
        """The URL."""
        return frozenset({self.url})

    def write(self, data: Data, *, force: bool) -> int:
        """Upload, under another name first where half an object could be seen."""
        data = whole(data)
        with _errors_of(self.url):
            system, path = _filesystem(self.url)
            self.check(force=force, sources=frozenset())
            protocols = {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)
            if protocols & _WHOLE_OBJECTS:
                system.pipe_file(path, data)
                return len(data)
            folder = str(PurePosixPath(path).parent)
            system.makedirs(folder, exist_ok=True)
            temporary = f"{folder.rstrip('/')}/.rdae-{secrets.token_hex(8)}.part"
            try:
                system.pipe_file(temporary, data)
                if force and system.exists(path):
                    system.rm_file(path)  # not all let a move replace
                system.mv(temporary, path)
            except BaseException:
                with contextlib.suppress(Exception):
                    system.rm_file(temporary)
                raise
        return len(data)


def is_folder(url: str) -> bool:
    """Whether a URL leads to a folder, or to a prefix of objects."""
    with _errors_of(url):
        system, path = _filesystem(url)
        return bool(system.isdir(path))


def below(url: str) -> list[tuple[str, PurePosixPath]]:
    """All objects below a folder, in order: each with its URL and its path from there."""
    with _errors_of(url):
        system, path = _filesystem(url)
        root = PurePosixPath(path)
        found = sorted(system.find(path))
        return [(system.unstrip_protocol(each), PurePosixPath(each).relative_to(root)) for each in found]


def matching(url: str) -> list[str]:
    """The URLs that a pattern matches, in order."""
    with _errors_of(url):
        system, path = _filesystem(url)
        return [system.unstrip_protocol(each) for each in sorted(system.glob(path))]


def _filesystem(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtraError("URLs need fsspec: pip install 'rdae[fsspec]'") from error
    system, path = url_to_fs(url)
    return system, path


@contextlib.contextmanager
def _errors_of(url: str) -> Iterator[None]:
    """Turn what the many backends of fsspec raise into OSError and MissingExtraError, of one line."""
    try:
        yield
    except (RdaeError, FileExistsError, PermissionError, IsADirectoryError):
        raise
    except FileNotFoundError as error:
        raise FileNotFoundError(2, "No such file or directory", url) from error
    except ImportError as error:
        raise MissingExtraError(f"{url.partition(':')[0]} URLs need another package: {error}") from error
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
