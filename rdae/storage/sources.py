"""What a program may hand over as a file: a path, the file's bytes in any buffer, or a file that is open."""

import contextlib
import io
import mmap
import os
from collections.abc import Iterator
from typing import BinaryIO, TypeGuard, cast

from rdae.errors import RdaeError
from rdae.storage.files import open_input, read_bounded

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | mmap.mmap | BinaryIO


def is_source(thing: object) -> TypeGuard[Source]:
    """Whether `opened` takes it."""
    if isinstance(thing, str | os.PathLike) or hasattr(thing, "read"):
        return True
    return _buffer(thing) is not None


@contextlib.contextmanager
def opened(source: Source, wrong_kind: type[RdaeError], too_large: type[RdaeError]) -> Iterator[BinaryIO]:
    """A file to read from.  One that was open already is rewound, if it can be, as Pillow does, and stays open.

    Raises OSError as open() does, and the given errors as `open_input`; wrong_kind of a file in text mode, too.
    """
    if isinstance(source, str | os.PathLike):
        with open_input(source, wrong_kind, too_large) as file:
            yield file
    elif (
        buffer := _buffer(source)
    ) is not None:  # before read(): of a mapping all is meant, wherever it stands
        with io.BytesIO(buffer) as file:
            yield file
    else:
        open_file = cast("BinaryIO", source)
        if _in_text_mode(open_file):
            raise wrong_kind("a file in text mode, expected one in binary mode")
        # There are things with read() and nothing else.
        file = open_file if hasattr(source, "seekable") else io.BytesIO(read_bounded(open_file, too_large))
        if file.seekable():
            file.seek(0)
        yield file


def _in_text_mode(file: BinaryIO) -> bool:
    if isinstance(file, io.IOBase):
        return isinstance(file, io.TextIOBase)
    return isinstance(file.read(0), str)  # what wraps another file, such as that of codecs.open


def _buffer(thing: object) -> memoryview | None:
    try:
        view = memoryview(thing)  # type: ignore[arg-type]
        return view if view.c_contiguous else memoryview(view.tobytes())
    except TypeError:
        return None
