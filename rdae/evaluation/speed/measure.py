"""Timing several codecs in turns.

Each codec does a picture before any does the next one, so that a machine that slows down slows all of them.  What is
reported is the median round, and of the ratios between codecs the median too: both sides of a ratio are from the same
round.  Models are loaded, and have run once, before the clock starts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rdae.clock import Clock
from rdae.evaluation import environment
from rdae.evaluation.codecs import Codec
from rdae.metrics import Picture

CLOCKS: Mapping[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""Seconds that pass, and seconds of a processor that this process takes: these matter on a machine with other work."""


@dataclass(frozen=True)
class Direction:
    """Encoding or decoding by one codec, all pictures together.

    rounds_s: seconds of each round; total_s: their median. ratio: how many times as long as the first codec's, the
    median over rounds. stages_s: by stage as the codec tells them, of the median round; empty if it tells none.
    """

    total_s: float
    ratio: float
    rounds_s: tuple[float, ...]
    stages_s: Mapping[str, float]


@dataclass(frozen=True)
class Timing:
    """One codec: bytes of all pictures' files, None where they mean nothing, and both directions."""

    title: str
    quality: float
    file_bytes: int | None
    encoding: Direction
    decoding: Direction


@dataclass(frozen=True)
class Benchmark:
    """What was measured; rdae is first among the timings."""

    pictures: int
    pixels: int
    rounds: int
    clock: str
    threads: int
    machine: str
    kmac_per_pixel: Mapping[str, float]
    timings: tuple[Timing, ...]

    def as_json(self) -> dict[str, Any]:
        """Everything measured, as JSON's own types."""
        return asdict(self)


@dataclass
class _Round:
    """What one codec took for all pictures."""

    file_bytes: int = 0
    encoding_s: float = 0.0
    decoding_s: float = 0.0
    encoding_stages: Clock = field(default_factory=Clock)
    decoding_stages: Clock = field(default_factory=Clock)


def measure(
    codecs: Sequence[tuple[Codec, float]],
    pictures: Sequence[Picture],
    *,
    rounds: int,
    kmac_per_pixel: Mapping[str, float],
    threads: int,
    note: Callable[[str], None],
    clock: str = "wall",
) -> Benchmark:
    """Time codecs, each at a quality, on uint8 (h, w, 3) pictures; the first is what the others are compared with.

    threads: that share the work of the first.  clock: one of CLOCKS.
    """
    for codec, quality in codecs:
        note(f"warming up {codec.title}")
        codec.decode(codec.encode(pictures[0], quality))
    done: list[list[_Round]] = []  # by round, then by codec
    for number in range(rounds):
        note(f"round {number + 1} of {rounds}")
        done.append(_round(codecs, pictures, CLOCKS[clock]))
    timings = []
    for (codec, quality), own in zip(codecs, zip(*done, strict=True), strict=True):
        encoding, decoding = (
            [(r.encoding_s, r.encoding_stages.seconds) for r in own],
            [(r.decoding_s, r.decoding_stages.seconds) for r in own],
        )
        timings.append(
            Timing(
                codec.title,
                quality,
                None if codec.untrained else own[0].file_bytes,
                _direction(encoding, [of_round[0].encoding_s for of_round in done]),
                _direction(decoding, [of_round[0].decoding_s for of_round in done]),
            )
        )
    return Benchmark(
        pictures=len(pictures),
        pixels=sum(picture.shape[0] * picture.shape[1] for picture in pictures),
        rounds=rounds,
        clock=clock,
        threads=threads,
        machine=environment.machine(),
        kmac_per_pixel=dict(kmac_per_pixel),
        timings=tuple(timings),
    )


def _round(
    codecs: Sequence[tuple[Codec, float]], pictures: Sequence[Picture], now: Callable[[], float]
) -> list[_Round]:
    """All codecs on all pictures, in turns."""
    found = [_Round() for _ in codecs]
    for picture in pictures:
        for (codec, quality), sums in zip(codecs, found, strict=True):
            start = now()
            data = codec.encode(picture, quality, clock=sums.encoding_stages)
            middle = now()
            codec.decode(data, clock=sums.decoding_stages)
            end = now()
            sums.file_bytes += len(data)
            sums.encoding_s += middle - start
            sums.decoding_s += end - middle
    return found


def _direction(own: Sequence[tuple[float, Mapping[str, float]]], first: Sequence[float]) -> Direction:
    """own: seconds, in all and by stage, of each round; first: the first codec's seconds in these rounds."""
    rounds_s = tuple(seconds for seconds, _ in own)
    # The stages of the median round belong together, as medians of each stage would not.
    _, stages = sorted(own, key=lambda round_: round_[0])[(len(own) - 1) // 2]
    ratio = statistics.median(a / max(b, 1e-9) for a, b in zip(rounds_s, first, strict=True))
    return Direction(statistics.median(rounds_s), ratio, rounds_s, stages)
