/** Alpha, metadata and pixels of the golden files, and what is refused of them. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { type Container, type Header, parse, payloads, SectionType } from "../../src/container/container.ts";
import { crc32 } from "../../src/container/crc32.ts";
import { CorruptError } from "../../src/errors.ts";
import { alpha } from "../../src/sections/alpha.ts";
import { metadata } from "../../src/sections/metadata.ts";
import { decodePixels, rectangles } from "../../src/sections/pixels.ts";
import * as streams from "./streams.ts";
import { breaths, bytesOf, file, golden, noBreath, uint32Bytes } from "./support.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

for (const { name, bytes, facts } of golden("files")) {
  test(`what is beside the latents of ${name}`, async () => {
    const container = parse(bytes);
    const { header } = container;
    const found: Record<string, Uint8Array | null | undefined> = { ...(await metadata(container, noBreath)) };
    found.alpha = await alpha(container, noBreath);
    const rgb = new Uint8Array(header.width * header.height * 3);
    for (const rectangle of rectangles(container)) {
      const rgba = await decodePixels(rectangle, header, noBreath);
      assert.equal(rgba.length, rectangle.width * rectangle.height * 4);
      const opacity = new Uint8Array(rgba.length / 4);
      for (let i = 0; i < rgba.length / 4; i++) {
        const y = rectangle.top + Math.floor(i / rectangle.width);
        const x = rectangle.left + (i % rectangle.width);
        rgb.set(rgba.subarray(4 * i, 4 * i + 3), (y * header.width + x) * 3);
        opacity[i] = rgba[4 * i + 3];
      }
      if (rectangle.section.type === SectionType.PIXELS_ALPHA) found.alpha = opacity;
      else assert.ok(opacity.every((value) => value === 255));
    }
    for (const part of ["alpha", "icc", "exif", "xmp"]) {
      assert.equal(found[part] ? sha256(found[part]) : undefined, facts[`${part}_sha256`], part);
    }
    if (!container.needsModel) assert.equal(sha256(rgb), facts.pixels_sha256);
  });
}

/** All that is read of a file without a model. */
async function readAll(container: Container): Promise<void> {
  await metadata(container, noBreath);
  await alpha(container, noBreath);
  for (const rectangle of rectangles(container)) await decodePixels(rectangle, container.header, noBreath);
}

for (const { name, bytes, facts } of golden("errors")) {
  const [, stem] = name.split("/");
  if (!/^(alpha|metadata|webp|pixels)-/.test(stem) || /^(alpha-twice|pixels-more)$/.test(stem)) continue;
  test(`${name} is refused: ${facts.because}`, async () => {
    assert.equal(facts.error, "CorruptError");
    await assert.rejects(
      readAll(parse(bytes)),
      (error: any) => error instanceof CorruptError && !/\n/.test(error.message),
    );
  });
}

/** A container of these sections, of which none is checked. */
function container(size: [number, number], sections: [number, Uint8Array][], grey = false): Container {
  const header: Header = { width: size[0], height: size[1], model: "00000000", qualityIndex: 0, grey, tile: null };
  return {
    minor: 1,
    header,
    flags: 0,
    sections: sections.map(([type, payload]) => ({ type, payload, skippable: false })),
    latentChecksum: null,
    needsModel: sections.some(([type]) => type === SectionType.LATENTS),
  };
}

test("alpha by each method", async () => {
  const read = (...payload: number[]) =>
    alpha(container([3, 2], [[SectionType.ALPHA, Uint8Array.from(payload)]]), noBreath);
  assert.deepEqual(await read(0, 7), new Uint8Array(6).fill(7));
  const packed = [1, 0, 5, 250, 10, 10, 1, 2, 3, 0]; // a chunk of six bytes as they are
  assert.deepEqual(await read(1, ...packed), Uint8Array.of(250, 10, 10, 1, 2, 3));
  assert.deepEqual(await read(2, ...packed), Uint8Array.of(250, 4, 14, 1, 3, 6));
  for (const bad of [[], [0], [0, 7, 7], [1], [1, 0], [1, ...packed, 0], [3, 0], [255], [1, 1, 0, 4, 1, 2, 3, 4, 5, 0]])
    await assert.rejects(read(...bad), CorruptError);
  assert.equal(await alpha(container([3, 2], []), noBreath), null);
});

