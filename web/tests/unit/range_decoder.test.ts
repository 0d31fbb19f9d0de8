/** The range decoder against the page's recurrence in integers of any size. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SymbolDecoder } from "../../src/coding/range_decoder.ts";
import { Tables } from "../../src/coding/tables.ts";
import { parse, payloads, SectionType } from "../../src/container/container.ts";
import { CorruptError, WeightsError } from "../../src/errors.ts";
import { LongEncoder, rowOf, SlowDecoder, SlowEncoder, type SlowTables, turned } from "./slow_coder.ts";
import { bytesOf, file, GOLDEN, randomness } from "./support.ts";

const TOTAL = 2 ** 24;

type Random = (below: number) => number;

/** Counts of a row: often even, often as uneven as can be. */
function randomRow(random: Random, limit: number): number[] {
  const places = 2 * limit + 2;
  const weights = Array.from({ length: places }, () => 2 ** -random(random(2) ? 30 : 3));
  const sum = weights.reduce((all, weight) => all + weight);
  const counts = weights.map((weight) => 1 + Math.floor((weight / sum) * (TOTAL - places)));
  counts[random(places)] += TOTAL - counts.reduce((all, count) => all + count);
  return counts;
}

function randomTables(random: Random, rows: number): SlowTables {
  const limits = Array.from({ length: rows }, () => random([1, 4, 400][random(3)]));
  return { limits, counts: Int32Array.from(limits.flatMap((limit) => randomRow(random, limit))) };
}

/** Symbols as probable as the row says, unless they are to be improbable; escapes of all sizes. */
function randomSymbol(random: Random, tables: SlowTables, row: number, likely: boolean): number {
  const limit = tables.limits[row];
  const counts = rowOf(tables, row);
  let place = random(counts.length);
  if (likely) {
    place = 0;
    for (let t = random(TOTAL) - counts[0]; t >= 0; t -= counts[place]) place++;
  }
  if (place <= 2 * limit) return place - limit;
  const magnitude = 2 ** random(25);
  const e = magnitude + random(magnitude);
  return (random(2) ? 1 : -1) * (limit + e);
}

interface Case {
  parts: { tables: SlowTables; rows: Uint16Array; symbols: Int32Array }[];
  encoder: SlowEncoder;
  least: number;
  payload: Uint8Array;
}

function randomCase(random: Random): Case {
  const encoder = new SlowEncoder();
  const parts = Array.from({ length: random(4) }, () => {
    const tables = randomTables(random, 1 + random(5));
    const length = random([2, 5, 60][random(3)]);
    const rows = Uint16Array.from({ length }, () => random(tables.limits.length));
    const likely = random(4) > 0;
    const symbols = Int32Array.from(rows, (row) => randomSymbol(random, tables, row, likely));
    encoder.part(symbols, rows, tables);
    return { tables, rows, symbols };
  });
  const least = random(3) ? random(8) : random(400);
  return { parts, encoder, least, payload: encoder.payload(least) };
}

function decode({ parts, least }: Case, payload: Uint8Array): Int32Array[] {
  const decoder = new SymbolDecoder(payload);
  const found = parts.map(({ tables, rows }) => decoder.get(rows, new Tables(tables.counts, tables.limits)));
  decoder.finish(least);
  return found;
}

test("symbols come back, whatever the tables, and ends are those of the page", () => {
  const random = randomness(10);
  const ways = [0, 0, 0, 0];
  let escapes = 0;
  let carries = 0;
  for (let i = 0; i < 4000; i++) {
    const one = randomCase(random);
    assert.deepEqual(
      decode(one, one.payload),
      one.parts.map((part) => part.symbols),
    );
    ways[one.encoder.end()[1]]++;
    if (one.encoder.low >> BigInt(64 + 32 * one.encoder.words)) carries++;
    for (const { tables, rows, symbols } of one.parts)
      for (const [k, symbol] of symbols.entries()) if (Math.abs(symbol) > tables.limits[rows[k]]) escapes++;
  }
  assert.equal(carries, 0); // low never has more bits than it should
  assert.ok(escapes > 10_000);
  assert.ok(ways[0] > 1000 && ways[1] > 100, `${ways}`);
});

