"""What an output is called whose name was not given: after its input, beside it or as deep in another folder."""

from __future__ import annotations

import os
from pathlib import Path, PurePath, PurePosixPath

from rdae.storage.locations import STANDARD, LocalFile, locate
from rdae.storage.urls import is_read_only, is_url, without_file_scheme

SUFFIX = ".rdae"


def output_name(
    location: str, relative: PurePath, suffix: str, *, directory: str | None = None, keep_suffix: bool = False
) -> str:
    """The location, as text, of the output of the input at `location`.

    suffix: of the output, in the place of the input's, or with `keep_suffix` behind it. directory: where outputs go, a
    folder or a URL; relative: the input's path below the folder it was found in, which is kept there. None: beside
    the input, or standard output for standard input; in the current folder where nothing can be written beside it.
    """
    if directory is None and is_url(location) and is_read_only(location):
        directory = "."
    if location == STANDARD and directory is None:
        return STANDARD
    name = relative.name
    stem = name if keep_suffix else PurePath(name).stem
    # a.png.rdae, as keep_suffix calls it, becomes a.png again.
    named = stem if name == f"{stem}{SUFFIX}" and stem.endswith(suffix) else stem + suffix
    if location == STANDARD:
        named = "stdin" + suffix
    if directory is None:
        beside = locate(location)
        if isinstance(beside, LocalFile):
            return str(LocalFile(beside.path.parent / named))
        return f"{location.rpartition('/')[0]}/{named}"
    if is_url(directory):
        return f"{directory.rstrip('/')}/{PurePosixPath(*relative.parts[:-1], named)}"
    return str(LocalFile(Path(without_file_scheme(directory)) / relative.parent / named))


def names_folder(output: str) -> bool:
    """Whether what an output is to be called is a folder's name: one that is there, or that ends in a slash."""
    if output == STANDARD:
        return False
    if output.endswith(("/", os.sep)):
        return True
    return not is_url(output) and Path(without_file_scheme(output)).is_dir()