test("metadata by each method, 1 to 2²⁶ bytes", async () => {
  const read = (payload: Uint8Array) => metadata(container([1, 1], [[SectionType.EXIF, payload]]), noBreath);
  assert.deepEqual(await read(bytesOf([0], "abc")), { exif: bytesOf("abc") });
  assert.deepEqual(await read(bytesOf([1, 1, 0, 2], "abc", [0])), { exif: bytesOf("abc") });
  const most = new Uint8Array(2 ** 26 + 1);
  assert.equal((await read(most)).exif?.length, 2 ** 26);
  for (const bad of [[], [0], [1], [1, 0], [2, 1], [1, 1, 0, 2, 97, 98, 99]])
    await assert.rejects(read(Uint8Array.from(bad)), CorruptError);
  await assert.rejects(read(new Uint8Array(2 ** 26 + 2)), CorruptError);
  const file = bytesOf([0], "abc");
  const { exif } = await read(file);
  file.fill(0);
  assert.deepEqual(exif, bytesOf("abc")); // it does not keep the file
});

/** A payload of PIXELS: a rectangle, or all of the picture. */
function pixels(kind: number, place: number[], checksum = 0, stream: number[] = []): [number, Uint8Array] {
  const numbers = [...place, checksum].flatMap(uint32Bytes);
  return [SectionType.PIXELS, Uint8Array.from([kind, ...numbers, ...stream])];
}

const LATENTS: [number, Uint8Array] = [SectionType.LATENTS, new Uint8Array(1)];

test("rectangles lie where they may", () => {
  const places = (size: [number, number], ...list: number[][]) =>
    rectangles(container(size, [LATENTS, ...list.map((place) => pixels(0, place))]));
  for (const place of [
    [0, 0, 100, 50],
    [0, 0, 16, 16],
    [96, 48, 4, 2],
    [16, 32, 84, 16],
    [80, 0, 16, 50],
  ]) {
    const [{ left, top, width, height, exact }] = places([100, 50], place);
    assert.deepEqual([left, top, width, height, exact], [...place, false]);
  }
  for (const place of [
    [0, 0, 0, 16],
    [0, 0, 16, 0],
    [8, 0, 8, 16],
    [0, 1, 16, 15],
    [0, 0, 15, 16],
    [0, 0, 16, 49],
    [96, 0, 16, 16],
    [112, 0, 16, 16],
    [96, 48, 4, 3],
    [0, 0, 2 ** 32 - 16, 16],
    [2 ** 32 - 16, 0, 16, 16],
    [2 ** 32 - 16, 0, 32, 16],
  ])
    assert.throws(() => places([100, 50], place), CorruptError, `${place}`);
  assert.equal(places([100, 50], [0, 0, 16, 50], [16, 0, 16, 16], [32, 0, 68, 50], [16, 16, 16, 34]).length, 4);
  for (const pair of [
    [
      [0, 0, 16, 16],
      [0, 0, 16, 16],
    ],
    [
      [0, 0, 64, 32],
      [48, 16, 16, 34],
    ],
    [
      [0, 32, 100, 18],
      [96, 48, 4, 2],
    ],
  ])
    assert.throws(() => places([100, 50], ...pair), /pixels twice/);
  assert.throws(() => places([20_000, 16], [0, 0, 16_384, 16]), CorruptError);
  assert.equal(places([20_000, 16], [0, 0, 16_368, 16])[0].width, 16_368);
});

test("without latents, rectangles cover the picture", () => {
  const places = (...list: number[][]) =>
    rectangles(
      container(
        [40, 20],
        list.map((place) => pixels(2, place)),
      ),
    );
  const all = [
    [16, 0, 24, 16],
    [0, 0, 16, 20],
    [16, 16, 24, 4],
  ];
  assert.ok(places(...all).every((rectangle) => rectangle.exact));
  assert.throws(() => places(...all.slice(1)), /of all of the picture/);
  assert.throws(() => places(...all.slice(0, 2)), /of all of the picture/);
  assert.deepEqual(rectangles(container([40, 20], [LATENTS])), []);
});

test("kinds of pixels", () => {
  const kinds = (type: number, kind: number, length = 5) =>
    rectangles(container([40, 20], [[type, Uint8Array.of(kind, ...new Array(length - 1).fill(0))]]));
  for (const type of [SectionType.PIXELS, SectionType.PIXELS_ALPHA]) {
    for (const kind of [1, 3]) {
      const [found] = kinds(type, kind);
      assert.deepEqual([found.left, found.top, found.width, found.height, found.exact], [0, 0, 40, 20, kind === 3]);
      assert.throws(() => kinds(type, kind, 4), CorruptError);
    }
    for (const kind of [4, 5, 128, 255]) assert.throws(() => kinds(type, kind, 40), CorruptError);
    assert.throws(() => rectangles(container([40, 20], [[type, new Uint8Array()]])), CorruptError);
  }
  for (const kind of [0, 2]) {
    assert.throws(() => kinds(SectionType.PIXELS, kind, 20), /too early/);
    assert.throws(() => kinds(SectionType.PIXELS_ALPHA, kind, 40), /unknown kind/);
  }
});

