"""Files of a run, written so that a full disk costs one line and nothing that was there before."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from rdae.errors import TrainingError, describe


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give the temporary name under which a file is to be written, and rename it at the end.

    TrainingError as of `named_errors`; then the temporary file is gone, and what had the name before still has it.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with named_errors(path):
        try:
            yield temporary
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is written into a TrainingError of one line that names it."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch's writer of archives hides what the system said behind an assertion of its own.
        hidden = error.__context__
        cause = hidden if isinstance(hidden, OSError) and not isinstance(error, OSError) else error
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else describe(cause)
        raise TrainingError(f"{path}: {reason}".splitlines()[0]) from error
