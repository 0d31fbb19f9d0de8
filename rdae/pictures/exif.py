"""EXIF and XMP as bytes: is it whole, and which way up does it say that the picture is.

Only the orientation is ever changed, in its place: to 1, once the pixels were turned. Writing EXIF anew would break
what points into it (thumbnails, makers' notes).
"""

import re
import struct

PREFIX = b"Exif\0\0"  # before EXIF in a JPEG and in Pillow's info, not elsewhere
ORIENTATION = 0x0112
ENTRY_BYTES = 12
SHORT = 3

_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|\s*>\s*))[0-9]""")


def upright_exif(data: bytes) -> bytes:
    """The EXIF without PREFIX, saying that its picture stands upright; ValueError if it is broken."""
    data = data.removeprefix(PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        raise ValueError("no EXIF")
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
    except struct.error as error:
        raise ValueError("EXIF is cut short") from error
    if start + 2 + ENTRY_BYTES * count > len(data):
        raise ValueError("EXIF is cut short")
    changed = bytearray(data)
    for place in range(start + 2, start + 2 + ENTRY_BYTES * count, ENTRY_BYTES):
        if struct.unpack_from(f"{order}H", data, place) == (ORIENTATION,):
            struct.pack_into(f"{order}HHIHH", changed, place, ORIENTATION, SHORT, 1, 1, 0)
    return bytes(changed)


def upright_xmp(data: bytes) -> bytes:
    """The XMP, saying that its picture stands upright, if it says anything of that."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", data)