/**
 * Two symbols after which low, of 96 bits, is up to `below` times 2³² short of a carry into its upper 32, and the range
 * goes beyond: there the rule "End" passes over all numbers but the last.
 */
function shortOfCarry(random: Random, below: number): Case["parts"] {
  // low = (2⁴⁰ − 1) · b1 + (2¹⁶ − 1) · b2 before it moves up, which leaves its last 32 bits as they are.
  let inverse = 1n; // of 65535 modulo 2³²
  for (let i = 0; i < 5; i++) inverse = BigInt.asUintN(32, inverse * (2n - 65535n * inverse));
  for (;;) {
    const before = random(TOTAL - 2 ** 18);
    const wanted = 2n ** 32n - BigInt(1 + random(below));
    const next = BigInt.asUintN(32, (wanted - (2n ** 40n - 1n) * BigInt(before)) * inverse);
    if (next === 0n || next > TOTAL - 2 ** 18 || before === 0) continue;
    const row = (first: number, count: number) => Int32Array.of(first, count, TOTAL - first - count - 1, 1);
    const parts = [row(before, 1), row(Number(next), 1 + random(2 ** 16))];
    const [rows, symbols] = [new Uint16Array(1), new Int32Array(1)];
    return parts.map((counts) => ({ tables: { limits: [1], counts }, rows, symbols }));
  }
}

test("streams that end in each of the four ways are read, and no other end is", () => {
  const random = randomness(11);
  // Ways 0 to 3, and 5 to 7: the same, where the carry made the encoder pass over a way before.
  const left = new Map([0, 1, 2, 3, 5, 6, 7].map((way) => [way, 30]));
  for (let tries = 0; [...left.values()].some((count) => count > 0); tries++) {
    assert.ok(tries < 100_000, JSON.stringify([...left]));
    // Improbable symbols make the range short, and its end long.
    const rows = new Uint16Array(1 + random(4));
    const counts = random(2) ? [1, TOTAL - 3, 1, 1] : [TOTAL / 2 - 1, 1, TOTAL / 2 - 1, 1];
    const tables = { limits: [1], counts: Int32Array.from(counts) };
    const parts = random(2)
      ? shortOfCarry(random, 2 ** random(25))
      : [{ tables, rows, symbols: Int32Array.from(rows, () => random(3) - 1) }];
    const encoder = new SlowEncoder();
    for (const { symbols, rows, tables } of parts) encoder.part(symbols, rows, tables);
    const [number, found, passed] = encoder.end();
    const way = found + (passed ? 4 : 0);
    if (left.get(way) === 0) continue;
    left.set(way, left.get(way)! - 1);
    const one: Case = { parts, encoder, least: 0, payload: encoder.payload(0) };
    assert.ok(isRead(one, one.payload));
    // Any other number within the range decodes to the same symbols.
    const last = encoder.low + encoder.range - 1n;
    const others = [encoder.low, last, number - 1n, number + 1n, number + (1n << 32n), number + (1n << 40n)];
    for (const z of [56n, 48n, 40n, 32n, 24n]) others.push(((encoder.low >> z) + 1n) << z);
    for (const other of others) {
      if (other === number || other < encoder.low || other > last) continue;
      assert.throws(() => decode(one, encoder.payload(0, other)), CorruptError);
    }
  }
});

/** Whether a payload is read as any symbols. If so, it must be what those encode to. */
function isRead(one: Case, payload: Uint8Array): boolean {
  let found: Int32Array[];
  try {
    found = decode(one, payload);
  } catch (error) {
    assert.ok(error instanceof CorruptError);
    return false;
  }
  const encoder = new SlowEncoder();
  for (const [k, { rows, tables }] of one.parts.entries()) encoder.part(found[k], rows, tables);
  assert.deepEqual(encoder.payload(one.least), payload);
  return true;
}

