"""Which files are worked on: folders, patterns and URLs become inputs, in one order that each machine finds."""

from __future__ import annotations

import fnmatch
import glob
import itertools
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from rdae.batch.tasks import Job, failure
from rdae.errors import describe
from rdae.storage.locations import STANDARD, LocalFile, locate
from rdae.storage.urls import (
    is_folder,
    is_url,
    name_of,
    objects_below,
    objects_matching,
    parts_of,
    without_file_scheme,
)

Place = tuple[str, ...]  # the parts of an absolute path or a URL, first what all of them are below

ANY_DEPTH = "**"  # in a pattern, folders at any depth

SUFFIXES_NAMED = 6  # in an error; of more only some are


@dataclass(frozen=True)
class Input:
    """A file to work on.

    location: as `rdae.storage.locations.locate` reads it. relative: its path below the folder or the pattern that it
    was found by, or, of several of these, below what they have in common; its name if it was named itself. problem:
    why it is none, empty if it is one.
    """

    location: str
    relative: PurePath
    problem: str = ""


@dataclass(frozen=True)
class _Found:
    """A file before it is known below what it counts; root: the place of the folder or pattern that it was found by."""

    location: str
    place: Place
    root: Place | None = None
    problem: str = ""


def find_inputs(
    locations: Iterable[str | Path] | str | Path,
    suffixes: Collection[str],
    *,
    recursive: bool = False,
    left_out: Callable[[str], None] | None = None,
) -> list[Input]:
    """The inputs that are meant, each once; where something is none, an Input with its problem, so that others go on.

    locations: one or several: files, patterns such as photos/**/*.jpg, URLs and patterns of URLs, "-" for standard
    input, and with `recursive` folders: of what is in them, at any depth, all that ends in one of `suffixes` (lower
    case, with the dot); hidden files, and folders by a link, are left out, and a link to nothing is a problem.
    left_out: is called with each file in these folders that ends in something else.
    """
    several = [locations] if isinstance(locations, (str, os.PathLike)) else locations
    texts = [str(each) for each in several]
    note = left_out or (lambda _location: None)
    found = [each for text in texts for each in _meant_by(text, suffixes, recursive, note)]
    unique: dict[Place | _Found, _Found] = {}
    for each in found:
        unique.setdefault(each if each.problem else each.place, each)
    common = _common({each.root for each in found if each.root is not None})
    return [_input(each, common) for each in unique.values()]


def shard(jobs: Sequence[Job], index: int, count: int) -> list[Job]:
    """Part `index`, from 1 to `count`, of the jobs: as many machines do all of them if each does one part.

    The parts are the same whatever the order of the jobs, and as long as each other but for one job. ValueError if
    there is no such part.
    """
    if not 1 <= index <= count:
        raise ValueError(f"shard {index} of {count}, expected one from 1 to {count}")
    return sorted(jobs, key=lambda job: job.input)[index - 1 :: count]


def _input(found: _Found, common: Place) -> Input:
    """The input, with its path from what all folders and patterns have in common."""
    kind = PurePosixPath if is_url(found.location) else PurePath
    if found.problem or found.root is None:
        return Input(found.location, kind(found.place[-1]), found.problem)
    # Of places on several drives or in several stores that is nothing, not even where they are.
    return Input(found.location, kind(*found.place[max(len(common), 1) :]))


def _common(places: Collection[Place]) -> Place:
    """The parts with which all places begin."""
    same = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*places, strict=False))
    return tuple(parts[0] for parts in same)


def _meant_by(
    text: str, suffixes: Collection[str], recursive: bool, left_out: Callable[[str], None]
) -> list[_Found]:
    """The inputs that an argument means."""
    if text == STANDARD:
        return [_Found(text, (text,))]
    try:
        return list((_from_url if is_url(text) else _from_path)(text, suffixes, recursive, left_out))
    except Exception as error:  # noqa: BLE001 - whatever it is, the other arguments go on
        return [_Found(text, (text,), problem=failure(error, text))]


def _from_path(
    text: str, suffixes: Collection[str], recursive: bool, left_out: Callable[[str], None]
) -> Iterator[_Found]:
    path = Path(without_file_scheme(text))
    if path.is_dir():
        yield from _from_folder(path, suffixes, recursive, left_out)
    elif glob.has_magic(text) and not os.path.lexists(path):
        fixed, pattern = _fixed_part(path)
        hits, unreadable = _matching(pattern)
        if not hits and not unreadable:
            yield _Found(text, (text,), problem="no file has such a name")
        for hit in map(Path, hits):
            if not hit.is_dir():
                yield _Found(str(LocalFile(hit)), _place(hit), _place(fixed))
            elif recursive:
                yield from _from_folder(hit, suffixes, recursive, left_out, root=fixed)
        yield from map(_problem_of, unreadable)
    else:
        yield _Found(str(LocalFile(path)), _place(path))


