/**
 * The decoder in Firefox, where there is one: golden files good and bad, and photographs, as in Chromium.
 *
 * The first file that does not come ends the tests: after it a browser that is stuck would keep each of the others waiting.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";
import { serve } from "./server.mjs";

const CASES = process.env.RDAE_WEB_CASES;
const DIST = fileURLToPath(new URL("../../dist", import.meta.url));
const PLACES = ["/usr/bin/firefox", "/usr/bin/firefox-esr"];
const FIREFOX = process.env.FIREFOX ?? PLACES.find((path) => existsSync(path));
const skip = FIREFOX ? false : "there is no Firefox";
/** How long Firefox may take to start, or to answer; the longest file takes five seconds on a busy machine. */
const ANSWER_MS = 180_000;
/** How long a decode may say nothing. It is far less, so that a page that is well says what it waits for. */
const SILENCE_MS = 60_000;
const CLOSE_MS = 10_000;
/** How often models are opened, with so many threads; where workers started workers, Firefox hung at the third. */
const [OPENED, THREADS] = [12, 4];

const told = JSON.parse(await readFile(join(CASES, "cases.json"), "utf8"));
let browser, server, page;
/** The file that did not come. */
let stuck;

before(async () => {
  if (skip) return;
  server = await serve({ "/": "<!doctype html><title>tests</title>", "/dist": DIST, "/cases": CASES });
  const limits = { timeout: ANSWER_MS, protocolTimeout: ANSWER_MS };
  browser = await puppeteer.launch({ browser: "firefox", executablePath: FIREFOX, headless: true, ...limits });
  page = await browser.newPage();
  await page.goto(`${server.origin}/`, { timeout: ANSWER_MS });
  await page.evaluate(async (SILENCE_MS) => {
    globalThis.rdae = await import("/dist/rdae.js");
    rdae.configure({ models: "/cases/models/" });
    globalThis.bytesOf = async (path) => {
      const signal = AbortSignal.timeout(SILENCE_MS);
      return new Uint8Array(await (await fetch(path, { signal })).arrayBuffer());
    };
    globalThis.decoded = async (file, options) => {
      const controller = new AbortController();
      let [timer, stage] = [undefined, ""];
      const heard = (what) => {
        clearTimeout(timer);
        stage = what;
        timer = setTimeout(() => controller.abort(new Error(`it did not come (${stage})`)), SILENCE_MS);
      };
      const bytes = await bytesOf(file);
      heard("no tile yet");
      try {
        return await rdae.decode(bytes, {
          ...options,
          signal: controller.signal,
          onProgress: (done, total) => heard(`${done} of ${total} tiles`),
          onRows: (rows, top) => heard(`rows as far as ${top + rows.height}`),
        });
      } finally {
        clearTimeout(timer);
      }
    };
  }, SILENCE_MS);
});

after(async () => {
  if (browser) await closed(browser);
  await server?.close();
});

/** Closes Firefox; what is stuck does not close, and is killed with its own processes, stopped ones too. */
async function closed(browser) {
  const { pid } = browser.process();
  const killed = setTimeout(() => process.kill(-pid, "SIGKILL"), CLOSE_MS);
  await browser.close().catch(() => undefined);
  clearTimeout(killed);
}

/** Calls a function in the page, which is about a file. */
async function inPage(file, call, argument) {
  try {
    return await page.evaluate(call, argument);
  } catch (error) {
    stuck = file;
    throw new Error(`${file}: ${error.message}; last asked: ${server.requests.slice(-5).join(", ")}`, { cause: error });
  }
}

/** A test that is not tried once a file did not come. */
function firefoxTest(name, run) {
  test(name, { skip }, (context) => (stuck ? context.skip(`Firefox is stuck since ${stuck}`) : run()));
}

firefoxTest("latents and pixels in Firefox are those of Python", async () => {
  const others = [];
  for (const { file, pixels, scale, region, checksum } of told.good) {
    const [most, found] = await inPage(
      file,
      async ({ file, pixels, scale, region }) => {
        const options = { scale, profile: "keep", ...(region && { region }) };
        const { image, latentChecksum } = await decoded(`/cases/${file}`, options);
        const expected = await bytesOf(`/cases/${pixels}`);
        return [
          image.data.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0),
          latentChecksum,
        ];
      },
      { file, pixels, scale, region },
    );
    const same = region || checksum === null || found === checksum;
    if (!same || !(most <= 1)) others.push(`${file}: ${most} levels away, latents ${same ? "the same" : "others"}`);
  }
  assert.deepEqual(others, []);
  assert.ok(told.good.length > 100);
});

firefoxTest("bad files are refused in Firefox", async () => {
  const shown = [];
  for (const { file, error } of told.bad) {
    const verdict = await inPage(
      file,
      async ([path, expected]) => {
        try {
          await decoded(path);
          return "a picture";
        } catch (error) {
          if (!(error instanceof rdae.RdaeError)) throw error;
          return error instanceof rdae[expected] ? "refused" : `${error.name}: ${error.message}`;
        }
      },
      [`/cases/${file}`, error],
    );
    if (verdict !== "refused") shown.push(`${file}: ${verdict}`);
  }
  assert.deepEqual(shown, []);
});

firefoxTest("models come and go in Firefox, and their threads with them", async () => {
  const files = await fileOfEachModel();
  assert.ok(files.length > 2, "more models than a worker keeps open");
  await page.evaluate((threads) => rdae.configure({ threads }), THREADS);
  for (let number = 0; number < OPENED; number++) {
    const file = files[number % files.length];
    await inPage(file, (path) => decoded(path, { scale: 8 }).then(() => undefined), `/cases/${file}`);
  }
});

/** Paths of good files, one for each model that they name. */
async function fileOfEachModel() {
  const files = new Map();
  for (const { file } of told.good) {
    const model = (await readFile(join(CASES, file))).subarray(6, 10).toString("hex"); // behind magic, version and flags
    if (model !== "00000000" && !files.has(model)) files.set(model, file);
  }
  return [...files.values()];
}
