/**
 * The coder of docs/format.md, section 4, in integers of any size, as the page states it: slow, and written without a look
 * at src/coding. It encodes parts of symbols to payloads, and decodes places one by one.
 */

const MASK_64 = (1n << 64n) - 1n;

/** counts: of all rows, one after the other; limits: of each row. */
export interface SlowTables {
  counts: Int32Array;
  limits: number[];
}

/** The counts of one row. */
export function rowOf({ counts, limits }: SlowTables, row: number): number[] {
  let start = 0;
  for (let before = 0; before < row; before++) start += 2 * limits[before] + 2;
  return [...counts.subarray(start, start + 2 * limits[row] + 2)];
}

const HALF = [2 ** 23, 2 ** 23];

export class SlowEncoder {
  low = 0n;
  range = MASK_64;
  words = 0;

  place(counts: number[], place: number): void {
    const before = counts.slice(0, place).reduce((sum, count) => sum + count, 0);
    const scale = this.range >> 24n;
    this.low += scale * BigInt(before);
    this.range = scale * BigInt(counts[place]);
    if (this.range < 1n << 32n) {
      this.low <<= 32n;
      this.range <<= 32n;
      this.words += 1;
    }
  }

  part(symbols: ArrayLike<number>, rows: ArrayLike<number>, tables: SlowTables): void {
    const order = Array.from(symbols, (_, i) => i).sort((a, b) => rows[a] - rows[b] || a - b);
    const escapes: number[] = [];
    for (const i of order) {
      const limit = tables.limits[rows[i]];
      const inside = Math.abs(symbols[i]) <= limit;
      this.place(rowOf(tables, rows[i]), inside ? symbols[i] + limit : 2 * limit + 1);
      if (!inside) escapes.push(symbols[i] > 0 ? symbols[i] - limit : symbols[i] + limit);
    }
    const exponent = (e: number): number => Math.floor(Math.log2(Math.abs(e)));
    for (let j = 0; j <= 23; j++)
      for (const e of escapes) if (exponent(e) >= j) this.place(HALF, exponent(e) > j ? 1 : 0);
    for (const e of escapes) this.place(HALF, e < 0 ? 1 : 0);
    for (let j = 23; j >= 0; j--)
      for (const e of escapes) if (exponent(e) > j) this.place(HALF, (Math.abs(e) >> j) & 1);
  }

  /**
   * The number that stands at the end of the stream, rest + p; which of the four ways it was found; and whether a way
   * before was passed over only for its carry.
   */
  end(): [number: bigint, way: number, passed: boolean] {
    const lower = this.low & MASK_64;
    const rest = this.low - lower;
    const carries = lower + (1n << 32n) - 1n > MASK_64;
    let passed = false;
    for (const [way, z] of [56n, 48n, 40n].entries()) {
      const p = ((lower + (1n << z) - 1n) / (1n << z)) * (1n << z);
      if (p < lower + this.range && p > MASK_64 === carries) return [rest + p, way, passed];
      passed ||= p < lower + this.range;
    }
    return [rest + ((lower + (1n << 32n) - 1n) / (1n << 32n)) * (1n << 32n), 3, passed];
  }

  payload(least: number, number = this.end()[0]): Uint8Array {
    const stream: number[] = [];
    for (let i = 8 + 4 * this.words - 1; i >= 0; i--) stream.push(Number((number >> BigInt(8 * i)) & 255n));
    while (stream.length > 0 && stream[stream.length - 1] === 0) stream.pop();
    while (stream.length < least) stream.push(0);
    return turned(Uint8Array.from(stream));
  }
}

/** The same for many symbols: what can no longer change of low, but by a carry, is put away in words. */
export class LongEncoder {
  private lower = 0n;
  private range = MASK_64;
  private readonly rest: number[] = [];

  /** before: the sum of the counts of the places before. */
  place(before: number, count: number): void {
    const scale = this.range >> 24n;
    this.lower += scale * BigInt(before);
    this.range = scale * BigInt(count);
    if (this.lower > MASK_64) {
      this.lower &= MASK_64;
      let i = this.rest.length - 1;
      while (this.rest[i] === 0xffffffff) this.rest[i--] = 0;
      this.rest[i]++;
    }
    if (this.range < 1n << 32n) {
      this.rest.push(Number(this.lower >> 32n));
      this.lower = (this.lower << 32n) & MASK_64;
      this.range <<= 32n;
    }
  }

  payload(): Uint8Array {
    const end = new SlowEncoder();
    end.low = this.lower;
    end.range = this.range;
    const [number] = end.end();
    const words = [...this.rest, Number(number >> 32n), Number(number & 0xffffffffn)];
    const stream = Uint8Array.from(words.flatMap((word) => [24, 16, 8, 0].map((shift) => (word >>> shift) & 255)));
    let length = stream.length;
    while (stream[length - 1] === 0) length--;
    return turned(stream.subarray(0, length));
  }
}

/** Groups of four bytes turned round, and fewer at the end as they are. */
export function turned(bytes: Uint8Array): Uint8Array {
  const found = bytes.slice();
  for (let i = 0; i < bytes.length; i += 4) found.subarray(i, i + 4).reverse();
  return found;
}

export class SlowDecoder {
  private low = 0n;
  private range = MASK_64;
  private words = 0;
  private readonly stream: Uint8Array;

  constructor(payload: Uint8Array) {
    this.stream = turned(payload);
  }

  /** The place that comes next; null for what no encoder writes. */
  place(counts: number[]): number | null {
    let point = 0n;
    for (let i = 0; i < 8 + 4 * this.words; i++) point = (point << 8n) | BigInt(this.stream[i] ?? 0);
    const scale = this.range >> 24n;
    const t = (point - this.low) / scale;
    let before = 0;
    for (const [place, count] of counts.entries()) {
      if (t < BigInt(before + count)) {
        this.low += scale * BigInt(before);
        this.range = scale * BigInt(count);
        if (this.range < 1n << 32n) {
          this.low <<= 32n;
          this.range <<= 32n;
          this.words += 1;
        }
        return place;
      }
      before += count;
    }
    return null;
  }
}