def _from_folder(
    folder: Path,
    suffixes: Collection[str],
    recursive: bool,
    left_out: Callable[[str], None],
    root: Path | None = None,
) -> Iterator[_Found]:
    if not recursive:
        yield _Found(str(folder), _place(folder), problem="Is a directory; -r takes what is in it")
        return
    inside = list(_below(folder, suffixes, root or folder, left_out))
    yield from inside or [_Found(str(folder), _place(folder), problem=_nothing_in(suffixes))]


def _from_url(
    url: str, suffixes: Collection[str], recursive: bool, left_out: Callable[[str], None]
) -> Iterator[_Found]:
    if recursive and is_folder(url):
        inside = []
        for each, path in objects_below(url):
            if _is_wanted(path, suffixes):
                inside.append(_Found(each, (*parts_of(url), *path.parts), parts_of(url)))
            elif not _is_hidden(path):
                left_out(each)
        yield from inside or [_Found(url, parts_of(url), problem=_nothing_in(suffixes))]
    # A question mark begins the query of a URL; and a name may look like a pattern.
    elif re.search(r"[*[]", url) and not locate(url).is_there():
        hits = objects_matching(url)
        if not hits:
            yield _Found(url, (url,), problem="no object has such a name")
        place = parts_of(url)
        fixed = place[: next((n for n, part in enumerate(place) if n and re.search(r"[*[]", part)), 1)]
        yield from (_Found(hit, parts_of(hit), fixed) for hit in hits)
    else:
        yield _Found(url, (*parts_of(url)[:-1], name_of(url)))


def _below(
    folder: Path, suffixes: Collection[str], root: Path, left_out: Callable[[str], None]
) -> Iterator[_Found]:
    """Files with one of the suffixes, in order, and links to what is not there, as a problem each.

    Hidden files, pipes, and folders by a link are left out.
    """
    unreadable: list[OSError] = []
    found = []
    for at, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if _is_wanted(PurePath(name), suffixes):
                found.append(Path(at, name))
            elif not _is_hidden(PurePath(name)):
                left_out(str(Path(at, name)))
    for path in sorted(found):
        if path.is_file():
            yield _Found(str(path), _place(path), _place(root))
        elif path.is_symlink() and not path.exists():
            yield _Found(str(path), _place(path), problem=f"a link to {path.readlink()}, which is not there")
    yield from map(_problem_of, unreadable)


def _problem_of(error: OSError) -> _Found:
    name = str(error.filename)
    return _Found(name, (name,), problem=describe(error, name))


def _matching(pattern: str) -> tuple[list[str], list[OSError]]:
    """What there is by a pattern, in order, and folders that could not be looked into.

    As glob has it, but where folders of any depth are meant, none is reached by a link: that may lead round in circles.
    """
    parts = Path(pattern).parts
    if ANY_DEPTH not in parts:
        return sorted(glob.glob(pattern)), []  # noqa: PTH207 - patterns may be absolute
    begin = parts.index(ANY_DEPTH)
    wanted = tuple(parts[begin:])
    hidden_too = any(part.startswith(".") for part in wanted)
    unreadable: list[OSError] = []
    found: set[str] = set()
    for base in filter(os.path.isdir, glob.glob(str(Path(*parts[:begin])))):  # noqa: PTH207
        for at, folders, names in os.walk(base, onerror=unreadable.append):
            folders[:] = [name for name in folders if hidden_too or not name.startswith(".")]
            inside = Path(at).relative_to(base).parts
            here = [name for name in folders if not Path(at, name).is_symlink()] + names
            found.update(str(Path(at, name)) for name in here if _fits((*inside, name), wanted))
    return sorted(found), unreadable


def _fits(names: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether a path below a folder is meant by a pattern; hidden names are meant by patterns that begin with a dot."""
    if not wanted:
        return not names
    first, rest = wanted[0], wanted[1:]
    if first == ANY_DEPTH and _fits(names, rest):
        return True
    if not names or (names[0].startswith(".") and not first.startswith(".")):
        return False
    if first == ANY_DEPTH:
        return _fits(names[1:], wanted)
    return fnmatch.fnmatch(names[0], first) and _fits(names[1:], rest)


def _place(path: Path) -> Place:
    return Path(os.path.abspath(path)).parts  # noqa: PTH100 - resolve() would follow links


def _fixed_part(pattern: Path) -> tuple[Path, str]:
    """The folder in which a pattern begins to be one, and the pattern: folders whose names look like one are there."""
    fixed = Path(pattern.anchor)
    parts = list(pattern.parts[1:] if pattern.anchor else pattern.parts)
    while parts and (not glob.has_magic(parts[0]) or (fixed / parts[0]).is_dir()):
        fixed /= parts.pop(0)
    return fixed, str(Path(glob.escape(str(fixed)), *parts))


def _is_wanted(path: PurePath, suffixes: Collection[str]) -> bool:
    return path.suffix.lower() in suffixes and not _is_hidden(path)


def _is_hidden(path: PurePath) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _nothing_in(suffixes: Collection[str]) -> str:
    named = sorted(suffixes)
    more = len(named) - SUFFIXES_NAMED
    if more > 1:
        named = [*named[:SUFFIXES_NAMED], f"or {more} other suffixes"]
    return f"nothing in it ends in {', '.join(named)}"
