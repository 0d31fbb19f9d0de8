/** LZMA2 against streams of liblzma, and what is refused. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { lzma2 } from "../../src/coding/lzma2.ts";
import { CorruptError } from "../../src/errors.ts";
import * as streams from "./streams.ts";
import { bytesOf, randomness } from "./support.ts";

const LIMIT = 2 ** 23;

const packed = new Map(streams.lzma2.map(({ name, stream }) => [name, new Uint8Array(Buffer.from(stream, "base64"))]));

for (const { name, length, sha256 } of streams.lzma2) {
  test(`${name} is ${sha256 ? "unpacked" : "refused"}`, () => {
    const stream = packed.get(name)!;
    if (sha256 === null) {
      assert.throws(() => lzma2(stream, LIMIT), /broken/);
      return;
    }
    const bytes = lzma2(stream, length);
    assert.equal(bytes.length, length);
    assert.equal(createHash("sha256").update(bytes).digest("hex"), sha256);
    if (length > 0) assert.throws(() => lzma2(stream, length - 1), /goes on after its announced size/);
    assert.throws(() => lzma2(bytesOf(stream, [0]), LIMIT), /followed by something/);
    for (let end = 0; end < Math.min(stream.length, 300); end++) {
      assert.throws(() => lzma2(stream.subarray(0, end), LIMIT), /ends too early/);
    }
  });
}

test("chunks one after the other, with and without a new dictionary", () => {
  const copy = (control: number, bytes: string) => bytesOf([control, 0, bytes.length - 1], bytes);
  const text = packed.get("text")!.subarray(0, -1);
  const slopes = packed.get("slopes, in two chunks")!.subarray(0, -1);
  const unpacked = (name: string) => lzma2(packed.get(name)!, LIMIT);
  const read = (...chunks: Uint8Array[]) => lzma2(bytesOf(...chunks, [0]), LIMIT);
  const [ofText, ofSlopes] = [unpacked("text"), unpacked("slopes, in two chunks")];
  assert.deepEqual(read(copy(1, "ab"), copy(2, "cd"), copy(1, "e")), bytesOf("abcde"));
  assert.deepEqual(read(text, slopes, text), bytesOf(ofText, ofSlopes, ofText));
  assert.deepEqual(read(copy(1, "ab"), text, copy(2, "cd"), text), bytesOf("ab", ofText, "cd", ofText));
  // With no new dictionary: positions and what is before count on, which changes nothing if both are as they were.
  const repeated = packed.get("repeated")!.slice(0, -1);
  repeated[0] -= 0x20;
  assert.throws(() => read(repeated), CorruptError);
  assert.equal(Buffer.from(read(copy(1, "\0\0\0\0"), repeated)).toString(), "\0\0\0\0" + "abc".repeat(1000));
});

test("chunks that may not be where they are", () => {
  const text = packed.get("text")!;
  const control = (value: number) => bytesOf([value], text.subarray(1));
  const copy = [1, 0, 0, 97];
  for (const value of [2, 3, 0x7f, 0x80, 0xa0, 0xc0]) assert.throws(() => lzma2(control(value), LIMIT), CorruptError);
  for (const value of [0x80, 0xa0]) assert.throws(() => lzma2(bytesOf(copy, control(value)), LIMIT), CorruptError);
  for (const bad of [[2, 0, 0, 97, 0], [...copy, 3, 0, 0, 97, 0], [...copy], [1, 0, 1, 97, 0], [1, 0], [0, 0], []])
    assert.throws(() => lzma2(Uint8Array.from(bad), LIMIT), CorruptError, `${bad}`);
  for (const properties of [225, 255, 9 * 4 + 1, 8]) {
    const changed = text.slice();
    changed[5] = properties;
    assert.throws(() => lzma2(changed, LIMIT), /broken/);
  }
  const changed = text.slice();
  changed[6] = 1; // the range coder's first byte
  assert.throws(() => lzma2(changed, LIMIT), /broken/);
});

test("nothing is taken for a size that is only announced", () => {
  // 2 MiB by each chunk, of which there are many, and none is right.
  const chunk = [0xff, 0xff, 0xff, 0, 4, 93, 0, 0, 0, 0, 0];
  const many = bytesOf(...Array.from({ length: 20_000 }, () => chunk), [0]);
  assert.throws(() => lzma2(many, 2 ** 26), /goes on after/);
});

test("damaged streams are refused or read, and nothing else happens", () => {
  const random = randomness(20);
  const sources = ["repeated", "text", "text, lc 0, lp 2, pb 0", "text, lc 4, lp 0, pb 4"].map((name) =>
    packed.get(name)!,
  );
  let read = 0;
  for (let i = 0; i < 4000; i++) {
    const changed = sources[random(sources.length)].slice();
    for (let k = random(3); k >= 0; k--) changed[random(random(2) ? 12 : changed.length)] = random(256);
    try {
      assert.ok(lzma2(changed, 100_000).length <= 100_000);
      read++;
    } catch (error) {
      assert.ok(error instanceof CorruptError, `${error}`);
    }
  }
  assert.ok(read < 1000);
});
