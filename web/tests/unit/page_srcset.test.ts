/** What a srcset says, and that long ones are read in time that grows with their length. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { candidatesOf } from "../../src/page/srcset.ts";

const CASES: readonly [string, ReturnType<typeof candidatesOf>][] = [
  ["", []],
  [" ,\t, ", []],
  ["a.rdae", [{ name: "a.rdae", density: 1 }]],
  ["\n a.rdae ,, b.rdae\f2x,", [1, 2].map((density) => ({ name: density === 1 ? "a.rdae" : "b.rdae", density }))],
  ["a.rdae, b.rdae 1.5x", [1, 1.5].map((density) => ({ name: density === 1 ? "a.rdae" : "b.rdae", density }))],
  ["a.rdae,b.rdae 2x", [{ name: "a.rdae,b.rdae", density: 2 }]],
  ["a.rdae,,, 2x", [1, 1].map((density, i) => ({ name: ["a.rdae", "2x"][i], density }))],
  ["a 640w, b 1280w 960h", [640, 1280].map((width, i) => ({ name: "ab"[i], width }))],
  ["data:image/png;base64,AA== .5x", [{ name: "data:image/png;base64,AA==", density: 0.5 }]],
  ["a 1e1x", [{ name: "a", density: 10 }]],
  // What makes no sense is left out, and what follows is read.
  ...["1x 2x", "1w 2w", "1x 2w", "0w", "2h", "1x 2h", "-1x", "1.x", "+1x", "2", "large", "f(a, b) 2x"].map(
    (words): (typeof CASES)[number] => [`a ${words}, b 2x`, [{ name: "b", density: 2 }]],
  ),
];

for (const [srcset, expected] of CASES) {
  test(`srcset ${JSON.stringify(srcset)}`, () => assert.deepEqual(candidatesOf(srcset), expected));
}

test("a megabyte takes no more than a moment, whatever it is", () => {
  const long = 2 ** 20;
  for (const srcset of [
    `data:image/png;base64,${"A".repeat(long)} 1x 2x`,
    `${",".repeat(long)}a`,
    `a${",".repeat(long)}`,
    `a ${"(".repeat(long)}`,
    "a 1x 2x ".repeat(long / 8),
    `a ${"1".repeat(long)}`,
    `a ${" ".repeat(long)}b`,
    "a,".repeat(long / 2),
  ]) {
    const start = performance.now();
    candidatesOf(srcset);
    const ms = performance.now() - start;
    assert.ok(ms < 2000, `${srcset.slice(0, 30)}…: ${Math.round(ms)} ms`);
  }
});
