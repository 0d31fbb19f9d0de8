"""rdae.codec.range_coding against a range coder in plain Python integers, and against its own promises."""

import contextlib
from dataclasses import dataclass

import constriction
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdae.codec.range_coding import SymbolDecoder, SymbolEncoder, model_of
from rdae.errors import CorruptError
from rdae.networks.tables import MAX_EXPONENT, MAX_LIMIT, TOTAL, Tables

WORD = 1 << 32
STATE = 1 << 64


def tables_of(*rows: list[int]) -> Tables:
    return Tables(
        np.array([count for row in rows for count in row], np.int32),
        np.array([len(row) // 2 - 1 for row in rows], np.int32),
    )


def bell(limit: int, scale: float) -> list[int]:
    """A row like those of a real prior: a bump, a flat tail of single shares, an escape."""
    counts = [1 + int(2e5 * 2.0 ** -abs(k / scale)) for k in range(-limit, limit + 1)] + [1]
    counts[limit] += TOTAL - sum(counts)
    return counts


TABLES = tables_of(
    [1, TOTAL - 1], [TOTAL - 1, 1], bell(3, 1.0), bell(40, 8.0), bell(300, 2.0), [TOTAL // 4] * 4
)
LARGEST = 2 ** (MAX_EXPONENT + 1) - 1  # beyond a limit


def encode(symbols: npt.NDArray[np.int32], rows: npt.NDArray[np.int32], tables: Tables = TABLES) -> bytes:
    encoder = SymbolEncoder()
    encoder.put(symbols, rows, tables)
    return encoder.finish()


@dataclass
class SlowEncoder:
    """What rdae.codec.range_coding must write, in integers without end: no carries, no words, one step a symbol."""

    lower: int = 0
    width: int = STATE - 1
    digits: int = 0  # words that have left the state

    def step(self, start: int, count: int) -> None:
        share = self.width >> 24
        self.lower, self.width = self.lower + share * start, share * count
        if self.width < WORD:
            self.lower, self.width, self.digits = self.lower * WORD, self.width * WORD, self.digits + 1

    def bit(self, bit: int) -> None:
        self.step(bit << 23, 1 << 23)

    def finish(self) -> bytes:
        if self.width == STATE - 1:
            return b""
        total_bytes = 4 * self.digits + 8
        for kept in range(4 * self.digits + 1, total_bytes):
            unit = 256 ** (total_bytes - kept)
            point = -(-self.lower // unit) * unit
            # As constriction's own ending does or does not carry into the words before, so must ours.
            carries = point // STATE == (self.lower + WORD - 1) // STATE
            if point < self.lower + self.width and carries:
                break
        data = point.to_bytes(total_bytes, "big").rstrip(b"\0")
        return b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4))


def encode_slowly(symbols: list[int], rows: list[int], tables: Tables) -> bytes:
    encoder = SlowEncoder()
    escapes = []
    for row, symbol in sorted(zip(rows, symbols, strict=True), key=lambda pair: pair[0]):
        limit = int(tables.limits[row])
        first = sum(2 * int(other) + 2 for other in tables.limits[:row])
        counts = tables.counts[first : first + 2 * limit + 2].tolist()
        index = symbol + limit if abs(symbol) <= limit else 2 * limit + 1
        encoder.step(sum(counts[:index]), counts[index])
        if abs(symbol) > limit:
            escapes.append((abs(symbol) - limit, symbol < 0))
    exponents = [excess.bit_length() - 1 for excess, _ in escapes]
    for j in range(MAX_EXPONENT):
        for exponent in exponents:
            if exponent >= j:
                encoder.bit(exponent > j)
    for _, negative in escapes:
        encoder.bit(negative)
    for j in reversed(range(MAX_EXPONENT)):
        for (excess, _), exponent in zip(escapes, exponents, strict=True):
            if exponent > j:
                encoder.bit(excess >> j & 1)
    return encoder.finish()


@st.composite
def cases(draw: st.DrawFn) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    rows = draw(st.lists(st.integers(0, len(TABLES.limits) - 1), max_size=60))
    near = st.integers(-45, 45)
    anywhere = st.integers(-LARGEST, LARGEST)
    symbols = [draw(st.one_of(near, near, near, anywhere)) for _ in rows]
    return np.array(symbols, np.int32), np.array(rows, np.int32)


@given(cases())
def test_decoding_returns_the_symbols_that_were_encoded(
    case: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]],
) -> None:
    symbols, rows = case
    decoder = SymbolDecoder(encode(symbols, rows))
    decoded = decoder.get(rows, TABLES)
    decoder.finish()
    assert decoded.dtype == np.int32
    np.testing.assert_array_equal(decoded, symbols)


