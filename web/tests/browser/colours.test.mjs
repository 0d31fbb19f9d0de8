/** Pixels of other colour profiles to sRGB, by Chromium: against arithmetic, in pictures of all shapes, and what cannot be used. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { launch, serve, watched } from "./server.mjs";

const NOTE = "its colour profile could not be used: colours are shown as if they were sRGB";
/** Primaries of sRGB and of Adobe RGB (1998), as profiles have them. */
const SRGB = [
  [0.4361, 0.2225, 0.0139],
  [0.3851, 0.7169, 0.0971],
  [0.1431, 0.0606, 0.7141],
];
const ADOBE = [
  [0.60974, 0.31111, 0.01947],
  [0.20528, 0.62567, 0.06087],
  [0.14919, 0.06322, 0.74457],
];
const GAMMA = 2.19921875;

let browser, server, tab;

before(async () => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("../../src/colours.ts", import.meta.url))],
    bundle: true,
    format: "esm",
    write: false,
  });
  const script = outputFiles[0].text;
  const answer = (_, response, headers) =>
    response.writeHead(200, { ...headers, "content-type": "text/javascript" }).end(script);
  browser = await launch();
  server = await serve({ "/": "<!doctype html><title>tests</title>", "/colours.js": answer });
  tab = await watched(browser, server.origin);
  await tab.page.goto(`${server.origin}/`);
});

after(async () => {
  await browser?.close();
  await server?.close();
});

const fixed = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(Math.round(value * 65536));
  return bytes;
};
const uint = (value, size) => {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntBE(value, 0, size);
  return bytes;
};
const xyz = (values) => Buffer.concat([Buffer.from("XYZ \0\0\0\0"), ...values.map(fixed)]);
const gamma = (value) =>
  Buffer.concat([Buffer.from("curv\0\0\0\0"), uint(1, 4), uint(Math.round(value * 256), 2), uint(0, 2)]);
/** sRGB's curve, by a formula: type 3. */
const formula = Buffer.concat([
  Buffer.from("para\0\0\0\0\0\x03\0\0"),
  ...[2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045].map(fixed),
]);

/** A profile of a display, of these tags. */
function profile(space, tags, { signature = "acsp", claimed = 0, connection = "XYZ " } = {}) {
  const entries = Object.entries({ wtpt: xyz([0.9642, 1, 0.8249]), ...tags });
  let at = 132 + 12 * entries.length;
  const table = [uint(entries.length, 4)];
  for (const [name, data] of entries) {
    table.push(Buffer.from(name), uint(at, 4), uint(data.length, 4));
    at += data.length;
  }
  const head = Buffer.alloc(128);
  head.writeUInt32BE(at + claimed, 0);
  head.writeUInt32BE(0x02400000, 8);
  head.write("mntr", 12);
  head.write(space, 16);
  head.write(connection, 20);
  head.write(signature, 36);
  xyz([0.9642, 1, 0.8249]).copy(head, 68, 8);
  return [...Buffer.concat([head, ...table, ...entries.map(([, data]) => data)])];
}

const rgbTags = (primaries, curve) => ({
  ...Object.fromEntries(["rXYZ", "gXYZ", "bXYZ"].map((name, i) => [name, xyz(primaries[i])])),
  ...Object.fromEntries(["rTRC", "gTRC", "bTRC"].map((name) => [name, curve])),
});
const adobe = profile("RGB ", rgbTags(ADOBE, gamma(GAMMA)));

/** Converts a picture of one colour; what is left is the colours there are then, the alpha among them, and the note. */
function shown(width, height, levels, icc) {
  return tab.page.evaluate(
    async ([width, height, levels, icc]) => {
      const { toSrgb } = await import("/colours.js");
      const rgba = new Uint8ClampedArray(width * height * 4);
      new Uint32Array(rgba.buffer).fill(new Uint32Array(Uint8Array.from(levels).buffer)[0]);
      const note = await toSrgb(rgba, width, height, Uint8Array.from(icc));
      const all = new Set(new Uint32Array(rgba.buffer));
      return { colours: [...all].map((colour) => [0, 8, 16, 24].map((shift) => (colour >>> shift) & 255)), note };
    },
    [width, height, levels, icc],
  );
}

const encoded = (light) => 255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055);

function near(found, expected) {
  assert.equal(found.note, undefined);
  assert.equal(found.colours.length, 1);
  assert.ok(
    found.colours[0].every((level, i) => Math.abs(level - expected[i]) <= 1.5),
    `${found.colours[0]}, expected ${expected}`,
  );
}

test("Adobe RGB", async () => {
  // Greys have light by the curve; others go through the primaries, as do those of P3 in decode.test.mjs.
  const light = (level) => (level / 255) ** GAMMA;
  for (const level of [20, 100, 200]) {
    const grey = encoded(light(level));
    near(await shown(8, 8, [level, level, level, 77], adobe), [grey, grey, grey, 77]);
  }
  const { colours, note } = await shown(8, 8, [100, 180, 90, 255], adobe);
  assert.equal(note, undefined);
  assert.ok(colours[0][0] < 80 && colours[0][1] > 178, `${colours}`); // a stronger green than the same levels of sRGB
});

