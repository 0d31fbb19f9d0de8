/** Where a model comes from: the browser's cache, if that answers, and the server. */

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { forgetSlice, fetchSlice } from "../../src/networks/model.ts";

const never = () => new Promise<never>(() => {});
const fails = () => Promise.reject(new DOMException("The operation is insecure.", "SecurityError"));
const nothing = () => Promise.resolve(undefined);

/** A slice as `unpacked` reads it: a safetensors file without tensors. */
function slice(id: string): Uint8Array<ArrayBuffer> {
  const header = JSON.stringify({ __metadata__: { sha256: id.padEnd(64, "0") } });
  const bytes = new Uint8Array(8 + header.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(new TextEncoder().encode(header), 8);
  return bytes;
}

for (const [what, caches] of Object.entries({
  "is not there": undefined,
  "does not open": { open: never },
  "refuses to open": { open: fails },
  "does not look": { open: () => Promise.resolve({ match: never, put: never, delete: never }) },
  "fails to look": { open: () => Promise.resolve({ match: fails, put: fails, delete: fails }) },
  "finds it and does not read it": {
    open: () => Promise.resolve({ match: () => Promise.resolve({ arrayBuffer: never }), put: never, delete: never }),
  },
  "has nothing": { open: () => Promise.resolve({ match: nothing, put: nothing, delete: nothing }) },
})) {
  test(`a model is fetched where the cache ${what}`, async (context) => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const before = { caches: globalThis.caches, fetch: globalThis.fetch };
    const asked: string[] = [];
    const stand = {
      caches,
      fetch: (url: URL) => (asked.push(String(url)), Promise.resolve(new Response(slice("0123abcd")))),
    };
    Object.assign(globalThis, stand);
    context.after(() => (Object.assign(globalThis, before), mock.timers.reset()));
    let done = false;
    const found = fetchSlice("0123abcd", new URL("https://example.org/models/")).finally(() => (done = true));
    while (!done) {
      await new Promise(setImmediate);
      mock.timers.tick(1000);
    }
    assert.deepEqual(await found, slice("0123abcd"));
    assert.deepEqual(asked, ["https://example.org/models/0123abcd.rdae-model.gz"]);
    let forgotten = false;
    void forgetSlice("0123abcd", new URL("https://example.org/models/")).then(() => (forgotten = true));
    while (!forgotten) {
      await new Promise(setImmediate);
      mock.timers.tick(1000);
    }
  });
}
