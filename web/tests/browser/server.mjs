/**
 * What tests in a real browser need: a server on loopback that keeps a list of requests, and Chromium.
 *
 * Pages get the two headers that make them cross-origin isolated, so that the decoder may use threads, unless `isolated` is
 * false; and a content security policy if one is given.
 */

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { extname, join, normalize, sep } from "node:path";
import { chromium } from "playwright-core";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
  ".png": "image/png",
};

/** What a browser may take to close. */
const CLOSE_MS = 10_000;
// The runner ends a file of tests that takes too long, and waits for it; its browser may be what is stuck, and never close.
process.once("SIGTERM", () => setTimeout(() => process.exit(1), CLOSE_MS));

/** Serves folders: {"/dist": "/path/of/dist", ...}; a string or a function for a path is the answer itself. */
export async function serve(places, { isolated = true, policy } = {}) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    requests.push(path);
    const headers = { "content-type": TYPES[extname(path)] ?? "application/octet-stream" };
    if (isolated) {
      headers["cross-origin-opener-policy"] = "same-origin";
      headers["cross-origin-embedder-policy"] = "require-corp";
    }
    if (policy) headers["content-security-policy"] = policy;
    const page = places[path];
    if (typeof page === "function") return page(request, response, headers);
    const prefix = Object.keys(places).find((each) => path.startsWith(`${each}/`));
    try {
      if (page !== undefined) {
        response.writeHead(200, { ...headers, "content-type": TYPES[".html"] }).end(page);
      } else if (path === "/favicon.ico") {
        response.writeHead(204).end();
      } else {
        const folder = places[prefix];
        const file = normalize(join(folder, path.slice(prefix.length)));
        if (!file.startsWith(folder + sep)) throw new Error("outside");
        const body = await readFile(file);
        response.writeHead(200, headers).end(body);
      }
    } catch {
      response.writeHead(404, headers).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    requests,
    close: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))),
  };
}

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The browser's path: that of the environment variable CHROMIUM, or where Linux has it; undefined if there is none. */
export const CHROMIUM = process.env.CHROMIUM ?? PLACES.find((path) => existsSync(path));

export function launch(options = {}) {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
    ...options,
  });
}

/** A page whose complaints are kept: what its console says, errors that nobody caught, and requests to elsewhere. */
export async function watched(browser, origin, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !url.startsWith("blob:") && !url.startsWith("data:"))
      complaints.push(`asked ${url}`);
  });
  return { page, complaints, close: () => context.close() };
}
