"""Integer symbols to bytes and back, through constriction's range coder.

This module knows no network and no picture. It is given integers, the row of a table for each of them, and
the tables. The tables are integers too, so that a file's bytes depend on no rounding of floats anywhere.

How a table becomes constriction's model. `Categorical(weights, perfect=False)` of n weights starts symbol i
at floor((weights[0] + ... + weights[i - 1]) * s) + i with s = (2**24 - n) / sum(weights): each symbol gets 1
of the 2**24 shares outright and the rest goes by weight. A row of counts that sums to 2**24 is therefore
passed as counts - 1 in float64: the weights sum to 2**24 - n, s is exactly 1, every product and sum is an
exact integer, and symbol i gets exactly counts[i]. tests/test_coding.py pins this at every boundary.

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
from dataclasses import dataclass
from functools import cached_property

import constriction
import numpy as np
import numpy.typing as npt

from rdae.errors import CorruptError

PRECISION = 24  # bits of a count; constriction's default models are fixed to it
TOTAL = 1 << PRECISION  # what the counts of a row sum to
MAX_LIMIT = 1 << 15  # keeps a row short beside TOTAL
MAX_ROWS = 1 << 16  # row numbers fit 16 bits, which numpy sorts in linear time
MAX_EXPONENT = 24  # of an escape: its excess + 1 lies below 2 ** (MAX_EXPONENT + 1)
WORD_BYTES = 4  # constriction's words are 32 bits

Int32s = npt.NDArray[np.int32]
Rows = npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Tables:
    """Integer probabilities: row r says how probable each symbol is, in shares of 2**24.

    counts: int32, 1-D, all rows one after the other. Row r has 2 * limits[r] + 2 of them: for the symbols
        -limits[r], ..., limits[r] and, last, for the escape that stands for any other. Each is at least 1
        and a row sums to 2**24.
    limits: int32, (rows,), each in 0..MAX_LIMIT.

    ValueError if the arrays are not so.
    """

    counts: Int32s
    limits: Int32s

    def __post_init__(self) -> None:
        for name, array in (("counts", self.counts), ("limits", self.limits)):
            if array.dtype != np.int32 or array.ndim != 1:
                raise ValueError(f"{name} is {array.dtype} of {array.ndim} axes, expected int32 of one")
        if not 1 <= len(self.limits) <= MAX_ROWS:
            raise ValueError(f"{len(self.limits)} table rows, expected 1 to {MAX_ROWS}")
        if self.limits.min() < 0 or self.limits.max() > MAX_LIMIT:
            raise ValueError(
                f"limits from {self.limits.min()} to {self.limits.max()}, expected 0 to {MAX_LIMIT}"
            )
        needed = int(self._starts[-1])
        if len(self.counts) != needed:
            raise ValueError(f"{len(self.counts)} counts, but the limits ask for {needed}")
        if self.counts.min() < 1:
            raise ValueError("a count is below 1: its symbol could not be coded")
        sums = np.add.reduceat(self.counts, self._starts[:-1], dtype=np.int64)
        wrong = np.flatnonzero(sums != TOTAL)
        if len(wrong):
            raise ValueError(f"row {wrong[0]} sums to {sums[wrong[0]]}, expected {TOTAL}")

    def bits(self, symbols: Int32s, rows: Rows) -> float:
        """Ideal code length of `symbols` under `rows`, in bits; SymbolEncoder comes within a few bytes of it.

        symbols: int32, 1-D. rows: integers of the same length, each a row of these tables.
        Escapes are counted with the bits that follow them.
        """
        return float(self.code_lengths(symbols, rows).sum())

    def code_lengths(self, symbols: Int32s, rows: Rows) -> npt.NDArray[np.float64]:
        """The bits of each symbol, which `bits` is the sum of: float64, of the same length."""
        symbols, row16 = self._checked(symbols, rows)
        indices, escaped = self._indices(symbols, row16)
        lengths: npt.NDArray[np.float64] = self._code_lengths[self._starts[row16] + indices]
        if escaped.any():
            exponents = _exponents(_excess(symbols[escaped], self.limits[row16[escaped]]))
            # unary prefix (the longest needs no end mark), sign, mantissa
            lengths[escaped] += np.minimum(exponents + 1, MAX_EXPONENT) + 1 + exponents
        return lengths

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        """Where each row begins in `counts`, and at last its length: (rows + 1,)."""
        return np.concatenate([[0], np.cumsum(2 * self.limits.astype(np.int64) + 2)])

    @cached_property
    def _code_lengths(self) -> npt.NDArray[np.float64]:
        return PRECISION - np.log2(self.counts)

    @cached_property
    def _models(self) -> "list[constriction.stream.model.Categorical | None]":
        """Constriction's model of each row, filled in by _model when a row is first used."""
        return [None] * len(self.limits)

    def _model(self, row: int) -> "constriction.stream.model.Categorical":
        model = self._models[row]
        if model is None:
            counts = self.counts[self._starts[row] : self._starts[row + 1]]
            model = constriction.stream.model.Categorical(
                (counts - 1).astype(np.float64), lazy=False, perfect=False
            )
            self._models[row] = model
        return model

    def _checked(self, symbols: Int32s, rows: Rows) -> tuple[Int32s, npt.NDArray[np.uint16]]:
        if symbols.dtype != np.int32 or symbols.ndim != 1:
            raise ValueError(f"symbols are {symbols.dtype} of {symbols.ndim} axes, expected int32 of one")
        if rows.shape != symbols.shape:
            raise ValueError(f"{rows.shape} rows for {symbols.shape} symbols")
        return symbols, self._checked_rows(rows)

    def _checked_rows(self, rows: Rows) -> npt.NDArray[np.uint16]:
        if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
            raise ValueError(f"rows are {rows.dtype} of {rows.ndim} axes, expected integers of one")
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self.limits)):
            raise ValueError(f"rows from {rows.min()} to {rows.max()}, but there are {len(self.limits)}")
        return rows.astype(np.uint16)

    def _indices(self, symbols: Int32s, rows: npt.NDArray[np.uint16]) -> tuple[Int32s, npt.NDArray[np.bool_]]:
        """Each symbol's place in its row, and which symbols are escapes (whose place is the row's last)."""
        limits = self.limits[rows]
        # int32 cannot overflow here: |symbol| beyond 2**26 is refused by _excess before it matters
        escaped = (symbols < -limits) | (symbols > limits)
        return np.where(escaped, 2 * limits + 1, symbols + limits), escaped


