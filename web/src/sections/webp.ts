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

import type { Breath } from "../breath.ts";
import { CorruptError } from "../errors.ts";

/** Longest side that a stream can have. */
export const MAX_SIDE = 16_383;

const BLACK = 0xff000000;

/** Pixels that are read or undone between two breaths, and groups of prefix codes: milliseconds. */
const STRETCH = 2 ** 16;
const GROUPS = 2 ** 8;

type Pixels = Uint32Array<ArrayBuffer>;

/** What an encoder did to pixels. */
interface Transform {
  /** Undoes it for rows top..bottom of `pixels`, those above being undone, into `to`. */
  undo(pixels: Pixels, to: Pixels, top: number, bottom: number): void;
  /** Whether `to` has more pixels; else it is `pixels` itself. */
  readonly widens: boolean;
}

/**
 * The width x height pixels of a bitstream, as it follows the bytes with its size; what comes after them is ignored.
 *
 * CorruptError if it is broken or ends early; what `breath` rejects with ends it too.
 */
export async function webp(bytes: Uint8Array, width: number, height: number, breath: Breath): Promise<Pixels> {
  const bits = new Bits(bytes);
  const transforms: Transform[] = [];
  const seen = new Set<number>();
  let stored = width; // of a row; fewer than there are pixels if some share one
  while (bits.read(1) === 1) {
    const kind = bits.read(2);
    if (seen.has(kind)) throw broken("a transform twice");
    seen.add(kind);
    if (kind === 2) transforms.unshift(addGreen(stored));
    else if (kind === 3) {
      const colours = await readPalette(bits, breath);
      const share = colours.length > 16 ? 0 : colours.length > 4 ? 1 : colours.length > 2 ? 2 : 3;
      transforms.unshift(lookUp(colours, share, stored));
      stored = parts(stored, share);
    } else {
      const shift = bits.read(3) + 2;
      const blocks = await readPixels(bits, parts(stored, shift), parts(height, shift), false, breath);
      transforms.unshift((kind === 0 ? addPrediction : addColours)(blocks, shift, stored));
    }
  }
  let pixels = await readPixels(bits, stored, height, true, breath);
  const rows = Math.max(1, Math.floor(STRETCH / width));
  for (const { undo, widens } of transforms) {
    const to = widens ? new Uint32Array(width * height) : pixels;
    for (let top = 0; top < height; top += rows) {
      undo(pixels, to, top, Math.min(top + rows, height));
      await breath();
    }
    pixels = to;
  }
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
    const more = (entry & 15) - ROOT_BITS;
    if (more > 0) entry = table[(entry >> 4) + ((next >>> ROOT_BITS) & ((1 << more) - 1))];
    this.at += entry & 15;
    return entry >> 4;
  }
}

// ---- Prefix codes ----------------------------------------------------------------------------------------------------

const ROOT_BITS = 8;
const MAX_LENGTH = 15;

/**
 * A prefix code as a table that `mask` of the next bits is looked up in.
 *
 * An entry is 16 · symbol + length; or, if the length is more than 8 bits, 16 · start + the longest length, of another
 * table in the same, in which the bits after the first 8 are looked up.
 */
interface Code {
  readonly table: Uint16Array;
  readonly mask: number;
}

// A stream can have 327,680 codes in as many bytes, so what they are made of is here once.
const MOST_SYMBOLS = 256 + 24 + 2 ** 11;
const lengths = new Uint8Array(MOST_SYMBOLS);
const lengthsOfLengths = new Uint8Array(19);
const sorted = new Uint16Array(MOST_SYMBOLS);
const counts = new Uint16Array(MAX_LENGTH + 1);
const ends = new Uint16Array(MAX_LENGTH + 2);
/** 2^8 entries of the root, one for each symbol beyond, and fewer than 2^8 more where lengths share a table. */
const table = new Uint16Array(2 ** 12);

