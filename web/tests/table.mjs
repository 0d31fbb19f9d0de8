/**
 * Measures the decoder in Chromium and prints a table: `npm run table`.
 *
 * RDAE_KODAK is the folder of photographs; without it data/example.png is measured alone. PYTHON as for the tests. Times are
 * medians; Python's, on the same machine, are taken right before and after, so that a busy machine shows in both.
 */

import { spawnSync } from "node:child_process";
import { readdir, readFile, rm, mkdtemp } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { launch, serve } from "./browser/server.mjs";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const dist = join(root, "web", "dist");
const tool = join(root, "tools", "web_cases.py");
const ROUNDS = 7;
const COLD_ROUNDS = 5;
const rows = [];
const row = (what, value) => (rows.push([what, value]), console.error(`${what}: ${value}`));
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

function python(...parts) {
  const { status, stdout } = spawnSync(process.env.PYTHON ?? "python3", [tool, ...parts], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${tool} failed`);
  return stdout;
}

const PAGE = "<!doctype html><title>table</title>";
let server;

async function page(browser) {
  const context = await browser.newContext();
  const made = await context.newPage();
  await made.goto(`${server.origin}/`);
  return made;
}

/** Milliseconds of a decode with so many threads, when the model is open and the code compiled. */
async function warm(browser, threads, file) {
  const on = await page(browser);
  const times = await on.evaluate(
    async ([threads, file, rounds]) => {
      const library = await import("/dist/rdae.js");
      library.configure({ models: "/cases/models/", threads });
      const bytes = new Uint8Array(await (await fetch(file)).arrayBuffer());
      const times = [];
      for (let round = 0; round < rounds + 3; round++) {
        const start = performance.now();
        await library.decode(bytes);
        if (round >= 3) times.push(performance.now() - start);
      }
      return times;
    },
    [threads, file, ROUNDS],
  );
  await on.context().close();
  return median(times);
}

/** Milliseconds from opening a page, nothing cached, to the first picture's pixels on a canvas; with a fresh browser. */
async function cold(file) {
  const browser = await launch();
  const on = await browser.newPage();
  await on.goto(`${server.origin}/cold?${file}`);
  const ms = await on.waitForFunction(() => globalThis.shown).then((handle) => handle.jsonValue());
  await browser.close();
  return ms;
}

const COLD = `<!doctype html><title>cold</title><canvas></canvas><script type="module">
import { configure, decode } from "/dist/rdae.js";
configure({ models: "/cases/models/" });
const file = await (await fetch(location.search.slice(1))).arrayBuffer();
const { image } = await decode(file);
const canvas = document.querySelector("canvas");
canvas.width = image.width;
canvas.height = image.height;
canvas.getContext("2d").putImageData(image, 0, 0);
requestAnimationFrame(() => setTimeout(() => { globalThis.shown = performance.now(); }));
</script>`;

/** The largest resident memory so far of the process that runs the page and its worker, in MB. */
async function peakMemory(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const peaks = processInfo
    .filter(({ type }) => type === "renderer")
    .map(({ id }) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, "utf8"))[1]) / 1024);
  return Math.max(...peaks);
}

async function memory(file) {
  const browser = await launch();
  const on = await page(browser);
  const before = await peakMemory(browser);
  await on.evaluate(async (file) => {
    const library = await import("/dist/rdae.js");
    library.configure({ models: "/cases/models/" });
    globalThis.kept = await library.decode(await (await fetch(file)).blob());
  }, file);
  const after = await peakMemory(browser);
  await browser.close();
  return [before, after];
}

async function sizes() {
  const names = await readdir(dist, { recursive: true });
  const ours = names.filter((name) => name.endsWith(".js"));
  const total = async (list, pack) => {
    let sum = 0;
    for (const name of list) sum += pack(await readFile(join(dist, name))).length;
    return (sum / 1000).toFixed(1);
  };
  const library = ours.filter((name) => !name.startsWith("viewer"));
  row(
    "JavaScript of our own, library, element and polyfill, brotli (gzip), kB",
    `${await total(library, brotliCompressSync)} (${await total(library, gzipSync)})`,
  );
  row("and with the viewer", `${await total(ours, brotliCompressSync)} (${await total(ours, gzipSync)})`);
  row(
    "the kernels' WebAssembly, one of four, brotli (gzip), kB",
    `${await total(["rdae-kernels-fma-threads.wasm"], brotliCompressSync)} (${await total(["rdae-kernels-fma-threads.wasm"], gzipSync)})`,
  );
}

async function equality(browser, told) {
  const on = await page(browser);
  const photographs = told.good.filter(({ file, region, scale }) => !/files\/v\d/.test(file) && !region && scale === 1);
  let [latents, most, away, samples] = [0, 0, 0, 0];
  for (const { file, pixels, checksum } of photographs) {
    const found = await on.evaluate(
      async ({ file, pixels }) => {
        const library = await import("/dist/rdae.js");
        library.configure({ models: "/cases/models/" });
        const { image, latentChecksum } = await library.decode(await (await fetch(`/cases/${file}`)).blob());
        const expected = new Uint8Array(await (await fetch(`/cases/${pixels}`)).arrayBuffer());
        let [most, away] = [0, 0];
        image.data.forEach((value, i) => {
          const distance = Math.abs(value - expected[i]);
          if (distance) [most, away] = [Math.max(most, distance), away + 1];
        });
        return { latentChecksum, most, away, samples: (image.data.length / 4) * 3 };
      },
      { file, pixels },
    );
    if (found.latentChecksum === checksum) latents++;
    most = Math.max(most, found.most);
    away += found.away;
    samples += found.samples;
  }
  row("photographs whose latents are those of Python", `${latents} of ${photographs.length}`);
  row("pixels against Python's", `at most ${most} level, on ${((100 * away) / samples).toFixed(4)} % of the samples`);
  await on.context().close();
}

const work = await mkdtemp(join(tmpdir(), "rdae-web-"));
try {
  const pictures = process.env.RDAE_KODAK ? ["--pictures", process.env.RDAE_KODAK] : [];
  python(work, "--mutants", "0", "--large", ...pictures);
  const told = JSON.parse(await readFile(join(work, "cases.json"), "utf8"));
  server = await serve({ "/": PAGE, "/cold": COLD, "/dist": dist, "/cases": work });
  const browser = await launch();
  console.error(browser.version());
  await sizes();
  await equality(browser, told);
  const { file, width, height } = told.good.find(({ file }) => file.endsWith("-visual.rdae"));
  const first = JSON.parse(python("--time", join(work, file)));
  const times = { 1: await warm(browser, 1, `/cases/${file}`), 2: await warm(browser, 2, `/cases/${file}`) };
  const second = JSON.parse(python("--time", join(work, file)));
  for (const threads of [1, 2]) {
    const native = 500 * (first[threads] + second[threads]);
    const ratio = (times[threads] / native).toFixed(1);
    const name = threads === 1 ? "one thread" : "two threads";
    row(
      `${width}x${height}, warm, ${name}, ms`,
      `${Math.round(times[threads])}: ${ratio} times Python's ${Math.round(native)}`,
    );
  }
  await browser.close();
  const starts = [];
  for (let round = 0; round < COLD_ROUNDS; round++) starts.push(await cold(`/cases/${file}`));
  row(
    "first picture, cold, from a local server, ms",
    `${Math.round(median(starts))} (${starts.map(Math.round).join(", ")})`,
  );
  const [before, after] = await memory("/cases/files/large.rdae");
  row("memory for 12 megapixels, MB", `${Math.round(after)}, of which ${Math.round(before)} before`);
  const wide = Math.max(...rows.map(([what]) => what.length));
  console.log(`| ${"what".padEnd(wide)} | measured |\n|${"-".repeat(wide + 2)}|---|`);
  for (const [what, value] of rows) console.log(`| ${what.padEnd(wide)} | ${value} |`);
} finally {
  await server?.close();
  await rm(work, { recursive: true, force: true });
}
