/**
 * Lossless WebP bitstreams: RFC 9649, section 3, less the five bytes that docs/format.md, section 6, leaves out.
 *
 * Why not the browser's decoder: what browsers hand out went through premultiplied alpha, colour management or a canvas,
 * which may change levels, and they show streams that end a byte early. Here levels are exact and such streams are
 * refused, in every browser and in Node.
 *
 *     bits -> prefix codes -> literals, copies of what was before, cached colours -> pixels -> transforms undone
 *
 * A pixel is a number of 32 bits: alpha, red, green, blue from the top. Transforms, and which codes hold where, are
 * stored as smaller pictures of the same kind.
 */

import { CorruptError } from "../errors.ts";

/** Longest side that a stream can have. */
export const MAX_SIDE = 16_383;

const BLACK = 0xff000000;

/** Undoes what an encoder did to pixels; it may return them changed in place. */
type Undo = (pixels: Uint32Array<ArrayBuffer>) => Uint32Array<ArrayBuffer>;

/**
 * The width x height pixels of a bitstream, as it follows the bytes with its size; what comes after them is ignored.
 *
 * CorruptError if it is broken or ends early.
 */
export function webp(bytes: Uint8Array, width: number, height: number): Uint32Array<ArrayBuffer> {
  const bits = new Bits(bytes);
  const undo: Undo[] = [];
  const seen = new Set<number>();
  let stored = width; // of a row; fewer than there are pixels if some share one
  while (bits.read(1) === 1) {
    const kind = bits.read(2);
    if (seen.has(kind)) throw broken("a transform twice");
    seen.add(kind);
    if (kind === 2) undo.unshift(addGreen);
    else if (kind === 3) {
      const colours = readPalette(bits);
      const share = colours.length > 16 ? 0 : colours.length > 4 ? 1 : colours.length > 2 ? 2 : 3;
      const whole = stored;
      stored = parts(whole, share);
      undo.unshift((pixels) => lookUp(pixels, colours, share, whole, height));
    } else {
      const shift = bits.read(3) + 2;
      const columns = parts(stored, shift);
      const blocks = readPixels(bits, columns, parts(height, shift), false);
      const wide = stored;
      const apply = kind === 0 ? addPrediction : addColours;
      undo.unshift((pixels) => apply(pixels, wide, height, blocks, columns, shift));
    }
  }
  let pixels = readPixels(bits, stored, height, true);
  for (const apply of undo) pixels = apply(pixels);
  return pixels;
}

/** How many blocks of 2^shift cover a length. */
function parts(length: number, shift: number): number {
  return (length + (1 << shift) - 1) >> shift;
}

function broken(why: string): CorruptError {
  return new CorruptError(`no lossless WebP: ${why}`);
}

/** Bits, the lowest of each byte first. After the last there are zeros, and `check` refuses. */
class Bits {
  at = 0;
  private readonly end: number;

  constructor(readonly bytes: Uint8Array) {
    this.end = 8 * bytes.length;
  }

  check(): void {
    if (this.at > this.end) throw broken("it ends too early");
  }

  /** The next 25 bits or more, the first lowest. */
  peek(): number {
    const { bytes, at } = this;
    const i = at >>> 3;
    return (bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24)) >>> (at & 7);
  }

  /** A number of so many bits, 25 at most. */
  read(count: number): number {
    const number = this.peek() & ((1 << count) - 1);
    this.at += count;
    return number;
  }

  /** A symbol of a prefix code. */
  symbol({ table, mask }: Code): number {
    const next = this.peek();
    let entry = table[next & mask];
    if (entry < 0) entry = table[(entry >> 5) + 2 ** 26 + ((next >>> ROOT_BITS) & ((1 << (entry & 31)) - 1))];
    this.at += entry & 31;
    return entry >> 5;
  }
}

// ---- Prefix codes ----------------------------------------------------------------------------------------------------

const ROOT_BITS = 8;
const MAX_LENGTH = 15;

/**
 * A prefix code as a table that `mask` of the next bits is looked up in.
 *
 * An entry is 32 · symbol + length; or, for codes of more than 8 bits, less than 0: 32 · (start − 2²⁶) + bits of another
 * table, in which the bits after the first 8 are looked up.
 */
interface Code {
  readonly table: Int32Array;
  readonly mask: number;
}

