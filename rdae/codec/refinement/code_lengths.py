"""What a latent costs, as a function of real numbers: the tables' code lengths, with straight lines between them."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from rdae.networks.tables import Tables

Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class CodeLengths:
    """Bits of symbols -reach..reach in each row of tables, as bilinear functions between four of them.

    At a symbol and a row, both rounded down, bits are corner + slope·across + fall·down + twist·across·down, where
    across and down are what was rounded off: float32 (rows - 1) * 2 * reach of each.  Beyond the table the same
    functions go on.
    """

    rows: int
    reach: int
    corner: Floats
    slope: Floats
    fall: Floats
    twist: Floats

    @classmethod
    def of(cls, tables: Tables) -> CodeLengths:
        """Take tables, with a row for each scale index."""
        rows, reach = len(tables.limits), int(tables.limits.max()) + 1
        symbols = np.tile(np.arange(-reach, reach + 1, dtype=np.int32), rows)
        lengths = tables.code_lengths(symbols, np.repeat(np.arange(rows, dtype=np.int32), 2 * reach + 1))
        lengths = lengths.reshape(rows, -1)
        corner = lengths[:-1, :-1]
        slope, fall = lengths[:-1, 1:] - corner, lengths[1:, :-1] - corner
        twist = lengths[1:, 1:] - lengths[1:, :-1] - slope
        assert corner.size < 1 << 24  # positions in it are counted in float32
        return cls(rows, reach, *(part.astype(np.float32).ravel() for part in (corner, slope, fall, twist)))

    def bits(self, symbols: Floats, rows: Floats) -> float:
        """Return the bits of all symbols together, of real symbols and rows of the same shape."""
        position, across, down = self._find(symbols, rows)
        slope, fall, twist = self.slope[position], self.fall[position], self.twist[position]
        bits = self.corner[position] + slope * across + (fall + twist * across) * down
        return float(bits.sum(dtype=np.float64))

    def slopes(self, symbols: Floats, rows: Floats) -> tuple[Floats, Floats]:
        """Return the derivatives of the bits for symbols and for rows, of their shape."""
        position, across, down = self._find(symbols, rows)
        slope, fall, twist = (
            part.take(position, mode="clip") for part in (self.slope, self.fall, self.twist)
        )
        across *= twist
        fall += across
        down *= twist
        slope += down
        return slope, fall

    def _find(self, symbols: Floats, rows: Floats) -> tuple[npt.NDArray[np.intp], Floats, Floats]:
        """Return positions in the functions, and how far beyond their corners symbols and rows are."""
        lower = np.floor(symbols)
        np.clip(lower, -self.reach, self.reach - 1, out=lower)
        row = np.floor(rows)
        np.clip(row, 0, self.rows - 2, out=row)
        across, down = symbols - lower, rows - row
        row *= 2 * self.reach
        row += lower
        row += self.reach
        return row.astype(np.intp), across, down
