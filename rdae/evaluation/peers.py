"""Other codecs to measure beside rdae: those that Pillow writes, each with every option spelt out.

A peer turns a uint8 (h, w, 3) picture and a quality into the bytes of a whole file, and back. JPEG XL comes to
Pillow by a plug-in, pillow-jxl-plugin, which the extra `peers` installs.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import PIL
from PIL import Image, features

from rdae.errors import MissingExtraError, ResultsError
from rdae.metrics import Picture

JXL_MODULE, JXL_PACKAGE = "pillow_jxl", "pillow-jxl-plugin"
# How Pillow calls the library behind a format.
FEATURES = {"JPEG": "libjpeg_turbo", "JPEG2000": "jpg_2000", "WEBP": "webp", "AVIF": "avif"}

# By format, the option that trades time for bits and its values from the fastest to the slowest.
KNOBS: Mapping[str, tuple[str, Sequence[int]]] = {
    "WEBP": ("method", range(7)),
    "AVIF": ("speed", range(10, -1, -1)),
    "JXL": ("effort", range(1, 10)),
}


class OtherCodec(Protocol):
    """What is measured beside a model: a Peer, or a network of another package."""

    @property
    def name(self) -> str:
        """Short, for options and file names."""

    @property
    def title(self) -> str:
        """For tables and legends."""

    @property
    def description(self) -> str:
        """Format, library and settings, in a line."""

    @property
    def suffix(self) -> str:
        """The end of the names of its files and results."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """What rdae.training.compressai.checkpoints.find_codecs makes it from, in another process too."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that decides about its numbers, for JSON: points of equal identities are interchangeable."""

    @property
    def qualities(self) -> tuple[int, ...]:
        """The ladder used by default, rising."""

    def encode(self, picture: Picture, quality: float, /) -> bytes:
        """The bytes of a file."""

    def decode(self, data: bytes, /) -> Picture:
        """The picture of a file that `encode` wrote."""


