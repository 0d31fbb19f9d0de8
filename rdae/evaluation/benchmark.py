"""How long encoding and decoding take, stage by stage, beside Pillow's codecs in the same process.

The model is loaded once and run once before the clock starts. Rounds alternate between the codecs, so that a
machine that slows down slows all of them; what is reported is the median round.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rdae.evaluation.peers import Peer
from rdae.evaluation.run import Model
from rdae.metrics import Picture


@dataclass(frozen=True)
class Side:
    """Median time of one direction over the rounds.

    total_s: seconds for all pictures, by the clock outside. stages_s: the codec's own account, summed over
    the pictures; empty for peers.
    """

    total_s: float
    stages_s: Mapping[str, float]


@dataclass(frozen=True)
class Timing:
    """One codec: bytes of all pictures' files and both directions."""

    name: str
    quality: float
    file_bytes: int
    encoding: Side
    decoding: Side


@dataclass(frozen=True)
class Benchmark:
    """What a benchmark measured; the model is first among the timings."""

    pixels: int
    rounds: int
    threads: int
    machine: str
    kmac_per_pixel: Mapping[str, float]
    timings: tuple[Timing, ...]

    def as_json(self) -> dict[str, Any]:
        """Everything measured, as JSON's own types."""
        return asdict(self)


SIDE_HEADINGS = (("MP/s", 8), ("ratio", 7))
HEADINGS = (("quality", 8), ("bpp", 8), ("encode s", 10), *SIDE_HEADINGS, ("decode s", 10), *SIDE_HEADINGS)

# Bytes and picture out of one run, with the codec's own account of its time.
Encode = Callable[[Picture], tuple[bytes, Mapping[str, float]]]
Decode = Callable[[bytes], Mapping[str, float]]


def benchmark(
    model: Model,
    pictures: Sequence[Picture],
    quality: float,
    peers: Sequence[Peer],
    *,
    rounds: int,
    note: Callable[[str], None],
) -> Benchmark:
    """Time the model at a quality, and each peer at the quality that gives files of about its size."""
    import torch

    note("warming up")
    warm = [model.encode(picture, quality).data for picture in pictures]
    for data in warm:
        model.decode(data)
    size = sum(map(len, warm))

    def model_encode(picture: Picture) -> tuple[bytes, Mapping[str, float]]:
        encoded = model.encode(picture, quality)
        return encoded.data, encoded.seconds

    codecs: list[tuple[str, float, Encode, Decode]] = [
        (f"rdae {model.name}", quality, model_encode, lambda data: model.decode(data).seconds)
    ]
    for peer in peers:
        note(f"looking for the quality of {peer.title} that gives the same size")
        codecs.append(_peer_codec(peer, nearest_quality(peer, pictures, size)))
    runs: list[list[tuple[int, Side, Side]]] = [[] for _ in codecs]
    for done in range(rounds):
        note(f"round {done + 1} of {rounds}")
        for i, (_, _, encode, decode) in enumerate(codecs):
            runs[i].append(_round(pictures, encode, decode))
    timings = tuple(
        Timing(name, at, run[0][0], _median([r[1] for r in run]), _median([r[2] for r in run]))
        for (name, at, _, _), run in zip(codecs, runs, strict=True)
    )
    pixels = sum(picture.shape[0] * picture.shape[1] for picture in pictures)
    machine = f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}"
    kmac = dict(model.kmac_per_pixel())
    return Benchmark(pixels, rounds, torch.get_num_threads(), machine, kmac, timings)


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


def lines(result: Benchmark) -> list[str]:
    """The benchmark as text: the codecs beside each other, then where the model's time goes."""
    megapixels = result.pixels / 1e6
    own = result.timings[0]
    text = [
        f"{megapixels:.2f} megapixels, median of {result.rounds} rounds, {result.threads} threads",
        result.machine,
        " " * 28 + "".join(heading.rjust(width) for heading, width in HEADINGS),
    ]
    for timing in result.timings:
        cells = f"{timing.name:28}{timing.quality:8g}{8 * timing.file_bytes / result.pixels:8.3f}"
        for side, reference in ((timing.encoding, own.encoding), (timing.decoding, own.decoding)):
            ratio = reference.total_s / side.total_s
            cells += f"{side.total_s:10.3f}{megapixels / side.total_s:8.2f}{ratio:7.1f}"
        text.append(cells)
    text.append("ratio: how many times as long rdae takes")
    for title, side in (("encode", own.encoding), ("decode", own.decoding)):
        text.append(f"{title}, {1000 * side.total_s:.0f} ms:")
        # What the codec itself did not account for: conversions, Python, checksums.
        other = max(side.total_s - sum(side.stages_s.values()), 0.0)
        for stage, seconds in [*side.stages_s.items(), ("other", other)]:
            text.append(f"  {stage:14}{1000 * seconds:9.1f} ms {seconds / side.total_s:7.1%}")
    text.append("kMAC per pixel: " + ", ".join(f"{k} {v:.2f}" for k, v in result.kmac_per_pixel.items()))
    return text


def _peer_codec(peer: Peer, at: int) -> tuple[str, float, Encode, Decode]:
    def encode(picture: Picture) -> tuple[bytes, Mapping[str, float]]:
        return peer.encode(picture, at), {}

    def decode(data: bytes) -> Mapping[str, float]:
        peer.decode(data)
        return {}

    return peer.title, at, encode, decode


def _round(pictures: Sequence[Picture], encode: Encode, decode: Decode) -> tuple[int, Side, Side]:
    start = time.perf_counter()
    encoded = [encode(picture) for picture in pictures]
    middle = time.perf_counter()
    decoded = [decode(data) for data, _ in encoded]
    end = time.perf_counter()
    return (
        sum(len(data) for data, _ in encoded),
        Side(middle - start, _sum([seconds for _, seconds in encoded])),
        Side(end - middle, _sum(decoded)),
    )


def _sum(accounts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for account in accounts:
        for stage, seconds in account.items():
            total[stage] = total.get(stage, 0.0) + seconds
    return total


def _median(sides: Sequence[Side]) -> Side:
    """The round with the median total: its stages belong together, as medians of each stage would not."""
    ordered = sorted(sides, key=lambda side: side.total_s)
    middle = statistics.median_low(range(len(ordered)))
    return ordered[middle]
