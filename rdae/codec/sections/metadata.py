"""Profiles and notes that travel with a picture: ICC, EXIF, XMP, byte for byte, in few bytes.

A payload is a byte that names the method, then the bytes as they are (RAW) or packed (PACKED, `packing`). What it
says is for others to understand; here it is only kept.
"""

from rdae.codec.sections.packing import pack, unpack
from rdae.errors import CorruptError, PictureError

RAW, PACKED = 0, 1
MAX_BYTES = 1 << 26  # unpacked: no profile or note has more, and a few bytes must not become gigabytes


def encode(data: bytes) -> bytes:
    """The payload; PictureError if there is too much to be read again."""
    if len(data) > MAX_BYTES:
        raise PictureError(f"{len(data)} bytes of metadata, expected at most {MAX_BYTES}")
    packed = pack(data)
    return bytes([PACKED]) + packed if len(packed) < len(data) else bytes([RAW]) + data


def decode(payload: bytes) -> bytes:
    """What was encoded; CorruptError if nothing can have been."""
    if len(payload) < 2 or payload[0] not in (RAW, PACKED):
        raise CorruptError(f"metadata of an unknown method: {payload[:1]!r}")
    data = payload[1:] if payload[0] == RAW else unpack(payload[1:], MAX_BYTES)
    if not 0 < len(data) <= MAX_BYTES:
        raise CorruptError(f"{len(data)} bytes of metadata, expected 1 to {MAX_BYTES}")
    return data
