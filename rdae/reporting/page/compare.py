"""The same picture by several codecs at equal bytes or equal PSNR: what the page's slider slides between."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rdae import metrics
from rdae.api import Model, open_model
from rdae.errors import ResultsError
from rdae.evaluation.peers import PEERS, Peer, available_peers
from rdae.evaluation.points import Point
from rdae.metrics import Picture
from rdae.networks import registry
from rdae.quality import MAX_INDEX, from_index
from rdae.reporting.page.gather import Codec

MATCHES = ("bytes", "psnr")


class Coder(Protocol):
    """What can make files again of a result file's codec.

    steps: all qualities there are, by rising size.
    """

    @property
    def steps(self) -> Sequence[float]: ...  # noqa: D102
    def encode(self, picture: Picture, quality: float, /) -> bytes: ...  # noqa: D102
    def decode(self, data: bytes, /) -> Picture: ...  # noqa: D102


@dataclass(frozen=True)
class ModelCoder:
    """rdae with the model that a result file names."""

    model: Model

    @property
    def steps(self) -> Sequence[float]:
        """Eighths of a quality."""
        return [from_index(index) for index in range(MAX_INDEX + 1)]

    def encode(self, picture: Picture, quality: float, /) -> bytes:
        """The bytes of an .rdae file."""
        return self.model.compress(picture, quality)

    def decode(self, data: bytes, /) -> Picture:
        """The picture of a file's bytes."""
        return self.model.decode(data).picture


@dataclass(frozen=True)
class PeerCoder:
    """Another codec with the settings it was measured with."""

    peer: Peer

    @property
    def steps(self) -> Sequence[float]:
        """The whole numbers of its ladder's range."""
        ladder = self.peer.qualities
        return [float(quality) for quality in range(math.ceil(min(ladder)), math.floor(max(ladder)) + 1)]

    def encode(self, picture: Picture, quality: float, /) -> bytes:
        """The bytes of a file."""
        return self.peer.encode(picture, quality)

    def decode(self, data: bytes, /) -> Picture:
        """The picture of a file's bytes."""
        return self.peer.decode(data)


@dataclass(frozen=True, eq=False)
class Version:
    """A picture as one codec gives it back.

    codec: its place in the comparison. match: "bytes" or "psnr", or "" for the codec that the others are matched to.
    """

    codec: int
    match: str
    quality: float
    data: bytes
    picture: Picture
    psnr: float
    ms_ssim: float | None


def coder_of(codec: Codec) -> Coder | None:
    """What made a result file, to make more: the model it names, or a peer; None for what is not known here.

    WeightsError if the model is not installed.
    """
    evaluation = codec.evaluation
    model_id = str(evaluation.meta.get("model", "")) if evaluation is not None else ""
    if model_id:
        try:
            identity = bytes.fromhex(model_id)
        except ValueError:
            message = f"{codec.name}: its model is called {model_id!r}, expected a hexadecimal number"
            raise ResultsError(message) from None
        return ModelCoder(open_model(registry.find_by_id(identity)))
    peer = peer_of(codec)
    return PeerCoder(peer) if peer is not None and available_peers([peer.name]) else None


def peer_of(codec: Codec) -> Peer | None:
    """The peer whose results these are; None if they are of none."""
    stated = codec.evaluation.codec.get("name") if codec.evaluation is not None else None
    for name, peer in PEERS.items():
        if not codec.is_published and (stated == name or peer.title == codec.name):
            return peer
    return None


def at(codec: int, coder: Coder, picture: Picture, quality: float) -> Version:
    """A picture encoded at a quality and decoded."""
    return _version(codec, coder, picture, quality, coder.encode(picture, quality))


def matched(
    codec: int, coder: Coder, picture: Picture, to: Version, *, match: str, known: Sequence[Point] = ()
) -> Version:
    """A picture encoded at the quality at which bytes, or PSNR, come nearest to those of another version of it.

    The quality is found by bisection, in eight encodings or so. Where a codec's smallest or largest file is still too
    large or too small, it is that file.
    known: points of this picture by this codec, between which the quality is looked for.
    """
    steps = coder.steps
    made: dict[int, tuple[bytes, float]] = {}

    def reached(i: int) -> float:
        if i not in made:
            data = coder.encode(picture, steps[i])
            # Bytes are compared by ratio, PSNR by difference.
            size = math.log(len(data)) if match == "bytes" else metrics.psnr(picture, coder.decode(data))
            made[i] = (data, size)
        return made[i][1]

    wanted = math.log(len(to.data)) if match == "bytes" else to.psnr
    low, high = 0, len(steps) - 1
    for point in known:
        if point.quality in steps:
            has = math.log(point.file_bytes) if match == "bytes" else point.psnr
            i = steps.index(point.quality)
            low, high = (max(low, i), high) if has < wanted else (low, min(high, i))
    best = _nearest(reached, low, max(low, high), wanted)
    return _version(codec, coder, picture, steps[best], made[best][0], match=match)


def _nearest(value: Callable[[int], float], low: int, high: int, wanted: float) -> int:
    """Where a rising function of low..high comes nearest to what is wanted."""
    least = low
    while low < high:
        middle = (low + high) // 2
        if value(middle) < wanted:
            low = middle + 1
        else:
            high = middle
    candidates = [i for i in (low - 1, low) if i >= least]
    return min(candidates, key=lambda i: abs(value(i) - wanted))


def _version(
    codec: int, coder: Coder, picture: Picture, quality: float, data: bytes, *, match: str = ""
) -> Version:
    decoded = coder.decode(data)
    psnr, ms_ssim = metrics.psnr(picture, decoded), metrics.ms_ssim(picture, decoded)
    return Version(codec, match, quality, data, decoded, psnr, ms_ssim)
