"""Small colour profiles made here: RGB of any gamma with sRGB's primaries, grey, and CMYK."""

import struct

from PIL import ImageCms

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

# Of sRGB's primaries and white, for a viewer adapted to D50.
COLUMNS = {
    "rXYZ": (0.4361, 0.2225, 0.0139),
    "gXYZ": (0.3851, 0.7169, 0.0971),
    "bXYZ": (0.1431, 0.0606, 0.7141),
}
WHITE = (0.9642, 1.0, 0.8249)


def fixed(values: tuple[float, ...]) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def gamma_curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def profile(space: bytes, connection: bytes, kind: bytes, tags: dict[str, bytes]) -> bytes:
    """ICC version 2 of the given tags."""
    tags = {"wtpt": b"XYZ " + bytes(4) + fixed(WHITE), **tags}
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name.encode() + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12s4s",
        start + len(body),
        b"test",
        0x02400000,
        kind,
        space,
        connection,
        bytes(12),
        b"acsp",
    )
    return head + bytes(28) + fixed(WHITE) + bytes(128 - len(head) - 28 - 12) + table + body


def gamma_profile(gamma: float) -> bytes:
    """RGB with sRGB's primaries and another gamma."""
    colours = {name: b"XYZ " + bytes(4) + fixed(value) for name, value in COLUMNS.items()}
    curves = {f"{channel}TRC": gamma_curve(gamma) for channel in "rgb"}
    return profile(b"RGB ", b"XYZ ", b"mntr", colours | curves)


def grey_profile(gamma: float) -> bytes:
    """Grey of a gamma."""
    return profile(b"GRAY", b"XYZ ", b"mntr", {"kTRC": gamma_curve(gamma)})


def cmyk_profile() -> bytes:
    """CMYK whose inks are so pale that each picture differs from a conversion without a profile."""
    linear = bytes(range(256))
    corners = bytes(
        value
        for place in range(16)
        # L* falls by 40 of 100 with each ink, and nothing has a hue.
        for value in (max(0, 255 - 102 * place.bit_count()), 128, 128)
    )
    identity = fixed((1, 0, 0, 0, 1, 0, 0, 0, 1))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + linear * 4 + corners + linear * 3
    return profile(b"CMYK", b"Lab ", b"prtr", {"A2B0": table})
