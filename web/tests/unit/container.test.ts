/** The container against docs/format.md and the golden files: what is read, what is refused, and how it is called. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Container, parse, payloads, peek, SectionType } from "../../src/container/container.ts";
import { crc32, sealedLengths } from "../../src/container/crc32.ts";
import { Cursor } from "../../src/container/cursor.ts";
import * as errors from "../../src/errors.ts";
import { bytesOf, file, golden, randomness, sealed, uint32Bytes, varint } from "./support.ts";

const { CorruptError, NotRdaeError, StreamError, TruncatedError, VersionError } = errors;

/** Bad golden files whose fault is one of the container; that of the others lies in what sections hold. */
const OF_THE_CONTAINER =
  /\/(empty|png|magic-only|cut-.*|extended|flipped|major-.*|unknown-.*|.*-varint|quality-801|zero-.*|too-.*|no-latents|type-0|two-.*|false-flag|alpha-twice|pixels-more)$/;

function refused(bytes: Uint8Array, kind: typeof StreamError, message: RegExp = /^[^\n]+$/): void {
  assert.throws(
    () => parse(bytes),
    (error: any) => error.constructor === kind && error.name === kind.name && message.test(error.message),
  );
}

const LATENTS = [1, 3, ...bytesOf("abc")];

/** A file put together by hand, with a right checksum. */
function crafted(
  parts: {
    version?: number;
    flags?: bigint | number;
    quality?: number;
    size?: number[];
    tail?: number[];
    repeated?: number;
  } = {},
): Uint8Array {
  const { version = 0x10, flags = 0, quality = 0, size = [1, 1], tail = LATENTS } = parts;
  const numbers = [quality, ...size].flatMap(varint);
  return sealed(bytesOf("RDAE", [version], varint(flags), "abcd", numbers, tail));
}

test("CRC-32 is the one that the page names", () => {
  assert.equal(crc32(bytesOf("123456789")), 0xcbf43926);
  assert.equal(crc32(new Uint8Array()), 0);
  const random = randomness(1);
  const bytes = Uint8Array.from({ length: 1000 }, () => random(256));
  const slow = (part: Uint8Array): number => {
    let crc = 0xffffffff;
    for (const byte of part) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    }
    return ~crc >>> 0;
  };
  for (let length = 0; length < 40; length++)
    assert.equal(crc32(bytes.subarray(3, 3 + length)), slow(bytes.subarray(3, 3 + length)));
  for (const cut of [0, 1, 2, 3, 500, 1000]) {
    assert.equal(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut))), slow(bytes));
  }
});

test("beginnings that end with their checksum are found", () => {
  const once = sealed(bytesOf("abc"));
  assert.deepEqual([...sealedLengths(bytesOf(once, [1, 2]))], [once.length]);
  assert.deepEqual([...sealedLengths(bytesOf("abcdefgh"))], []);
});

test("varints are read, and refused if too long or cut short", () => {
  const random = randomness(2);
  for (let i = 0; i < 500; i++) {
    const value = (BigInt(random(2 ** 31)) << 21n) | BigInt(random(2 ** 21)); // less than 2⁵²
    const small = value >> BigInt(random(53));
    const cursor = new Cursor(bytesOf(varint(small), [7]));
    assert.equal(cursor.varint(), Number(small));
    assert.equal(cursor.left, 1);
  }
  assert.equal(new Cursor(bytesOf(varint(2n ** 63n - 1n))).varint(), 2 ** 63);
  for (const bytes of [[128, 0], [255, 128, 0], varint(2n ** 63n), new Array(9).fill(255), new Array(20).fill(255)])
    assert.throws(() => new Cursor(bytesOf(bytes, [1])).varint(), CorruptError);
  for (const bytes of [[], [128], [255, 255]]) assert.throws(() => new Cursor(bytesOf(bytes)).varint(), TruncatedError);
});

