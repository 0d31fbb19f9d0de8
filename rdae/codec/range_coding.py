"""Integer symbols to bytes and back, through constriction's range coder.

This module knows no network and no picture. It is given integers, the row of a table for each of them, and
the tables. The tables are integers too, so that a file's bytes depend on no rounding of floats anywhere.

How a table becomes constriction's model. `Categorical(weights, perfect=False)` of n weights starts symbol i
at floor((weights[0] + ... + weights[i - 1]) * s) + i with s = (2**24 - n) / sum(weights): each symbol gets 1
of the 2**24 shares outright and the rest goes by weight. A row of counts that sums to 2**24 is therefore
passed as counts - 1 in float64: the weights sum to 2**24 - n, s is exactly 1, every product and sum is an
exact integer, and symbol i gets exactly counts[i]. tests/codec/test_range_coding.py pins this at every boundary.

What a stream holds. Each put() codes its symbols ordered by row (stable), one call of constriction per row.
Symbols beyond the row's limit are coded as the row's escape; what they are follows at the put's end, as
Exp-Golomb codes of equally probable bits: for all escapes the exponents in unary, then the signs, then the
mantissas from the highest bit. The bits go round by round (bit j of all escapes that have one), so that no
loop runs over symbols.

What the bytes are. The coder's 32-bit words, the first the most significant, each little-endian. The end of
the stream is the number that needs the fewest bytes and still lies in the coder's last interval; bytes that
are zero are left out from the least significant end. So the last word may have only its top 1, 2 or 3 bytes,
and a reader sets the missing ones, and all words after the last, to zero. Where a least length is asked for,
just so many of these zeros are written after all. Each sequence of symbols has exactly one byte string; the
decoder refuses any other.
"""

from collections.abc import Iterator
from weakref import WeakKeyDictionary

import constriction
import numpy as np
import numpy.typing as npt

from rdae.errors import CorruptError
from rdae.networks.tables import MAX_EXPONENT, Int32s, Rows, Tables, excess, exponents

WORD_BYTES = 4  # constriction's words are 32 bits

_models: "WeakKeyDictionary[Tables, dict[int, constriction.stream.model.Categorical]]" = WeakKeyDictionary()
"""Constriction's model of each row that was used."""


