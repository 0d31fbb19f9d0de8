/** Lossless WebP against streams of libwebp, and what is refused. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { CorruptError } from "../../src/errors.ts";
import { webp as decode } from "../../src/sections/webp.ts";
import * as streams from "./streams.ts";
import { breaths, bytesOf, noBreath, randomness } from "./support.ts";

const webp = (bytes: Uint8Array, width: number, height: number) => decode(bytes, width, height, noBreath);

const streamOf = ({ stream }: streams.WebpStream) => new Uint8Array(Buffer.from(stream, "base64"));

/** Red, green, blue, alpha of each pixel. */
function levels(pixels: Uint32Array): Uint8Array {
  return Uint8Array.from([...pixels].flatMap((pixel) => [pixel >>> 16, pixel >>> 8, pixel, pixel >>> 24]));
}

for (const one of streams.webp) {
  test(`${one.name} is read, and no less of it`, async () => {
    const stream = streamOf(one);
    const pixels = await webp(stream, one.width, one.height);
    assert.equal(createHash("sha256").update(levels(pixels)).digest("hex"), one.sha256);
    assert.deepEqual(await webp(bytesOf(stream, [255, 0, 255]), one.width, one.height), pixels);
    for (let end = 0; end < stream.length; end++) {
      await assert.rejects(webp(stream.subarray(0, end), one.width, one.height), CorruptError, `${end}`);
    }
  });
}

test("damaged streams are refused or read, and nothing else happens", async () => {
  const random = randomness(30);
  let read = 0;
  const sources = streams.webp.filter(({ width, height }) => width * height < 1000);
  for (let i = 0; i < 6000; i++) {
    const one = sources[random(sources.length)];
    const changed = streamOf(one);
    for (let k = random(3); k >= 0; k--)
      changed[random(random(2) ? 12 : changed.length) % changed.length] = random(256);
    try {
      assert.equal((await webp(changed, one.width, one.height)).length, one.width * one.height);
      read++;
    } catch (error) {
      assert.ok(error instanceof CorruptError, `${error}`);
    }
  }
  assert.ok(read > 100 && read < 3000, `${read}`);
});

/** Numbers of so many bits as bytes, the lowest bits first. */
function bits(...numbers: [value: number, count: number][]): Uint8Array {
  const all = numbers.flatMap(([value, count]) => Array.from({ length: count }, (_, i) => (value >> i) & 1));
  const bytes = new Uint8Array(Math.ceil(all.length / 8));
  for (const [i, bit] of all.entries()) bytes[i >> 3] |= bit << (i & 7);
  return bytes;
}

/** A code of one symbol of 8 bits, and one of two. */
const one = (symbol: number): [number, number][] => [
  [1, 1],
  [0, 1],
  [1, 1],
  [symbol, 8],
];
const two = (symbol: number, other: number): [number, number][] => [
  [1, 1],
  [1, 1],
  [1, 1],
  [symbol, 8],
  [other, 8],
];

test("pixels by hand", async () => {
  // No transform, no cache, codes for all of the picture; green is 7 or 9.
  const head: [number, number][] = [
    [0, 1],
    [0, 1],
    [0, 1],
  ];
  const codes = [...two(7, 9), ...one(1), ...one(2), ...one(200), ...one(0)];
  const found = await webp(bits(...head, ...codes, [0b0110, 4]), 2, 2);
  const [seven, nine] = [0xc8010702, 0xc8010902];
  assert.deepEqual(found, Uint32Array.of(seven, nine, nine, seven));
  // Five times the same, of no bits at all.
  const same = await webp(bits(...head, ...one(7), ...one(1), ...one(2), ...one(200), ...one(0)), 5, 1);
  assert.deepEqual(same, new Uint32Array(5).fill(seven));
});

