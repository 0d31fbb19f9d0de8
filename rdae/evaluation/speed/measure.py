"""Timing several codecs in turns.

Each codec does a picture before any does the next one, so that a machine that slows down slows all of them.  What is
reported is the median round, and of the ratios between codecs the median too: both sides of a ratio are from the same
round.  Models are loaded, and have run once, before the clock starts.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rdae.evaluation.speed.codecs import Codec, Seconds
from rdae.metrics import Picture

CLOCKS: Mapping[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""Seconds that pass, and seconds of a processor that this process takes: these matter on a machine with other work."""


@dataclass(frozen=True)
class Side:
    """One direction of one codec, all pictures together.

    rounds_s: seconds of each round; total_s: their median. ratio: how many times as long as the first codec's, the
    median over rounds. stages_s: the codec's own account of one round; empty if it gives none.
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
    encoding: Side
    decoding: Side


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


@dataclass(frozen=True)
class _Turn:
    """One codec's round over all pictures."""

    file_bytes: int | None
    encoding_s: float
    decoding_s: float
    encoding_stages: Seconds
    decoding_stages: Seconds


def measure(
    codecs: Sequence[Codec],
    pictures: Sequence[Picture],
    *,
    rounds: int,
    kmac_per_pixel: Mapping[str, float],
    note: Callable[[str], None],
    clock: str = "wall",
) -> Benchmark:
    """Time codecs on uint8 (h, w, 3) pictures; the first is what the others are compared with.

    clock: one of CLOCKS.
    """
    import torch

    for codec in codecs:
        note(f"warming up {codec.title}")
        codec.decode(codec.encode(pictures[0]))
    turns: list[list[_Turn]] = [[] for _ in codecs]
    for done in range(rounds):
        note(f"round {done + 1} of {rounds}")
        for of_codec, turn in zip(turns, _round(codecs, pictures, CLOCKS[clock]), strict=True):
            of_codec.append(turn)
    timings = tuple(
        Timing(
            codec.title,
            codec.quality,
            mine[0].file_bytes,
            _side([(t.encoding_s, t.encoding_stages) for t in mine], [t.encoding_s for t in turns[0]]),
            _side([(t.decoding_s, t.decoding_stages) for t in mine], [t.decoding_s for t in turns[0]]),
        )
        for codec, mine in zip(codecs, turns, strict=True)
    )
    return Benchmark(
        pictures=len(pictures),
        pixels=sum(picture.shape[0] * picture.shape[1] for picture in pictures),
        rounds=rounds,
        clock=clock,
        threads=torch.get_num_threads(),
        machine=f"{processor()}, Python {platform.python_version()}, torch {torch.__version__}",
        kmac_per_pixel=dict(kmac_per_pixel),
        timings=timings,
    )


def processor() -> str:
    """What this machine calls its processor, as far as it says."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - no file, a way to ask
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def _round(codecs: Sequence[Codec], pictures: Sequence[Picture], now: Callable[[], float]) -> list[_Turn]:
    """All codecs on all pictures, in turns."""
    found: list[list[_Turn]] = [[] for _ in codecs]
    for picture in pictures:
        for codec, parts in zip(codecs, found, strict=True):
            start = now()
            encoded = codec.encode(picture)
            middle = now()
            decoded = codec.decode(encoded)
            end = now()
            stages = codec.encoding_stages(picture), codec.decoding_stages(decoded)
            parts.append(_Turn(codec.size(encoded), middle - start, end - middle, *stages))
    return [_sum(parts) for parts in found]


def _sum(parts: Sequence[_Turn]) -> _Turn:
    sizes = [part.file_bytes for part in parts if part.file_bytes is not None]
    return _Turn(
        sum(sizes) if sizes else None,
        sum(part.encoding_s for part in parts),
        sum(part.decoding_s for part in parts),
        _added([part.encoding_stages for part in parts]),
        _added([part.decoding_stages for part in parts]),
    )


def _added(accounts: Sequence[Seconds]) -> dict[str, float]:
    total: dict[str, float] = {}
    for account in accounts:
        for stage, seconds in account.items():
            total[stage] = total.get(stage, 0.0) + seconds
    return total


def _side(mine: list[tuple[float, Seconds]], first: list[float]) -> Side:
    """mine: seconds and account of each round; first: the first codec's seconds in these rounds."""
    rounds_s = tuple(seconds for seconds, _ in mine)
    # The stages of the median round belong together, as medians of each stage would not.
    _, stages = sorted(mine, key=lambda round_: round_[0])[(len(mine) - 1) // 2]
    ratio = statistics.median(a / max(b, 1e-9) for a, b in zip(rounds_s, first, strict=True))
    return Side(statistics.median(rounds_s), ratio, rounds_s, stages)
