"""The bytes of an .rdae file, of which no more are read than it takes to see that it is one."""

from typing import BinaryIO

from rdae.codec.container import MAGIC
from rdae.errors import NotRdaeError, StreamError
from rdae.storage.files import MAX_FILE_BYTES, read_bounded


def read_container(file: BinaryIO) -> bytes:
    """All bytes of an .rdae file that is open, or comes through a pipe.

    Raises NotRdaeError after the first four if they are not an .rdae file's, StreamError beyond MAX_FILE_BYTES, or
    OSError.
    """
    head = file.read(len(MAGIC))
    # What is shorter than the magic is cut short perhaps: container.parse says which.
    if len(head) == len(MAGIC) and head != MAGIC:
        raise NotRdaeError(f"not an .rdae file: it begins with {head!r}, expected {MAGIC!r}")
    return head + read_bounded(file, StreamError, MAX_FILE_BYTES - len(head))
