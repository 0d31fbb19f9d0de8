/** How the decoder's worker copes with models that do not come, and with work that nobody waits for any longer. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, serve, watched } from "./server.mjs";

const CASES = process.env.RDAE_WEB_CASES;
const DIST = fileURLToPath(new URL("../../dist", import.meta.url));
const PHOTO = "/cases/files/v1.0-photo.rdae";
const EXACT = "/cases/files/v1.1-pixels.rdae"; // which needs no model
let browser;

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser?.close();
});

/** Runs a test on a page whose model of PHOTO is answered by `answer`. */
async function withModel(answer, run) {
  const name = await modelOf(join(CASES, "files", "v1.0-photo.rdae"));
  const slice = await readFile(join(CASES, "models", `${name}.rdae-model.gz`));
  const server = await serve({
    "/": "<!doctype html><title>tests</title>",
    [`/cases/models/${name}.rdae-model.gz`]: (request, response, headers) => answer({ response, headers, slice }),
    "/dist": DIST,
    "/cases": CASES,
  });
  const tab = await watched(browser, server.origin);
  try {
    await tab.page.goto(`${server.origin}/`);
    await tab.page.evaluate(async () => {
      globalThis.rdae = await import("/dist/rdae.js");
      rdae.configure({ models: "/cases/models/" });
      globalThis.tried = async (path, options) => {
        try {
          await rdae.decode(await (await fetch(path)).blob(), options);
          return "picture";
        } catch (error) {
          return error.name;
        }
      };
    });
    await run(tab.page, server, name);
  } finally {
    await tab.close();
    await server.close();
  }
}

async function modelOf(path) {
  const bytes = await readFile(path);
  return bytes.subarray(6, 10).toString("hex"); // behind magic, version and flags
}

test("an answer that is no model is not kept: once the server is mended the picture comes", async () => {
  let broken = true;
  await withModel(
    ({ response, headers, slice }) =>
      response.writeHead(200, headers).end(broken ? "<!doctype html><title>a page for everything</title>" : slice),
    async (page) => {
      assert.equal(await page.evaluate((path) => tried(path), PHOTO), "WeightsError");
      broken = false;
      assert.equal(await page.evaluate((path) => tried(path), PHOTO), "picture");
    },
  );
});

test("a damaged copy in the cache is fetched anew", async () => {
  await withModel(
    ({ response, headers, slice }) => response.writeHead(200, headers).end(slice),
    async (page, server, name) => {
      await page.evaluate(async (name) => {
        const cache = await caches.open("rdae-models");
        await cache.put(`/cases/models/${name}.rdae-model.gz`, new Response(new Uint8Array([0x1f, 0x8b, 1, 2, 3])));
      }, name);
      assert.equal(await page.evaluate((path) => tried(path), PHOTO), "picture");
    },
  );
});

test("a model is kept: a second page fetches none", async () => {
  let asked = 0;
  await withModel(
    ({ response, headers, slice }) => (asked++, response.writeHead(200, headers).end(slice)),
    async (page) => {
      assert.equal(await page.evaluate((path) => tried(path), PHOTO), "picture");
      await page.waitForFunction(async () => (await (await caches.open("rdae-models")).keys()).length > 0);
      const again = await page.evaluate(async (path) => {
        rdae.configure({}); // a new worker
        return tried(path);
      }, PHOTO);
      assert.deepEqual([again, asked], ["picture", 1]);
    },
  );
});

test("a model that never comes keeps nobody else waiting", async () => {
  await withModel(
    () => undefined,
    async (page) => {
      const found = await page.evaluate(
        async ([photo, exact]) => {
          const slow = tried(photo, { signal: AbortSignal.timeout(500) });
          return [await tried(exact), await slow];
        },
        [PHOTO, EXACT],
      );
      assert.deepEqual(found, ["picture", "TimeoutError"]);
    },
  );
});

test("models that fail leave no workers behind", async () => {
  await withModel(
    ({ response, headers }) => response.writeHead(404, headers).end(),
    async (page) => {
      for (let round = 0; round < 5; round++) {
        assert.equal(await page.evaluate((path) => tried(path), PHOTO), "WeightsError");
      }
      const workers = page.workers().map((worker) => worker.url());
      assert.equal(workers.length, 1, `${workers}`);
    },
  );
});

test("threads are the page's own workers, and go with their model", async () => {
  await withModel(
    ({ response, headers, slice }) => response.writeHead(200, headers).end(slice),
    async (page) => {
      const opened = async (path, workers) => {
        assert.equal(await page.evaluate((path) => tried(path, { scale: 8 }), path), "picture");
        // Chromium gives a worker two seconds to end.
        for (let look = 0; look < 100 && page.workers().length !== workers; look++)
          await new Promise((resolve) => setTimeout(resolve, 100));
        assert.equal(page.workers().length, workers, path);
      };
      await page.evaluate(() => rdae.configure({ threads: 3 }));
      await opened(PHOTO, 3);
      // Two models at most are open.
      for (const name of ["example-psnr", "example-visual"]) await opened(`/cases/files/${name}.rdae`, 5);
      await opened(PHOTO, 5);
      await page.evaluate(() => rdae.configure({ threads: 1 }));
      await opened(PHOTO, 1);
    },
  );
});

test("work that nobody waits for is let go: the next picture comes soon", async () => {
  await withModel(
    ({ response, headers, slice }) => response.writeHead(200, headers).end(slice),
    async (page) => {
      const [whole, waited] = await page.evaluate(
        async ([large, exact]) => {
          await tried(exact);
          let start = performance.now();
          await tried(large);
          const whole = performance.now() - start;
          const controller = new AbortController();
          const dropped = tried(large, { signal: controller.signal, onProgress: () => controller.abort() });
          await dropped;
          start = performance.now();
          await tried(exact);
          return [whole, performance.now() - start];
        },
        ["/cases/files/wide.rdae", EXACT],
      );
      assert.ok(waited < whole / 2, `${waited} of ${whole} ms`);
    },
  );
});
