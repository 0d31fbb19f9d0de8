/** The decoder in Firefox, where there is one: golden files good and bad, and photographs, as in Chromium. */

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

const told = JSON.parse(await readFile(join(CASES, "cases.json"), "utf8"));
let browser, server, page;

before(async () => {
  if (skip) return;
  server = await serve({ "/": "<!doctype html><title>tests</title>", "/dist": DIST, "/cases": CASES });
  browser = await puppeteer.launch({ browser: "firefox", executablePath: FIREFOX, headless: true });
  page = await browser.newPage();
  await page.goto(`${server.origin}/`);
  await page.evaluate(async () => {
    globalThis.rdae = await import("/dist/rdae.js");
    rdae.configure({ models: "/cases/models/" });
    // It hung once, beside a busy disk: what waits should say for what.
    const soon = () => ({ signal: AbortSignal.timeout(60_000) });
    globalThis.bytesOf = async (path) => new Uint8Array(await (await fetch(path, soon())).arrayBuffer());
    globalThis.decoded = async (file, options) => {
      let stage = "no tile yet";
      const onProgress = (done, total) => (stage = `${done} of ${total} tiles`);
      try {
        return await rdae.decode(await bytesOf(file), { ...options, ...soon(), onProgress });
      } catch (error) {
        if (error.name === "TimeoutError") throw new Error(`${file} did not come (${stage})`, { cause: error });
        throw error;
      }
    };
  });
});

after(async () => {
  await browser?.close();
  await server?.close();
});

test("latents and pixels in Firefox are those of Python", { skip }, async () => {
  const others = [];
  for (const { file, pixels, scale, region, checksum } of told.good) {
    const [most, found] = await page.evaluate(
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

test("bad files are refused in Firefox", { skip }, async () => {
  const shown = [];
  for (const { file, error } of told.bad) {
    const verdict = await page.evaluate(
      async ([path, expected]) => {
        return decoded(path).then(
          () => "a picture",
          (error) => (error instanceof rdae[expected] ? "refused" : `${error.name}: ${error.message}`),
        );
      },
      [`/cases/${file}`, error],
    );
    if (verdict !== "refused") shown.push(`${file}: ${verdict}`);
  }
  assert.deepEqual(shown, []);
});
