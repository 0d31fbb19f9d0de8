"""Colours that a file describes without an ICC profile, and the profile that says the same.

PNG has chunks of chromaticities and gamma, video's four numbers (CICP) are in PNG, AVIF and HEIF, and cameras say Adobe
RGB by a word in EXIF. A container has a place for a profile only, so one is made of these, unless they say sRGB.

Sources: ITU-T H.273 (CICP); W3C PNG, third edition, 11.3.2; ICC.1:2022 (profiles of version 4.4).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
XY = tuple[float, float]  # CIE x and y

D65: XY = (0.3127, 0.3290)
D50 = np.array([0.9642, 1.0, 0.8249])  # XYZ, in which profiles are
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# sRGB's way from levels to light: gamma, then a, b, c, d of ICC's function of type 3.
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

BT709: tuple[XY, XY, XY] = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
PRIMARIES: dict[int, tuple[tuple[XY, XY, XY], XY]] = {
    1: (BT709, D65),
    4: (((0.67, 0.33), (0.21, 0.71), (0.14, 0.08)), (0.310, 0.316)),
    5: (((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)), D65),
    6: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65),
    7: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65),
    9: (((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), D65),
    11: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), (0.314, 0.351)),
    12: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65),
}
UNSPECIFIED = 2
HDR = {16: "PQ", 18: "HLG"}
# The curves of cameras (1, 6, 14, 15) are shown by screens as sRGB's is, and 2 says nothing.
GAMMAS: dict[int, float | None] = {
    1: None,
    2: None,
    4: 2.2,
    5: 2.8,
    6: None,
    8: 1.0,
    13: None,
    14: None,
    15: None,
}

# Size, version, class, colours and those they are related to, date, signature, intent, illuminant (ICC.1, 7.2).
HEADER = ">I4xI4s4s4s12s4s24xI12s48x"
RELATIVE_COLORIMETRIC = 1

SAME_XY = 0.002
SRGB_GAMMAS = (0.44, 0.47)
"""PNG's way to say sRGB to those that know no better is 0.45455."""
GAMMAS_TAKEN = (0.1, 10.0)
"""Beyond, a picture is all black or all white."""


@dataclass(frozen=True)
class Colours:
    """What levels mean.

    primaries: of red, green and blue. gamma: light is a level to that power; None: sRGB's curve.
    """

    primaries: tuple[XY, XY, XY] = BT709
    white: XY = D65
    gamma: float | None = None

    @property
    def are_srgb(self) -> bool:
        """Whether that is sRGB, as far as anybody can see."""
        pairs = zip((*self.primaries, self.white), (*BT709, D65), strict=True)
        return self.gamma is None and all(
            abs(mine - theirs) <= SAME_XY for pair in pairs for mine, theirs in zip(*pair, strict=True)
        )

    def profile(self, mode: str) -> bytes:
        """An ICC profile for pictures of mode L or RGB; ValueError if primaries or gamma make no colours."""
        return _profile(self, grey=mode == "L")


ADOBE_RGB = Colours(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65, 563 / 256)


def of_cicp(primaries: int, transfer: int) -> Colours | str:
    """The colours that the numbers of ITU-T H.273 mean, or a line that says why they are taken for sRGB's."""
    if transfer in HDR:
        return f"HDR is not supported: {HDR[transfer]} levels taken for sRGB's"
    primaries = 1 if primaries == UNSPECIFIED else primaries
    if primaries not in PRIMARIES or transfer not in GAMMAS:
        return f"unknown colours (CICP {primaries}, {transfer}) taken for sRGB's"
    return Colours(*PRIMARIES[primaries], GAMMAS[transfer])


def of_png(gamma: float | None, chromaticities: tuple[XY, XY, XY, XY] | None) -> Colours:
    """The colours that PNG's gAMA and cHRM mean. chromaticities: of white, red, green and blue."""
    power = None if gamma is None or SRGB_GAMMAS[0] <= gamma <= SRGB_GAMMAS[1] else 1 / gamma
    if chromaticities is None:
        return Colours(gamma=power)
    white, red, green, blue = chromaticities
    return Colours((red, green, blue), white, power)


def _profile(colours: Colours, *, grey: bool) -> bytes:
    if colours.gamma is not None and not GAMMAS_TAKEN[0] <= colours.gamma <= GAMMAS_TAKEN[1]:
        raise ValueError(f"gamma {colours.gamma:.3g}")
    matrix, adaptation = _to_d50(colours)
    words = "rdae: " + ("sRGB curve" if colours.gamma is None else f"gamma {colours.gamma:.3g}")
    tags = {
        b"desc": _text(words),
        b"cprt": _text("public domain"),
        b"wtpt": _xyz(D50),
        b"chad": b"sf32" + bytes(4) + _fixed(*adaptation.reshape(-1)),
    }
    curve = _curve(colours.gamma)
    if grey:
        tags[b"kTRC"] = curve
    else:
        tags |= {b"rXYZ": _xyz(matrix[:, 0]), b"gXYZ": _xyz(matrix[:, 1]), b"bXYZ": _xyz(matrix[:, 2])}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body, places = b"", b"", dict[bytes, int]()
    start = struct.calcsize(HEADER) + 4 + 12 * len(tags)
    for name, content in tags.items():
        if content not in places:  # equal ones are kept once
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += name + struct.pack(">II", places[content], len(content))
    header = struct.pack(
        HEADER,
        start + len(body),
        0x04400000,
        b"mntr",
        b"GRAY" if grey else b"RGB ",
        b"XYZ ",
        struct.pack(">6H", 2000, 1, 1, 0, 0, 0),  # the same bytes on every day
        b"acsp",
        RELATIVE_COLORIMETRIC,
        _fixed(*D50),
    )
    return header + struct.pack(">I", len(tags)) + table + body


def _to_d50(colours: Colours) -> tuple[Floats, Floats]:
    """The matrix from linear RGB to XYZ under D50, and that from the colours' own white to D50 (Bradford)."""
    try:
        columns = np.stack([_from_xy(each) for each in colours.primaries], axis=1)
        white = _from_xy(colours.white)
        matrix = columns * np.linalg.solve(columns, white)
        cones = BRADFORD @ D50 / (BRADFORD @ white)
    except (np.linalg.LinAlgError, ZeroDivisionError, FloatingPointError) as error:
        raise ValueError("primaries that span no colours") from error
    adaptation = np.linalg.inv(BRADFORD) @ (cones[:, None] * BRADFORD)
    found = adaptation @ matrix
    if not (np.isfinite(found).all() and np.abs(found).max() < 100):
        raise ValueError("primaries that span no colours")
    return found, adaptation


def _from_xy(point: XY) -> Floats:
    x, y = point
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _curve(gamma: float | None) -> bytes:
    if gamma is None:
        return b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed(*SRGB_CURVE)
    return b"para" + bytes(4) + struct.pack(">HH", 0, 0) + _fixed(gamma)


def _text(words: str) -> bytes:
    coded = words.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(coded), 28) + coded


def _xyz(values: Floats) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*values)


def _fixed(*values: float) -> bytes:
    """Numbers as s15Fixed16, to 1/65536; ValueError for those that are too large."""
    if not all(abs(value) < 32767 for value in values):
        raise ValueError("primaries that span no colours")
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)
