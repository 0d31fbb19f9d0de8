/**
 * The decoder in Chromium against what rdae in Python makes of the same files: golden files good and bad, photographs, and
 * mutants. RDAE_WEB_CASES is the folder that tools/web_cases.py wrote.
 */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, serve, watched } from "./server.mjs";

const CASES = process.env.RDAE_WEB_CASES;
const DIST = fileURLToPath(new URL("../../dist", import.meta.url));
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src 'self' blob:";
/** A decoder that takes longer hangs, as far as whoever waits can tell. */
const LONGEST_MS = 5000;
/** Of a picture's samples, how many may be a level away from Python's, which float arithmetic is free to round otherwise. */
const MOST_AWAY = 0.001;

const ERRORS = ["WeightsError", "StreamError", "NotRdaeError", "VersionError", "TruncatedError", "CorruptError"];

const STREAM_ERRORS = ERRORS.slice(1);

const told = JSON.parse(await readFile(join(CASES, "cases.json"), "utf8"));
let browser, server, tab;

before(async () => {
  browser = await launch();
  server = await serve(
    { "/": "<!doctype html><title>tests</title>", "/dist": DIST, "/cases": CASES },
    { policy: POLICY },
  );
  tab = await opened(server);
});

after(async () => {
  await browser?.close();
  await server?.close();
});

/** A page with the library, told where things are, and with what tests call in it. */
async function opened(on) {
  const made = await watched(browser, on.origin);
  await made.page.goto(`${on.origin}/`);
  await made.page.evaluate(async (ERRORS) => {
    const library = (globalThis.rdae = await import("/dist/rdae.js"));
    library.configure({ models: "/cases/models/" });
    globalThis.bytesOf = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
    globalThis.tried = async (bytes, options) => {
      const start = performance.now();
      let [verdict, message, failed] = ["picture", "", undefined];
      try {
        await library.decode(bytes, options);
      } catch (error) {
        verdict = error instanceof library.RdaeError ? error.name : `${error.name}, which is none of ours`;
        message = error.message;
        failed = error;
      }
      const kinds = ERRORS.filter((name) => failed instanceof library[name]);
      return { verdict, message, kinds, ms: performance.now() - start };
    };
  }, ERRORS);
  return made;
}

for (const { file, pixels, width, height, scale, region, checksum, grey } of told.good) {
  const part = region ? ` region ${region}` : "";
  test(`${file} at 1/${scale}${part}`, async () => {
    const found = await tab.page.evaluate(
      async ({ file, pixels, scale, region }) => {
        const options = { scale, profile: "keep", ...(region && { region }) };
        const picture = await rdae.decode(await bytesOf(`/cases/${file}`), options);
        const expected = await bytesOf(`/cases/${pixels}`);
        const { data, width, height } = picture.image;
        let [most, away] = [0, 0];
        for (let i = 0; i < data.length; i++) {
          // Red, green and blue of pixels that are transparent are up to the decoder's surroundings.
          const distance = Math.abs(data[i] - expected[i]);
          if (distance > most) most = distance;
          if (distance) away++;
        }
        const { latentChecksum, header } = picture;
        return {
          width,
          height,
          most,
          away: away / data.length,
          same: data.length === expected.length,
          latentChecksum,
          header,
        };
      },
      { file, pixels, scale, region },
    );
    assert.deepEqual([found.width, found.height, found.same], [width, height, true]);
    assert.equal(found.header.grey, grey);
    if (!region && checksum !== null) assert.equal(found.latentChecksum, checksum);
    assert.ok(found.most <= 1, `${found.most} levels away`);
    assert.ok(found.away <= Math.max(MOST_AWAY, 4 / (width * height * 4)), `${found.away} of the samples are away`);
  });
}

for (const { file, error } of told.bad) {
  test(`${file} is refused`, async () => {
    const found = await tab.page.evaluate(async (path) => tried(await bytesOf(path)), `/cases/${file}`);
    assert.ok(found.kinds.includes(error), `${found.verdict}: ${found.message}`);
    assert.match(found.message, /^[^\n]+$/);
  });
}