@given(cases())
@settings(max_examples=300)
def test_the_bytes_are_those_of_a_plain_range_coder(
    case: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]],
) -> None:
    symbols, rows = case
    assert encode(symbols, rows) == encode_slowly(symbols.tolist(), rows.tolist(), TABLES)


def test_a_long_stream_has_the_bytes_of_a_plain_range_coder() -> None:
    rng = np.random.default_rng(7)
    rows = rng.integers(0, 6, 3000).astype(np.int32)
    symbols = np.round(rng.laplace(scale=6, size=3000)).astype(np.int32)
    assert encode(symbols, rows) == encode_slowly(symbols.tolist(), rows.tolist(), TABLES)


def test_carries_run_through_many_words() -> None:
    """A symbol at the very top of the interval again and again leaves constriction's words undecided."""
    tables = tables_of([TOTAL - 3, 1, 1, 1])
    for length in range(1, 40):
        for last in (-1, 0, 1, 2):
            symbols = np.array([1] * length + [last], np.int32)
            rows = np.zeros_like(symbols)
            data = encode(symbols, rows, tables)
            assert data == encode_slowly(symbols.tolist(), rows.tolist(), tables)
            np.testing.assert_array_equal(SymbolDecoder(data).get(rows, tables), symbols)


@pytest.mark.parametrize("row", range(len(TABLES.limits)))
def test_constriction_takes_exactly_our_table(row: int) -> None:
    """At the start of a stream the interval is 2**64 - 1 wide and one share of it is 2**40 - 1. So the first
    two words choose a share directly, and each count can be measured at both its ends."""
    share = (STATE - 1) >> 24
    limits = TABLES.limits
    first = sum(2 * int(other) + 2 for other in limits[:row])
    counts = TABLES.counts[first : first + 2 * int(limits[row]) + 2]
    ends = np.cumsum(counts.astype(np.int64))
    for index, (start, end) in enumerate(zip(ends - counts, ends, strict=True)):
        for point in (int(start) * share, int(end) * share - 1):
            words = np.array([point >> 32, point & 0xFFFFFFFF], np.uint32)
            decoder = constriction.stream.queue.RangeDecoder(words)
            assert decoder.decode(model_of(TABLES, row)) == index


def test_golden_bytes() -> None:
    """Written files outlive code: this may change only together with the format's version."""
    symbols = np.array([0, 1, -1, 5, -40, 41, 0, 3, -3, 4, -100000, LARGEST + 300], np.int32)
    rows = np.array([1, 5, 5, 3, 3, 3, 2, 2, 2, 2, 3, 4], np.int32)
    assert encode(symbols, rows).hex() == "15e7f4fc00f48553ffa71439ffffffffff87aafcd33472ffdbd977db0c"


def test_several_puts_with_different_tables_make_one_stream() -> None:
    other = tables_of(bell(2, 3.0))
    first, second = np.array([1, -70, 3], np.int32), np.array([0, 2, -9], np.int32)
    rows, zeros = np.array([3, 4, 2], np.int32), np.zeros(3, np.int32)
    encoder = SymbolEncoder()
    encoder.put(first, rows, TABLES)
    encoder.put(second[:0], zeros[:0], other)
    encoder.put(second, zeros, other)
    decoder = SymbolDecoder(encoder.finish())
    np.testing.assert_array_equal(decoder.get(rows, TABLES), first)
    assert len(decoder.get(zeros[:0], other)) == 0
    np.testing.assert_array_equal(decoder.get(zeros, other), second)
    decoder.finish()


def test_nothing_takes_no_bytes() -> None:
    assert SymbolEncoder().finish() == b""
    SymbolDecoder(b"").finish()


def test_rows_of_any_integer_type_give_the_same_bytes() -> None:
    symbols = np.array([1, 2, 3, -4], np.int32)
    rows = np.array([2, 3, 4, 3])
    data = {encode(symbols, rows.astype(kind)) for kind in (np.uint8, np.int16, np.int32, np.int64)}
    assert len(data) == 1


