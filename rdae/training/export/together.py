"""Files that belong together, as weights, graphs and manifest do: all are written, or none is.

A disk that fills up after half of the graphs must not cost the model that was there before.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from rdae.storage.attributes import attributes_of
from rdae.storage.files import Terms, check_output, sync_folder, write_atomically


def write_together(outputs: Mapping[Path, bytes], *, force: bool) -> None:
    """Write each file beside its output, as `.rdae-*.part`, and when all are there, rename them in the order given.

    Last should be the one that vouches for the others, and first one that may be in use: Windows refuses to replace
    that, and then nothing has changed yet.  On failure what was there before is there, and nothing else; a process that
    is killed may leave parts behind, as `rdae.storage.files` says.
    OutputExistsError if an output exists and not `force`, or is a folder; OSError, which names the output.
    """
    for path in outputs:
        check_output(path, force=force)
    targets = {path: Path(os.path.realpath(path)) for path in outputs}  # a link goes on pointing where it did
    parts = {path: target.with_name(f".rdae-{secrets.token_hex(8)}.part") for path, target in targets.items()}
    made = []
    try:
        for path, data in outputs.items():
            with _naming(path):
                write_atomically(parts[path], data, terms=Terms(like=attributes_of(targets[path])))
        for path in outputs:  # one may have come to be meanwhile
            check_output(path, force=force)
        for path, target in targets.items():
            is_new = not target.exists()
            with _naming(path):
                parts[path].replace(target)
            if is_new:
                made.append(target)
    except BaseException:
        for target in made:
            with contextlib.suppress(OSError):
                target.unlink()
        raise
    finally:
        for part in parts.values():
            with contextlib.suppress(OSError):
                part.unlink()
    for folder in {target.parent for target in targets.values()}:
        sync_folder(folder)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let errors name the output: users know nothing of its part."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