class SymbolEncoder:
    """Writes integers into one stream: put() as often as needed, with any tables, then finish() once."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def put(self, symbols: Int32s, rows: Rows, tables: Tables) -> None:
        """Append `symbols` (int32, 1-D), symbol i coded with row rows[i] of `tables`.

        ValueError if a row does not exist or a symbol lies more than 2**25 - 1 beyond its row's limit.
        """
        symbols, row16 = tables.checked(symbols, rows)
        indices, escaped = tables.indices(symbols, row16)
        order, runs = _by_row(row16)
        indices, escaped = indices[order], escaped[order]
        if escaped.any():
            beyond = excess(symbols[order][escaped], tables.limits[row16[order][escaped]])
        for row, start, end in runs:
            self._coder.encode(indices[start:end], model_of(tables, row))
        if escaped.any():
            self._put_escapes(beyond)

    def finish(self, least: int = 0) -> bytes:
        """The stream's bytes, at least `least` of them. Nothing may be put afterwards."""
        return _stream_bytes(self._coder, least)

    def _put_escapes(self, beyond: npt.NDArray[np.int64]) -> None:
        """beyond: signed distance beyond the limit, never 0. Its size is coded as Exp-Golomb of order 0."""
        size = np.abs(beyond)
        powers = exponents(beyond)
        for j in range(MAX_EXPONENT):
            self._put_bits(powers[powers >= j] > j)
        self._put_bits(beyond < 0)
        for j in reversed(range(MAX_EXPONENT)):
            self._put_bits(size[powers > j] >> j & 1)

    def _put_bits(self, bits: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> None:
        if len(bits):
            self._coder.encode(bits.astype(np.int32), _fair_bit())


class SymbolDecoder:
    """Reads back what a SymbolEncoder wrote: the same rows and tables in the same order, then finish().

    A range decoder turns any bytes into some symbols. So that damage is noticed where it can be, each symbol
    is encoded again, which takes a fraction of the time of decoding it, and finish() compares the bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        digits = _swap_words(data)
        words = np.frombuffer(digits + bytes(-len(digits) % WORD_BYTES), ">u4").astype(np.uint32)
        self._coder = constriction.stream.queue.RangeDecoder(words)
        self._mirror = constriction.stream.queue.RangeEncoder()

    def get(self, rows: Rows, tables: Tables) -> Int32s:
        """The next len(rows) symbols: int32, 1-D, in the order of `rows`.

        ValueError if a row does not exist; CorruptError if the stream cannot have come from SymbolEncoder.
        """
        row16 = tables.checked_rows(rows)
        order, runs = _by_row(row16)
        ordered = np.empty(len(row16), np.int32)
        for row, start, end in runs:
            ordered[start:end] = self._decode(model_of(tables, row), end - start)
        limits = tables.limits[row16[order]]
        ordered -= limits
        escaped = np.flatnonzero(ordered > limits)
        if len(escaped):
            beyond = self._get_escapes(len(escaped))
            bounds = limits[escaped]
            ordered[escaped] = np.where(beyond < 0, beyond - bounds, beyond + bounds)
        symbols = np.empty_like(ordered)
        symbols[order] = ordered
        return symbols

    def finish(self, least: int = 0) -> None:
        """Say that all symbols were read. CorruptError unless the bytes are what those symbols encode to.

        least: what the encoder's finish() was told.
        """
        if _stream_bytes(self._mirror, least) != self._data:
            raise CorruptError("the coded latents do not end where their data ends: the file is damaged")

    def _get_escapes(self, number: int) -> npt.NDArray[np.int64]:
        powers = np.zeros(number, np.int64)
        growing = np.arange(number)
        for _ in range(MAX_EXPONENT):
            growing = growing[self._get_bits(len(growing)) == 1]
            powers[growing] += 1
        negative = self._get_bits(number) == 1
        size = np.left_shift(np.int64(1), powers)
        for j in reversed(range(MAX_EXPONENT)):
            wide = np.flatnonzero(powers > j)
            size[wide] |= self._get_bits(len(wide)).astype(np.int64) << j
        return np.where(negative, -size, size)

    def _get_bits(self, number: int) -> Int32s:
        return self._decode(_fair_bit(), number) if number else np.empty(0, np.int32)

    def _decode(self, model: object, number: int) -> Int32s:
        try:
            symbols: Int32s = self._coder.decode(model, number)
        except AssertionError as error:  # constriction's way to say that no encoder wrote this
            raise CorruptError(
                "the coded latents are not what any encoder writes: the file is damaged"
            ) from error
        self._mirror.encode(symbols, model)
        return symbols


def _stream_bytes(coder: "constriction.stream.queue.RangeEncoder", least: int) -> bytes:
    """The bytes of all that `coder` has encoded, in the form that the head of this module describes."""
    position, (lower, width) = coder.pos()
    words = coder.get_compressed()
    if len(words):  # constriction's own ending is one or two words; before `position` carries are settled
        words = np.append(words[:position], np.uint32(_shortest_end(lower, width)))
    # With the most significant byte first, zeros at the end say nothing.
    return _swap_words(words.astype(">u4").tobytes().rstrip(b"\0").ljust(least, b"\0"))


def model_of(tables: Tables, row: int) -> "constriction.stream.model.Categorical":
    """Constriction's model of one row, made when it is first asked for."""
    models = _models.setdefault(tables, {})
    if row not in models:
        weights = (tables.row(row) - 1).astype(np.float64)
        models[row] = constriction.stream.model.Categorical(weights, lazy=False, perfect=False)
    return models[row]


def _fair_bit() -> "constriction.stream.model.Uniform":
    return constriction.stream.model.Uniform(2)


def _by_row(rows: npt.NDArray[np.uint16]) -> tuple[npt.NDArray[np.intp], Iterator[tuple[int, int, int]]]:
    """The stable order that sorts `rows`, and for each row that occurs: (row, start, end) in that order."""
    order = np.argsort(rows, kind="stable")
    ends = np.cumsum(np.bincount(rows)) if len(rows) else np.empty(0, np.intp)
    starts = np.concatenate([[0], ends[:-1]]) if len(rows) else ends
    used = np.flatnonzero(ends > starts)
    return order, zip(used.tolist(), starts[used].tolist(), ends[used].tolist(), strict=True)


def _shortest_end(lower: int, width: int) -> int:
    """The word with the most trailing zero bytes that ends a stream whose interval is [lower, lower + width).

    lower and width are of 64 bits, width at least 2**32. All words after the one returned count as zero.
    constriction ends with the word that rounds lower + 2**32 - 1 down; a rounder one saves some two bytes.
    """
    sealed = lower + (1 << 32) - 1
    for zeros in (56, 48, 40):  # bits: one, two or three bytes are kept
        point = (lower + (1 << zeros) - 1) >> zeros << zeros
        # A point past 2**64 adds one to the words before, and constriction has already done so, or not.
        if point < lower + width and point >> 64 == sealed >> 64:
            return (point >> 32) & 0xFFFFFFFF
    return (sealed >> 32) & 0xFFFFFFFF


def _swap_words(data: bytes) -> bytes:
    """Turn each group of 4 bytes round; a group of fewer at the end is turned round as it is."""
    whole = len(data) - len(data) % WORD_BYTES
    return np.frombuffer(data[:whole], ">u4").astype("<u4").tobytes() + data[whole:][::-1]
