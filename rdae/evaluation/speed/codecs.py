"""What can be timed: rdae and Pillow's codecs as pairs of functions, picture to file and file to picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rdae.evaluation import run
from rdae.evaluation.peers import Peer
from rdae.metrics import Picture

Seconds = Mapping[str, float]


class Model(run.Model, Protocol):
    """The part of rdae.open_model's result that is timed."""

    def compress(self, image: Picture, quality: float, /) -> bytes: ...  # noqa: D102


@dataclass(frozen=True)
class Codec:
    """One codec at one quality.

    encode: uint8 (h, w, 3) to whatever `decode` takes. size: its bytes, None where they mean nothing.
    stages: after what `decode` returned, the codec's own account of that decode.
    encoding_stages: its account of an encode, which it makes by encoding once more, off the clock.
    """

    title: str
    quality: float
    encode: Callable[[Picture], Any]
    decode: Callable[[Any], Any]
    size: Callable[[Any], int | None]
    decoding_stages: Callable[[Any], Seconds] = lambda _decoded: {}
    encoding_stages: Callable[[Picture], Seconds] = lambda _picture: {}


ENCODING = ("analysis", "prior", "refinement", "coding")
"""Stages of an encode; what `Model.encode` does beside them, it does for reports."""


def of_model(model: Model, quality: float) -> Codec:
    """Time `compress`, which gives the file and nothing else, and `decode`."""

    def encoding_stages(picture: Picture) -> Seconds:
        return {k: v for k, v in model.encode(picture, quality).seconds.items() if k in ENCODING}

    return Codec(
        title=model.name if model.name.startswith("rdae") else f"rdae {model.name}",
        quality=quality,
        encode=lambda picture: model.compress(picture, quality),
        decode=model.decode,
        size=len,
        decoding_stages=lambda decoded: decoded.seconds,
        encoding_stages=encoding_stages,
    )


def of_peer(peer: Peer, pictures: Sequence[Picture], size: int) -> Codec:
    """Time a peer at the quality of its ladder that gives files of about `size` bytes together."""
    at = nearest_quality(peer, pictures, size)
    return Codec(peer.title, at, lambda picture: peer.encode(picture, at), peer.decode, len)


def nearest_quality(peer: Peer, pictures: Sequence[Picture], size: int) -> int:
    """The quality of the peer's ladder whose files together are nearest to size bytes, by bisection."""
    sizes: dict[int, int] = {}

    def size_at(rung: int) -> int:
        if rung not in sizes:
            sizes[rung] = sum(len(peer.encode(picture, peer.qualities[rung])) for picture in pictures)
        return sizes[rung]

    low, high = 0, len(peer.qualities) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if size_at(middle) >= size else (middle, high)
    return peer.qualities[min((low, high), key=lambda rung: abs(size_at(rung) - size))]
