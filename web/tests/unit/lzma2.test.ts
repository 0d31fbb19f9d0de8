/** LZMA2 against streams of liblzma, and what is refused. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { lzma2 as unpack } from "../../src/coding/lzma2.ts";
import { CorruptError } from "../../src/errors.ts";
import * as streams from "./streams.ts";
import { breaths, bytesOf, noBreath, randomness } from "./support.ts";

const LIMIT = 2 ** 23;

const lzma2 = (bytes: Uint8Array, limit: number) => unpack(bytes, limit, noBreath);

const packed = new Map(streams.lzma2.map(({ name, stream }) => [name, new Uint8Array(Buffer.from(stream, "base64"))]));

for (const { name, length, sha256 } of streams.lzma2) {
  test(`${name} is ${sha256 ? "unpacked" : "refused"}`, async () => {
    const stream = packed.get(name)!;
    if (sha256 === null) {
      await assert.rejects(lzma2(stream, LIMIT), /broken/);
      return;
    }
    const bytes = await lzma2(stream, length);
    assert.equal(bytes.length, length);
    assert.equal(createHash("sha256").update(bytes).digest("hex"), sha256);
    if (length > 0) await assert.rejects(lzma2(stream, length - 1), /goes on after its announced size/);
    await assert.rejects(lzma2(bytesOf(stream, [0]), LIMIT), /followed by something/);
    for (let end = 0; end < Math.min(stream.length, 300); end++) {
      await assert.rejects(lzma2(stream.subarray(0, end), LIMIT), /ends too early/);
    }
  });
}

test("chunks one after the other, with and without a new dictionary", async () => {
  const copy = (control: number, bytes: string) => bytesOf([control, 0, bytes.length - 1], bytes);
  const text = packed.get("text")!.subarray(0, -1);
  const slopes = packed.get("slopes, in two chunks")!.subarray(0, -1);
  const unpacked = (name: string) => lzma2(packed.get(name)!, LIMIT);
  const read = (...chunks: Uint8Array[]) => lzma2(bytesOf(...chunks, [0]), LIMIT);
  const [ofText, ofSlopes] = [await unpacked("text"), await unpacked("slopes, in two chunks")];
  assert.deepEqual(await read(copy(1, "ab"), copy(2, "cd"), copy(1, "e")), bytesOf("abcde"));
  assert.deepEqual(await read(text, slopes, text), bytesOf(ofText, ofSlopes, ofText));
  assert.deepEqual(await read(copy(1, "ab"), text, copy(2, "cd"), text), bytesOf("ab", ofText, "cd", ofText));
  // With no new dictionary: positions and what is before count on, which changes nothing if both are as they were.
  const repeated = packed.get("repeated")!.slice(0, -1);
  repeated[0] -= 0x20;
  await assert.rejects(read(repeated), CorruptError);
  assert.equal(Buffer.from(await read(copy(1, "\0\0\0\0"), repeated)).toString(), "\0\0\0\0" + "abc".repeat(1000));
});

test("chunks that may not be where they are", async () => {
  const text = packed.get("text")!;
  const control = (value: number) => bytesOf([value], text.subarray(1));
  const copy = [1, 0, 0, 97];
  for (const value of [2, 3, 0x7f, 0x80, 0xa0, 0xc0]) await assert.rejects(lzma2(control(value), LIMIT), CorruptError);
  for (const value of [0x80, 0xa0]) await assert.rejects(lzma2(bytesOf(copy, control(value)), LIMIT), CorruptError);
  for (const bad of [[2, 0, 0, 97, 0], [...copy, 3, 0, 0, 97, 0], [...copy], [1, 0, 1, 97, 0], [1, 0], [0, 0], []])
    await assert.rejects(lzma2(Uint8Array.from(bad), LIMIT), CorruptError, `${bad}`);
  for (const properties of [225, 255, 9 * 4 + 1, 8]) {
    const changed = text.slice();
    changed[5] = properties;
    await assert.rejects(lzma2(changed, LIMIT), /broken/);
  }
  const changed = text.slice();
  changed[6] = 1; // the range coder's first byte
  await assert.rejects(lzma2(changed, LIMIT), /broken/);
});

test("nothing is taken for a size that is only announced", async () => {
  // 2 MiB by each chunk, of which there are many, and none is right.
  const chunk = [0xff, 0xff, 0xff, 0, 4, 93, 0, 0, 0, 0, 0];
  const many = bytesOf(...Array.from({ length: 20_000 }, () => chunk), [0]);
  await assert.rejects(lzma2(many, 2 ** 26), /goes on after/);
});

test("damaged streams are refused or read, and nothing else happens", async () => {
  const random = randomness(20);
  const sources = ["repeated", "text", "text, lc 0, lp 2, pb 0", "text, lc 4, lp 0, pb 4"].map((name) =>
    packed.get(name)!,
  );
  let read = 0;
  for (let i = 0; i < 4000; i++) {
    const changed = sources[random(sources.length)].slice();
    for (let k = random(3); k >= 0; k--) changed[random(random(2) ? 12 : changed.length)] = random(256);
    try {
      assert.ok((await lzma2(changed, 100_000)).length <= 100_000);
      read++;
    } catch (error) {
      assert.ok(error instanceof CorruptError, `${error}`);
    }
  }
  assert.ok(read < 1000);
});

test("it takes breaths on the way, also within a chunk, and ends when one rejects", async () => {
  const stream = packed.get("slopes, in two chunks")!; // the first is of 2 MiB
  const all = breaths(Infinity);
  await unpack(stream, LIMIT, all.breath);
  assert.ok(all.taken >= 12 && all.taken <= 18, `${all.taken}`);
  const few = breaths(3);
  await assert.rejects(unpack(stream, LIMIT, few.breath), { name: "AbortError" });
  assert.equal(few.taken, 3);
  // Nor does it matter if there are as many chunks as can be.
  const small = bytesOf(...Array.from({ length: 5000 }, (_, i) => [i ? 2 : 1, 0, 0, 7]), [0]);
  const many = breaths(Infinity);
  assert.deepEqual(await unpack(small, LIMIT, many.breath), new Uint8Array(5000).fill(7));
  assert.ok(many.taken >= 10 && many.taken <= 50, `${many.taken}`);
});
