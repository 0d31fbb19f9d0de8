/**
 * From the bytes of a LATENTS payload to symbols: docs/format.md, section 4, from "Order inside a part" to "Bytes".
 *
 * The page states the coder in integers of any size: low, range, and a point that the stream names. A decoder can do with
 * two of 64 bits, `range` and `distance` = point − low, as low is then the point less the distance. Each is held in two
 * doubles, the upper 40 and the lower 24 bits. The upper part of `range` is the page's `scale`, and every product of
 * scale and count is made of two that doubles hold exactly.
 */

import { CorruptError } from "../errors.ts";
import { PARTS, Tables } from "./tables.ts";

const TWO_24 = 2 ** 24;

/** The details of escapes are bits of probability ½: place 0 or 1. */
const BITS = new Tables(Int32Array.of(2 ** 23, 2 ** 23), [0]);

/** |e| has one bit more than this at most. */
const MAX_EXPONENT = 24;

export class SymbolDecoder {
  /** The stream in words of 32 bits, most significant first; to a decoder there are zeros after the last. */
  private readonly words: Uint32Array;
  private next = 2;
  private rangeHigh = 2 ** 40 - 1;
  private rangeLow = TWO_24 - 1;
  private distanceHigh: number;
  private distanceLow: number;

  /** payload: of a LATENTS section. Nothing is refused yet. */
  constructor(private readonly payload: Uint8Array) {
    this.words = wordsOf(payload);
    const [first = 0, second = 0] = this.words;
    this.distanceHigh = first * 256 + (second >>> 24);
    this.distanceLow = second % TWO_24;
  }

  /**
   * The symbols of one part, in the order of `rows`: the row of `tables` that each was coded with.
   *
   * Symbols are within ±(2²⁵ − 1 + L); what the format allows less is up to the caller. CorruptError for what no encoder
   * writes. The decoder is of no use after that.
   */
  get(rows: Uint8Array | Uint16Array, tables: Tables): Int32Array {
    // The coded order is that of the rows, and in a row that of `rows`.
    const next = new Uint32Array(tables.rows + 1); // where the next symbol of a row stands in the coded order
    for (let i = 0; i < rows.length; i++) next[rows[i] + 1] += 1;
    for (let row = 0; row < tables.rows; row++) next[row + 1] += next[row];
    const coded = new Int32Array(rows.length);
    const escapes: number[] = [];
    for (let row = 0; row < tables.rows; row++) {
      const [from, to] = [next[row], next[row + 1]];
      this.places(tables, row, coded, from, to);
      const limit = tables.limits[row];
      for (let i = from; i < to; i++) {
        coded[i] -= limit;
        if (coded[i] > limit) escapes.push(i);
      }
    }
    if (escapes.length > 0) this.escaped(coded, Uint32Array.from(escapes));
    const symbols = new Int32Array(rows.length);
    for (let i = 0; i < rows.length; i++) symbols[i] = coded[next[rows[i]]++];
    return symbols;
  }

  /**
   * To be called after the last part. CorruptError if the payload is not what the symbols encode to.
   *
   * least: bytes that a shorter stream was padded to: ⌈h/4⌉ · ⌈w/4⌉ for h × w latents.
   */
  finish(least: number): void {
    const { words } = this;
    let used = words.length;
    while (used > 0 && words[used - 1] === 0) used--;
    let bytes = 4 * used; // of the stream, less all zero bytes at its end
    for (let last = words[used - 1] ?? 1; (last & 255) === 0; last >>>= 8) bytes--;
    const right =
      this.payload.length === Math.max(bytes, least) && used <= this.next && this.distance() === this.endDistance();
    if (!right) throw new CorruptError("the coded latents do not end where their data ends: the file is damaged");
  }