test("mutants end as in Python, in a picture or an error, and none hangs", async () => {
  const others = [];
  for (let start = 0; start < told.mutants.length; start += 100) {
    const part = told.mutants.slice(start, start + 100);
    const found = await tab.page.evaluate(async (mutants) => {
      globalThis.mutants ??= await bytesOf("/cases/mutants");
      const results = [];
      for (const { place, maxPixels } of mutants)
        results.push(await tried(globalThis.mutants.slice(...place), { maxPixels }));
      return results;
    }, part);
    for (const [number, { verdict, message, kinds, ms }] of found.entries()) {
      const mutant = part[number];
      // Of what has several faults readers may name one or another.
      const alike =
        verdict === mutant.verdict || (kinds.includes("StreamError") && STREAM_ERRORS.includes(mutant.verdict));
      if (!alike || ms > LONGEST_MS) {
        others.push(
          `${start + number} (${mutant.recipe}): ${verdict} ${message}, ${Math.round(ms)} ms; Python: ${mutant.verdict}`,
        );
      }
    }
  }
  assert.deepEqual(others, []);
});

for (const { file, pixels } of told.profiles) {
  test(`${file} is converted to sRGB, and kept as it is if so asked`, async () => {
    const found = await tab.page.evaluate(
      async ({ file, pixels }) => {
        const bytes = await bytesOf(`/cases/${file}`);
        const [shown, kept] = [await rdae.decode(bytes), await rdae.decode(bytes, { profile: "keep" })];
        const expected = await bytesOf(`/cases/${pixels}`);
        const distance = ({ image }) =>
          image.data.reduce((sum, value, i) => sum + Math.abs(value - expected[i]), 0) / image.data.length;
        return { shown: distance(shown), kept: distance(kept), notes: shown.notes, icc: shown.icc?.length };
      },
      { file, pixels },
    );
    assert.ok(found.shown < 0.5, `${found.shown} levels away in the mean`);
    assert.ok(found.kept > 4 * found.shown, `${found.kept} levels away as it is`);
    assert.deepEqual(found.notes, []);
    assert.ok(found.icc > 0);
  });
}

test("a model that is not there is named", async () => {
  const found = await tab.page.evaluate(async (path) => {
    const bytes = await bytesOf(path);
    const body = bytes.slice(0, -4);
    body.set([1, 2, 3, 4], 6); // the model, behind magic, version and flags
    const whole = new Uint8Array(bytes.length);
    whole.set(body);
    let crc = ~0;
    for (const byte of body) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    new DataView(whole.buffer).setUint32(body.length, ~crc >>> 0, true);
    return tried(whole);
  }, `/cases/files/v1.0-photo.rdae`);
  assert.equal(found.verdict, "WeightsError");
  assert.match(found.message, /01020304/);
  tab.complaints.splice(0, tab.complaints.length, ...tab.complaints.filter((each) => !each.includes("404")));
});

test("a signal drops what waits, and the next picture comes", async () => {
  const found = await tab.page.evaluate(async (path) => {
    const bytes = await bytesOf(path);
    const controller = new AbortController();
    const dropped = rdae.decode(bytes, { signal: controller.signal }).catch((error) => error.name);
    controller.abort();
    const picture = await rdae.decode(bytes);
    return [await dropped, picture.width > 0];
  }, `/cases/files/v1.0-photo.rdae`);
  assert.deepEqual(found, ["AbortError", true]);
});

test("rows come as they are made, and progress ends at its total", async () => {
  const found = await tab.page.evaluate(async (path) => {
    const [steps, rows] = [[], []];
    const picture = await rdae.decode(await bytesOf(path), {
      onProgress: (...step) => steps.push(step),
      onRows: (image, top) => rows.push([top, image.height]),
    });
    return { steps, rows, height: picture.height };
  }, `/cases/files/v1.0-tiles.rdae`);
  const [done, total] = found.steps.at(-1);
  assert.equal(done, total);
  let next = 0;
  for (const [top, height] of found.rows) {
    assert.equal(top, next);
    next += height;
  }
  assert.equal(next, found.height);
});

test("a page that is not isolated decodes too, with one thread", async () => {
  const plain = await serve(
    { "/": "<!doctype html><title>plain</title>", "/dist": DIST, "/cases": CASES },
    { isolated: false },
  );
  const other = await opened(plain);
  const found = await other.page.evaluate(async (path) => {
    const { verdict } = await tried(await bytesOf(path));
    return [crossOriginIsolated, verdict];
  }, `/cases/files/v1.0-photo.rdae`);
  assert.deepEqual(found, [false, "picture"]);
  assert.deepEqual(other.complaints, []);
  await other.close();
  await plain.close();
});

test("the console stayed empty, and nothing was asked from elsewhere", () => {
  assert.deepEqual(tab.complaints, []);
});
