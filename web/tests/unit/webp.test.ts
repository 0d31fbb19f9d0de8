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

type Numbers = [value: number, count: number][];

/** Codes of 2^length symbols of that many bits each, the length of which takes no bits. */
function flat(length: 8 | 11): Numbers {
  const order = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11];
  const given = order.slice(0, order.indexOf(length) + 1);
  const size = length === 8 ? 8 : 12; // of the number of symbols, less 2
  const lengths = given.map((n): [number, number] => [n === length ? 1 : 0, 3]);
  return [[0, 1], [given.length - 4, 4], ...lengths, [1, 1], [size / 2 - 1, 3], [2 ** length - 2, size]];
}

/** A 16 x 16 picture with a cache of 2^11 colours, all blocks of which have the last group of codes; zeros are its pixels' bits. */
function grouped(before: Numbers, last: Numbers, count: number): Uint8Array {
  const index = count - 1;
  const head: Numbers = [
    [0, 1],
    [1, 1],
    [11, 4],
    [1, 1],
    [0, 3],
  ];
  const blocks: Numbers = [[0, 1], ...one(index & 255), ...one(index >> 8), ...one(0), ...one(0), ...one(0)];
  const digits = (numbers: Numbers): number[] =>
    numbers.flatMap(([value, count]) => Array.from({ length: count }, (_, i) => (value >> i) & 1));
  const [start, repeated, end] = [digits([...head, ...blocks]), digits(before), digits(last)];
  const bytes = new Uint8Array(Math.ceil((start.length + index * repeated.length + end.length) / 8) + 16 * 16 * 5);
  let at = 0;
  const put = (all: number[]): void => {
    for (const digit of all) bytes[at >> 3] |= digit << (at++ & 7);
  };
  put(start);
  for (let i = 0; i < index; i++) put(repeated);
  put(end);
  return bytes;
}

const simple: Numbers = [...one(7), ...one(1), ...one(2), ...one(200), ...one(0)];
const large: Numbers = [...flat(11), ...flat(8), ...flat(8), ...flat(8), ...one(0)];

test("codes that no block names cost little", async () => {
  // With tables for all, such streams take half a minute; without, less than a second.
  for (const [group, pixel, times] of [
    [simple, 0xc8010702, 8],
    [large, 0, 1],
  ] as const) {
    const stream = grouped(group, group, 2 ** 16);
    const start = performance.now();
    for (let i = 0; i < times; i++) assert.deepEqual(await webp(stream, 16, 16), new Uint32Array(256).fill(pixel));
    assert.ok(performance.now() - start < 8000, `${performance.now() - start} ms`);
  }
});

test("codes that no block names are read and checked as others", async () => {
  assert.deepEqual(await webp(grouped(large, simple, 3), 16, 16), new Uint32Array(256).fill(0xc8010702));
  const wrong: [Numbers, RegExp][] = [
    [
      [
        [0, 1],
        [0, 4],
        [0, 3],
        [0, 3],
        [1, 3],
        [2, 3],
      ],
      /a code that is not whole/,
    ],
    [
      [
        [0, 1],
        [0, 4],
        [0, 3],
        [0, 3],
        [1, 3],
        [0, 3],
        [1, 1],
        [0, 3],
        [0, 2],
      ],
      /a code without symbols/,
    ],
    [
      [
        [0, 1],
        [0, 4],
        [0, 3],
        [0, 3],
        [0, 3],
        [1, 3],
        [1, 1],
        [0, 3],
        [1, 2],
      ],
      /a code that is not whole/,
    ],
    [[...one(1), ...one(1), ...one(1), ...one(1), ...one(40)], /a symbol that there is not/],
  ];
  for (const [group, message] of wrong) await assert.rejects(webp(grouped(group, simple, 2), 16, 16), message);
});

test("it takes breaths while it reads codes and pixels and undoes transforms, and ends when one rejects", async () => {
  const counted = breaths(Infinity);
  await decode(grouped(simple, simple, 2 ** 16), 16, 16, counted.breath);
  assert.ok(counted.taken >= 2 ** 16 / 256 && counted.taken < 2 ** 16 / 256 + 10, `${counted.taken}`);
  await assert.rejects(decode(grouped(simple, simple, 2 ** 16), 16, 16, breaths(20).breath), { name: "AbortError" });

  // Green is subtracted, and all of 2^20 pixels are one of no bits.
  const head: Numbers = [
    [1, 1],
    [2, 2],
    [0, 1],
    [0, 1],
    [0, 1],
  ];
  const whole = bits(...head, ...simple);
  const all = breaths(Infinity);
  assert.deepEqual(await decode(whole, 1024, 1024, all.breath), new Uint32Array(2 ** 20).fill(0xc8080709));
  assert.ok(all.taken >= 32 && all.taken <= 40, `${all.taken}`); // 16 of reading, and 16 of undoing
  for (const most of [2, 20]) {
    await assert.rejects(decode(whole, 1024, 1024, breaths(most).breath), { name: "AbortError" });
  }
});
