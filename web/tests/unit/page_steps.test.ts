/** When a coarse picture comes first: with a worker that only says how long it took. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Reply, Request } from "../../src/messages.ts";

/** Seconds that the worker says a picture took, by scale; and the scales that it was asked for. */
let seconds: Record<number, number>;
let asked: number[];

class FakeWorker {
  onmessage: ((event: { data: Reply }) => void) | null = null;

  postMessage(request: Request): void {
    if (request.kind !== "decode") return;
    const scale = request.settings.scale ?? 1;
    asked.push(scale);
    const header = { width: 1000, height: 1000, model: "00000000", qualityIndex: 0, grey: false, tile: null };
    const picture = {
      rgba: new Uint8ClampedArray(4),
      ...{ width: 1, height: 1, header, alpha: false, exact: false, latentChecksum: null, notes: [] },
      seconds: { model: 100, synthesis: seconds[scale] },
    };
    queueMicrotask(() => this.onmessage?.({ data: { kind: "done", id: request.id, picture } }));
  }
}

Object.assign(globalThis, {
  Worker: FakeWorker,
  document: { baseURI: "http://127.0.0.1/" },
  ImageData: class {},
});
const { decodeInSteps } = await import("../../src/page/steps.ts");

/** The steps that a page sees of a picture of a million pixels. */
async function steps(scale: 1 | 2 | 4 | 8): Promise<[number, boolean][]> {
  asked = [];
  const seen: boolean[] = [];
  await decodeInSteps(new Uint8Array(1), 1e6, scale, {}, (_picture, last) => seen.push(last));
  return asked.map((each, i) => [each, seen[i]]);
}

beforeEach(() => (seconds = { 1: 2, 2: 2, 4: 2, 8: 2 }));

test("without a measurement, or one that is little quicker, the picture comes at once", async () => {
  assert.deepEqual(await steps(1), [[1, true]]);
  assert.deepEqual(await steps(1), [[1, true]]);
  assert.deepEqual(await steps(8), [[8, true]]);
  assert.deepEqual(await steps(1), [[1, true]]);
});

test("where small pictures have proved much quicker a coarse one comes first, if the whole takes long", async () => {
  seconds[8] = 0.1;
  for (let i = 0; i < 6; i++) await steps(8);
  assert.deepEqual(await steps(1), [
    [8, false],
    [1, true],
  ]);
  assert.deepEqual(await steps(8), [[8, true]]);
  seconds = { 1: 0.2, 2: 0.2, 4: 0.2, 8: 0.01 };
  for (let i = 0; i < 6; i++) await steps(1);
  assert.deepEqual(await steps(1), [[1, true]], "what is quick needs no coarse picture");
});