test("streams that say what cannot be", async () => {
  const read = (...numbers: [number, number][]) => webp(bits(...numbers, [0, 30]), 3, 1);
  const rest = [...one(1), ...one(2), ...one(200), ...one(0)];
  const head: [number, number][] = [
    [0, 1],
    [0, 1],
    [0, 1],
  ];
  await read(...head, ...one(7), ...rest);
  const green: [number, number][] = [
    [1, 1],
    [2, 2],
  ];
  await read(...green, ...head, ...one(7), ...rest);
  await assert.rejects(read(...green, ...green, ...head, ...one(7), ...rest), /a transform twice/);
  for (const size of [0, 12, 15]) {
    await assert.rejects(read([0, 1], [1, 1], [size, 4], [0, 1], ...one(7), ...rest), /a cache of/);
  }
  await read([0, 1], [1, 1], [11, 4], [0, 1], ...one(7), ...rest);
  await assert.rejects(
    read(...head, ...one(7), ...one(1), ...one(2), ...one(3), ...one(40)),
    /a symbol that there is not/,
  );
  // Code lengths: four are given, those of 17, 18, 0 and 1.
  const lengths = (...given: number[]): [number, number][] => [
    [0, 1],
    [0, 4],
    ...given.map((n): [number, number] => [n, 3]),
  ];
  await assert.rejects(read(...head, ...lengths(0, 0, 0, 0)), /a code without symbols/);
  await assert.rejects(read(...head, ...lengths(0, 0, 1, 2)), /a code that is not whole/);
  await assert.rejects(read(...head, ...lengths(1, 1, 1, 0)), /a code that is not whole/);
  await assert.rejects(read(...head, ...lengths(0, 1, 0, 0), [0, 1], [127, 7], [127, 7], [127, 7]), /more lengths/);
  await assert.rejects(read(...head, ...lengths(0, 1, 0, 0), [1, 1], [7, 3], [65535, 16]), /more lengths/);
  await assert.rejects(read(...head, ...lengths(0, 0, 1, 0), [1, 1], [0, 3], [0, 2]), /a code without symbols/);
});

test("copies by hand, and copies from and to where no pixels are", async () => {
  /** Green is 11, by the bit 0, or a copy, by the bit 1: the symbol 256 is one pixel, 259 is four. */
  const read = (copy: number, distance: number, ...coded: number[]) => {
    const zeros = (count: number): [number, number][] => [
      [1, 1],
      [count - 11, 7],
    ];
    const symbol: [number, number][] = [[0, 1]];
    const before = [...zeros(11), ...symbol, ...zeros(138), ...zeros(copy - 12 - 138), ...symbol, ...zeros(279 - copy)];
    // Lengths are 18 (zeros) or 1, each of a bit.
    const green: [number, number][] = [[0, 1], [0, 4], [0, 3], [1, 3], [0, 3], [1, 3], [0, 1], ...before];
    const head: [number, number][] = [
      [0, 1],
      [0, 1],
      [0, 1],
    ];
    const rest = [...one(1), ...one(2), ...one(200), ...one(distance)];
    return webp(bits(...head, ...green, ...rest, ...coded.map((bit): [number, number] => [bit, 1])), 3, 2);
  };
  const same = new Uint32Array(6).fill(0xc8010b02);
  assert.deepEqual(await read(256, 1, 0, 1, 1, 0, 1, 1), same); // from the left
  assert.deepEqual(await read(256, 0, 0, 0, 0, 1, 1, 1), same); // from above
  assert.deepEqual(await read(259, 1, 0, 1, 0), same);
  for (const [copy, distance, ...coded] of [
    [256, 1, 1, 0, 0, 0, 0, 0],
    [256, 0, 0, 0, 1, 0, 0, 0],
    [259, 1, 0, 0, 0, 1],
    [259, 0, 0, 0, 0, 1],
  ])
    await assert.rejects(read(copy, distance, ...coded), /a copy from or to where no pixels are/);
});

test("there is no memory for codes that are not there", async () => {
  // 65,536 groups of codes are announced, and the stream ends after the first.
  const head: [number, number][] = [
    [0, 1],
    [0, 1],
    [1, 1],
    [0, 3],
  ];
  const blocks: [number, number][] = [[0, 1], ...one(255), ...one(255), ...one(0), ...one(0), ...one(0)];
  const codes = [...one(7), ...one(1), ...one(2), ...one(200), ...one(0)];
  await assert.rejects(webp(bits(...head, ...blocks, ...codes), 4, 4), /too early/);
});
