"""A payload's symbols, escapes, order, end and padding: range_coding and the decoder written from the page agree."""

import numpy as np
import spec_decoder
import spec_reader
from hypothesis import given, settings
from hypothesis import strategies as st

from rdae.codec.range_coding import SymbolDecoder, SymbolEncoder
from rdae.errors import CorruptError
from rdae.networks.tables import Tables

TOTAL = 1 << 24


def table(weights: list[int]) -> list[int]:
    """Counts of a row, from weights of its places: each at least 1, of sum 2**24."""
    counts = [1 + weight * (TOTAL - len(weights)) // max(1, sum(weights)) for weight in weights]
    counts[counts.index(max(counts))] += TOTAL - sum(counts)
    return counts


@st.composite
def tables_of(draw: st.DrawFn) -> Tables:
    limits = draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    weight = st.integers(0, 20) | st.sampled_from([0, 10**6])
    counts: list[int] = []
    for limit in limits:
        places = 2 * limit + 2
        counts += table(draw(st.lists(weight, min_size=places, max_size=places)))
    return Tables(np.array(counts, np.int32), np.array(limits, np.int32))


Part = tuple[list[int], list[int]]
"""Symbols, and the row of each."""


@st.composite
def parts_of(draw: st.DrawFn, tables: Tables) -> list[Part]:
    """Some parts; with the rare symbols of steep tables, the coder's interval comes close to all its edges."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        rows = draw(st.lists(st.integers(0, len(tables.limits) - 1), max_size=30))
        symbol = st.integers(-5, 5) | st.integers(-(2**25) + 1, 2**25 - 1)
        parts.append(([draw(symbol) for _ in rows], rows))
    return parts


def spec_rows(tables: Tables) -> list[spec_decoder.Table]:
    return spec_decoder.rows(tables.limits.tolist(), tables.counts.tolist())


def encoded(parts: list[Part], tables: Tables, least: int) -> bytes:
    coder = SymbolEncoder()
    for symbols, rows in parts:
        coder.put(np.array(symbols, np.int32), np.array(rows, np.int32), tables)
    return coder.finish(least)


def by_rdae(payload: bytes, orders: list[list[int]], tables: Tables, least: int) -> list[list[int]] | None:
    try:
        coder = SymbolDecoder(payload)
        found = [coder.get(np.array(order, np.int32), tables).tolist() for order in orders]
        coder.finish(least)
    except CorruptError:
        return None
    return found


def by_page(payload: bytes, orders: list[list[int]], tables: Tables, least: int) -> list[list[int]] | None:
    rows = spec_rows(tables)
    try:
        stream = spec_decoder.Stream(payload)
        found = [stream.part([rows[r] for r in order], order) for order in orders]
        stream.end(least)
    except spec_reader.Refused:
        return None
    return found


@given(st.data())
@settings(max_examples=120)
def test_both_read_what_was_written(data: st.DataObject) -> None:
    tables = data.draw(tables_of())
    parts = data.draw(parts_of(tables))
    least = data.draw(st.sampled_from([0, 0, 1, 7, 60]))
    payload = encoded(parts, tables, least)
    assert len(payload) >= least
    orders = [rows for _, rows in parts]
    assert by_page(payload, orders, tables, least) == [symbols for symbols, _ in parts]
    assert by_rdae(payload, orders, tables, least) == [symbols for symbols, _ in parts]


@given(st.data())
@settings(max_examples=120)
def test_both_refuse_the_same_changed_payloads(data: st.DataObject) -> None:
    tables = data.draw(tables_of())
    parts = data.draw(parts_of(tables))
    least = data.draw(st.sampled_from([0, 3, 20]))
    payload = bytearray(encoded(parts, tables, least))
    place = data.draw(st.integers(0, len(payload)))
    payload[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    orders = [rows for _, rows in parts]
    assert by_page(bytes(payload), orders, tables, least) == by_rdae(bytes(payload), orders, tables, least)


def test_both_know_the_same_end() -> None:
    """Short streams end at every kind of place, and each has one byte string only."""
    rng = np.random.default_rng(0)
    counts = [1, TOTAL // 2, TOTAL // 2 - 2, 1]
    tables = Tables(np.array(counts, np.int32), np.array([1], np.int32))
    (row,) = spec_rows(tables)
    lengths, carries = set(), 0
    for _ in range(400):
        symbols = rng.choice([-1, 0, 1], int(rng.integers(0, 40)), p=[0.3, 0.4, 0.3]).tolist()
        order = [0] * len(symbols)
        payload = encoded([(symbols, order)], tables, 0)
        stream = spec_decoder.Stream(payload)
        assert stream.part([row] * len(symbols), order) == symbols
        stream.end(0)
        for other in (payload + b"\0", payload[:-1], payload + b"\x80"):
            assert by_page(other, [order], tables, 0) == by_rdae(other, [order], tables, 0)
        lengths.add(len(payload))
        carries += rounder_end_would_carry(stream)
    assert min(lengths) == 0
    assert len({length % 4 for length in lengths}) == 4
    assert carries > 0


def rounder_end_would_carry(stream: spec_decoder.Stream) -> bool:
    """Whether a number of one byte ends the stream, but only by a carry into the words before, which is not taken."""
    lower = stream.low % 2**64
    return lower + 2**32 - 1 < 2**64 <= -(-lower // 2**56) * 2**56 < lower + stream.range