  /** Decode the places of symbols `from` to `to` of `coded`, all of one row. */
  private places(tables: Tables, row: number, coded: Int32Array, from: number, to: number): void {
    const { words } = this;
    const { edges, first } = tables;
    const start = tables.starts[row];
    const last = tables.starts[row + 1] - 2;
    const parts = row * (PARTS + 1);
    let { next, rangeHigh, rangeLow, distanceHigh, distanceLow } = this;
    for (let i = from; i < to; i++) {
      const scale = rangeHigh;
      const scaleHigh = Math.floor(scale / TWO_24);
      const scaleLow = scale - scaleHigh * TWO_24;

      // t = ⌊distance / scale⌋, by rounding perhaps one too many or too few; and the place that holds it.
      const t = Math.min((distanceHigh * TWO_24 + distanceLow) / scale, TWO_24 - 1) | 0;
      const part = parts + (t >> 16);
      let place = first[part];
      for (let end = first[part + 1]; place < end;) {
        const middle = (place + end + 1) >> 1;
        if (edges[middle] <= t) place = middle;
        else end = middle - 1;
      }

      for (;;) {
        const before = edges[place];
        const count = edges[place + 1] - before;
        // distance − scale · before
        let low = distanceLow - scaleLow * before;
        let carry = Math.floor(low / TWO_24);
        low -= carry * TWO_24;
        const high = distanceHigh - scaleHigh * before + carry;
        if (high < 0) {
          place--; // there is one before: the distance is not below 0
          continue;
        }
        // range = scale · count
        rangeLow = scaleLow * count;
        carry = Math.floor(rangeLow / TWO_24);
        rangeLow -= carry * TWO_24;
        rangeHigh = scaleHigh * count + carry;
        if (high > rangeHigh || (high === rangeHigh && low >= rangeLow)) {
          if (place === last) {
            throw new CorruptError("the coded latents are not what an encoder writes: the file is damaged");
          }
          place++;
          continue;
        }
        distanceHigh = high;
        distanceLow = low;
        break;
      }
      coded[i] = place - start;

      if (rangeHigh < 256) {
        // range < 2³²: both move up by a word.
        const word = next < words.length ? words[next] : 0;
        next++;
        rangeHigh = (rangeHigh * TWO_24 + rangeLow) * 256;
        rangeLow = 0;
        distanceHigh = (distanceHigh * TWO_24 + distanceLow) * 256 + (word >>> 24);
        distanceLow = word & (TWO_24 - 1);
      }
    }
    this.next = next;
    this.rangeHigh = rangeHigh;
    this.rangeLow = rangeLow;
    this.distanceHigh = distanceHigh;
    this.distanceLow = distanceLow;
  }

  /**
   * Put what follows the escapes in their places; they stand at `escapes` in `coded`, as L + 1 of their rows.
   *
   * With e = v − L or v + L, and n = ⌊log₂|e|⌋: n in unary, the sign, then the lower n bits of |e|.
   */
  private escaped(coded: Int32Array, escapes: Uint32Array): void {
    const exponents = new Uint8Array(escapes.length);
    const buffer = new Int32Array(escapes.length);
    const bits = (count: number): Int32Array => {
      this.places(BITS, 0, buffer, 0, count);
      return buffer;
    };
    for (let j = 0; j < MAX_EXPONENT; j++) {
      const which = indices(exponents, (n) => n >= j);
      const more = bits(which.length);
      for (let i = 0; i < which.length; i++) exponents[which[i]] += more[i];
    }
    const negative = bits(escapes.length).slice();
    const magnitudes = new Int32Array(escapes.length);
    for (let i = 0; i < escapes.length; i++) magnitudes[i] = 1 << exponents[i];
    for (let j = MAX_EXPONENT - 1; j >= 0; j--) {
      const which = indices(exponents, (n) => n > j);
      const set = bits(which.length);
      for (let i = 0; i < which.length; i++) magnitudes[which[i]] += set[i] << j;
    }
    for (let i = 0; i < escapes.length; i++) {
      const limit = coded[escapes[i]] - 1;
      coded[escapes[i]] = negative[i] ? -magnitudes[i] - limit : magnitudes[i] + limit;
    }
  }

  private distance(): bigint {
    return (BigInt(this.distanceHigh) << 24n) | BigInt(this.distanceLow);
  }

  /** The distance at which the rule "End" ends a stream, from range and the low 64 bits of low. */
  private endDistance(): bigint {
    const word = (i: number) => BigInt(this.words[i] ?? 0);
    const point = (word(this.next - 2) << 32n) | word(this.next - 1);
    const range = (BigInt(this.rangeHigh) << 24n) | BigInt(this.rangeLow);
    const lower = BigInt.asUintN(64, point - this.distance());
    const carries = (end: bigint) => end >> 64n !== 0n;
    for (const z of [56n, 48n, 40n]) {
      const end = ((lower + (1n << z) - 1n) >> z) << z;
      if (end < lower + range && carries(end) === carries(lower + 0xffffffffn)) return end - lower;
    }
    return (((lower + 0xffffffffn) >> 32n) << 32n) - lower;
  }
}

/** The indices at which `holds` is true. */
function indices(numbers: Uint8Array, holds: (number: number) => boolean): Uint32Array {
  const found = new Uint32Array(numbers.length);
  let count = 0;
  for (let i = 0; i < numbers.length; i++) if (holds(numbers[i])) found[count++] = i;
  return found.subarray(0, count);
}

/** The stream's words: payload bytes in groups of four, each turned round; zeros fill the last. */
function wordsOf(payload: Uint8Array): Uint32Array {
  const words = new Uint32Array(Math.ceil(payload.length / 4));
  for (let i = 0; i < payload.length; i++) words[i >> 2] |= payload[i] << (8 * (i & 3));
  // A last group of fewer bytes is turned round as it is, so that its zeros come last.
  const missing = 4 * words.length - payload.length;
  if (missing > 0) words[words.length - 1] <<= 8 * missing;
  return words;
}
