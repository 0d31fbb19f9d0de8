/** What the tests of the element, the polyfill and the viewer share: a server of pages, and a file that comes slowly. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serve, watched } from "./server.mjs";

/** The folder that tools/web_cases.py wrote. */
export const CASES = process.env.RDAE_WEB_CASES;
export const DIST = fileURLToPath(new URL("../../dist", import.meta.url));
export const POLICY =
  "default-src 'none'; script-src 'self' 'nonce-test' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; " +
  "style-src 'self' 'nonce-test'; img-src 'self' blob:";

/** Golden files of twelve kinds, for pages with many pictures. */
export const TWELVE_NAMES = [
  "photo",
  "tiles",
  "alpha",
  "grey",
  "edge",
  "noise",
  "flat",
  "row",
  "column",
  "pixel",
  "veil",
  "grey-alpha",
];

export function caseFile(name) {
  return readFile(join(CASES, "files", `${name}.rdae`));
}

/** A file of which so many bytes come at once, and the rest when `go` is called. */
export class SlowFile {
  /** How many were asked for, and of these how many were given up before their end. */
  asked = 0;
  left = 0;

  constructor(bytes, first = 64) {
    this.bytes = bytes;
    this.first = first;
    this.wait = new Promise((resolve) => (this.go = resolve));
  }

  answer = async (request, response, headers) => {
    this.asked++;
    response.on("close", () => (this.left += response.writableFinished ? 0 : 1));
    response.writeHead(200, { ...headers, "content-length": this.bytes.length, "cache-control": "no-store" });
    response.write(this.bytes.subarray(0, this.first));
    await this.wait;
    response.end(this.bytes.subarray(this.first));
  };
}

/** A server with the library, the cases, and pages and files of a test's own. */
export function site(places = {}, options = {}) {
  return serve(
    { ...places, "/dist/models": join(CASES, "models"), "/dist": DIST, "/cases": join(CASES, "files") },
    { policy: POLICY, ...options },
  );
}

/** Opens a path of a site in a page of its own, whose complaints are kept. first: runs there before any other script. */
export async function visit(browser, server, path, { first = () => undefined, ...options } = {}) {
  const tab = await watched(browser, server.origin, options);
  await tab.page.addInitScript(first);
  await tab.page.goto(server.origin + path);
  return tab;
}

/** A page of a site, with the library's script in its head. */
export function pageOf(body, { script = "rdae.js", head = "" } = {}) {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>test</title><style nonce="test">body { margin: 0 }</style>
${head}<script type="module" src="/dist/${script}"></script>${body}`;
}

/** Waits until an expression of the page is true; fails with it if that takes long. */
export async function until(page, expression, argument) {
  await page.waitForFunction(expression, argument, { timeout: 60_000, polling: 50 });
}

/** Removes complaints that a test expects; returns how many there were. */
export function expected(tab, pattern) {
  const kept = tab.complaints.filter((each) => !pattern.test(each));
  const removed = tab.complaints.length - kept.length;
  tab.complaints.splice(0, tab.complaints.length, ...kept);
  return removed;
}
