"""Objects that fsspec, an extra, reaches by their URLs: s3://, gs://, https:// and whatever has a backend."""

from __future__ import annotations

import contextlib
import io
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from rdae.errors import MissingExtraError, OutputExistsError, RdaeError
from rdae.storage.attributes import Attributes
from rdae.storage.files import (
    MAX_FILE_BYTES,
    USUAL,
    Data,
    Identity,
    Terms,
    foreign,
    read_bounded,
    whole,
)

# Two letters at least, and both slashes: neither C:\ nor a name with a colon is a URL.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(::[A-Za-z0-9+.-]+)*://")

# Stores in which an object appears with its last byte and not before; elsewhere a new name is given at the end.
_WHOLE_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "memory"})


# What fsspec can only read, as far as it is known without asking.
_READ_ONLY = frozenset({"http", "https", "zip", "tar", "libarchive", "github", "git", "data"})


# Stores that end with the program.
_PASSING = frozenset({"memory"})


def is_url(text: str) -> bool:
    """Whether `text` is for fsspec; file:// URLs are paths."""
    return _URL.match(text) is not None and not text.lower().startswith("file://")


def without_file_scheme(text: str) -> str:
    """The path that a file:// URL means, or the text itself."""
    if not text.lower().startswith("file://"):
        return text
    from urllib.request import url2pathname  # only here: it brings a client for HTTP

    return url2pathname(urlsplit(text).path)


def parts_of(url: str) -> tuple[str, ...]:
    """The parts of a URL's path, behind one that has all else: where it is."""
    before, path, after = _split(url)
    return (before + after, *(part for part in path.split("/") if part))


def name_of(url: str) -> str:
    """The last part of a URL's path, as a file would be called: neither a query nor a chained URL is in it."""
    before, path, _ = _split(url)
    if before.endswith(("http://", "https://")):
        path = unquote(urlsplit(f"//{path}").path)
    name = PurePosixPath(path).name
    return "download" if name in ("", "..") else name


def is_read_only(url: str) -> bool:
    """Whether nothing can be written beside what a URL leads to: on the web, and behind a chained URL."""
    before, _, after = _split(url)
    return bool(after) or "::" in before or before.partition("://")[0].lower() in _READ_ONLY


def is_passing(url: str) -> bool:
    """Whether what is written at a location, a URL or not, is gone when this program ends."""
    before, _, _ = _split(url)
    return is_url(url) and before.partition("://")[0].rpartition("::")[2].lower() in _PASSING


def _split(url: str) -> tuple[str, str, str]:
    """A URL in three: before its path, the path, and the URLs that are chained to it, as in zip://a.png::b.zip."""
    links = url.split("::")
    # In simplecache::s3://… the first link has no path.
    at = next((number for number, link in enumerate(links) if "://" in link), 0)
    scheme, separator, path = links[at].partition("://")
    return (
        "::".join([*links[:at], scheme + separator]),
        path,
        "".join(f"::{link}" for link in links[at + 1 :]),
    )


@dataclass(frozen=True)
class RemoteObject:
    """An object that fsspec reaches by its URL."""

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of the URL's path."""
        return name_of(self.url)

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

    def check(self, *, force: bool, inputs: frozenset[Identity | str], terms: Terms = USUAL) -> None:
        """As for files; an input counts as the same if its URL is, and no object is known to be rdae's own."""
        if self.url in inputs:
            raise OutputExistsError(f"the output {self} is an input as well, which is never overwritten")
        if terms.only_own and self.is_there():
            raise foreign(self)
        if not force and self.is_there():
            raise OutputExistsError(f"the output {self} is already there; --force replaces it")

    def identity(self) -> frozenset[Identity | str]:
        """The URL."""
        return frozenset({self.url})

    def attributes(self) -> Attributes | None:
        """None."""
        return None

    def unmark(self) -> None:
        """Nothing to forget."""

    def remove(self, known: Attributes | None) -> str:  # noqa: ARG002 - as other locations have it
        """Never: what a store would remove is not known to be what was read."""
        return "it is not a file of this machine"

    def write(self, data: Data, *, force: bool, terms: Terms = USUAL) -> int:
        """Upload, under another name first where half an object could be seen."""
        data = whole(data)
        with _errors_of(self.url):
            system, path = _filesystem(self.url)
            self.check(force=force, inputs=frozenset(), terms=terms)
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
                _rename(system, temporary, path)
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


def objects_below(url: str) -> list[tuple[str, PurePosixPath]]:
    """All objects below a folder, in order: each with its URL and its path from there."""
    with _errors_of(url):
        system, path = _filesystem(url)
        root = PurePosixPath(path)
        found = sorted(system.find(path))
        return [(_url_of(system, each, url), PurePosixPath(each).relative_to(root)) for each in found]


def objects_matching(url: str) -> list[str]:
    """The URLs that a pattern matches, in order."""
    with _errors_of(url):
        system, path = _filesystem(url)
        return [_url_of(system, each, url) for each in sorted(system.glob(path))]


def _url_of(system: Any, path: str, like: str) -> str:
    """The URL of what a file system calls `path`, with what is chained to the URL by which that was reached."""
    before, _, after = _split(like)
    if not after and "::" not in before:
        return str(system.unstrip_protocol(path))
    if "://" in path:  # HTTP's paths are URLs
        return f"{before.rpartition('::')[0]}::{path}{after}".removeprefix("::")
    return f"{before}{path}{after}"


def _rename(system: Any, path: str, to: str) -> None:
    """Move an object, whose name may look like a pattern."""
    from fsspec.spec import AbstractFileSystem

    if type(system).mv is not AbstractFileSystem.mv:
        system.mv(path, to)
        return
    system.cp_file(path, to)  # as the default does it, which would take a pattern for one
    system.rm_file(path)


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
