"""Which files are worked on: folders, patterns and URLs become inputs, in one order that each machine finds."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from rdae.batch.tasks import Job, failure
from rdae.errors import describe
from rdae.storage.locations import STANDARD, LocalFile
from rdae.storage.urls import is_folder, is_url, objects_below, objects_matching, without_file_scheme


@dataclass(frozen=True)
class Input:
    """A file to work on.

    location: as `rdae.storage.locations.locate` reads it. relative: its path below the folder that was given, or its
    name. problem: why it is none, empty if it is one.
    """

    location: str
    relative: PurePath
    problem: str = ""


def find_inputs(
    locations: Iterable[str | Path], suffixes: Collection[str], *, recursive: bool = False
) -> list[Input]:
    """The inputs that are meant, each once; where something is none, an Input with its problem, so that others go on.

    locations: files, patterns such as photos/**/*.jpg, URLs and patterns of URLs, "-" for standard input, and with
    `recursive` folders: of what is in them, at any depth, all that ends in one of `suffixes` (lower case, with the
    dot); hidden files, and folders by a link, are left out.
    """
    texts = [str(each) for each in locations]
    return list(dict.fromkeys(each for text in texts for each in _meant_by(text, suffixes, recursive)))


def shard(jobs: Sequence[Job], index: int, count: int) -> list[Job]:
    """Part `index`, from 1 to `count`, of the jobs: as many machines do all of them if each does one part.

    The parts are the same whatever the order of the jobs, and as long as each other but for one job. ValueError if
    there is no such part.
    """
    if not 1 <= index <= count:
        raise ValueError(f"shard {index} of {count}, expected one from 1 to {count}")
    return sorted(jobs, key=lambda job: job.input)[index - 1 :: count]


def _meant_by(text: str, suffixes: Collection[str], recursive: bool) -> list[Input]:
    """The inputs that an argument means."""
    if text == STANDARD:
        return [Input(text, PurePath(text))]
    try:
        return list((_from_url if is_url(text) else _from_path)(text, suffixes, recursive))
    except Exception as error:  # noqa: BLE001 - whatever it is, the other arguments go on
        return [Input(text, PurePath(text), failure(error, text))]


def _from_path(text: str, suffixes: Collection[str], recursive: bool) -> Iterator[Input]:
    path = Path(without_file_scheme(text))
    if path.is_dir():
        if not recursive:
            yield Input(str(path), PurePath(path.name), "Is a directory; -r takes what is in it")
            return
        inside = list(_below(path, suffixes))
        yield from inside or [Input(str(path), PurePath(path.name), _nothing_in(suffixes))]
    elif glob.has_magic(text) and not os.path.lexists(path):
        hits = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - patterns may be absolute
        if not hits:
            yield Input(text, PurePath(text), "no file has such a name")
        for hit in hits:
            if recursive or not Path(hit).is_dir():
                yield from _from_path(hit, suffixes, recursive)
    else:
        yield Input(str(LocalFile(path)), PurePath(path.name))


def _from_url(url: str, suffixes: Collection[str], recursive: bool) -> Iterator[Input]:
    if recursive and is_folder(url):
        inside = [(each, path) for each, path in objects_below(url) if _is_wanted(path, suffixes)]
        if not inside:
            yield Input(url, PurePosixPath(url), _nothing_in(suffixes))
        yield from (Input(each, path) for each, path in inside)
    elif re.search(r"[*[]", url):  # a question mark begins the query of a URL
        hits = objects_matching(url)
        if not hits:
            yield Input(url, PurePosixPath(url), "no object has such a name")
        yield from (Input(hit, PurePosixPath(PurePosixPath(hit).name)) for hit in hits)
    else:
        yield Input(url, PurePosixPath(PurePosixPath(url).name))


def _below(folder: Path, suffixes: Collection[str]) -> Iterator[Input]:
    """Files with one of the suffixes, in order; hidden ones, pipes, and folders by a link are left out."""
    unreadable: list[OSError] = []
    found = []
    for at, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(at, name) for name in names if _is_wanted(PurePath(name), suffixes)]
    yield from (Input(str(path), path.relative_to(folder)) for path in sorted(found) if path.is_file())
    for error in unreadable:
        yield Input(str(error.filename), PurePath(str(error.filename)), describe(error, error.filename))


def _is_wanted(path: PurePath, suffixes: Collection[str]) -> bool:
    return path.suffix.lower() in suffixes and not any(part.startswith(".") for part in path.parts)


def _nothing_in(suffixes: Collection[str]) -> str:
    return f"nothing in it ends in {', '.join(sorted(suffixes))}"
