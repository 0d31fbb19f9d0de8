"""Files in and out, for hostile input and for outputs that are never lost: no other module opens either for a user.

Reading. No file beyond MAX_FILE_BYTES is read, devices are refused, and nobody waits for a pipe to which nobody
writes.

Writing. The bytes go to a new file beside the output, are flushed to the disk, and are then given the output's name,
which is one step of the file system: at each moment there is the old file, the new one whole, or none. A process
that is killed meanwhile may leave its `.rdae-*.part` behind. It is hidden, no command takes it for an output or finds
it in a folder, and it may be deleted by hand; rdae does not, as it cannot tell it from one that is being written.

A new file has the permissions of what it replaces, else those of what it was made of.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rdae.errors import OutputExistsError, RdaeError
from rdae.storage.attributes import (
    Attributes,
    attributes_of,
    give_permissions,
    give_time,
    is_marked,
    mark,
)

AnyPath = str | os.PathLike[str]
Data = (
    bytes | Iterable[bytes]
)  # what is to be written: whole, or in chunks that are made as they are asked for
Identity = tuple[int, int]  # device and inode: equal for all names of one file

MAX_FILE_BYTES = 1 << 30  # of any input: 100 million pixels of 64 bits are less, and .rdae files far smaller
CHUNK_BYTES = 1 << 22


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On which terms an output is written.

    only_own: of what is there, replace only what is marked as rdae's. parents: make its folder. like: the file that it
    is made of, whose permissions a new file gets, and with keep_time its time too. marked: mark it as written by rdae.
    """

    only_own: bool = False
    parents: bool = True
    like: Attributes | None = None
    keep_time: bool = False
    marked: bool = False


USUAL = Terms()


def open_input(path: AnyPath, wrong_kind: type[RdaeError], too_large: type[RdaeError]) -> BinaryIO:
    """Open a file or pipe for reading. OSError as open() raises it, or the given errors for other things.

    A pipe without a writer reads as an empty file; one whose writer is slow is waited for.
    """
    # Path.open has no opener, and the caller closes the file.
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115
    try:
        if hasattr(os, "O_NONBLOCK"):
            os.set_blocking(file.fileno(), True)
        _check_input(os.fstat(file.fileno()), wrong_kind, too_large)
    except BaseException:
        file.close()
        raise
    return file


def _check_input(status: os.stat_result, wrong_kind: type[RdaeError], too_large: type[RdaeError]) -> None:
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
        raise wrong_kind("a device, expected a file")
    if status.st_size > MAX_FILE_BYTES:
        raise too_large(f"{status.st_size} bytes, expected at most {MAX_FILE_BYTES}")