test("sRGB itself changes nothing and has no note, and nor has what is almost the same", async () => {
  near(await shown(5, 3, [200, 100, 50, 9], profile("RGB ", rgbTags(SRGB, formula))), [200, 100, 50, 9]);
  // A gamma of 2.2 is another curve in the shadows only.
  near(await shown(5, 3, [200, 150, 128, 9], profile("RGB ", rgbTags(SRGB, gamma(2.2)))), [200, 150, 128, 9]);
});

test("pictures of all shapes are drawn, beyond what a canvas can be", async () => {
  const expected = (await shown(8, 8, [200, 100, 50, 255], adobe)).colours;
  assert.notDeepEqual(expected, [[200, 100, 50, 255]]);
  for (const [width, height] of [
    [1, 1],
    [4097, 3],
    [3, 4097],
    [70_000, 16],
    [16, 70_000],
    [5000, 4200],
  ]) {
    assert.deepEqual(await shown(width, height, [200, 100, 50, 255], adobe), { colours: expected, note: undefined });
  }
});

test("each pixel is where it was", async () => {
  const places = await tab.page.evaluate(async (icc) => {
    const { toSrgb } = await import("/colours.js");
    const [width, height] = [4100, 1100];
    const rgba = new Uint8ClampedArray(width * height * 4);
    for (let i = 0; i < width * height; i++) {
      const level = ((i % width) + 3 * Math.floor(i / width)) & 255;
      rgba.set([level, level, level, i & 255], 4 * i);
    }
    const before = rgba.slice();
    await toSrgb(rgba, width, height, Uint8Array.from(icc));
    const map = new Map();
    let wrong = 0;
    for (let at = 0; at < rgba.length; at += 4) {
      if (!map.has(before[at])) map.set(before[at], rgba[at]);
      if (map.get(before[at]) !== rgba[at] || rgba[at + 3] !== before[at + 3]) wrong++;
    }
    return { wrong, levels: map.size };
  }, adobe);
  assert.deepEqual(places, { wrong: 0, levels: 256 });
});

test("profiles of grey levels, for grey pictures", async () => {
  const linear = profile("GRAY", { kTRC: gamma(1) });
  const grey = encoded(100 / 255);
  near(await shown(6, 2, [100, 100, 100, 3], linear), [grey, grey, grey, 3]);
  assert.deepEqual(await shown(6, 2, [100, 100, 101, 3], linear), { colours: [[100, 100, 101, 3]], note: NOTE });
  near(await shown(6, 2, [100, 100, 100, 3], profile("RGB ", rgbTags(SRGB, gamma(1)))), [grey, grey, grey, 3]);
});

test("profiles that cannot be used leave pixels as they are, with a note", async () => {
  const tags = rgbTags(ADOBE, gamma(GAMMA));
  const { rXYZ, ...without } = tags;
  const bad = {
    garbage: [...Buffer.from("garbage profile")],
    zeros: new Array(200).fill(0),
    signature: profile("RGB ", tags, { signature: "acsq" }),
    "longer than it is": profile("RGB ", tags, { claimed: 1 }),
    CMYK: profile("CMYK", tags),
    "connection space": profile("RGB ", tags, { connection: "Luv " }),
    "no tags": profile("RGB ", {}),
    "no red": profile("RGB ", without),
    "no curve": profile("RGB ", { ...tags, gTRC: Buffer.from("what\0\0\0\0\0\0\0\0") }),
    "tag outside": adobe.map((byte, i) => (i >= 132 + 4 && i < 132 + 8 ? 255 : byte)),
    "so many tags": adobe.map((byte, i) => (i >= 128 && i < 132 ? 255 : byte)),
    cut: adobe.slice(0, 300),
  };
  for (const [name, icc] of Object.entries(bad)) {
    const found = await shown(4, 4, [200, 100, 50, 255], icc);
    assert.deepEqual(found, { colours: [[200, 100, 50, 255]], note: NOTE }, name);
  }
  // What follows a profile does not count.
  assert.equal((await shown(4, 4, [200, 100, 50, 255], [...adobe, 0, 0, 0])).note, undefined);
  assert.deepEqual(tab.complaints, []);
});

test("a browser that draws nothing, or nothing else, is noticed", async () => {
  const found = await tab.page.evaluate(async (icc) => {
    const { toSrgb } = await import("/colours.js");
    const draw = OffscreenCanvasRenderingContext2D.prototype.drawImage;
    const tried = async (instead) => {
      OffscreenCanvasRenderingContext2D.prototype.drawImage = instead;
      const rgba = Uint8ClampedArray.of(200, 100, 50, 255);
      try {
        return { note: await toSrgb(rgba, 1, 1, Uint8Array.from(icc)), levels: [...rgba] };
      } catch (error) {
        return { error: error.name, levels: [...rgba] };
      } finally {
        OffscreenCanvasRenderingContext2D.prototype.drawImage = draw;
      }
    };
    let calls = 0;
    return {
      nothing: await tried(() => {}),
      later: await tried(function (...parts) {
        if (++calls === 1) draw.apply(this, parts);
      }),
    };
  }, adobe);
  assert.deepEqual(found.nothing, { note: NOTE, levels: [200, 100, 50, 255] });
  assert.deepEqual(found.later, { error: "PictureError", levels: [200, 100, 50, 255] });
});