/** The code that gives each symbol a code of so many bits, 0: none. */
function codeOf(lengths: Uint8Array): Code {
  const count = new Int32Array(MAX_LENGTH + 1);
  for (const length of lengths) count[length]++;
  const used = lengths.length - count[0];
  if (used === 0) throw broken("a code without symbols");
  if (used === 1) return { table: Int32Array.of(lengths.findIndex((length) => length > 0) << 5), mask: 0 };

  // Symbols in the order of their codes, and the sum of what each takes of all codes, which must be all.
  const next = new Int32Array(MAX_LENGTH + 2);
  let taken = 0;
  let longest = 0;
  for (let length = 1; length <= MAX_LENGTH; length++) {
    next[length + 1] = next[length] + count[length];
    taken += count[length] << (MAX_LENGTH - length);
    if (count[length] > 0) longest = length;
  }
  if (taken !== 1 << MAX_LENGTH) throw broken("a code that is not whole");
  const sorted = new Int32Array(used);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    if (lengths[symbol] > 0) sorted[next[lengths[symbol]]++] = symbol;
  }

  const root = Math.min(longest, ROOT_BITS);
  const mask = (1 << root) - 1;
  const table: number[] = new Array<number>(1 << root).fill(0);
  let code = 0; // its highest bit is read first, so that tables are in the order of codes turned round
  for (const [i, symbol] of sorted.entries()) {
    const length = lengths[symbol];
    const turned = reverse(code, length);
    if (length <= root) {
      for (let key = turned; key <= mask; key += 1 << length) table[key] = (symbol << 5) | length;
    } else {
      const first = turned & mask;
      if (table[first] === 0) {
        // As deep as the longest code that begins so: the last before the root's share of codes is used up.
        let left = 1 << (MAX_LENGTH - root);
        let last = i;
        while ((left -= 1 << (MAX_LENGTH - lengths[sorted[last]])) > 0) last++;
        const more = lengths[sorted[last]] - root;
        table[first] = ((table.length - 2 ** 26) << 5) | more;
        for (let k = 1 << more; k > 0; k--) table.push(0);
      }
      const start = (table[first] >> 5) + 2 ** 26;
      const size = 1 << (table[first] & 31);
      for (let key = turned >> root; key < size; key += 1 << (length - root)) {
        table[start + key] = (symbol << 5) | length;
      }
    }
    // The next code of as many bits, filled up with zeros if the next is longer.
    if (i + 1 < used) code = (code + 1) << (lengths[sorted[i + 1]] - length);
  }
  return { table: Int32Array.from(table), mask };
}

function reverse(code: number, length: number): number {
  let turned = 0;
  for (let i = 0; i < length; i++) turned |= ((code >> i) & 1) << (length - 1 - i);
  return turned;
}

const LENGTH_ORDER = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

function readCode(bits: Bits, symbols: number): Code {
  const lengths = new Uint8Array(symbols);
  if (bits.read(1) === 1) {
    const both = bits.read(1) === 1;
    const first = bits.read(bits.read(1) === 1 ? 8 : 1);
    for (const symbol of both ? [first, bits.read(8)] : [first]) {
      if (symbol >= symbols) throw broken("a symbol that there is not");
      lengths[symbol] = 1;
    }
  } else {
    const ofLengths = new Uint8Array(19);
    const count = 4 + bits.read(4);
    for (let i = 0; i < count; i++) ofLengths[LENGTH_ORDER[i]] = bits.read(3);
    bits.check();
    const code = codeOf(ofLengths);
    let left = bits.read(1) === 1 ? 2 + bits.read(2 + 2 * bits.read(3)) : symbols;
    if (left > symbols) throw broken("more lengths than symbols");
    let before = 8;
    for (let symbol = 0; symbol < symbols && left > 0; left--) {
      const length = bits.symbol(code);
      if (length < 16) {
        lengths[symbol++] = length;
        before = length || before;
        continue;
      }
      const times = length === 16 ? 3 + bits.read(2) : length === 17 ? 3 + bits.read(3) : 11 + bits.read(7);
      if (symbol + times > symbols) throw broken("more lengths than symbols");
      lengths.fill(length === 16 ? before : 0, symbol, (symbol += times));
    }
  }
  bits.check();
  return codeOf(lengths);
}

/** Codes of green (with lengths and cached colours), red, blue, alpha and distances. */
type Codes = readonly [Code, Code, Code, Code, Code];

function readCodes(bits: Bits, cached: number): Codes {
  const code = (symbols: number) => readCode(bits, symbols);
  return [code(256 + 24 + cached), code(256), code(256), code(256), code(40)];
}

// ---- Pixels ----------------------------------------------------------------------------------------------------------

