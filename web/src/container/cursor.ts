/**
 * Reading numbers and runs of bytes, never past the end: docs/format.md, section 1.
 *
 * What ends too early is a TruncatedError here; whoever knows that the bytes are all there makes it a CorruptError.
 */

import { CorruptError, TruncatedError } from "../errors.ts";

/** A place in bytes that moves on with what is read; views, not copies, are handed out. */
export class Cursor {
  constructor(
    readonly bytes: Uint8Array,
    /** Where the next byte is read. */
    public at = 0,
    /** Where reading ends. */
    readonly end = bytes.length,
  ) {}

  get left(): number {
    return this.end - this.at;
  }

  /** The next `count` bytes. TruncatedError if fewer are left. */
  take(count: number): Uint8Array {
    if (count > this.left) {
      throw new TruncatedError(
        `the file is cut short: ${count} ${count === 1 ? "byte" : "bytes"} expected at ${this.at}, ${this.left} left`,
      );
    }
    return this.bytes.subarray(this.at, (this.at += count));
  }

  byte(): number {
    return this.take(1)[0];
  }

  /** Four bytes, lowest first. */
  uint32(): number {
    return uint32(this.take(4), 0);
  }

  /**
   * An unsigned LEB128 number of up to 63 bits, as short as it can be; CorruptError otherwise.
   *
   * Beyond 2⁵³ a JavaScript number is only near it. No field may be as large, so that all such are refused anyway.
   */
  varint(): number {
    let value = 0;
    for (let weight = 1; ; weight *= 128) {
      if (weight === 2 ** 63) throw new CorruptError("a number has more than 63 bits");
      const byte = this.byte();
      value += (byte & 127) * weight;
      if (byte < 128) {
        if (byte === 0 && weight > 1) throw new CorruptError("a number is written longer than needed");
        return value;
      }
    }
  }
}

/** The four bytes from `at` on as a number, lowest byte first; they must be there. */
export function uint32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}