test("payloads of another length are refused", () => {
  const random = randomness(12);
  for (let i = 0; i < 1000; i++) {
    const one = randomCase(random);
    const stream = turned(one.payload);
    for (const more of [1, 2, 3, 4, 5, 8, 40]) {
      assert.ok(!isRead(one, turned(bytesOf(stream, new Array(more).fill(0)))));
      isRead(one, turned(bytesOf(stream, new Array(more - 1).fill(0), [1 + random(255)])));
    }
    const beyond = new Array(8 + 4 * one.encoder.words + random(3)).fill(0);
    assert.ok(!isRead(one, turned(bytesOf(stream, beyond, [1 + random(255)]))));
    // Shorter is wrong too, be it by padding or by what counts.
    if (stream.length > 0) {
      const cut = isRead(one, turned(stream.subarray(0, -1)));
      assert.ok(!cut || one.payload.length > one.least);
    }
    assert.throws(() => decode({ ...one, least: one.payload.length + 1 }, one.payload), CorruptError);
  }
});

test("bytes that are not what their symbols encode to are refused", () => {
  const random = randomness(13);
  let read = 0;
  for (let i = 0; i < 3000; i++) {
    const one = randomCase(random);
    if (one.payload.length === 0) continue;
    const changed = one.payload.slice();
    changed[Math.max(0, changed.length - 1 - random(12))] ^= 1 << random(8);
    if (isRead(one, changed)) read++;
  }
  assert.ok(read > 100);
});

test("nothing coded is nothing, padded", () => {
  for (const least of [0, 1, 7]) {
    const finish = (payload: Uint8Array, parts: number) => {
      const decoder = new SymbolDecoder(payload);
      for (let part = 0; part < parts; part++) {
        const none = decoder.get(new Uint8Array(), new Tables(Int32Array.of(TOTAL - 1, 1), [0]));
        assert.equal(none.length, 0);
      }
      decoder.finish(least);
    };
    finish(new Uint8Array(least), 5);
    assert.throws(() => finish(new Uint8Array(least + 1), 0), CorruptError);
    assert.throws(() => finish(bytesOf(new Array(least).fill(0), [1]), 1), CorruptError);
  }
});

test("points beside the borders of places are told apart, though doubles round there", () => {
  const random = randomness(14);
  let roundedWrongly = 0;
  for (let i = 0; i < 3000; i++) {
    const counts = randomRow(random, random(20));
    const tables = new Tables(Int32Array.from(counts), [counts.length / 2 - 1]);
    const scale = (1n << 40n) - 1n;
    const before = BigInt(counts.slice(0, 1 + random(counts.length)).reduce((sum, count) => sum + count));
    for (const beside of [-1n, 0n, 1n]) {
      const point = scale * before + beside;
      const bytes = Array.from({ length: 8 }, (_, k) => Number((point >> BigInt(56 - 8 * k)) & 255n));
      if (BigInt(Math.floor(Number(point) / Number(scale))) !== point / scale) roundedWrongly++;
      const payload = turned(Uint8Array.from(bytes));
      const expected = new SlowDecoder(payload).place(counts);
      const decoder = new SymbolDecoder(payload);
      if (expected === null) assert.throws(() => decoder.get(Uint8Array.of(0), tables), CorruptError);
      else if (expected < counts.length - 1) {
        assert.equal(decoder.get(Uint8Array.of(0), tables)[0], expected - (counts.length / 2 - 1));
      }
    }
  }
  assert.ok(roundedWrongly > 100, `${roundedWrongly}`);
});

test("the largest escapes", () => {
  const tables = { limits: [3], counts: Int32Array.from([1, 1, 1, 1, 1, 1, 1, TOTAL - 7]) };
  const most = 2 ** 25 - 1 + 3;
  const symbols = Int32Array.of(most, -most, 4, -4, 2 ** 24 + 2, 2 ** 24 + 3, -(2 ** 20), 3, 0, -3);
  const rows = new Uint16Array(symbols.length);
  const encoder = new SlowEncoder();
  encoder.part(symbols, rows, tables);
  const one: Case = { parts: [{ tables, rows, symbols }], encoder, least: 1, payload: encoder.payload(1) };
  assert.deepEqual(decode(one, one.payload), [symbols]);
});

test("what no encoder writes is refused", () => {
  const counts = Int32Array.of(TOTAL - 1, 1);
  const decoder = new SymbolDecoder(new Uint8Array(8).fill(255));
  assert.throws(() => decoder.get(Uint8Array.of(0), new Tables(counts, [0])), CorruptError);
});

