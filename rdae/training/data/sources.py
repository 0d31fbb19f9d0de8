"""Where training pictures come from: folders, tar shards as WebDataset writes them, single files, lists, and URLs.

A source is one string.  `@name.txt` is a list of sources, a line each, relative to the list's own folder; lines that
begin with `#` are comments.  A shard is an uncompressed tar; its members that are pictures by their suffix count, the
rest is ignored.  URLs, of shards or pictures, need fsspec and a backend.
"""

from __future__ import annotations

import contextlib
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from rdae.errors import MissingExtraError, RdaeError, TrainingError, describe
from rdae.pictures import SUFFIXES

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def expand(sources: Iterable[str]) -> list[str]:
    """Replace lists by what they name; TrainingError for anything local that does not exist."""
    found: list[str] = []
    for source in sources:
        if source.startswith("@"):
            found += expand(_listed(Path(source[1:])))
        elif _URL.match(source) or Path(source).exists():
            found.append(source)
        else:
            raise TrainingError(f"{source}: no such folder, tar shard or picture")
    return found


def units(sources: Iterable[str]) -> list[str]:
    """Return the shards and single pictures of all sources, in a fixed order: what a stream takes one by one."""
    found: list[str] = []
    for source in expand(sources):
        if not _URL.match(source) and Path(source).is_dir():
            paths = (
                path
                for path in sorted(Path(source).rglob("*"))
                if _is_picture(path.name) or _is_shard(path.name)
            )
            found += [str(path) for path in paths if path.is_file()]
        else:
            found.append(source)
    return found


def members(unit: str, start: int = 0) -> Iterator[tuple[int, str, bytes | None]]:
    """Yield (place, name, bytes) of a unit's pictures from a place on; a local single picture has no bytes yet.

    OSError, EOFError or tarfile.TarError if the unit cannot be read, MissingExtraError if its URL needs a package.
    """
    if not _is_shard(unit):
        if start == 0:
            yield 0, unit, _content(unit) if _URL.match(unit) else None
        return
    remote = bool(_URL.match(unit))
    with _opened(unit) as stream, tarfile.open(fileobj=stream, mode="r|" if remote else "r:") as archive:
        for place, member in enumerate(archive):
            if place >= start and member.isfile() and _is_picture(member.name):
                content = archive.extractfile(member)
                if content is not None:
                    yield place, f"{unit}:{member.name}", content.read()


def _listed(path: Path) -> Iterator[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TrainingError(f"{path}: {describe(error, path)}") from error
    except UnicodeDecodeError as error:
        raise TrainingError(f"{path}: not a list of pictures ({error})") from error
    for line in lines:
        name = line.strip()
        if name.startswith("@"):
            raise TrainingError(f"{path}: a list cannot name another list, {name}")
        if name and not name.startswith("#"):
            yield name if _URL.match(name) else str(path.parent / name)


def _is_picture(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def _is_shard(name: str) -> bool:
    return name.lower().endswith(".tar")


def _content(url: str) -> bytes:
    with _opened(url) as stream:
        return stream.read()


@contextlib.contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """Open a unit; whatever else the many backends of fsspec raise while it is read becomes OSError."""
    if not _URL.match(name):
        with Path(name).open("rb") as stream:
            yield stream
        return
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtraError(f"{name}: URLs need fsspec: pip install 'rdae[fsspec]'") from error
    try:
        with fsspec.open(name, "rb") as stream:
            yield stream
    except (RdaeError, OSError, EOFError, tarfile.TarError, MemoryError):
        raise
    except ImportError as error:
        raise MissingExtraError(f"{name}: {error}") from error
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
