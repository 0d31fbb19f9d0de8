/**
 * Probabilities of symbols, in rows: docs/format.md, section 4, "Tables".
 *
 * Row r has a limit L and 2L + 2 counts of sum 2²⁴, for the symbols −L to L and last for the escape. The symbol v has
 * place v + L. A decoder asks the other way round: which place holds the number t, 0 to 2²⁴ − 1, if places lie one after
 * the other and each is as long as its count? A list of where each 256th part of the range begins makes that quick.
 */

import { WeightsError } from "../errors.ts";

const TOTAL = 2 ** 24;

/** Parts of the range 0 to 2²⁴ − 1 that `Tables.first` tells apart: t >> 16. */
export const PARTS = 256;

export class Tables {
  readonly rows: number;
  /** Where a row's places begin in `edges`; a row more than there are. */
  readonly starts: Int32Array;
  /** For each row where its places begin, in order, 0 first, and at last 2²⁴. */
  readonly edges: Int32Array;
  /** For each row and each of `PARTS`, and for the end: the index in `edges` of the place that the part begins in. */
  readonly first: Int32Array;

  /**
   * counts: all rows, one after the other; limits: of each row.
   *
   * WeightsError if counts are not at least 1, of sum 2²⁴ in a row, and as many as the limits say.
   */
  constructor(
    counts: Uint32Array | Int32Array,
    readonly limits: ArrayLike<number>,
  ) {
    this.rows = limits.length;
    this.starts = new Int32Array(this.rows + 1);
    this.edges = new Int32Array(counts.length + this.rows);
    this.first = new Int32Array(this.rows * (PARTS + 1));
    let next = 0; // in counts
    for (let row = 0; row < this.rows; row++) {
      const start = next + row; // in edges, which have one more a row
      const places = 2 * limits[row] + 2;
      if (next + places > counts.length) throw new WeightsError(`${counts.length} counts are too few for their limits`);
      let part = 0;
      let edge = 0;
      for (let i = start; i < start + places; i++) {
        const count = counts[next++];
        if (count < 1) throw new WeightsError(`a count of ${count} in row ${row} of a table, expected at least 1`);
        this.edges[i] = edge;
        edge += count;
        for (; part < PARTS && part * (TOTAL / PARTS) < edge; part++) this.first[row * (PARTS + 1) + part] = i;
      }
      if (edge !== TOTAL) throw new WeightsError(`the counts in row ${row} of a table do not sum to ${TOTAL}`);
      this.first[row * (PARTS + 1) + PARTS] = start + places - 1;
      this.edges[start + places] = TOTAL;
      this.starts[row + 1] = start + places + 1;
    }
    if (next !== counts.length) throw new WeightsError(`${counts.length} counts are too many for their limits`);
  }
}
