"""Hostile .rdae files by number: mutant(seed, index) is the same bytes on every machine and in every order.

A mutant starts from a file whose latents were chosen here, integer by integer, so that no float of an encoder comes
in; it is then changed with knowledge of the format. Fields are kept as the bytes that stand for them (`Draft`), so a
field can hold what no writer would write. Most mutants get a right CRC-32, as otherwise that is all that would be
tested, and some a right latent checksum round wrong bytes, which lets arbitrary latents through to the synthesis.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rdae import limits
from rdae.codec import container, latents
from rdae.codec.container import Flag, SectionType, least_payload
from rdae.codec.range_coding import SymbolDecoder, SymbolEncoder
from rdae.codec.sections import webp
from rdae.errors import CorruptError, RdaeError
from rdae.networks import weights
from rdae.networks.architecture import PATCH
from rdae.networks.layers import Z_MAX
from rdae.networks.model import Model
from rdae.networks.prior import SYMBOL_MAX, Prediction, Prior

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
FEW_PIXELS = 1 << 15  # what most mutants may ask for: some ms with the smallest model

SIZES = ((1, 1), (1, 17), (17, 1), (16, 16), (33, 20), (48, 48), (64, 65), (1, 300), (100, 3))
QUALITIES = (0, 1, 7, 400, 793, 800)
# Where varints, fields and machine integers change their nature.
NUMBERS = sorted(
    {0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 63, 64, 799, 800, 801, 4095, 4096, 4097}
    | {
        (1 << bits) + d
        for bits in (7, 8, 14, 15, 16, 21, 24, 28, 30, 31, 32, 35, 53, 62, 63)
        for d in (-1, 0, 1)
    }
    | {
        limits.MAX_PIXELS - 1,
        limits.MAX_PIXELS,
        limits.MAX_PIXELS + 1,
        10_000,
        (1 << 64) - 1,
        1 << 70,
    }
)
LATENT_STYLES = ("still", "small", "wide", "spikes", "extreme")


def frozen_path() -> Path:
    """The weights of the small model that is kept in the repository, so that mutants stay the same bytes."""
    return min(GOLDEN.rglob("mini.safetensors"))


def frozen_model() -> Model:
    """That model, loaded; one thread, as its networks have nothing to share."""
    return weights.load(frozen_path(), threads=1)


@dataclasses.dataclass
class Piece:
    """A section, as bytes. length: the varint that stands before the payload, right or wrong."""

    kind: int
    length: bytes
    payload: bytes

    def to_bytes(self) -> bytes:
        return bytes([self.kind]) + self.length + self.payload


@dataclasses.dataclass
class Draft:
    """A file in the making; each field is the bytes that will stand for it."""

    version: bytes
    flags: bytes
    model: bytes
    quality: bytes
    width: bytes
    height: bytes
    tile: bytes
    pieces: list[Piece]
    checksum: bytes

    def to_bytes(self) -> bytes:
        """The file, with the right CRC-32."""
        head = (self.version, self.flags, self.model, self.quality, self.width, self.height, self.tile)
        pieces = b"".join(piece.to_bytes() for piece in self.pieces)
        return with_crc(container.MAGIC + b"".join(head) + pieces + self.checksum)

    def copy(self) -> Draft:
        return dataclasses.replace(self, pieces=[dataclasses.replace(piece) for piece in self.pieces])


@dataclasses.dataclass(frozen=True)
class Base:
    """A sound file: what its draft says, as numbers."""

    draft: Draft
    width: int
    height: int
    index: int


@dataclasses.dataclass(frozen=True)
class Mutant:
    """Bytes to decode. max_pixels: the limit to decode them with; recipe: how they came about."""

    data: bytes
    max_pixels: int
    recipe: str


def varint(value: int) -> bytes:
    """LEB128 of any number, in the shortest form."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def with_crc(body: bytes) -> bytes:
    """`body` and its CRC-32."""
    return body + zlib.crc32(body).to_bytes(4, "little")


RICH = ("alpha", "alpha-webp", "grey-alpha", "sections", "veil", "whole")
"""Golden files with alpha, metadata or tiles."""

STORED = ("pixels", "pixels-alpha", "pixels-grey", "pixels-parts", "pixels-over")
"""Golden files with pixels that are stored as such."""