/** The code that gives each symbol a code of so many bits, 0: none; null, once it is checked, if it is not needed. */
function codeOf(lengths: Uint8Array, isNeeded: boolean): Code | null {
  counts.fill(0);
  for (let symbol = 0; symbol < lengths.length; symbol++) counts[lengths[symbol]]++;
  const used = lengths.length - counts[0];
  if (used === 0) throw broken("a code without symbols");
  if (used === 1) return isNeeded ? codeOfOne(lengths.findIndex((length) => length > 0)) : null;

  // What all symbols take of all codes, which must be all.
  let taken = 0;
  let longest = 0;
  for (let length = 1; length <= MAX_LENGTH; length++) {
    taken += counts[length] << (MAX_LENGTH - length);
    if (counts[length] > 0) longest = length;
  }
  if (taken !== 1 << MAX_LENGTH) throw broken("a code that is not whole");
  if (!isNeeded) return null;

  // Symbols in the order of their codes.
  ends[1] = 0;
  for (let length = 1; length <= MAX_LENGTH; length++) ends[length + 1] = ends[length] + counts[length];
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    if (lengths[symbol] > 0) sorted[ends[lengths[symbol]]++] = symbol;
  }

  const root = Math.min(longest, ROOT_BITS);
  const mask = (1 << root) - 1;
  let size = 1 << root;
  let turned = 0; // a code's highest bit is read first, so that tables are in the order of codes turned round
  let start = 0; // of the last table but the root's, for codes that begin with `first`
  let first = -1;
  let more = 0;
  for (let i = 0; i < used; i++) {
    const symbol = sorted[i];
    const length = lengths[symbol];
    const entry = (symbol << 4) | length;
    if (length <= root) {
      for (let key = turned; key <= mask; key += 1 << length) table[key] = entry;
    } else {
      if ((turned & mask) !== first) {
        first = turned & mask;
        // As deep as the longest code that begins so: the last before the root's share of codes is used up.
        let left = 1 << (MAX_LENGTH - root);
        let last = i;
        while ((left -= 1 << (MAX_LENGTH - lengths[sorted[last]])) > 0) last++;
        more = lengths[sorted[last]] - root;
        start = size;
        size += 1 << more;
        table[first] = (start << 4) | (root + more);
      }
      for (let key = turned >> root; key < 1 << more; key += 1 << (length - root)) table[start + key] = entry;
    }
    // The next code: its lowest bits are the highest here, and if it is longer, those that it has more are zeros.
    let bit = 1 << (length - 1);
    while ((turned & bit) !== 0) bit >>= 1;
    turned = (turned & (bit - 1)) | bit;
  }
  return { table: table.slice(0, size), mask };
}

/** A code whose one symbol takes no bits. */
function codeOfOne(symbol: number): Code {
  return { table: Uint16Array.of(symbol << 4), mask: 0 };
}

function codeOfTwo(one: number, other: number): Code {
  const [low, high] = [Math.min(one, other), Math.max(one, other)];
  return { table: Uint16Array.of((low << 4) | 1, (high << 4) | 1), mask: 1 };
}

const LENGTH_ORDER = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/** Reads and checks a code; null if it is not needed. */
function readCode(bits: Bits, symbols: number, isNeeded: boolean): Code | null {
  if (bits.read(1) === 1) {
    const both = bits.read(1) === 1;
    const first = bits.read(bits.read(1) === 1 ? 8 : 1);
    const second = both ? bits.read(8) : first;
    if (first >= symbols || second >= symbols) throw broken("a symbol that there is not");
    bits.check();
    if (!isNeeded) return null;
    return first === second ? codeOfOne(first) : codeOfTwo(first, second);
  }
  readLengths(bits, symbols);
  bits.check();
  return codeOf(lengths.subarray(0, symbols), isNeeded);
}

