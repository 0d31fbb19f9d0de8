/**
 * LZMA2 as docs/format.md, section 6, uses it: the raw chunk stream of .xz files, with a dictionary of 4 MiB.
 *
 * A stream is chunks, each of which says how many bytes it unpacks to and is either a copy or LZMA: bits by a range coder
 * with a probability for each of some thousand contexts, which say either a byte or how far back to copy how many bytes.
 * What is unpacked is its own dictionary, as it is all kept.
 */

import type { Breath } from "../breath.ts";
import { CorruptError } from "../errors.ts";

const DICTIONARY = 2 ** 22;

/** Bytes that are unpacked between two breaths, and for how many of them a chunk as such counts: milliseconds. */
const STRETCH = 2 ** 17;
const CHUNK_WORK = 2 ** 9;

// Where the probabilities of each kind of bit begin. Lengths have 514: two choices, 16 trees of 8, 16 of 8, one of 256.
const IS_MATCH = 0; // 12 states x 16 positions
const IS_REPEATED = IS_MATCH + 192; // 12 states, as the next three
const IS_OTHER_THAN_FIRST = IS_REPEATED + 12;
const IS_OTHER_THAN_SECOND = IS_OTHER_THAN_FIRST + 12;
const IS_FOURTH = IS_OTHER_THAN_SECOND + 12;
const IS_LONG = IS_FOURTH + 12; // 12 states x 16 positions
const SLOTS = IS_LONG + 192; // 4 trees of 64
const DISTANCES = SLOTS + 256; // reversed trees for the lower bits of slots 4 to 13
const ALIGNED = DISTANCES + 115; // a reversed tree of 16
const LENGTH = ALIGNED + 16;
const REPEATED_LENGTH = LENGTH + 514;
const LITERALS = REPEATED_LENGTH + 514; // 16 at most, each of 0x300
const PROBABILITIES = LITERALS + 16 * 0x300;

interface Chunk {
  /** 1 or 2 for a copy, of which 1 begins a new dictionary; else 0x80 and what is to begin anew. */
  control: number;
  unpacked: number;
  /** lc + 9 · (lp + 5 · pb) if the chunk says it anew. */
  properties: number | null;
  /** What is to be copied, or the range coder's. */
  data: Uint8Array;
}

/**
 * The bytes that a whole stream unpacks to.
 *
 * CorruptError if it is broken, ends early, is followed by anything, or unpacks to more than `limit` bytes: that is known
 * from the chunks' headers before anything is unpacked or memory taken. What `breath` rejects with ends it too.
 */
export async function lzma2(bytes: Uint8Array, limit: number, breath: Breath): Promise<Uint8Array<ArrayBuffer>> {
  let size = 0;
  for (const chunk of chunks(bytes)) {
    size += chunk.unpacked;
    if (size > limit) throw new CorruptError("packed data goes on after its announced size");
  }
  const unpacker = new Unpacker(size);
  let work = 0;
  for (const chunk of chunks(bytes)) {
    for (const done of unpacker.add(chunk)) {
      work += done;
      if (work < STRETCH) continue;
      work = 0;
      await breath();
    }
  }
  return unpacker.bytes;
}

/** The chunks of a stream; CorruptError if they are not in order or do not end as the bytes do. */
function* chunks(bytes: Uint8Array): Generator<Chunk> {
  let at = 0;
  const next = (): number => {
    if (at >= bytes.length) throw new CorruptError("packed data ends too early");
    return bytes[at++];
  };
  const size = (high: number): number => high * 65536 + next() * 256 + next() + 1;
  let needsDictionary = true;
  let needsProperties = true;
  for (;;) {
    const control = next();
    if (control === 0) break;
    const isNew = control === 1 || control >= 0xe0;
    if ((control > 2 && control < 0x80) || (needsDictionary && !isNew)) throw broken();
    needsDictionary = false;
    needsProperties ||= isNew;
    const isCopy = control < 0x80;
    const unpacked = size(isCopy ? 0 : control & 31);
    const packed = isCopy ? unpacked : size(0);
    let properties: number | null = null;
    if (control >= 0xc0) {
      properties = next();
      needsProperties = false;
    } else if (!isCopy && needsProperties) throw broken();
    if (packed > bytes.length - at) throw new CorruptError("packed data ends too early");
    yield { control, unpacked, properties, data: bytes.subarray(at, (at += packed)) };
  }
  if (at < bytes.length) throw new CorruptError("packed data is followed by something");
}