@pytest.mark.parametrize("scale", [0.3, 5.0, 2000.0])
def test_coded_size_is_the_information_content(scale: float) -> None:
    rng = np.random.default_rng(3)
    rows = rng.integers(2, 6, 60_000).astype(np.int32)
    symbols = np.round(rng.laplace(scale=scale, size=len(rows))).astype(np.int32)
    ideal = TABLES.bits(symbols, rows)
    paid = 8 * len(encode(symbols, rows))
    assert ideal <= paid <= ideal * 1.001 + 16


def test_bits_of_single_symbols() -> None:
    def bits(symbol: int, row: int) -> float:
        return TABLES.bits(np.array([symbol], np.int32), np.array([row], np.int32))

    assert bits(0, 5) == 2.0
    assert bits(2, 5) == 2.0 + 1 + 1  # escape, exponent 0, sign
    assert bits(-3, 5) == 2.0 + 2 + 1 + 1  # exponent 1, one bit of mantissa
    assert bits(1 + LARGEST, 5) == 2.0 + MAX_EXPONENT + 1 + MAX_EXPONENT  # the longest prefix has no end mark
    assert bits(0, 0) == 24.0


@given(st.binary(max_size=200), st.lists(st.integers(0, 5), max_size=80))
def test_any_bytes_decode_or_raise_corrupt_error(data: bytes, rows: list[int]) -> None:
    decoder = SymbolDecoder(data)
    with contextlib.suppress(CorruptError):
        symbols = decoder.get(np.array(rows, np.int32), TABLES)
        decoder.finish()
        # Whatever passes is what the encoder writes: there is one byte string for one sequence.
        assert encode(symbols, np.array(rows, np.int32)) == data


def test_bytes_after_the_end_are_noticed() -> None:
    symbols, rows = np.arange(-20, 20, dtype=np.int32), np.full(40, 3, np.int32)
    data = encode(symbols, rows)
    for extra in (b"\0", b"\1", b"\0\0\0\0", bytes(40)):
        decoder = SymbolDecoder(data + extra)
        decoder.get(rows, TABLES)
        with pytest.raises(CorruptError):
            decoder.finish()
    decoder = SymbolDecoder(data)
    decoder.get(rows[:-8], TABLES)
    with pytest.raises(CorruptError, match="do not end where their data ends"):
        decoder.finish()


def test_what_no_encoder_writes_is_refused() -> None:
    # The highest point lies past the last share, because 2**64 - 1 is no multiple of 2**24.
    with pytest.raises(CorruptError, match="not what any encoder writes"):
        SymbolDecoder(b"\xff" * 8).get(np.zeros(1, np.int32), TABLES)


def test_symbols_that_no_escape_can_say_are_refused() -> None:
    rows = np.array([5], np.int32)
    for symbol in (LARGEST + 2, -LARGEST - 2, 2**31 - 1, -(2**31)):
        with pytest.raises(ValueError, match="out of range"):
            encode(np.array([symbol], np.int32), rows)


def test_wrong_arrays_are_refused() -> None:
    two = np.zeros(2, np.int32)
    with pytest.raises(ValueError, match="rows from 0 to 6"):
        encode(two, np.array([0, 6]))
    with pytest.raises(ValueError, match="rows from -1"):
        encode(two, np.array([0, -1]))
    with pytest.raises(ValueError, match="int64"):
        encode(two.astype(np.int64), two)
    with pytest.raises(ValueError, match="float"):
        encode(two, two.astype(np.float32))
    with pytest.raises(ValueError, match="for"):
        encode(two, two[:1])


def test_wrong_tables_are_refused() -> None:
    def made(counts: list[int], limits: list[int]) -> None:
        Tables(np.array(counts, np.int32), np.array(limits, np.int32))

    with pytest.raises(ValueError, match=f"row 1 sums to {TOTAL - 1}"):
        made([1, TOTAL - 1, 1, TOTAL - 2], [0, 0])
    with pytest.raises(ValueError, match="below 1"):
        made([0, TOTAL], [0])
    with pytest.raises(ValueError, match="ask for 4"):
        made([1, TOTAL - 1], [1])
    with pytest.raises(ValueError, match="expected 0 to"):
        made([1, TOTAL - 1], [-1])
    with pytest.raises(ValueError, match="expected 0 to"):
        made([1, TOTAL - 1], [MAX_LIMIT + 1])
    with pytest.raises(ValueError, match="0 table rows"):
        made([], [])
    with pytest.raises(ValueError, match="expected int32"):
        Tables(np.array([1, TOTAL - 1]), np.array([0], np.int32))
