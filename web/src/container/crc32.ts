/**
 * CRC-32 as zlib, PNG and gzip have it: docs/format.md, section 1.
 *
 * Four tables of 256 numbers take four bytes a step ("slicing by four"): pictures are checksummed too, so it has to be fast.
 */

const TABLES = makeTables();

function makeTables(): Uint32Array {
  const tables = new Uint32Array(4 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
    tables[byte] = value;
  }
  // Table k: what a byte does to the checksum when k zero bytes follow it.
  for (let i = 256; i < tables.length; i++) tables[i] = (tables[i - 256] >>> 8) ^ tables[tables[i - 256] & 255];
  return tables;
}

/** The CRC-32 of `bytes`, 0 to 2³² − 1; of bytes that follow others if given the checksum `before` of those. */
export function crc32(bytes: Uint8Array, before = 0): number {
  const tables = TABLES;
  const whole = bytes.length & ~3;
  let crc = ~before;
  let i = 0;
  for (; i < whole; i += 4) {
    crc =
      tables[768 + ((crc ^ bytes[i]) & 255)] ^
      tables[512 + (((crc >>> 8) ^ bytes[i + 1]) & 255)] ^
      tables[256 + (((crc >>> 16) ^ bytes[i + 2]) & 255)] ^
      tables[(crc >>> 24) ^ bytes[i + 3]];
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[i]) & 255];
  return ~crc >>> 0;
}

/**
 * Lengths, shortest first, of the beginnings of `bytes` that end with the CRC-32 of what comes before, as a file does.
 *
 * Bytes followed by their own checksum, lowest byte first, always have the same CRC-32: so one pass finds all of them.
 */
export function* sealedLengths(bytes: Uint8Array): Generator<number> {
  let crc = ~0;
  for (let i = 0; i < bytes.length; i++) {
    crc = (crc >>> 8) ^ TABLES[(crc ^ bytes[i]) & 255];
    if (~crc >>> 0 === 0x2144df1c) yield i + 1;
  }
}