class SymbolEncoder:
    """Writes integers into one stream: put() as often as needed, with any tables, then finish() once."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def put(self, symbols: Int32s, rows: Rows, tables: Tables) -> None:
        """Append `symbols` (int32, 1-D), symbol i coded with row rows[i] of `tables`.

        ValueError if a row does not exist or a symbol lies more than 2**25 - 1 beyond its row's limit.
        """
        symbols, row16 = tables._checked(symbols, rows)  # noqa: SLF001
        indices, escaped = tables._indices(symbols, row16)  # noqa: SLF001
        order, runs = _by_row(row16)
        indices, escaped = indices[order], escaped[order]
        if escaped.any():
            excess = _excess(symbols[order][escaped], tables.limits[row16[order][escaped]])
        for row, start, end in runs:
            self._coder.encode(indices[start:end], tables._model(row))  # noqa: SLF001
        if escaped.any():
            self._put_escapes(excess)

    def finish(self, least: int = 0) -> bytes:
        """The stream's bytes, at least `least` of them. Nothing may be put afterwards."""
        return _stream_bytes(self._coder, least)

    def _put_escapes(self, excess: npt.NDArray[np.int64]) -> None:
        """excess: signed distance beyond the limit, never 0. Its size is coded as Exp-Golomb of order 0."""
        size = np.abs(excess)
        exponents = _exponents(excess)
        for j in range(MAX_EXPONENT):
            self._put_bits(exponents[exponents >= j] > j)
        self._put_bits(excess < 0)
        for j in reversed(range(MAX_EXPONENT)):
            self._put_bits(size[exponents > j] >> j & 1)

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
        row16 = tables._checked_rows(rows)  # noqa: SLF001
        order, runs = _by_row(row16)
        ordered = np.empty(len(row16), np.int32)
        for row, start, end in runs:
            ordered[start:end] = self._decode(tables._model(row), end - start)  # noqa: SLF001
        limits = tables.limits[row16[order]]
        ordered -= limits
        escaped = np.flatnonzero(ordered > limits)
        if len(escaped):
            excess = self._get_escapes(len(escaped))
            beyond = limits[escaped]
            ordered[escaped] = np.where(excess < 0, excess - beyond, excess + beyond)
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
        exponents = np.zeros(number, np.int64)
        growing = np.arange(number)
        for _ in range(MAX_EXPONENT):
            growing = growing[self._get_bits(len(growing)) == 1]
            exponents[growing] += 1
        negative = self._get_bits(number) == 1
        size = np.left_shift(np.int64(1), exponents)
        for j in reversed(range(MAX_EXPONENT)):
            wide = np.flatnonzero(exponents > j)
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


def _fair_bit() -> "constriction.stream.model.Uniform":
    return constriction.stream.model.Uniform(2)


def _by_row(rows: npt.NDArray[np.uint16]) -> tuple[npt.NDArray[np.intp], Iterator[tuple[int, int, int]]]:
    """The stable order that sorts `rows`, and for each row that occurs: (row, start, end) in that order."""
    order = np.argsort(rows, kind="stable")
    ends = np.cumsum(np.bincount(rows)) if len(rows) else np.empty(0, np.intp)
    starts = np.concatenate([[0], ends[:-1]]) if len(rows) else ends
    used = np.flatnonzero(ends > starts)
    return order, zip(used.tolist(), starts[used].tolist(), ends[used].tolist(), strict=True)


def _excess(symbols: Int32s, limits: Int32s) -> npt.NDArray[np.int64]:
    """How far each symbol lies beyond its limit, with its sign; ValueError beyond what an escape can say."""
    wide = symbols.astype(np.int64)
    excess = np.where(wide < 0, wide + limits, wide - limits)
    if np.abs(excess).max(initial=0) >> (MAX_EXPONENT + 1):
        worst = wide[np.abs(excess).argmax()]
        raise ValueError(
            f"symbol {worst} is out of range: at most {2 ** (MAX_EXPONENT + 1) - 1} beyond the limit"
        )
    return excess


def _exponents(excess: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """floor(log2(|excess|)), exactly: float64 holds the integer, and frexp reads the exponent off it."""
    return np.frexp(np.abs(excess).astype(np.float64))[1].astype(np.int64) - 1


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