test("the file that the page shows is read", () => {
  const shown = "5244414510100f1e2d3c900396012801 03c0ffee78563412a5d0dba8".replace(" ", "");
  const bytes = new Uint8Array(Buffer.from(shown, "hex"));
  const container = parse(bytes);
  assert.deepEqual(container, {
    minor: 0,
    header: { width: 150, height: 40, model: "0f1e2d3c", qualityIndex: 400, grey: false, tile: null },
    flags: 16,
    sections: [{ type: 1, payload: bytesOf([0xc0, 0xff, 0xee]), skippable: false }],
    latentChecksum: 0x12345678,
    needsModel: true,
  } satisfies Container);
  assert.deepEqual(peek(bytes.subarray(0, 15)), { header: container.header, flags: 16, start: 15 });
  assert.throws(() => peek(bytes.subarray(0, 14)), TruncatedError);
});

for (const { name, bytes, facts } of golden("files")) {
  test(`${name} is read`, () => {
    const { header, sections, latentChecksum } = parse(bytes);
    assert.deepEqual(
      [header.width, header.height, header.qualityIndex, header.grey],
      [facts.width, facts.height, facts.quality_index, facts.mode.startsWith("L")],
    );
    assert.deepEqual(peek(bytes.subarray(0, 64)).header, header);
    assert.equal(parse(bytes).needsModel, header.model !== "00000000");
    assert.ok(sections.length > 0);
    assert.equal(latentChecksum === null, name === "v1.0/unchecked" || header.model === "00000000");
    // Nothing but the file itself is one.
    for (let length = 0; length < Math.min(bytes.length, 400); length++) {
      // Cut between two sections it might be damaged as well.
      assert.throws(
        () => parse(bytes.subarray(0, length)),
        (error: any) =>
          length === 0
            ? error instanceof NotRdaeError
            : /cut short/.test(error.message) && (error instanceof TruncatedError || error instanceof CorruptError),
        `${length}`,
      );
    }
    refused(bytesOf(bytes, [0]), CorruptError, /a whole file, but 1 byte follows/);
    refused(bytesOf(bytes, bytes), CorruptError, new RegExp(`a whole file, but ${bytes.length} bytes follow`));
  });
}

for (const { name, bytes, facts } of golden("errors")) {
  test(`${name} is refused here or later`, () => {
    if (!OF_THE_CONTAINER.test(name)) {
      parse(bytes);
      return;
    }
    assert.throws(
      () => parse(bytes),
      (error: any) =>
        error instanceof (errors as any)[facts.error] && error instanceof StreamError && !/\n/.test(error.message),
    );
  });
}

test("every flipped bit is found, and not called what it is not", () => {
  const bytes = file("v1.0/sections.rdae");
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const changed = bytes.slice();
    changed[bit >> 3] ^= 1 << (bit & 7);
    const kinds =
      bit < 32 ? [NotRdaeError] : bit >> 3 === 4 ? [VersionError, CorruptError] : [TruncatedError, CorruptError];
    assert.throws(
      () => parse(changed),
      (error: any) => kinds.some((kind) => error.constructor === kind),
      `bit ${bit}`,
    );
  }
});

test("another major version is refused by name, whatever follows", () => {
  for (const major of [0, 2, 15]) {
    const bytes = crafted({ version: 16 * major });
    for (const file of [bytes, bytes.subarray(0, 5), bytesOf(bytes.subarray(0, 5), "anything")])
      refused(file, VersionError, new RegExp(`version ${major}, .* reads version 1`));
  }
});

test("a newer minor version is read", () => {
  for (const minor of [1, 7, 15]) assert.equal(parse(crafted({ version: 0x10 + minor })).minor, minor);
});

test("unknown sections are skipped or refused as they say", () => {
  for (const type of [9, 77, 127]) {
    const bytes = crafted({ tail: [type | 128, 1, 5, ...LATENTS, type | 128, 0] });
    assert.deepEqual(payloads(parse(bytes), SectionType.LATENTS), [bytesOf("abc")]);
    refused(crafted({ tail: [...LATENTS, type, 0] }), VersionError, new RegExp(`section of type ${type}\\b`));
  }
});

test("unknown flags are refused", () => {
  for (const bit of [5n, 6n, 7n, 31n, 32n, 33n, 62n]) refused(crafted({ flags: 1n << bit }), VersionError, /flags 0x/);
});

test("what a file begins with decides what it is called", () => {
  refused(bytesOf("RDAF", new Array(40).fill(0)), NotRdaeError);
  refused(bytesOf([0x89], "PNG\r\n"), NotRdaeError, /begins with 89 50 4e 47/);
  refused(bytesOf("RDA"), TruncatedError);
  refused(bytesOf(new Array(1000).fill(0)), NotRdaeError);
});