test("tables that are none are refused", () => {
  for (const [counts, limits] of [
    [[TOTAL], [0]],
    [[TOTAL, 0], [0]],
    [[TOTAL - 2, 1], [0]],
    [[TOTAL, 1], [0]],
    [
      [TOTAL - 1, 1],
      [0, 0],
    ],
    [[TOTAL - 1, 1, 1], [0]],
    [[TOTAL + 1, -1], [0]],
    [new Array(4).fill(2 ** 31 - 1).concat(TOTAL + 4, 1), [2]],
  ])
    assert.throws(() => new Tables(Int32Array.from(counts), limits), WeightsError);
});

/** Integers of a weights file. */
function integers(path: string, name: string): Int32Array {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const { data_offsets } = JSON.parse(bytes.toString("utf8", 8, 8 + length))[name];
  const [start, end] = data_offsets.map((offset: number) => 8 + length + offset);
  return new Int32Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + end));
}

function tablesOf(path: string, which: string): SlowTables {
  const [counts, limits] = ["counts", "limits"].map((part) => integers(path, `tables.${which}.${part}`));
  return { counts, limits: [...limits] };
}

test("hyper-latents of a golden file that are out of range", () => {
  const tables = tablesOf(join(GOLDEN, "v1.0", "mini.safetensors"), "z");
  const [payload] = payloads(parse(file("v1.0/errors/z-out-of-range.rdae")), SectionType.LATENTS);
  const { width, height } = parse(file("v1.0/errors/z-out-of-range.rdae")).header;
  const positions = Math.ceil(width / 64) * Math.ceil(height / 64);
  const rows = Uint16Array.from({ length: tables.limits.length * positions }, (_, i) => Math.floor(i / positions));
  const z = new SymbolDecoder(payload).get(rows, new Tables(tables.counts, tables.limits));
  assert.ok(z.includes(128) && Math.max(...z) === 128);
});

test("400,000 symbols of the installed model's tables, and how long they take", (context) => {
  const tables = tablesOf(join(GOLDEN, "../../weights/rdae-visual.safetensors"), "y");
  const random = randomness(15);
  const count = 400_000;
  const rows = Uint8Array.from({ length: count }, () => random(64));
  const made = new Tables(tables.counts, tables.limits);
  const coded = Array.from({ length: 64 }, (_, row) => {
    const counts = rowOf(tables, row);
    let before = 0;
    return counts.map((count) => ({ count, before: (before += count) - count }));
  });
  const symbols = new Int32Array(count);
  const encoder = new LongEncoder();
  for (let row = 0; row < 64; row++) {
    for (let i = 0; i < count; i++) {
      if (rows[i] !== row) continue;
      const t = random(TOTAL);
      const place = coded[row].findIndex((one) => t < one.before + one.count) % (coded[row].length - 1); // no escapes
      symbols[i] = place - tables.limits[row];
      encoder.place(coded[row][place].before, coded[row][place].count);
    }
  }
  const payload = encoder.payload();
  const times = Array.from({ length: 5 }, () => {
    const start = performance.now();
    const decoder = new SymbolDecoder(payload);
    const found = decoder.get(rows, made);
    decoder.finish(0);
    const time = performance.now() - start;
    assert.deepEqual(found, symbols);
    return time;
  });
  context.diagnostic(`${payload.length} bytes in ${times.map((time) => time.toFixed(1)).join(", ")} ms`);
  assert.ok(Math.min(...times) < 300); // a machine may be busy
});

test("the two encoders of these tests agree", () => {
  const random = randomness(16);
  for (let i = 0; i < 300; i++) {
    const [slow, long] = [new SlowEncoder(), new LongEncoder()];
    for (let length = random(100); length > 0; length--) {
      const counts = randomRow(random, random(3));
      const place = random(3) ? counts.length - 1 : random(counts.length);
      slow.place(counts, place);
      long.place(
        counts.slice(0, place).reduce((sum, count) => sum + count, 0),
        counts[place],
      );
    }
    assert.deepEqual(long.payload(), slow.payload(0));
  }
});