/** Sets `lengths` of so many symbols. */
function readLengths(bits: Bits, symbols: number): void {
  lengthsOfLengths.fill(0);
  const count = 4 + bits.read(4);
  for (let i = 0; i < count; i++) lengthsOfLengths[LENGTH_ORDER[i]] = bits.read(3);
  bits.check();
  const code = codeOf(lengthsOfLengths, true)!;
  lengths.fill(0, 0, symbols);
  let left = bits.read(1) === 1 ? 2 + bits.read(2 + 2 * bits.read(3)) : symbols;
  if (left > symbols) throw broken("more lengths than symbols");
  if (code.mask === 0 && code.table[0] >> 4 < 16) {
    lengths.fill(code.table[0] >> 4, 0, left); // they take no bits
    return;
  }
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

/** Codes of green (with lengths and cached colours), red, blue, alpha and distances. */
type Codes = readonly [Code, Code, Code, Code, Code];

/** Reads and checks a group of codes; null if it is not needed. */
function readCodes(bits: Bits, cached: number, isNeeded: boolean): Codes | null {
  const code = (symbols: number) => readCode(bits, symbols, isNeeded);
  const [green, red, blue, alpha, distances] = [256 + 24 + cached, 256, 256, 256, 40].map(code);
  return green && red && blue && alpha && distances ? [green, red, blue, alpha, distances] : null;
}

// ---- Pixels ----------------------------------------------------------------------------------------------------------

/** Pixels as they are stored. whole: of the picture itself, the only one of which parts may have codes of their own. */
async function readPixels(bits: Bits, width: number, height: number, whole: boolean, breath: Breath): Promise<Pixels> {
  const isCached = bits.read(1) === 1;
  const cacheBits = isCached ? bits.read(4) : 0;
  if (cacheBits > 11 || (isCached && cacheBits === 0)) throw broken(`a cache of 2^${cacheBits} colours`);

  let blocks = new Uint32Array(1); // which group of codes each has
  let shift = 30; // all pixels are in one block
  if (whole && bits.read(1) === 1) {
    shift = bits.read(3) + 2;
    blocks = await readPixels(bits, parts(width, shift), parts(height, shift), false, breath);
    for (let i = 0; i < blocks.length; i++) blocks[i] = (blocks[i] >>> 8) & 0xffff;
  }
  const groups = blocks.reduce((most, group) => Math.max(most, group + 1), 1);
  const needed = new Uint8Array(groups);
  for (const group of blocks) needed[group] = 1;
  const codes: (Codes | null)[] = [];
  while (codes.length < groups) {
    codes.push(readCodes(bits, isCached ? 1 << cacheBits : 0, needed[codes.length] === 1));
    if (codes.length % GROUPS === 0) await breath();
  }
  const reader = new Reader(bits, width, height, cacheBits, codes, blocks, shift);
  while (reader.at < reader.pixels.length) {
    reader.read(STRETCH);
    await breath();
  }
  return reader.pixels;
}

/** Reads the pixels of a stored picture, from the first on. */
class Reader {
  readonly pixels: Pixels;
  /** How many pixels are read. */
  at = 0;
  private x = 0;
  private y = 0;
  private readonly cache: Uint32Array;
  private readonly cacheShift: number;
  private cachedTo = 0; // pixels before are in the cache
  private readonly columns: number;

  constructor(
    private readonly bits: Bits,
    private readonly width: number,
    height: number,
    cacheBits: number,
    /** Groups, of which there are all that `blocks` name. */
    private readonly codes: readonly (Codes | null)[],
    private readonly blocks: Uint32Array,
    private readonly shift: number,
  ) {
    this.pixels = new Uint32Array(width * height);
    this.cache = new Uint32Array(cacheBits > 0 ? 1 << cacheBits : 0);
    this.cacheShift = 32 - cacheBits;
    this.columns = parts(width, shift);
  }

  /** Reads so many pixels, or more by one copy; fewer if there are fewer. */
  read(count: number): void {
    const { bits, pixels, cache, cacheShift, codes, blocks, shift, columns, width } = this;
    const within = (1 << shift) - 1;
    let { at, x, y, cachedTo } = this;
    const end = Math.min(at + count, pixels.length);
    let [green, red, blue, alpha, distances] = codes[blocks[(y >> shift) * columns + (x >> shift)]]!;
    let jumped = false;
    while (at < end) {
      if (jumped || (x & within) === 0) {
        [green, red, blue, alpha, distances] = codes[blocks[(y >> shift) * columns + (x >> shift)]]!;
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
    this.at = at;
    this.x = x;
    this.y = y;
    this.cachedTo = cachedTo;
  }
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

function addGreen(width: number): Transform {
  const undo = (pixels: Pixels, _: Pixels, top: number, bottom: number): void => {
    for (let i = top * width; i < bottom * width; i++) {
      const green = (pixels[i] >>> 8) & 255;
      pixels[i] = (pixels[i] & 0xff00ff00) | (((pixels[i] & 0x00ff00ff) + ((green << 16) | green)) & 0x00ff00ff);
    }
  };
  return { undo, widens: false };
}

/** Red and blue are less what a block's three factors say of green and red. */
function addColours(blocks: Uint32Array, shift: number, width: number): Transform {
  const columns = parts(width, shift);
  // Factors and levels are numbers of −128 to 127 here.
  const part = (factors: number, byte: number, level: number) =>
    (((factors << (24 - 8 * byte)) >> 24) * ((level << 24) >> 24)) >> 5;
  const undo = (pixels: Pixels, _: Pixels, top: number, bottom: number): void => {
    for (let y = top, i = top * width; y < bottom; y++) {
      for (let x = 0; x < width; x++, i++) {
        const factors = blocks[(y >> shift) * columns + (x >> shift)];
        const pixel = pixels[i];
        const green = pixel >>> 8;
        const red = ((pixel >>> 16) + part(factors, 0, green)) & 255;
        const blue = (pixel + part(factors, 1, green) + part(factors, 2, red)) & 255;
        pixels[i] = (pixel & 0xff00ff00) | (red << 16) | blue;
      }
    }
  };
  return { undo, widens: false };
}

async function readPalette(bits: Bits, breath: Breath): Promise<Uint32Array> {
  const colours = await readPixels(bits, bits.read(8) + 1, 1, false, breath);
  for (let i = 1; i < colours.length; i++) colours[i] = add(colours[i], colours[i - 1]);
  return colours;
}

/** Green is a number in the palette, or 2^share of them, the lowest bits those of the pixel on the left. */
function lookUp(colours: Uint32Array, share: number, width: number): Transform {
  const palette = new Uint32Array(256); // beyond the last there is transparent black
  palette.set(colours);
  const bits = 8 >> share;
  const stored = parts(width, share);
  const undo = (packed: Pixels, pixels: Pixels, top: number, bottom: number): void => {
    for (let y = top, i = top * width; y < bottom; y++) {
      for (let x = 0; x < width; x++, i++) {
        const green = packed[y * stored + (x >> share)] >>> 8;
        pixels[i] = palette[(green >> (bits * (x & ((1 << share) - 1)))) & ((1 << bits) - 1)];
      }
    }
  };
  return { undo, widens: share > 0 };
}

/** Each pixel is less what its neighbours above and on the left foretell, in one of fourteen ways that a block chooses. */
function addPrediction(blocks: Uint32Array, shift: number, width: number): Transform {
  const columns = parts(width, shift);
  const undo = (pixels: Pixels, _: Pixels, top: number, bottom: number): void => {
    for (let y = top, i = top * width; y < bottom; y++) {
      for (let x = 0; x < width; x++, i++) {
        let guess: number;
        if (y === 0) guess = x === 0 ? BLACK : pixels[i - 1];
        else if (x === 0) guess = pixels[i - width];
        else guess = predict((blocks[(y >> shift) * columns + (x >> shift)] >>> 8) & 15, pixels, i, width);
        pixels[i] = add(pixels[i], guess);
      }
    }
  };
  return { undo, widens: false };
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
