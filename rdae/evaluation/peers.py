"""Other codecs to measure beside rdae: Pillow's JPEG, WebP and AVIF, each with every option spelt out.

A peer turns a uint8 (h, w, 3) picture and an integer quality into the bytes of a whole file, and back.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import PIL
from PIL import Image, features

from rdae.errors import ResultsError
from rdae.metrics import Picture


@dataclass(frozen=True)
class Peer:
    """A codec of Pillow and the settings it is measured with.

    qualities: the ladder used by default; chosen so that Kodak goes from about 0.1 to 3 bpp.
    """

    name: str
    title: str
    file_format: str
    options: Mapping[str, str | int | bool]
    qualities: tuple[int, ...]

    @property
    def suffix(self) -> str:
        """The end of the names of its files and results."""
        return "." + self.name

    @property
    def library(self) -> str:
        """The library that does the work and its version: results change with it."""
        feature = {"JPEG": "libjpeg_turbo", "WEBP": "webp", "AVIF": "avif"}[self.file_format]
        return f"Pillow {PIL.__version__}, {feature} {features.version(feature) or 'unknown'}"

    def encode(self, picture: Picture, quality: float) -> bytes:
        """The bytes of a file; quality 0 to 100, rounded to an integer."""
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, self.file_format, quality=round(quality), **self.options)
        return buffer.getvalue()

    def decode(self, data: bytes) -> Picture:
        """The uint8 (h, w, 3) picture of a file that `encode` wrote."""
        with Image.open(io.BytesIO(data), formats=[self.file_format]) as image:
            return np.asarray(image.convert("RGB"))


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(
            "jpeg",
            "JPEG 4:4:4",
            "JPEG",
            {"subsampling": "4:4:4", "optimize": True, "progressive": True},
            (2, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 85, 90, 93, 95),
        ),
        Peer(
            "jpeg420",
            "JPEG 4:2:0",
            "JPEG",
            {"subsampling": "4:2:0", "optimize": True, "progressive": True},
            (2, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 85, 90, 93, 95),
        ),
        Peer(
            "webp",
            "WebP",
            "WEBP",
            {"method": 6, "lossless": False},
            (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95, 100),
        ),
        Peer(
            "avif",
            "AVIF 4:4:4",
            "AVIF",
            {"subsampling": "4:4:4", "speed": 4, "codec": "aom", "range": "full"},
            (10, 20, 30, 40, 50, 60, 70, 80, 90),
        ),
    )
}


def available_peers(names: Iterable[str]) -> list[Peer]:
    """Those of the named peers that this Pillow can write."""
    Image.init()
    return [PEERS[name] for name in names if PEERS[name].file_format in Image.SAVE]


def find_peers(names: Iterable[str]) -> list[Peer]:
    """Peers by name, in the order given; ResultsError for one unknown here or not built into this Pillow."""
    chosen: list[Peer] = []
    for name in names:
        if name not in PEERS:
            raise ResultsError(f"unknown peer {name!r}, expected one of {', '.join(PEERS)}")
        Image.init()
        if PEERS[name].file_format not in Image.SAVE:
            raise ResultsError(f"this Pillow ({PIL.__version__}) cannot write {PEERS[name].file_format}")
        chosen.append(PEERS[name])
    return chosen