def _without_waiting(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def read_bounded(file: BinaryIO, too_large: type[RdaeError], most: int = MAX_FILE_BYTES) -> bytes:
    """All the rest of a file; the given error if that is more than `most` bytes, as a pipe or a growing file may be."""
    chunks = []
    # Not read(most + 1), which would set aside so much at once, however short the file is.
    while chunk := file.read(CHUNK_BYTES):
        most -= len(chunk)
        if most < 0:
            raise too_large(f"the file goes on after {MAX_FILE_BYTES} bytes, which is the most that is read")
        chunks.append(chunk)
    return b"".join(chunks)


def identities(paths: Iterable[AnyPath]) -> frozenset[Identity]:
    """What tells files apart whatever they are called; paths where there is nothing count for nothing."""
    found = set()
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 - of any kind of path
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(status.st_mode):
            found.add((status.st_dev, status.st_ino))
    return frozenset(found)


def check_output(
    path: AnyPath, *, force: bool, only_own: bool = False, inputs: frozenset[Identity] = frozenset()
) -> None:
    """OutputExistsError if `path` must not be written, OSError if it cannot be: to ask before any long work.

    It must not if it is a folder; if it is there and not `force`; or, with `force` too, if it is one of `inputs`, by
    this name or another: a source is never replaced by what was made of it. only_own: or if it is there and not marked
    as written by rdae.
    """
    _check_kept(Path(path), force=force, only_own=only_own, inputs=inputs)
    # What is no file, such as a pipe, is written to as it is.
    if Path(path).is_file() or not Path(path).exists():
        _check_writable(Path(path))


def _check_kept(
    path: Path, *, force: bool, only_own: bool = False, inputs: frozenset[Identity] = frozenset()
) -> None:
    """The OutputExistsError of `check_output`."""
    if path.is_dir():
        raise OutputExistsError(f"the output {path} is a folder, expected a file")
    if inputs & identities([path]):
        raise OutputExistsError(f"the output {path} is an input as well, which is never overwritten")
    # A device or a pipe is there to be written to.
    if path.is_file() and only_own and not is_marked(path):
        raise foreign(path)
    if path.is_file() and not force:
        raise _exists(path)


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next((each for each in (folder, *folder.parents) if each.exists()), folder)


def _check_writable(path: Path) -> None:
    """OSError if no file can be made where one is to be, or where a link to it leads; folders may be missing."""
    named = _nearest(path.parent)
    if named.exists() and not named.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is no folder", str(named))
    there = _nearest(Path(os.path.realpath(path)).parent)
    if not there.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if os.access(there, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return
    read_only = hasattr(os, "statvfs") and os.statvfs(there).f_flag & os.ST_RDONLY
    reason = errno.EROFS if read_only else errno.EACCES
    raise OSError(reason, os.strerror(reason), str(path))


def write_atomically(path: AnyPath, data: Data, *, force: bool = False, terms: Terms = USUAL) -> int:
    """Write `data` to a new file beside `path`, then rename it: `path` never holds half a file.

    Nothing is left behind on failure, nor when making the next chunk fails. Returns how many bytes there were. Raises
    OutputExistsError if `path` exists and not `force`, even if it came to be a moment ago (where the file system has
    hard links), or OSError. terms: all but `parents`, as the folder is there.
    """
    _check_kept(Path(path), force=force, only_own=terms.only_own)
    if Path(path).exists() and not Path(path).is_file():
        with Path(path).open("wb") as file:  # by this name: /dev/stdout leads to a pipe that has no other
            return _write(file, whole(data))
    target = Path(os.path.realpath(path))  # a link goes on pointing where it did
    temporary = part_beside(target)
    permissions = attributes_of(target) or terms.like
    try:
        if permissions is not None:
            temporary.touch(0o600, exist_ok=False)  # not even for a moment is a private file open to others
        # Not tempfile: its files are for their owner's eyes only, and would stay so under the new name.
        with temporary.open("xb" if permissions is None else "wb") as file:
            written = _write(file, data)
            file.flush()
            if permissions is not None:
                give_permissions(file.fileno(), permissions)
            if terms.keep_time and terms.like is not None:
                give_time(temporary, terms.like)
            if terms.marked:
                mark(temporary)
            os.fsync(file.fileno())
        if force:
            temporary.replace(target)
        else:
            _rename_to_new(temporary, target)
        sync_folder(target.parent)
    except OSError as error:
        # Users know nothing of the temporary file.
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with contextlib.suppress(OSError):  # on a read-only disk there is none, and asking is an error too
            temporary.unlink()
    return written


def part_beside(target: Path) -> Path:
    """A new, hidden name in the same folder: a short one, as that of the target may be as long as names can be."""
    return target.with_name(f".rdae-{secrets.token_hex(8)}.part")


def encoded(text: str) -> bytes:
    """Text as UTF-8, whatever names are in it: bytes of a name that are no text become escapes, which JSON reads."""
    return text.encode("utf-8", "backslashreplace")


def whole(data: Data) -> bytes:
    """All chunks as one."""
    return data if isinstance(data, bytes) else b"".join(data)


def _write(file: BinaryIO, data: Data) -> int:
    return sum(file.write(chunk) for chunk in ([data] if isinstance(data, bytes) else data))


def foreign(path: object) -> OutputExistsError:
    """The error that says that a picture may be the original."""
    return OutputExistsError(f"{path} may be the original, which --force replaces only with -o {path}")


def _exists(path: Path) -> OutputExistsError:
    return OutputExistsError(f"the output {path} is already there; --force replaces it")


def _rename_to_new(temporary: Path, target: Path) -> None:
    """Give `temporary` the name `target`, unless there is one of that name by now."""
    try:
        if os.name == "nt":
            temporary.rename(target)  # which replaces nothing there
        else:
            os.link(temporary, target, follow_symlinks=False)
    except FileExistsError:
        raise _exists(target) from None
    except (OSError, NotImplementedError):
        # No hard links here (FAT, some network drives): a file that came to be since check_output is seen, and only
        # one that comes to be between these two lines is not.
        if target.exists():
            raise _exists(target) from None
        temporary.replace(target)


def sync_folder(folder: Path) -> None:
    """Let the new name reach the disk too, where folders can be synced; the bytes are there already."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # a folder that may be written but not read
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF}:
            raise
    finally:
        os.close(descriptor)
