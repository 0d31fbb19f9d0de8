"""Files that belong together, as weights, graphs and manifest do: all are written, or none is.

A disk that fills up after half of the graphs must not cost the model that was there before.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from rdae.errors import OutputExistsError
from rdae.storage.attributes import attributes_of
from rdae.storage.files import Terms, check_output, part_beside, sync_folder, write_atomically


def write_together(outputs: Mapping[Path, bytes], *, force: bool) -> None:
    """Write each file beside its output, as `.rdae-*.part`, and when all are there, rename them in the order given.

    Last should be the one that vouches for the others: after a kill between two renames it tells of the mix.  On
    failure what was there before is there, and nothing else; a process that is killed may leave parts behind, as
    `rdae.storage.files` says.
    OutputExistsError if an output exists and not `force`, or is no file; OSError, which names the output.
    """
    for path in outputs:
        check_output(path, force=force)
        if path.exists() and not path.is_file():
            raise OutputExistsError(f"the output {path} is no file, expected one or none")
    targets = {path: Path(os.path.realpath(path)) for path in outputs}  # a link goes on pointing where it did
    parts = {path: part_beside(target) for path, target in targets.items()}
    before: dict[Path, Path] = {}  # by which name each file goes on that is replaced, until all are
    made = []
    try:
        for path, data in outputs.items():
            with _naming(path):
                write_atomically(parts[path], data, terms=Terms(like=attributes_of(targets[path])))
        for path in outputs:  # one may have come to be meanwhile
            check_output(path, force=force)
        for path, target in targets.items():
            if target.exists():
                before[target] = part_beside(target)
                with _naming(path):
                    _keep(target, before[target])
            else:
                made.append(target)
            with _naming(path):
                parts[path].replace(target)
    except BaseException:
        for target in made:
            with contextlib.suppress(OSError):
                target.unlink()
        for target, kept in before.items():
            with contextlib.suppress(OSError):
                kept.replace(target)
        raise
    finally:
        for part in (*parts.values(), *before.values()):
            with contextlib.suppress(OSError):
                part.unlink()
    for folder in {target.parent for target in targets.values()}:
        sync_folder(folder)


def _keep(target: Path, kept: Path) -> None:
    """Give a file another name, if possible beside its own."""
    try:
        os.link(target, kept)
    except (OSError, NotImplementedError):  # no hard links here
        target.replace(kept)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let errors name the output: users know nothing of its part."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