const MANY = 65_536;
const unknown = (count: number): number[] => Array.from({ length: 2 * count }, (_, i) => (i % 2 ? 0 : 255));

test("files that break no rule are read", () => {
  for (const bytes of [
    crafted({ quality: 800 }),
    crafted({ size: [192, 1] }),
    crafted({ size: [2 ** 20 - 1, 1], tail: [1, ...varint(2 ** 14), ...new Array(2 ** 14).fill(0)] }),
    crafted({ tail: [0x81, 1, 97] }),
    crafted({ tail: [255, 0, 255, 0, ...LATENTS] }),
    crafted({ flags: 4, tail: [...LATENTS, 5, 0, 0x83, 0, 4, 1, 120] }),
    crafted({ flags: 2, tail: [2, 0, ...LATENTS] }),
    crafted({ flags: 2, tail: [...LATENTS, 6, 1, 120] }),
    crafted({ flags: 8 + 1, tail: [16, ...LATENTS] }),
    crafted({ flags: 8, size: [257, 64], tail: [4, 1, 0, 1, 5, ...bytesOf("abcde")] }),
    crafted({ flags: 8, size: [257, 257], tail: [4, ...[0, 0, 0, 0].flatMap(() => [1, 7, 0, 0, 0, 0, 0, 0, 0])] }),
    crafted({ flags: 16, tail: [...LATENTS, 0, 0, 0, 0] }),
    crafted({ tail: [...LATENTS, ...unknown(MANY - 1)] }),
    crafted({ tail: [7, 1, 0, 7, 0, 7, 0] }),
    crafted({ flags: 2, tail: [8, 1, 0] }),
    crafted({ size: [100, 100], tail: [1, 1, 0, 7, 3, 0, 0, 0] }),
  ])
    parse(bytes);
});

test("files that break a rule are refused", () => {
  const broken: [Uint8Array, RegExp][] = [
    [crafted({ quality: 801 }), /quality/],
    [crafted({ size: [0, 1] }), /size 0 x 1/],
    [crafted({ size: [1, 0] }), /size 1 x 0/],
    [crafted({ size: [2 ** 30, 1] }), /size/],
    [crafted({ size: [1, 2 ** 30] }), /size/],
    [crafted({ size: [128, 65] }), /3 bytes .* at least 4/],
    [crafted({ size: [193, 1] }), /at least 4/],
    [crafted({ size: [193, 1], tail: [...LATENTS, 0x89, 9, ...new Array(9).fill(0)] }), /at least 4/],
    [crafted({ tail: [] }), /0 sections of latents, expected 1/],
    [crafted({ tail: [1] }), /expected/],
    [crafted({ tail: [1, 0] }), /at least 1/],
    [crafted({ tail: [0, 0, ...LATENTS] }), /type 0/],
    [crafted({ tail: [128, 0, ...LATENTS] }), /type 0/],
    [crafted({ tail: [...LATENTS, ...LATENTS] }), /2 sections of latents/],
    [crafted({ tail: [0x81, ...LATENTS.slice(1), ...LATENTS] }), /2 sections of latents/],
    [crafted({ tail: [...LATENTS, 0x83] }), /expected/],
    [crafted({ tail: [1, 4, ...bytesOf("abc")] }), /4 bytes expected/],
    [crafted({ tail: [1, 0x83, 0, ...bytesOf("abc")] }), /longer than needed/],
    [crafted({ tail: [1, ...new Array(8).fill(255), 0x7f, ...bytesOf("abc")] }), /expected/],
    [crafted({ tail: [1, ...new Array(9).fill(255), 1, ...bytesOf("abc")] }), /63 bits/],
    [crafted({ tail: [...LATENTS, 0x85, 0] }), /flags/],
    [crafted({ flags: 4 }), /flags/],
    [crafted({ flags: 4, tail: [...LATENTS, 3, 0, 3, 0] }), /2 ICC/],
    [crafted({ flags: 2 }), /flags/],
    [crafted({ tail: [...LATENTS, 2, 0] }), /flags/],
    [crafted({ flags: 2, tail: [...LATENTS, 2, 0, 2, 0] }), /alpha twice/],
    [crafted({ flags: 2, tail: [...LATENTS, 2, 0, 6, 0] }), /alpha twice/],
    [crafted({ flags: 2, tail: [...LATENTS, 6, 0, 6, 0] }), /alpha twice/],
    [crafted({ flags: 2, tail: [8, 1, 0, 2, 0] }), /alpha twice/],
    [crafted({ flags: 2, tail: [8, 1, 0, 8, 1, 0] }), /alpha twice/],
    [crafted({ tail: [...LATENTS, 6, 0] }), /flags/],
    [crafted({ tail: [8, 1, 0] }), /flags/],
    [crafted({ flags: 2, tail: [8, 1, 0, ...LATENTS] }), /beside pixels/],
    [crafted({ flags: 2, tail: [8, 1, 0, 7, 1, 0] }), /beside pixels/],
    [crafted({ flags: 8, tail: [17, ...LATENTS] }), /tile 17/],
    [crafted({ flags: 8, tail: [] }), /expected/],
    [crafted({ flags: 8, tail: [3, ...LATENTS] }), /tile 3/],
    [crafted({ flags: 8, tail: [4, ...LATENTS, ...LATENTS] }), /2 sections of latents, expected 1/],
    [crafted({ flags: 8, size: [257, 64], tail: [4, ...LATENTS] }), /1 sections of latents, expected 2/],
    [crafted({ flags: 8, size: [257, 64], tail: [4, ...LATENTS, ...LATENTS, ...LATENTS] }), /expected 2/],
    [crafted({ flags: 16, tail: LATENTS }), /expected/],
    [crafted({ tail: [...LATENTS, ...unknown(MANY)] }), /more than 65536/],
  ];
  for (const [bytes, message] of broken) refused(bytes, CorruptError, message);
});