function broken(): CorruptError {
  return new CorruptError("packed data is broken");
}

/** Unpacks chunk after chunk; what LZMA knows stays from one to the next. */
class Unpacker {
  readonly bytes: Uint8Array<ArrayBuffer>;
  private length = 0;
  /** Where the dictionary begins: nothing before counts. */
  private start = 0;

  private readonly probabilities = new Uint16Array(PROBABILITIES);
  private state = 0;
  /** The last four distances, less 1. */
  private distances = [0, 0, 0, 0];
  private literalBits = 0;
  private literalMask = 0;
  private positionMask = 0;

  private data: Uint8Array = new Uint8Array();
  private at = 0;
  private range = 0;
  private code = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }

  /** Unpacks a chunk, and yields how much work was done, so that whoever calls can pause. */
  *add({ control, unpacked, properties, data }: Chunk): Generator<number> {
    if (control === 1 || control >= 0xe0) this.start = this.length;
    yield CHUNK_WORK;
    if (control < 0x80) {
      this.bytes.set(data, this.length);
      this.length += unpacked;
      yield unpacked >> 6; // which is much quicker
      return;
    }
    if (properties !== null) this.setProperties(properties);
    if (control >= 0xa0) {
      this.probabilities.fill(1024);
      this.state = 0;
      this.distances = [0, 0, 0, 0];
    }
    this.data = data;
    this.at = 5;
    this.range = 0xffffffff;
    this.code = ((data[1] << 24) | (data[2] << 16) | (data[3] << 8) | data[4]) >>> 0;
    if (data.length < 5 || data[0] !== 0) throw broken();
    const end = this.length + unpacked;
    while (this.length < end) {
      const before = this.length;
      this.unpack(Math.min(before + STRETCH, end), end);
      yield this.length - before;
    }
    // An encoder's last bytes leave nothing over.
    if (this.at !== data.length || this.code !== 0) throw broken();
  }

  private setProperties(properties: number): void {
    this.literalBits = properties % 9;
    const positions = Math.floor(properties / 9) % 5;
    if (properties >= 225 || this.literalBits + positions > 4) throw broken();
    this.literalMask = (1 << positions) - 1;
    this.positionMask = (1 << Math.floor(properties / 45)) - 1;
  }

  /** Unpacks until there are so many bytes, or more by one copy, but at most as many as the chunk ends with. */
  private unpack(enough: number, end: number): void {
    const { bytes, start, data, literalBits, literalMask, positionMask } = this;
    let { length, state } = this;
    let [first, second, third, fourth] = this.distances;
    while (length < enough) {
      if (this.at > data.length) throw broken();
      const position = (length - start) & positionMask;
      if (this.bit(IS_MATCH + state * 16 + position) === 0) {
        const before = length > start ? bytes[length - 1] : 0;
        const which = (((length - start) & literalMask) << literalBits) + (before >> (8 - literalBits));
        const tree = LITERALS + 0x300 * which;
        bytes[length] = state < 7 ? this.tree(tree, 8) : this.literal(tree, bytes[length - first - 1]);
        length++;
        state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
        continue;
      }
      let count: number;
      if (this.bit(IS_REPEATED + state) === 0) {
        fourth = third;
        third = second;
        second = first;
        count = this.count(LENGTH, position);
        first = this.distance(count);
        state = state < 7 ? 7 : 10;
      } else {
        if (this.bit(IS_OTHER_THAN_FIRST + state) === 0) {
          count = this.bit(IS_LONG + state * 16 + position) === 0 ? 1 : 0;
        } else {
          let distance = second;
          if (this.bit(IS_OTHER_THAN_SECOND + state) === 1) {
            distance = third;
            if (this.bit(IS_FOURTH + state) === 1) {
              distance = fourth;
              fourth = third;
            }
            third = second;
          }
          second = first;
          first = distance;
          count = 0;
        }
        if (count === 1) {
          state = state < 7 ? 9 : 11;
        } else {
          count = this.count(REPEATED_LENGTH, position);
          state = state < 7 ? 8 : 11;
        }
      }
      if (first >= Math.min(length - start, DICTIONARY) || count > end - length) throw broken();
      // Byte by byte, as a copy may begin with what it has just written.
      for (let from = length - first - 1; count > 0; count--) bytes[length++] = bytes[from++];
    }
    this.length = length;
    this.state = state;
    this.distances = [first, second, third, fourth];
  }

  /** A byte after a copy: as long as its bits are those of the byte that would have been copied, that one is context. */
  private literal(tree: number, match: number): number {
    let symbol = 1;
    while (symbol < 0x100) {
      const expected = (match >> 7) & 1;
      match <<= 1;
      const bit = this.bit(tree + ((1 + expected) << 8) + symbol);
      symbol = (symbol << 1) | bit;
      if (bit !== expected) break;
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.bit(tree + symbol);
    return symbol & 0xff;
  }

  private count(lengths: number, position: number): number {
    if (this.bit(lengths) === 0) return 2 + this.tree(lengths + 2 + position * 8, 3);
    if (this.bit(lengths + 1) === 0) return 10 + this.tree(lengths + 130 + position * 8, 3);
    return 18 + this.tree(lengths + 258, 8);
  }

  /** A distance less 1, for a copy of `count` bytes: a slot says its upper bits, and how many are below. */
  private distance(count: number): number {
    const slot = this.tree(SLOTS + 64 * Math.min(count - 2, 3), 6);
    if (slot < 4) return slot;
    const below = (slot >> 1) - 1;
    const upper = (2 + (slot & 1)) * 2 ** below;
    if (slot < 14) return upper + this.reversed(DISTANCES + upper - slot, below);
    let direct = 0;
    for (let i = below - 4; i > 0; i--) {
      this.range >>>= 1;
      const bit = this.code >= this.range ? 1 : 0;
      if (bit) this.code = (this.code - this.range) >>> 0;
      this.normalise();
      direct = direct * 2 + bit;
    }
    return upper + direct * 16 + this.reversed(ALIGNED, 4);
  }

  /** A number of so many bits, the highest first, each with the probability that those before it choose. */
  private tree(start: number, bits: number): number {
    let node = 1;
    for (let i = 0; i < bits; i++) node = (node << 1) | this.bit(start + node);
    return node - (1 << bits);
  }

  /** The same, lowest first. */
  private reversed(start: number, bits: number): number {
    let node = 1;
    let number = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.bit(start + node);
      node = (node << 1) | bit;
      number |= bit << i;
    }
    return number;
  }

  private bit(which: number): number {
    const probability = this.probabilities[which];
    const bound = (this.range >>> 11) * probability;
    let bit = 0;
    if (this.code < bound) {
      this.range = bound;
      this.probabilities[which] = probability + ((2048 - probability) >> 5);
    } else {
      bit = 1;
      this.range -= bound;
      this.code -= bound;
      this.probabilities[which] = probability - (probability >> 5);
    }
    this.normalise();
    return bit;
  }

  private normalise(): void {
    if (this.range >= 2 ** 24) return;
    this.range = (this.range << 8) >>> 0;
    this.code = ((this.code << 8) | this.data[this.at++]) >>> 0;
  }
}
