"""What a file has beside its bytes: permissions, an owner, a time, and a mark that says that rdae wrote it.

The mark is an extended attribute with the size and the time of what was written: a file that was changed since, by
whatever program, is not rdae's any more, nor is a copy without it. Where a file system has no such attributes nothing
is known to be rdae's.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

MARK = "user.rdae.wrote"
PERMISSIONS = 0o777  # no bits that run a file with the rights of its owner


@dataclass(frozen=True)
class Attributes:
    """Of a regular file; with size and identity, by which a later look finds whether it is still the same."""

    device: int
    inode: int
    size: int
    modified_ns: int
    mode: int
    owner: int
    group: int


def attributes_of(path: str | os.PathLike[str], *, follow: bool = True) -> Attributes | None:
    """The attributes of a file; None if there is none that is regular. follow: see past links."""
    try:
        status = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 - of any kind of path
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return Attributes(
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_mode & PERMISSIONS,
        status.st_uid,
        status.st_gid,
    )


def give_permissions(descriptor: int, like: Attributes) -> None:
    """Give an open file the permissions and, as far as this user may, the owner of another.

    Nobody may read it then who could not read the other: if its group cannot be had, that of the new file gets what
    all others get.
    """
    if not hasattr(os, "fchown"):  # Windows
        return
    mine = os.fstat(descriptor)
    mode = like.mode
    if (mine.st_uid, mine.st_gid) != (like.owner, like.group):
        try:
            os.fchown(descriptor, like.owner, like.group)
        except OSError:
            with contextlib.suppress(OSError):
                os.fchown(descriptor, -1, like.group)
            if os.fstat(descriptor).st_gid != like.group:
                mode = mode & ~0o070 | (mode & 0o007) << 3
    with contextlib.suppress(OSError):  # there are file systems without
        os.fchmod(descriptor, mode)


def give_time(path: Path, like: Attributes) -> None:
    """Give a file the time at which another was changed last."""
    os.utime(path, ns=(path.stat().st_atime_ns, like.modified_ns))


def mark(path: Path) -> None:
    """Say of a file, as it is now, that rdae wrote it, where that can be said."""
    if hasattr(os, "setxattr"):
        with contextlib.suppress(OSError):
            os.setxattr(path, MARK, _state(path))


def unmark(path: Path) -> None:
    """Take away what `mark` said."""
    if hasattr(os, "removexattr"):
        with contextlib.suppress(OSError):  # most often there is none
            os.removexattr(path, MARK)


def is_marked(path: Path) -> bool:
    """Whether rdae wrote a file, and nobody has changed it since."""
    if not hasattr(os, "getxattr"):
        return False
    try:
        return os.getxattr(path, MARK) == _state(path)
    except OSError:
        return False


def _state(path: Path) -> bytes:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}".encode()
