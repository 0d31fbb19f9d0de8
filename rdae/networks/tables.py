"""Integer probabilities that a range coder codes symbols with: counts that sum to 2**24, and limits.

The tables belong to a model and lie in its weights file. They are integers, so that a file's bytes depend on no
rounding of floats anywhere. Here is also what a symbol beyond its row's limit costs, an escape; how tables and escapes
become bytes is in rdae.codec.range_coding.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

PRECISION = 24  # bits of a count; constriction's default models are fixed to it
TOTAL = 1 << PRECISION  # what the counts of a row sum to
MAX_LIMIT = 1 << 15  # keeps a row short beside TOTAL
MAX_ROWS = 1 << 16  # row numbers fit 16 bits, which numpy sorts in linear time
MAX_EXPONENT = 24  # of an escape: its excess + 1 lies below 2 ** (MAX_EXPONENT + 1)

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
        symbols, row16 = self.checked(symbols, rows)
        indices, escaped = self.indices(symbols, row16)
        lengths: npt.NDArray[np.float64] = self._code_lengths[self._starts[row16] + indices]
        if escaped.any():
            powers = exponents(excess(symbols[escaped], self.limits[row16[escaped]]))
            # unary prefix (the longest needs no end mark), sign, mantissa
            lengths[escaped] += np.minimum(powers + 1, MAX_EXPONENT) + 1 + powers
        return lengths

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        """Where each row begins in `counts`, and at last its length: (rows + 1,)."""
        return np.concatenate([[0], np.cumsum(2 * self.limits.astype(np.int64) + 2)])

    @cached_property
    def _code_lengths(self) -> npt.NDArray[np.float64]:
        return PRECISION - np.log2(self.counts)

    def row(self, row: int) -> Int32s:
        """The counts of one row."""
        return self.counts[self._starts[row] : self._starts[row + 1]]

    def checked(self, symbols: Int32s, rows: Rows) -> tuple[Int32s, npt.NDArray[np.uint16]]:
        """Symbols and their rows, the latter of 16 bits; ValueError if they do not fit each other or these tables."""
        if symbols.dtype != np.int32 or symbols.ndim != 1:
            raise ValueError(f"symbols are {symbols.dtype} of {symbols.ndim} axes, expected int32 of one")
        if rows.shape != symbols.shape:
            raise ValueError(f"{rows.shape} rows for {symbols.shape} symbols")
        return symbols, self.checked_rows(rows)

    def checked_rows(self, rows: Rows) -> npt.NDArray[np.uint16]:
        """Rows of 16 bits; ValueError if one does not exist."""
        if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
            raise ValueError(f"rows are {rows.dtype} of {rows.ndim} axes, expected integers of one")
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self.limits)):
            raise ValueError(f"rows from {rows.min()} to {rows.max()}, but there are {len(self.limits)}")
        return rows.astype(np.uint16)

    def indices(self, symbols: Int32s, rows: npt.NDArray[np.uint16]) -> tuple[Int32s, npt.NDArray[np.bool_]]:
        """Each symbol's place in its row, and which symbols are escapes (whose place is the row's last)."""
        limits = self.limits[rows]
        # int32 cannot overflow here: |symbol| beyond 2**26 is refused by `excess` before it matters
        escaped = (symbols < -limits) | (symbols > limits)
        return np.where(escaped, 2 * limits + 1, symbols + limits), escaped


def excess(symbols: Int32s, limits: Int32s) -> npt.NDArray[np.int64]:
    """How far each symbol lies beyond its limit, with its sign; ValueError beyond what an escape can say."""
    wide = symbols.astype(np.int64)
    beyond = np.where(wide < 0, wide + limits, wide - limits)
    if np.abs(beyond).max(initial=0) >> (MAX_EXPONENT + 1):
        worst = wide[np.abs(beyond).argmax()]
        raise ValueError(
            f"symbol {worst} is out of range: at most {2 ** (MAX_EXPONENT + 1) - 1} beyond the limit"
        )
    return beyond


def exponents(beyond: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """floor(log2(|beyond|)), exactly: float64 holds the integer, and frexp reads the exponent off it."""
    return np.frexp(np.abs(beyond).astype(np.float64))[1].astype(np.int64) - 1