class Mutants:
    """All mutants, by (seed, index)."""

    def __init__(self, model: Model) -> None:
        self.model = model
        rng = random.Random("sound files")
        self.bases = [
            self.author(rng, width, height, rng.choice(QUALITIES), style)
            for (width, height) in SIZES
            for style in LATENT_STYLES[:3]
        ]
        self.bases += [self.golden(name) for name in RICH]
        self.stored = [self.golden(name) for name in STORED]

    def mutant(self, seed: int, index: int) -> Mutant:
        rng = random.Random(f"{seed}/{index}")
        weights_of = [weight for weight, _ in RECIPES]
        ((_, recipe),) = rng.choices(RECIPES, weights_of)
        data = recipe(self, rng)
        max_pixels = FEW_PIXELS
        if rng.random() < 0.2 and _refused_for_its_size(data):
            max_pixels = limits.MAX_PIXELS
        return Mutant(data, max_pixels, recipe.__name__.strip("_"))

    def author(self, rng: random.Random, width: int, height: int, index: int, style: str) -> Base:
        """A sound file of random latents, whatever an encoder would think of them."""
        prior = self.model.prior
        size = (-(-height // PATCH), -(-width // PATCH))
        shape = (prior.architecture.latents, *size)
        z_shape = prior.z_shape(size)
        y = [_latent(rng, style) for _ in range(int(np.prod(shape)))]
        z = [_hyper_latent(rng, style) for _ in range(int(np.prod(z_shape)))]
        coded = latents.quantise(
            np.array(y, np.float32).reshape(shape), np.array(z, np.int32).reshape(z_shape), prior, index
        )
        payload = coded.payload()
        return self._base(width, height, index, payload, coded.latents.checksum)

    def golden(self, name: str) -> Base:
        """A golden file with more than one section; latents first."""
        (path,) = GOLDEN.rglob(f"{name}.rdae")
        parsed = container.parse(path.read_bytes())
        header, checksum = parsed.header, parsed.latent_checksum
        assert header.model in (self.model.model_id, container.NO_MODEL)
        base = self._base(header.width, header.height, header.quality_index, b"", checksum or 0)
        base.draft.model = header.model
        if checksum is None:
            base.draft.checksum = b""
        sections = sorted(parsed.sections, key=lambda section: section.type != SectionType.LATENTS)
        base.draft.flags = varint(parsed.flags)
        base.draft.tile = b"" if header.tile is None else varint(header.tile)
        base.draft.pieces = [
            Piece(section.type | section.skippable << 7, varint(len(section.payload)), section.payload)
            for section in sections
        ]
        return base

    def _base(self, width: int, height: int, index: int, payload: bytes, checksum: int) -> Base:
        draft = Draft(
            bytes([container.MAJOR << 4 | container.MINOR]),
            varint(Flag.LATENT_CHECKSUM),
            self.model.model_id,
            varint(index),
            varint(width),
            varint(height),
            b"",
            [Piece(SectionType.LATENTS, varint(len(payload)), payload)],
            checksum.to_bytes(4, "little"),
        )
        return Base(draft, width, height, index)

    def canonical(self, payload: bytes, width: int, height: int, index: int) -> Base:
        """Any bytes as a sound file: the latents that they decode to, written in the one right way."""
        prior = self.model.prior
        size = (-(-height // PATCH), -(-width // PATCH))
        z_shape = prior.z_shape(size)
        decoder, encoder = SymbolDecoder(payload), SymbolEncoder()
        rows = latents.z_rows(z_shape)
        symbols = decoder.get(rows, prior.z_tables)
        encoder.put(symbols, rows, prior.z_tables)
        z = symbols.reshape(z_shape)
        y64 = latents.go_through(prior, z.clip(-Z_MAX, Z_MAX), index, size, _Copying(decoder, encoder, prior))
        decoded = latents.Latents(z, y64)
        return self._base(
            width, height, index, encoder.finish(least_payload(width, height)), decoded.checksum
        )


class _Copying:
    """Residuals that a decoder reads and an encoder writes again."""

    def __init__(self, decoder: SymbolDecoder, encoder: SymbolEncoder, prior: Prior) -> None:
        self._decoder, self._encoder, self._prior = decoder, encoder, prior

    def of(self, prediction: Prediction) -> npt.NDArray[np.int32]:
        coded = prediction.scales >= self._prior.skip_below
        rows = prediction.scales[coded]
        symbols = self._decoder.get(rows, self._prior.y_tables)
        self._encoder.put(symbols, rows, self._prior.y_tables)
        residuals = np.zeros(len(coded), np.int32)
        residuals[coded] = symbols.clip(-SYMBOL_MAX, SYMBOL_MAX)
        return residuals


def _latent(rng: random.Random, style: str) -> float:
    """In quantisation steps, a multiple of 1/64, so that no rounding is left to a machine."""
    if style == "still":
        return 0.0
    if style == "spikes":
        return rng.choice((0.0, 0.0, 0.0, 1e3, -1e3, 3e5))
    if style == "extreme":
        return rng.choice((-2.0, 2.0)) * SYMBOL_MAX
    return round(rng.gauss(0, 2 if style == "small" else 60) * 64) / 64


def _hyper_latent(rng: random.Random, style: str) -> int:
    if style == "extreme":
        return rng.choice((-Z_MAX, Z_MAX))
    return round(rng.gauss(0, {"still": 0, "small": 2, "wide": 20, "spikes": 5}[style]))


def _refused_for_its_size(data: bytes) -> bool:
    """Whether it costs nothing to leave the limit of pixels where users have it."""
    try:
        header = container.parse(data).header
    except RdaeError:
        return True
    return limits.counted_pixels(header.width, header.height) <= FEW_PIXELS


# Recipes: each makes the bytes of a mutant.


def _sound(mutants: Mutants, rng: random.Random) -> bytes:
    """Latents that are rare in files, and all right."""
    width, height = rng.choice(SIZES)
    base = mutants.author(rng, width, height, rng.choice(QUALITIES), rng.choice(LATENT_STYLES))
    if rng.random() < 0.5:
        # Without a latent checksum, which is optional.
        base.draft.flags, base.draft.checksum = varint(0), b""
    return base.draft.to_bytes()


def _sound_from_any_bytes(mutants: Mutants, rng: random.Random) -> bytes:
    """What random bytes decode to, written as a file that no checksum speaks against."""
    width, height = rng.choice(SIZES)
    while True:
        payload = _payload(rng, rng.choice(mutants.bases).draft.pieces[0].payload)
        try:
            return mutants.canonical(payload, width, height, rng.choice(QUALITIES)).draft.to_bytes()
        except CorruptError:  # most bytes decode to something; these are for _latents
            continue


def _bytes(mutants: Mutants, rng: random.Random) -> bytes:
    """Changes that know nothing of the format; some with the CRC-32 repaired, which makes them reach the fields."""
    data = rng.choice(mutants.bases).draft.to_bytes()
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        data = _damage(rng, data, rng.choice(mutants.bases).draft.to_bytes())
    return with_crc(data[:-4]) if rng.random() < 0.6 else data


def _header(mutants: Mutants, rng: random.Random) -> bytes:
    """Fields of the header at and beyond their limits."""
    base = rng.choice(mutants.bases)
    draft = base.draft.copy()
    for _ in range(rng.choice((1, 1, 2))):
        field = rng.choice(("version", "flags", "model", "quality", "width", "height", "tile", "checksum"))
        if field == "version":
            draft.version = bytes([rng.choice((rng.randrange(256), 0x11, 0x1F, 0x00, 0x20))])
        elif field == "model":
            draft.model = _damage(rng, draft.model, b"\0" * 4)
        elif field == "checksum":
            draft.checksum = rng.choice((b"", bytes(4), rng.randbytes(4), draft.checksum + b"\0"))
        elif field == "flags":
            draft.flags = _odd_varint(rng, rng.randrange(64))
            if rng.random() < 0.5:
                draft.tile = _odd_varint(rng, rng.randrange(18))
        else:
            setattr(draft, field, _odd_varint(rng, rng.choice((base.width, base.height, base.index))))
    return draft.to_bytes()


def _size(mutants: Mutants, rng: random.Random) -> bytes:
    """Sizes that the payload is too short for, or just long enough for, or not at all the one for."""
    draft = rng.choice(mutants.bases).draft.copy()
    piece = draft.pieces[0]
    if rng.random() < 0.4:
        piece.payload = piece.payload.ljust(rng.randrange(1, 40), b"\0")
        piece.length = varint(len(piece.payload))
    most = len(piece.payload) * limits.BLOCK**2
    width = rng.choice((1, 15, 16, 17, 64, 4096, rng.randrange(1, 2000), rng.choice(NUMBERS)))
    height = (
        max(1, most // max(1, width) + rng.choice((-1, 0, 1))) if rng.random() < 0.5 else rng.choice(NUMBERS)
    )
    sides = [varint(width), varint(height)]
    rng.shuffle(sides)
    draft.width, draft.height = sides
    return draft.to_bytes()


def _sections(mutants: Mutants, rng: random.Random) -> bytes:
    """Sections that are missing, doubled, moved, unknown, empty, many, or of another length than they say."""
    base = rng.choice(mutants.bases)
    draft = base.draft.copy()
    for _ in range(rng.choice((1, 1, 2, 3))):
        what = rng.randrange(8)
        at = rng.randrange(len(draft.pieces) + 1)
        some = draft.pieces[min(at, len(draft.pieces) - 1)] if draft.pieces else Piece(1, b"\0", b"")
        if what == 0 and draft.pieces:
            draft.pieces.remove(some)
        elif what == 1:
            draft.pieces.insert(at, dataclasses.replace(some))
        elif what == 2:
            draft.pieces.insert(at, dataclasses.replace(rng.choice(mutants.bases).draft.pieces[0]))
        elif what == 3:
            kind = rng.choice((0, 2, 3, 4, 5, 6, 127, 128, 129, 0x83, 0x85, 0x90, 0xFF, rng.randrange(256)))
            payload = rng.randbytes(rng.choice((0, 1, 3, 100)))
            draft.pieces.insert(at, Piece(kind, varint(len(payload)), payload))
            if rng.random() < 0.5:
                draft.flags = varint(rng.choice((16, 16 | 2, 16 | 4, 16 | 6, 4, 2)))
        elif what == 4:
            some.length = _odd_varint(rng, len(some.payload))
        elif what == 5:
            some.kind = rng.choice((0, 1, 2, 0x80, 0x81, 0xFF))
        elif what == 6 and rng.random() < 0.05:
            number = rng.choice((1000, container.MAX_SECTIONS - 1, container.MAX_SECTIONS))
            draft.pieces += [Piece(0x80 | 100, b"\0", b"")] * number
        else:
            cut = rng.randrange(len(some.payload) + 1)  # one payload as two sections, with and without tiles
            first, second = some.payload[:cut], some.payload[cut:]
            halves = [Piece(some.kind, varint(len(half)), half) for half in (first, second)]
            draft.pieces[at : at + 1] = halves
            if rng.random() < 0.5:
                draft.flags, draft.tile = varint(16 | 8), varint(rng.randrange(18))
    rng.shuffle(draft.pieces)
    return draft.to_bytes()


def _latents(mutants: Mutants, rng: random.Random) -> bytes:
    """The range coder's bytes, changed; half of the files without a latent checksum to speak against them."""
    draft = rng.choice(mutants.bases).draft.copy()
    piece = draft.pieces[0]
    piece.payload = _payload(rng, piece.payload)
    piece.length = varint(len(piece.payload))
    if rng.random() < 0.5:
        draft.flags, draft.checksum = varint(0), b""
    return draft.to_bytes()


def _beside(mutants: Mutants, rng: random.Random) -> bytes:
    """Alpha and metadata, changed or exchanged; those of WebP with a length that is right as often as not."""
    bases = [base for base in mutants.bases if len(base.draft.pieces) > 1]
    draft = rng.choice(bases).draft.copy()
    piece = rng.choice(draft.pieces[1:])
    piece.payload = _payload(rng, piece.payload)
    if piece.kind == SectionType.ALPHA_WEBP and rng.random() < 0.5:
        piece.payload = max(0, len(piece.payload) - 4).to_bytes(4, "little") + piece.payload[4:]
    if rng.random() < 0.1:
        piece.kind = rng.choice((SectionType.ALPHA, SectionType.ALPHA_WEBP, SectionType.ICC))
    piece.length = varint(len(piece.payload))
    return draft.to_bytes()


def _pixels(mutants: Mutants, rng: random.Random) -> bytes:
    """Pixels in other places, of other kinds or changed, as often as not with the checksum of what they decode to."""
    draft = rng.choice(mutants.stored).draft.copy()
    piece = rng.choice([each for each in draft.pieces if each.kind in container.PIXELS_TYPES])
    payload = bytearray(piece.payload)
    start = 1 if payload[0] & 1 else 17
    if start > 1 and rng.random() < 0.5:  # another rectangle
        at = 1 + 4 * rng.randrange(4)
        number = rng.choice((16 * rng.randrange(40), rng.randrange(600), rng.choice(NUMBERS) % 2**32))
        payload[at : at + 4] = number.to_bytes(4, "little")
    elif rng.random() < 0.2:
        payload[0] = rng.randrange(6)
    else:
        stream = _payload(rng, bytes(payload[start + 4 :]))
        payload[start + 4 :] = stream
        size = [83, 61] if start == 1 else [int.from_bytes(payload[at : at + 4], "little") for at in (9, 13)]
        alpha = piece.kind == SectionType.PIXELS_ALPHA
        with contextlib.suppress(CorruptError):
            levels = webp.decode(stream, *size, alpha=alpha, what="pixels")
            payload[start : start + 4] = zlib.crc32(levels.tobytes()).to_bytes(4, "little")
    piece.payload, piece.length = bytes(payload), varint(len(payload))
    if rng.random() < 0.1:
        draft.pieces.append(dataclasses.replace(rng.choice(rng.choice(mutants.stored).draft.pieces)))
    if rng.random() < 0.1:
        draft.pieces.pop(rng.randrange(len(draft.pieces)))
    return draft.to_bytes()


def _out_of_range(mutants: Mutants, rng: random.Random) -> bytes:
    """One symbol beyond what latents can be, coded soundly."""
    prior = mutants.model.prior
    width, height = rng.choice(SIZES)
    base = mutants.author(rng, width, height, rng.choice(QUALITIES), rng.choice(LATENT_STYLES))
    rows = latents.z_rows(prior.z_shape((-(-height // PATCH), -(-width // PATCH))))
    symbols: npt.NDArray[np.int32] = np.zeros(len(rows), np.int32)
    symbols[rng.randrange(len(rows))] = rng.choice((-1, 1)) * rng.choice(
        (Z_MAX + 1, SYMBOL_MAX, (1 << 25) - 1)
    )
    encoder = SymbolEncoder()
    encoder.put(symbols, rows, prior.z_tables)
    piece = base.draft.pieces[0]
    piece.payload = encoder.finish(least_payload(width, height))
    piece.length = varint(len(piece.payload))
    return base.draft.to_bytes()


def _payload(rng: random.Random, payload: bytes) -> bytes:
    what = rng.randrange(6)
    if what == 0:
        return rng.randbytes(rng.choice((0, 1, 3, 4, 5, 8, 60, 300)))
    if what == 1:
        return bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF))]) * rng.choice((1, 2, 4, 7, 8, 64, 250))
    if what == 2:
        return payload + rng.choice((b"\0", b"\0\0\0\0", b"\1", rng.randbytes(9)))
    if what == 3:
        return payload[: rng.randrange(len(payload) + 1)]
    for _ in range(rng.choice((1, 1, 2, 6))):
        payload = _damage(rng, payload, payload[::-1])
    return payload


def _damage(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """One change of bytes. other: what may be spliced in."""
    out = bytearray(data)
    at, to = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    here = rng.randrange(len(data)) if data else 0
    what = rng.randrange(9)
    if what <= 1 and data:
        out[here] ^= 1 << rng.randrange(8)
    elif what == 2 and data:
        out[here] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    elif what == 3:
        out = out[: rng.choice((at, here, max(0, len(out) - 1 - at % 9)))]
    elif what == 4:
        out += rng.choice((b"\0", rng.randbytes(rng.randrange(1, 40)), other))
    elif what == 5:
        out = out[:at] + bytearray(other[rng.randrange(len(other) + 1) :])
    elif what == 6:
        del out[at:to]
    elif what == 7:
        out[at:at] = out[at:to]
    else:
        out[at:to] = rng.randbytes(min(to - at, 8))
    return bytes(out)


def _odd_varint(rng: random.Random, value: int) -> bytes:
    """A number at some limit, near `value`, written too long, without an end, or at random."""
    what = rng.randrange(8)
    if what == 0:
        return varint(max(0, value + rng.choice((-1, 0, 1, 128))))
    if what == 1:
        return varint(value)[:-1] + bytes([varint(value)[-1] | 0x80, *rng.choice((b"\0", b"\x80\0"))])
    if what == 2:
        return b"\xff" * rng.choice((1, 8, 9, 10, 30)) + rng.choice((b"", b"\1"))
    if what == 3:
        return varint(rng.getrandbits(rng.randrange(1, 70)))
    return varint(rng.choice(NUMBERS))


RECIPES: tuple[tuple[float, Callable[[Mutants, random.Random], bytes]], ...] = (
    (3, _sound),
    (5, _sound_from_any_bytes),
    (27, _bytes),
    (15, _header),
    (10, _size),
    (15, _sections),
    (14, _latents),
    (8, _beside),
    (8, _pixels),
    (3, _out_of_range),
)
