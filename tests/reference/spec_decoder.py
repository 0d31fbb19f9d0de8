"""A second decoder from a LATENTS payload to ẑ and ŷ, from docs/format.md (sections 4 and 5) and plain integers alone.

It shares nothing with rdae and needs no runtime, numpy or constriction: the range decoder is the page's recurrence in
unbounded integers, tables come straight from the bytes of a weights file, and slow_prior states the prior.
"""

import json
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import slow_prior
from slow_prior import Coded, Network, Planes
from spec_reader import File, crc32, demand

SIZES = {"I8": 1, "U8": 1, "I16": 2, "I32": 4, "I64": 8}


class Table(NamedTuple):
    """A row: counts of the symbols -limit, ..., limit and of the escape."""

    limit: int
    counts: list[int]


class Weights(NamedTuple):
    """What of a model a decoder of latents needs."""

    y: list[Table]
    z: list[Table]
    skip_below: int
    network: Network
    latents: int


def nested(numbers: list[int], shape: list[int]) -> Any:
    if len(shape) < 2:
        return numbers
    step = len(numbers) // shape[0] if shape[0] else 0
    return [nested(numbers[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]


def read_weights(path: Path) -> Weights:
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    found = {}
    for name, entry in header.items():
        if name.startswith(("prior.", "tables.")):
            size, signed = SIZES[entry["dtype"]], entry["dtype"].startswith("I")
            begin, end = (start + offset for offset in entry["data_offsets"])
            places = range(begin, end, size)
            numbers = [int.from_bytes(data[i : i + size], "little", signed=signed) for i in places]
            found[name] = nested(numbers, entry["shape"])
    network = {
        name.removeprefix("prior."): value for name, value in found.items() if name.startswith("prior.")
    }
    y, z = (rows(found[f"tables.{name}.limits"], found[f"tables.{name}.counts"]) for name in "yz")
    return Weights(y, z, int(header["__metadata__"]["skip_below"]), network, len(network["to_context"][0]))


def rows(limits: list[int], counts: list[int]) -> list[Table]:
    tables, start = [], 0
    for limit in limits:
        tables.append(Table(limit, counts[start : start + 2 * limit + 2]))
        start += 2 * limit + 2
    return tables


class Stream:
    """Takes places of tables off a payload."""

    low: int
    range: int
    m: int

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.digits = turned(payload)
        self.low, self.range, self.m = 0, 2**64 - 1, 0
        self.coded_nothing = True

    def point(self) -> int:
        length = 8 + 4 * self.m
        return int.from_bytes(self.digits[:length].ljust(length, b"\0"), "big")

    def place(self, counts: list[int]) -> int:
        scale = self.range >> 24
        wanted = (self.point() - self.low) // scale
        demand(0 <= wanted < 2**24, "no encoder writes this")
        before = place = 0
        while wanted >= before + counts[place]:
            before += counts[place]
            place += 1
        self.low, self.range = self.low + scale * before, scale * counts[place]
        if self.range < 2**32:
            self.low, self.range, self.m = self.low << 32, self.range << 32, self.m + 1
        self.coded_nothing = False
        return place

    def bit(self) -> int:
        return self.place([2**23, 2**23])

    def part(self, wanted: list[Table], order: list[int]) -> list[int]:
        """A part's symbols; `order` has the row number of each."""
        ranked = sorted(range(len(wanted)), key=order.__getitem__)
        symbols = [0] * len(wanted)
        escaped = []
        for i in ranked:
            place = self.place(wanted[i].counts)
            symbols[i] = place - wanted[i].limit
            if place == 2 * wanted[i].limit + 1:
                escaped.append(i)
        exponents = dict.fromkeys(escaped, 0)
        for j in range(24):
            for i in escaped:
                if exponents[i] >= j:
                    exponents[i] += self.bit()
        negative = {i: self.bit() for i in escaped}
        sizes = {i: 1 << exponents[i] for i in escaped}
        for j in reversed(range(24)):
            for i in escaped:
                if exponents[i] > j:
                    sizes[i] |= self.bit() << j
        for i in escaped:
            beyond = wanted[i].limit + sizes[i]
            symbols[i] = -beyond if negative[i] else beyond
        return symbols

    def end(self, least: int) -> None:
        """Refuse a payload that is not what its symbols encode to."""
        written = b"" if self.coded_nothing else self.shortest_end()
        demand(self.payload == turned(written.rstrip(b"\0").ljust(least, b"\0")), "the stream's end")

    def shortest_end(self) -> bytes:
        lower = self.low % 2**64
        plain = lower + 2**32 - 1
        for zeros in (56, 48, 40):
            p = -(-lower // 2**zeros) * 2**zeros
            if p < lower + self.range and (p >= 2**64) == (plain >= 2**64):
                break
        else:
            p = plain // 2**32 * 2**32
        end: int = self.low - lower + p
        return end.to_bytes(8 + 4 * self.m, "big")


def turned(data: bytes) -> bytes:
    return b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4))


class Latents(NamedTuple):
    z: Planes
    y64: Planes

    def integers(self) -> bytes:
        """All ẑ, then all 64·ŷ."""
        both = (value for planes in self for plane in planes for line in plane for value in line)
        return b"".join(value.to_bytes(4, "little", signed=True) for value in both)


def decode(file: File, weights: Weights) -> bytes:
    """The integers that the latent checksum of a file is over, or Refused."""
    height, width = -(-file.height // 16), -(-file.width // 16)
    side = max(height, width) if file.tile is None else 2**file.tile
    corners = product(range(0, height, side), range(0, width, side))
    payloads = [part.payload for part in file.sections if part.kind == 1]
    tiles = [
        decode_tile(payload, min(side, height - top), min(side, width - left), file.quality_index, weights)
        for payload, (top, left) in zip(payloads, corners, strict=True)
    ]
    integers = b"".join(tile.integers() for tile in tiles)
    if file.latent_checksum is not None:
        demand(crc32(integers) == file.latent_checksum, "latent checksum")
    return integers


def decode_tile(payload: bytes, height: int, width: int, quality_index: int, weights: Weights) -> Latents:
    """The latents of height x width positions."""
    stream = Stream(payload)
    size = (len(weights.z), -(-height // 4), -(-width // 4))
    channels = [c for c, _, _ in product(*map(range, size))]
    z = nested(stream.part([weights.z[c] for c in channels], channels), list(size))
    demand(all(abs(value) <= 127 for plane in z for line in plane for value in line), "ẑ out of range")

    shape = (weights.latents, height, width)
    residuals = [[[0] * width for _ in range(height)] for _ in range(weights.latents)]

    def run() -> slow_prior.Run:
        """The prior, to be believed up to the first step whose residuals are not there yet."""
        return slow_prior.run(weights.network, z, quality_index, residuals, weights.skip_below)

    for step in range(4):
        coded: list[Coded] = [one for one in run().steps[step] if one.scale >= weights.skip_below]
        scales = [one.scale for one in coded]
        for one, k in zip(coded, stream.part([weights.y[s] for s in scales], scales), strict=True):
            demand(abs(k) <= 2**20, "k out of range")
            residuals[one.channel][one.row][one.column] = k
    stream.end(size[1] * size[2])
    latents = Latents(z, run().y64)
    assert shape == (len(latents.y64), len(latents.y64[0]), len(latents.y64[0][0]))
    return latents