@dataclass(frozen=True)
class Peer:
    """A codec of Pillow and the settings it is measured with.

    qualities: the ladder used by default; chosen so that Kodak goes from about 0.05 to 3 bpp, or as low as the
    codec goes. JPEG 2000 has no scale of quality: its qualities are rates to keep to, in hundredths of a bit a pixel.
    """

    name: str
    title: str
    file_format: str
    options: Mapping[str, str | int | bool] = field(hash=False)
    qualities: tuple[int, ...]

    @property
    def suffix(self) -> str:
        """The end of the names of its files and results."""
        return "." + self.name

    @property
    def library(self) -> str:
        """The library that does the work and its version: results change with it."""
        if self.file_format == "JXL":
            return f"{JXL_PACKAGE} {importlib.metadata.version(JXL_PACKAGE)}"
        feature = FEATURES[self.file_format]
        return f"Pillow {PIL.__version__}, {feature} {features.version(feature) or 'unknown'}"

    @property
    def description(self) -> str:
        """Format, library and settings, in a line."""
        options = ", ".join(f"{key} {value}" for key, value in self.options.items()) or "no options"
        return f"{self.file_format} by {self.library}; {options}"

    @property
    def arguments(self) -> tuple[str, ...]:
        """Its name."""
        return (self.name,)

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that decides about its numbers."""
        return {"name": self.name, "library": self.library, "settings": dict(self.options)}

    @property
    def adjustable(self) -> bool:
        """Whether it can be told how long to take."""
        return self.file_format in KNOBS and KNOBS[self.file_format][0] in self.options

    @property
    def knob(self) -> tuple[str, Sequence[int]]:
        """The option that trades time for bits and its values, the fastest first; ResultsError if it has none."""
        if not self.adjustable:
            having = ", ".join(peer.name for peer in PEERS.values() if peer.adjustable)
            raise ResultsError(
                f"peer {self.name} has no setting of speed or effort, expected one of {having}"
            )
        return KNOBS[self.file_format]

    def at(self, value: int) -> Peer:
        """The same codec with its knob at another value; ResultsError if it has no such value."""
        option, values = self.knob
        if value not in values:
            low, high = min(values), max(values)
            raise ResultsError(f"peer {self.name} has no {option} {value}, expected {low} to {high}")
        # A name that no peer has: by it nobody gets the peer with its usual settings.
        name, title = f"{self.name}-{option}-{value}", f"{self.title}, {option} {value}"
        return replace(self, name=name, title=title, options={**self.options, option: value})

    def encode(self, picture: Picture, quality: float) -> bytes:
        """The bytes of a file; quality 0 to 100, rounded to an integer (JPEG 2000: 1 to 2400, see above)."""
        wanted: dict[str, Any] = {"quality": round(quality)}
        if self.file_format == "JPEG2000":
            # How many times smaller than 24 bits a pixel.
            wanted = {"quality_mode": "rates", "quality_layers": [2400 / quality]}
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, self.file_format, **wanted, **self.options)
        return buffer.getvalue()

    def decode(self, data: bytes) -> Picture:
        """The uint8 (h, w, 3) picture of a file that `encode` wrote."""
        with Image.open(io.BytesIO(data), formats=[self.file_format]) as image:
            return np.asarray(image.convert("RGB"))


JPEG_LADDER = (2, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 85, 90, 93, 95)
WEBP_LADDER = (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95, 100)
AVIF_LADDER = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 93)
COMPRESSAI_LADDER = tuple(range(5, 100, 10))  # every other one of the published curves

PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(
            "jpeg",
            "JPEG 4:4:4",
            "JPEG",
            {"subsampling": "4:4:4", "optimize": True, "progressive": True},
            JPEG_LADDER,
        ),
        Peer(
            "jpeg420",
            "JPEG 4:2:0",
            "JPEG",
            {"subsampling": "4:2:0", "optimize": True, "progressive": True},
            JPEG_LADDER,
        ),
        # Without its multi-component transform JPEG 2000 codes R, G and B apart and needs twice the bits; no_jp2
        # leaves out 85 bytes of wrapping.
        Peer(
            "jpeg2000",
            "JPEG 2000",
            "JPEG2000",
            {"irreversible": True, "mct": 1, "no_jp2": True},
            (5, 10, 15, 20, 30, 40, 60, 80, 120, 160, 200, 250, 300),
        ),
        Peer("webp", "WebP", "WEBP", {"method": 6, "lossless": False}, WEBP_LADDER),
        Peer(
            "avif",
            "AVIF 4:4:4",
            "AVIF",
            {"subsampling": "4:4:4", "speed": 4, "codec": "aom", "range": "full"},
            AVIF_LADDER,
        ),
        Peer(
            "avif420",
            "AVIF 4:2:0",
            "AVIF",
            {"subsampling": "4:2:0", "speed": 4, "codec": "aom", "range": "full"},
            AVIF_LADDER,
        ),
        Peer(
            "jxl",
            "JPEG XL",
            "JXL",
            {"effort": 7, "decoding_speed": 0, "lossless": False},
            (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 93, 95),
        ),
        # As CompressAI's bench saves them, with nothing but a quality: what its published curves are of.
        Peer("jpeg-default", "JPEG, Pillow's defaults", "JPEG", {}, COMPRESSAI_LADDER),
        Peer("webp-default", "WebP, Pillow's defaults", "WEBP", {}, COMPRESSAI_LADDER),
    )
}

# What others call the same.
ALIASES: Mapping[str, str] = {"jpeg-xl": "jxl"}


def available_peers(names: Iterable[str]) -> list[Peer]:
    """Those of the named peers that this Pillow can write."""
    return [PEERS[name] for name in names if _writable(PEERS[name])]


def find_peers(names: Iterable[str]) -> list[Peer]:
    """Peers by name or alias, in the order given.

    ResultsError for one unknown here or not built into this Pillow, MissingExtraError where the plug-in lacks.
    """
    chosen: list[Peer] = []
    for given in names:
        name = ALIASES.get(given, given)
        if name not in PEERS:
            raise ResultsError(f"unknown peer {name!r}, expected one of {', '.join(PEERS)}")
        peer = PEERS[name]
        if not _writable(peer):
            if peer.file_format == "JXL":
                raise MissingExtraError(f"peer {name} needs {JXL_PACKAGE}: pip install 'rdae[peers]'")
            raise ResultsError(f"this Pillow ({PIL.__version__}) cannot write {peer.file_format}")
        chosen.append(peer)
    return chosen


def _writable(peer: Peer) -> bool:
    Image.init()
    if peer.file_format == "JXL" and "JXL" not in Image.SAVE:
        try:
            importlib.import_module(JXL_MODULE)
        except ImportError:
            return False
    return peer.file_format in Image.SAVE