test("pixels are checked against their checksum, and grey ones for colours", async () => {
  for (const name of ["pixels", "pixels-alpha"]) {
    const { sections, header } = parse(file(`v1.1/${name}.rdae`));
    const [{ type, payload }] = sections;
    const decode = (changed: Uint8Array, grey = header.grey) => {
      const all = container([header.width, header.height], [[type, changed]], grey);
      return decodePixels(rectangles(all)[0], all.header, noBreath);
    };
    const rgba = await decode(payload);
    const bytes = name === "pixels" ? rgba.filter((_, i) => i % 4 < 3) : rgba;
    assert.deepEqual([...payload.subarray(1, 5)], uint32Bytes(crc32(bytes)));
    for (const byte of [1, 2, 3, 4]) {
      const changed = payload.slice();
      changed[byte] ^= 1;
      await assert.rejects(decode(changed), /not those that were encoded/);
    }
    await assert.rejects(decode(payload, true), /colours/);
    for (let length = 5; length < payload.length; length++) {
      await assert.rejects(decode(payload.subarray(0, length)), CorruptError, `${length}`);
    }
    assert.deepEqual(await decode(bytesOf(payload, [1, 2, 3])), rgba);
  }
});

test("bands of alpha as WebP", async () => {
  for (const name of ["alpha-webp", "alpha-bands"]) {
    const { sections, header } = parse(file(`v1.1/${name}.rdae`));
    const [payload] = payloads(parse(file(`v1.1/${name}.rdae`)), SectionType.ALPHA_WEBP);
    assert.ok(sections.length > 1);
    const read = (changed: Uint8Array) =>
      alpha(container([header.width, header.height], [[SectionType.ALPHA_WEBP, changed]]), noBreath);
    const plane = await read(payload);
    for (let length = 0; length < payload.length; length += 1 + Math.floor(length / 500)) {
      await assert.rejects(read(payload.subarray(0, length)), CorruptError, `${length}`);
    }
    await assert.rejects(read(bytesOf(payload, [0])), /followed by 1 bytes/);
    // What stands in a band after its last pixel has no meaning.
    const view = new DataView(payload.slice().buffer);
    const first = view.getUint32(0, true);
    const longer = bytesOf(
      uint32Bytes(first + 3),
      payload.subarray(4, 4 + first),
      [1, 2, 3],
      payload.subarray(4 + first),
    );
    assert.deepEqual(await read(longer), plane);
    // One byte less than a band has, its length made right.
    const shorter = bytesOf(uint32Bytes(first - 1), payload.subarray(4, 3 + first), payload.subarray(4 + first));
    await assert.rejects(read(shorter), CorruptError);
  }
  await assert.rejects(
    alpha(container([16_384, 1], [[SectionType.ALPHA_WEBP, new Uint8Array(100)]]), noBreath),
    /16384 columns/,
  );
});

test("each section takes breaths, and ends when one rejects", async () => {
  const { length, stream } = streams.lzma2.find(({ name }) => name === "slopes, in two chunks")!;
  const packed = bytesOf([1], Buffer.from(stream, "base64"));
  const few = (most: number) => breaths(most).breath;
  const aborted = { name: "AbortError" };
  for (const type of [SectionType.ICC, SectionType.EXIF, SectionType.XMP]) {
    const all = container([1, 1], [[type, packed]]);
    assert.equal(Object.values(await metadata(all, noBreath))[0]?.length, length);
    await assert.rejects(metadata(all, few(1)), aborted);
  }
  const plane = container([1000, length / 1000], [[SectionType.ALPHA, packed]]);
  assert.equal((await alpha(plane, noBreath))?.length, length);
  await assert.rejects(alpha(plane, few(1)), aborted);
  for (const name of ["alpha-webp", "alpha-bands"]) {
    await assert.rejects(alpha(parse(file(`v1.1/${name}.rdae`)), few(2)), aborted);
  }
  for (const name of ["pixels", "pixels-alpha"]) {
    const whole = parse(file(`v1.1/${name}.rdae`));
    const counted = breaths(Infinity);
    await decodePixels(rectangles(whole)[0], whole.header, counted.breath);
    assert.ok(counted.taken >= 2, `${counted.taken}`);
    for (let most = 1; most <= counted.taken; most++) {
      await assert.rejects(decodePixels(rectangles(whole)[0], whole.header, few(most)), aborted);
    }
  }
});
