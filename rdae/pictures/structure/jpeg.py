"""The segments of a JPEG (ITU-T T.81, annex B)."""

from __future__ import annotations

import re

START_OF_IMAGE = b"\xff\xd8"
END_OF_IMAGE, LEAST_LENGTH = 0xD9, 2
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def end_of_pictures(data: bytes, count: int) -> int:
    """Where the last of so many pictures ends, or of as many as there are; if it has no end, where the data end."""
    end = 0
    for _ in range(count):
        start = data.find(START_OF_IMAGE, end)
        if start < 0:
            break
        end = _end_of_picture(data, start)
    return end


def _end_of_picture(data: bytes, start: int) -> int:
    at = start + len(START_OF_IMAGE)
    while found := _MARKER.search(data, at):
        at = found.end()
        if data[at - 1] == END_OF_IMAGE:
            return at
        length = int.from_bytes(data[at : at + 2], "big")
        if length < LEAST_LENGTH:
            break  # it is damaged
        at += length  # coded data follow the segment that begins a scan
    return len(data)
