"""The chunks of a WebP: RIFF, as its container specification has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

HEAD_BYTES = 12  # RIFF, the length of the rest, WEBP
CHUNK_HEAD_BYTES = 8


def end_of_file(file: BinaryIO) -> int:
    """Where the file ends by its own account."""
    file.seek(0)
    return 8 + int.from_bytes(file.read(8)[4:], "little")


def chunks(file: BinaryIO) -> Iterator[str]:
    """The name of each chunk."""
    at, end = HEAD_BYTES, end_of_file(file)
    while at + CHUNK_HEAD_BYTES <= end:
        file.seek(at)
        head = file.read(CHUNK_HEAD_BYTES)
        if len(head) < CHUNK_HEAD_BYTES:
            return
        yield head[:4].decode("latin-1")
        at += CHUNK_HEAD_BYTES + (int.from_bytes(head[4:], "little") + 1) // 2 * 2