test("sizes beyond the limit are refused, after the checksum and before anything else", () => {
  const bytes = crafted({ size: [1000, 800], tail: [1, ...varint(208), ...new Array(208).fill(0)] });
  assert.equal(parse(bytes, 800_000).header.width, 1000);
  assert.equal(parse(bytes, null).header.width, 1000);
  assert.throws(() => parse(bytes, 799_999), StreamError);
  const thin = crafted({ size: [1, 6400], tail: [1, 100, ...new Array(100).fill(0)] });
  assert.equal(parse(thin, 64 * 6400).header.height, 6400);
  assert.throws(() => parse(thin, 64 * 6400 - 1), StreamError);
  bytes[bytes.length - 1] ^= 1;
  assert.throws(() => parse(bytes, 1), CorruptError);
});

test("bytes at random with a right checksum never end in any other error", () => {
  const random = randomness(3);
  let read = 0;
  const files = golden("files").map((one) => one.bytes);
  for (let i = 0; i < 4000; i++) {
    const bytes = [...files[random(files.length)].subarray(0, -4)];
    for (let change = random(3); change >= 0; change--) {
      const place = 5 + random(Math.min(40, bytes.length - 5));
      const more = [[], [0], [1, 0], [128], [255, 0], [255, 127], [random(256)], [random(256), random(256)]];
      bytes.splice(place, random(4), ...more[random(more.length)]);
    }
    try {
      parse(sealed(bytesOf(bytes)));
      read++;
    } catch (error) {
      assert.ok(error instanceof errors.RdaeError, `${error}`);
      assert.ok(!(error instanceof TruncatedError)); // the checksum says that all is there
    }
  }
  assert.ok(read > 100 && read < 3900);
});

test("a file that seems to end in many places takes no longer", () => {
  const start = crafted({ tail: unknown(60_000) });
  // Bytes after which the checksum is right again, whatever stands before.
  const again = Array.from({ length: 100_000 }, () => uint32Bytes(0x2144df1c)).flat();
  const bytes = bytesOf(start, again, [0]);
  assert.ok([...sealedLengths(bytes)].length > 100_000);
  const before = performance.now();
  refused(bytes, CorruptError, /checksum does not match/);
  assert.ok(performance.now() - before < 5000); // trying all would take hours
});

test("a latent checksum is the four bytes before the file's", () => {
  const bytes = crafted({ flags: 16, tail: [...LATENTS, ...uint32Bytes(0xfedcba98)] });
  assert.equal(parse(bytes).latentChecksum, 0xfedcba98);
});
