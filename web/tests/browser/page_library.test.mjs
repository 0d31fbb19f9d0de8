/** The library in a page that something is refused to: each decode ends in an error, and leaves nothing behind. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { pageOf, site, visit } from "./page_kit.mjs";
import { launch } from "./server.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** Runs a test on a page that has the library, a file's bytes, and `tried`, which tells how a decode ended. */
function onPage(name, run) {
  test(name, async () => {
    const server = await site({ "/": pageOf("") });
    const tab = await visit(browser, server, "/");
    await tab.page.evaluate(async () => {
      globalThis.rdae = await import("/dist/rdae.js");
      globalThis.bytes = new Uint8Array(await (await fetch("/cases/v1.0-photo.rdae")).arrayBuffer());
      // How many listeners a signal has that were not taken away again.
      globalThis.counted = () => {
        const { signal } = new AbortController();
        signal.count = 0;
        for (const [method, step] of [
          ["addEventListener", 1],
          ["removeEventListener", -1],
        ]) {
          signal[method] = function (...parts) {
            this.count += step;
            return EventTarget.prototype[method].apply(this, parts);
          };
        }
        return signal;
      };
      globalThis.tried = async (options) => {
        const signal = counted();
        const ended = rdae.decode(bytes, { ...options, signal }).then(
          ({ width }) => (width > 0 ? "picture" : "nothing"),
          (error) => `${error instanceof rdae.RdaeError ? "RdaeError " : ""}${error.name}: ${error.message}`,
        );
        const late = new Promise((resolve) => setTimeout(resolve, 20_000, "nothing within 20 s"));
        return [await Promise.race([ended, late]), signal.count];
      };
    });
    try {
      await run(tab.page);
      assert.deepEqual(tab.complaints, []);
    } finally {
      await tab.close();
      await server.close();
    }
  });
}

onPage("pixels that the browser refuses are a PictureError", async (page) => {
  const found = await page.evaluate(async () => {
    const { ImageData } = globalThis;
    globalThis.ImageData = class {
      constructor() {
        throw new RangeError("Out of memory at ImageData creation");
      }
    };
    const refused = await tried();
    globalThis.ImageData = ImageData;
    return [refused, await tried()];
  });
  assert.match(found[0][0], /^RdaeError PictureError: \d+ x \d+ pixels are more than the browser holds$/);
  assert.deepEqual([found[0][1], found[1]], [0, ["picture", 0]]);
});

onPage("assets of another origin are an error that says so", async (page) => {
  const found = await page.evaluate(async () => {
    rdae.configure({ assets: "https://elsewhere.example/rdae/" });
    const refused = [await tried(), await tried()];
    rdae.configure({ assets: "/dist/" });
    return [...refused, await tried()];
  });
  for (const [words, listeners] of found.slice(0, 2)) {
    assert.match(words, /^RdaeError RdaeError: the worker cannot be started: .*elsewhere\.example/);
    assert.equal(listeners, 0);
  }
  assert.deepEqual(found[2], ["picture", 0]);
});

onPage("options that cannot be sent are an error, and the next picture comes", async (page) => {
  const found = await page.evaluate(async () => [await tried({ region: () => 1 }), await tried()]);
  assert.match(found[0][0], /^DataCloneError: /);
  assert.deepEqual([found[0][1], found[1]], [0, ["picture", 0]]);
});