/** Pixels as they are stored. whole: of the picture itself, the only one of which parts may have codes of their own. */
function readPixels(bits: Bits, width: number, height: number, whole: boolean): Uint32Array<ArrayBuffer> {
  const isCached = bits.read(1) === 1;
  const cacheBits = isCached ? bits.read(4) : 0;
  if (cacheBits > 11 || (isCached && cacheBits === 0)) throw broken(`a cache of 2^${cacheBits} colours`);
  const cache = new Uint32Array(cacheBits > 0 ? 1 << cacheBits : 0);
  const cacheShift = 32 - cacheBits;

  let blocks: Uint32Array | null = null;
  let shift = 0;
  let columns = 0;
  let groups = 1;
  if (whole && bits.read(1) === 1) {
    shift = bits.read(3) + 2;
    columns = parts(width, shift);
    blocks = readPixels(bits, columns, parts(height, shift), false);
    for (let i = 0; i < blocks.length; i++) {
      blocks[i] = (blocks[i] >>> 8) & 0xffff;
      groups = Math.max(groups, blocks[i] + 1);
    }
  }
  const codes: Codes[] = [];
  while (codes.length < groups) codes.push(readCodes(bits, cache.length));

  const pixels = new Uint32Array(width * height);
  let [green, red, blue, alpha, distances] = codes[0];
  let x = 0;
  let y = 0;
  let cachedTo = 0; // pixels before are in the cache
  let jumped = false;
  for (let at = 0; at < pixels.length;) {
    if (blocks && (jumped || (x & ((1 << shift) - 1)) === 0)) {
      [green, red, blue, alpha, distances] = codes[blocks[(y >> shift) * columns + (x >> shift)]];
      jumped = false;
    }
    const symbol = bits.symbol(green);
    if (symbol < 256) {
      const above = (bits.symbol(red) << 16) | (symbol << 8);
      pixels[at++] = above | bits.symbol(blue) | (bits.symbol(alpha) << 24);
      x++;
    } else if (symbol < 280) {
      const count = number(bits, symbol - 256);
      const distance = distanceOf(number(bits, bits.symbol(distances)), width);
      if (distance > at || count > pixels.length - at) throw broken("a copy from or to where no pixels are");
      for (const end = at + count; at < end; at++) pixels[at] = pixels[at - distance];
      x += count;
      jumped = true;
    } else {
      for (; cachedTo < at; cachedTo++) {
        cache[Math.imul(pixels[cachedTo], 0x1e35a7bd) >>> cacheShift] = pixels[cachedTo];
      }
      pixels[at++] = cache[symbol - 280];
      x++;
    }
    bits.check();
    if (x >= width) {
      y += Math.floor(x / width);
      x %= width;
    }
  }
  return pixels;
}

/** A length or a distance: a symbol says its upper bits, and how many follow. */
function number(bits: Bits, symbol: number): number {
  if (symbol < 4) return symbol + 1;
  const extra = (symbol - 2) >> 1;
  return ((2 + (symbol & 1)) << extra) + bits.read(extra) + 1;
}

/** [columns to the left, rows up] of the 120 pixels that are nearest, nearest first. */
const NEAR: [number, number][] = [];
for (let up = 0; up < 8; up++) for (let left = up > 0 ? -7 : 1; left <= 8; left++) NEAR.push([left, up]);
const far = ([left, up]: [number, number]): number =>
  (left * left + up * up) * 64 + Math.abs(left) * 4 - Math.sign(left);
NEAR.sort((one, other) => far(one) - far(other));

/** How many pixels before: the nearest have numbers of their own. */
function distanceOf(code: number, width: number): number {
  if (code > 120) return code - 120;
  const [left, up] = NEAR[code - 1];
  return Math.max(1, left + up * width);
}

// ---- Transforms ------------------------------------------------------------------------------------------------------

/** Sums of all four channels, each modulo 256. */
function add(one: number, other: number): number {
  const alphaGreen = (one & 0xff00ff00) + (other & 0xff00ff00);
  const redBlue = (one & 0x00ff00ff) + (other & 0x00ff00ff);
  return (alphaGreen & 0xff00ff00) | (redBlue & 0x00ff00ff);
}

function addGreen(pixels: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  for (let i = 0; i < pixels.length; i++) {
    const green = (pixels[i] >>> 8) & 255;
    pixels[i] = (pixels[i] & 0xff00ff00) | (((pixels[i] & 0x00ff00ff) + ((green << 16) | green)) & 0x00ff00ff);
  }
  return pixels;
}

/** Red and blue are less what a block's three factors say of green and red. */
function addColours(
  pixels: Uint32Array<ArrayBuffer>,
  width: number,
  height: number,
  blocks: Uint32Array,
  columns: number,
  shift: number,
): Uint32Array<ArrayBuffer> {
  // Factors and levels are numbers of −128 to 127 here.
  const part = (factors: number, byte: number, level: number) =>
    (((factors << (24 - 8 * byte)) >> 24) * ((level << 24) >> 24)) >> 5;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const factors = blocks[(y >> shift) * columns + (x >> shift)];
      const pixel = pixels[i];
      const green = pixel >>> 8;
      const red = ((pixel >>> 16) + part(factors, 0, green)) & 255;
      const blue = (pixel + part(factors, 1, green) + part(factors, 2, red)) & 255;
      pixels[i] = (pixel & 0xff00ff00) | (red << 16) | blue;
    }
  }
  return pixels;
}

function readPalette(bits: Bits): Uint32Array {
  const colours = readPixels(bits, bits.read(8) + 1, 1, false);
  for (let i = 1; i < colours.length; i++) colours[i] = add(colours[i], colours[i - 1]);
  return colours;
}

/** Green is a number in the palette, or 2^share of them, the lowest bits those of the pixel on the left. */
function lookUp(
  packed: Uint32Array<ArrayBuffer>,
  colours: Uint32Array,
  share: number,
  width: number,
  height: number,
): Uint32Array<ArrayBuffer> {
  const palette = new Uint32Array(256); // beyond the last there is transparent black
  palette.set(colours);
  const pixels = share === 0 ? packed : new Uint32Array(width * height);
  const bits = 8 >> share;
  const stored = parts(width, share);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const green = packed[y * stored + (x >> share)] >>> 8;
      pixels[i] = palette[(green >> (bits * (x & ((1 << share) - 1)))) & ((1 << bits) - 1)];
    }
  }
  return pixels;
}

/** Each pixel is less what its neighbours above and on the left foretell, in one of fourteen ways that a block chooses. */
function addPrediction(
  pixels: Uint32Array<ArrayBuffer>,
  width: number,
  height: number,
  blocks: Uint32Array,
  columns: number,
  shift: number,
): Uint32Array<ArrayBuffer> {
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      let guess: number;
      if (y === 0) guess = x === 0 ? BLACK : pixels[i - 1];
      else if (x === 0) guess = pixels[i - width];
      else guess = predict((blocks[(y >> shift) * columns + (x >> shift)] >>> 8) & 15, pixels, i, width);
      pixels[i] = add(pixels[i], guess);
    }
  }
  return pixels;
}

function predict(mode: number, pixels: Uint32Array, i: number, width: number): number {
  const left = pixels[i - 1];
  const top = pixels[i - width];
  // In a row's last pixel, that on the right above is the first of its own row.
  const topRight = pixels[i - width + 1];
  const topLeft = pixels[i - width - 1];
  switch (mode) {
    case 1:
      return left;
    case 2:
      return top;
    case 3:
      return topRight;
    case 4:
      return topLeft;
    case 5:
      return mean(mean(left, topRight), top);
    case 6:
      return mean(left, topLeft);
    case 7:
      return mean(left, top);
    case 8:
      return mean(topLeft, top);
    case 9:
      return mean(top, topRight);
    case 10:
      return mean(mean(left, topLeft), mean(top, topRight));
    case 11:
      return difference(top, topLeft) < difference(left, topLeft) ? left : top;
    case 12:
      return eachChannel(left, top, topLeft, (a, b, c) => a + b - c);
    case 13:
      return eachChannel(mean(left, top), 0, topLeft, (a, _, c) => a + Math.trunc((a - c) / 2));
    default:
      return BLACK;
  }
}

/** The mean of each channel, rounded down. */
function mean(one: number, other: number): number {
  return (((one ^ other) & 0xfefefefe) >>> 1) + (one & other);
}

/** The sum of the four channels' differences. */
function difference(one: number, other: number): number {
  let sum = 0;
  for (let shift = 0; shift < 32; shift += 8) sum += Math.abs(((one >>> shift) & 255) - ((other >>> shift) & 255));
  return sum;
}

function eachChannel(
  one: number,
  other: number,
  third: number,
  of: (one: number, other: number, third: number) => number,
): number {
  let all = 0;
  for (let shift = 0; shift < 32; shift += 8) {
    const level = of((one >>> shift) & 255, (other >>> shift) & 255, (third >>> shift) & 255);
    all |= Math.max(0, Math.min(255, level)) << shift;
  }
  return all;
}
