/** The viewer in Chromium: by keyboard alone, by drag and drop, by its address, and on the server of `rdae view`. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { inflateSync } from "node:zlib";
import { CASES, caseFile, expected, site, until, visit } from "./page_kit.mjs";
import { launch } from "./server.mjs";

const EXAMPLE = fileURLToPath(new URL("../../../data/example.png", import.meta.url));
const VIEWER = "/dist/viewer/index.html";
const HOSTILE = "<img src=x onerror=alert(1)>.rdae";

let browser, folder;
before(async () => {
  browser = await launch();
  folder = await mkdtemp(join(tmpdir(), "rdae-viewer-"));
  await writeFile(join(folder, HOSTILE), await caseFile("v1.0-bad-flipped"));
});
after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Of a golden file, on the disk. */
const golden = (name) => join(CASES, "files", `${name}.rdae`);

/** Runs a test on the viewer, and holds that its console stays empty and nothing is asked from elsewhere. */
function onViewer(name, query, run, options) {
  test(name, async () => {
    // The page brings its own policy: none of the server's.
    const server = await site({}, { policy: undefined });
    const tab = await visit(browser, server, VIEWER + query, { acceptDownloads: true, ...options });
    tab.page.on("filechooser", () => undefined); // none is shown, once the browser has been told so
    await tab.page.waitForTimeout(200);
    try {
      await run(tab.page, server, tab);
      assert.deepEqual(tab.complaints, []);
    } finally {
      await tab.close();
      await server.close();
    }
  });
}

/** Waits until pictures are shown; the canvas gets its name a frame later than the rest. */
const settled = (page) =>
  until(page, () => {
    const [work, facts, canvas] = ["work", "facts", "canvas"].map((id) => document.getElementById(id));
    return work.hidden && !facts.hidden && canvas.hasAttribute("aria-label");
  });
const text = (page, selector) => page.locator(selector).textContent();
const errors = (page) => page.locator("#errors span").allTextContents();

async function facts(page) {
  const rows = await page.locator("#facts tr").all();
  const cells = await Promise.all(rows.map((row) => row.locator("th, td").allTextContents()));
  return Object.fromEntries(cells.map(([key, ...values]) => [key, values]));
}

/** What the canvas shows, as a number that changes with it. */
const look = (page) =>
  page.evaluate(() => {
    const canvas = document.getElementById("canvas");
    const context = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let sum = 0;
    for (let i = 0; i < data.length; i++) sum = (Math.imul(sum, 31) + data[i]) | 0;
    return sum;
  });

/** Hands files over by the file chooser, which a key opens. */
async function openBy(page, press, files) {
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), press()]);
  await chooser.setFiles(files);
}

onViewer(
  "files that the address names are shown, compared, and described",
  "?file=/cases/example-visual.rdae&file=../../cases/v1.0-alpha.rdae",
  async (page) => {
    await settled(page);
    await until(page, () => document.querySelectorAll("#facts th").length > 10);
    const found = await facts(page);
    const bytes = (await caseFile("example-visual")).length;
    assert.deepEqual(found.Picture, ["example-visual.rdae", "v1.0-alpha.rdae"]);
    assert.equal(found.Bytes[0], bytes.toLocaleString("en-US"));
    assert.equal(found["Bits per pixel"][0], ((8 * bytes) / (512 * 384)).toFixed(3));
    assert.equal(found.Pixels[0], "512 × 384");
    assert.equal(found.Quality[0], "50");
    assert.match(found.Model[0], /^[0-9a-f]{8}$/);
    assert.equal(found.Format[0], ".rdae 1.0");
    assert.deepEqual(found.Channels, ["colour", "colour, transparency"]);
    assert.match(found.Latents[0], /^CRC-32 [0-9a-f]{8}$/);
    assert.equal(await page.title(), "example-visual.rdae | v1.0-alpha.rdae – rdae viewer");
  },
);

onViewer("everything by keyboard alone", "", async (page) => {
  await openBy(page, () => page.keyboard.press("o"), [golden("example-psnr"), EXAMPLE, golden("v1.0-photo")]);
  await settled(page);
  assert.deepEqual((await facts(page)).Picture, ["example-psnr.rdae"]);
  const scale = () => text(page, "#scale");
  const frame = () =>
    page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  const press = async (key) => {
    await page.keyboard.press(key);
    await frame();
  };
  const scales = [];
  for (const key of ["1", "2", "4", "8", "+", "-", "-"]) {
    await press(key);
    scales.push(await scale());
  }
  assert.deepEqual(scales, ["100 %", "200 %", "400 %", "800 %", "1600 %", "800 %", "400 %"]);
  assert.equal(await page.getAttribute('[data-zoom="4"]', "aria-pressed"), "true");
  const before = await look(page);
  await press("ArrowRight");
  const moved = await look(page);
  assert.notEqual(moved, before);
  await press("ArrowLeft");
  assert.equal(await look(page), before);
  await press("Shift+ArrowDown");
  assert.notEqual(await look(page), before);
  // Pixels stay squares.
  const colours = await page.evaluate(() => {
    const canvas = document.getElementById("canvas");
    const context = new OffscreenCanvas(40, 1).getContext("2d", { willReadFrequently: true });
    context.drawImage(canvas, -(canvas.width >> 1), -(canvas.height >> 1));
    const { data } = context.getImageData(0, 0, 40, 1);
    return new Set(new Uint32Array(data.buffer)).size;
  });
  assert.ok(colours <= 11, `${colours} colours in 40 screen pixels at 400 %`);
  await press("0");
  assert.equal(await page.getAttribute('[data-zoom="fit"]', "aria-pressed"), "true");

  await page.keyboard.press("c");
  await until(page, () => !document.getElementById("divider").hidden);
  assert.deepEqual((await facts(page)).Picture, ["example-psnr.rdae", "example.png"]);
  const divider = page.locator("#divider");
  for (let i = 0; i < 30 && !(await divider.evaluate((node) => node === document.activeElement)); i++)
    await press("Tab");
  const half = await look(page);
  const at = async () => Number(await divider.getAttribute("aria-valuenow"));
  assert.equal(await at(), 50);
  await press("ArrowRight");
  assert.equal(await at(), 51);
  await press("Shift+ArrowLeft");
  assert.equal(await at(), 41);
  assert.notEqual(await look(page), half);
  await press("Home");
  const second = await look(page);
  await press("End");
  const first = await look(page);
  assert.notEqual(first, second);
  assert.equal(await at(), 100);
  // The whole picture is what stood left of the divider.
  await press("x");
  await until(page, () => document.getElementById("facts").tHead.textContent.startsWith("Pictureexample.png"));
  await frame();
  assert.equal(await look(page), second);
  await press("c");
  await until(page, () => document.getElementById("divider").hidden);
  await press(".");
  await until(page, () => document.getElementById("facts").tHead.textContent === "Picturev1.0-photo.rdae");
  await press(",");
  await until(page, () => document.getElementById("facts").tHead.textContent === "Pictureexample.png");

  await press("?");
  assert.ok(await page.locator("#keys").evaluate((dialog) => dialog.open && dialog.contains(document.activeElement)));
  await press("1");
  await press("Escape");
  assert.ok(await page.locator("#keys").evaluate((dialog) => !dialog.open));
  assert.equal(
    await page.getAttribute('[data-zoom="fit"]', "aria-pressed"),
    "true",
    "a key in the dialog is none of the page's",
  );
});

onViewer(
  "lists and buttons by keyboard, and what each is called",
  "?file=/cases/v1.0-photo.rdae&file=/cases/v1.0-grey.rdae&file=/cases/v1.0-edge.rdae",
  async (page) => {
    await settled(page);
    const unnamed = await page.evaluate(() =>
      [...document.querySelectorAll("button, select, input:not([hidden]), [tabindex='0'], [role]")]
        .filter((node) => node.getClientRects().length)
        .filter((node) => !["alert", "status"].includes(node.getAttribute("role")))
        .filter((node) => !(node.textContent.trim() || node.getAttribute("aria-label") || node.labels?.length))
        .map((node) => node.outerHTML),
    );
    assert.deepEqual(unnamed, []);
    // Tab reaches each of them, and each shows it.
    const reached = new Set();
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press("Tab");
      const [id, outlined] = await page.evaluate(() => {
        const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
        return [
          document.activeElement.id || document.activeElement.dataset.zoom,
          outlineStyle !== "none" && outlineWidth !== "0px",
        ];
      });
      if (id && !reached.has(id)) assert.ok(outlined, id);
      reached.add(id);
    }
    for (const id of ["open", "save", "first", "second", "fit", "1", "2", "4", "smaller", "larger", "help", "canvas"])
      assert.ok(reached.has(id), id);
    await page.locator("#second").focus();
    await page.keyboard.press("ArrowDown");
    await until(page, () => !document.getElementById("swap").disabled);
    assert.equal((await facts(page)).Picture.length, 2);
    await page.locator("#larger").focus();
    await page.keyboard.press("Enter");
    await until(page, () => document.getElementById("scale").textContent === "200 %");
    const label = await page.getAttribute("#canvas", "aria-label");
    assert.match(label, /^v1\.0-photo\.rdae, \d+ × \d+ pixels, at 200 %, compared with v1\.0-/);
  },
);

onViewer("files that are dropped, and what the pointer does", "", async (page) => {
  const drop = async (files) => {
    const named = await Promise.all(
      files.map(async ([name, path]) => [name, (await readFile(path)).toString("base64")]),
    );
    const transfer = await page.evaluateHandle((named) => {
      const made = new DataTransfer();
      for (const [name, data] of named) {
        made.items.add(new File([Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))], name));
      }
      return made;
    }, named);
    await page.dispatchEvent("#stage", "dragenter", { dataTransfer: transfer });
    assert.ok(await page.evaluate(() => document.body.classList.contains("dragged")));
    await page.dispatchEvent("#stage", "dragover", { dataTransfer: transfer });
    await page.dispatchEvent("#stage", "drop", { dataTransfer: transfer });
    assert.ok(await page.evaluate(() => !document.body.classList.contains("dragged")));
  };
  await drop([
    ["one.rdae", golden("example-psnr")],
    ["original.png", EXAMPLE],
  ]);
  await until(page, () => !document.getElementById("divider").hidden);
  assert.deepEqual((await facts(page)).Picture, ["one.rdae", "original.png"]);
  assert.deepEqual(await page.locator(".tag").allTextContents(), ["one.rdae", "original.png"]);
  // The divider follows the pointer.
  const { x, y, width, height } = await page.locator("#stage").boundingBox();
  await page.mouse.move(x + width / 2, y + 40);
  await page.mouse.down();
  await page.mouse.move(x + width / 4, y + 40, { steps: 4 });
  await page.mouse.up();
  await until(page, () => document.getElementById("divider").ariaValueNow === "25");
  // The picture is dragged; Ctrl with the wheel zooms round the pointer.
  await page.keyboard.press("4");
  await page.waitForTimeout(100);
  const before = await look(page);
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width / 2 + 50, y + height / 2 + 20, { steps: 3 });
  await page.mouse.up();
  await page.waitForTimeout(100);
  assert.notEqual(await look(page), before);
  await page.keyboard.down("Control");
  await page.mouse.wheel(0, -200);
  await page.keyboard.up("Control");
  await until(page, () => parseFloat(document.getElementById("scale").textContent) > 400);
  await drop([["two.rdae", golden("v1.0-photo")]]);
  await until(page, () => document.getElementById("facts").tHead.textContent.includes("two.rdae"));
});

onViewer(
  "errors are a line each, with the name as text, and the other files go on",
  `?file=https://example.org/other.rdae&file=%68ttp%3A%2F%2F%5B&file=/cases/v1.0-bad-cut-payload.rdae&file=/cases/gone.rdae&file=/cases/v1.0-photo.rdae`,
  async (page, _server, tab) => {
    await settled(page);
    await openBy(page, () => page.locator("#open").click(), [join(folder, HOSTILE), fileURLToPath(import.meta.url)]);
    await until(page, () => document.querySelectorAll("#errors li").length === 6);
    await until(page, () => document.getElementById("work").hidden);
    const lines = await errors(page);
    assert.ok(lines.includes("https://example.org/other.rdae: not a file of this site"));
    assert.ok(lines.some((line) => line.startsWith("http://[: ")));
    assert.ok(
      lines.some((line) => line.startsWith("v1.0-bad-cut-payload.rdae: the file is cut short")),
      lines.join("\n"),
    );
    assert.ok(
      lines.some((line) => line.startsWith(`${HOSTILE}: damaged or cut short`)),
      lines.join("\n"),
    );
    assert.ok(
      lines.some(
        (line) => line === "page_viewer.test.mjs: neither an .rdae file nor a picture that this browser can open",
      ),
      lines.join("\n"),
    );
    assert.ok(lines.every((line) => !line.includes("\n")));
    assert.equal(await page.evaluate(() => document.images.length), 0);
    assert.deepEqual((await facts(page)).Picture, ["v1.0-photo.rdae"]);
    await page.locator("#errors button").first().click();
    assert.equal((await errors(page)).length, lines.length - 1);
    expected(tab, /404/);
  },
);

/** A PNG's pixels and chunks: those kinds of PNG that the viewer writes. */
function readPng(bytes) {
  const chunks = new Map();
  for (let at = 8; at < bytes.length;) {
    const length = bytes.readUInt32BE(at);
    chunks.set(bytes.toString("latin1", at + 4, at + 8), bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const header = chunks.get("IHDR");
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const count = { 0: 1, 2: 3, 4: 2, 6: 4 }[header[9]];
  const line = width * count;
  const raw = inflateSync(chunks.get("IDAT"));
  assert.equal(raw.length, (line + 1) * height);
  const samples = new Uint8Array(line * height);
  for (let row = 0; row < height; row++) {
    const filter = raw[row * (line + 1)];
    for (let i = 0; i < line; i++) {
      const at = row * line + i;
      const left = i < count ? 0 : samples[at - count];
      const up = row ? samples[at - line] : 0;
      const corner = row && i >= count ? samples[at - line - count] : 0;
      const p = left + up - corner;
      const [a, b, c] = [Math.abs(p - left), Math.abs(p - up), Math.abs(p - corner)];
      const paeth = a <= b && a <= c ? left : b <= c ? up : corner;
      samples[at] = raw[row * (line + 1) + 1 + i] + [0, left, up, (left + up) >> 1, paeth][filter];
    }
  }
  const rgba = [];
  for (let at = 0; at < samples.length; at += count) {
    const [r, g, b] = count < 3 ? [samples[at], samples[at], samples[at]] : samples.subarray(at, at + 3);
    rgba.push(r, g, b, count % 2 ? 255 : samples[at + count - 1]);
  }
  return { width, height, kind: header[9], rgba, chunks };
}

const SAVED = [
  ["v1.0-photo", 2],
  ["v1.0-grey", 0],
  ["v1.0-grey-alpha", 4],
  ["v1.0-alpha", 6],
  ["v1.0-sections", null],
];
for (const [name, kind] of SAVED) {
  onViewer(`${name} is saved as a PNG of exactly its pixels`, `?file=/cases/${name}.rdae`, async (page) => {
    await settled(page);
    const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("s")]);
    assert.equal(download.suggestedFilename(), `${name}.png`);
    const png = readPng(await readFile(await download.path()));
    const decoded = await page.evaluate(async (path) => {
      const { decode } = await import("/dist/rdae.js");
      const { image, icc, exif, xmp } = await decode(await (await fetch(path)).blob(), { profile: "keep" });
      return { data: [...image.data], beside: [icc, exif, xmp].map((each) => (each ? [...each] : null)) };
    }, `/cases/${name}.rdae`);
    if (kind !== null) assert.equal(png.kind, kind);
    assert.deepEqual(png.rgba, decoded.data);
    const [icc, exif, xmp] = decoded.beside;
    const packed = png.chunks.get("iCCP");
    assert.deepEqual(packed ? [...inflateSync(packed.subarray(packed.indexOf(0) + 2))] : null, icc);
    assert.deepEqual(png.chunks.has("eXIf") ? [...png.chunks.get("eXIf")] : null, exif);
    assert.deepEqual(
      png.chunks.has("iTXt") ? [...png.chunks.get("iTXt").subarray("XML:com.adobe.xmp".length + 5)] : null,
      xmp,
    );
    // The browser reads it, too: chunks and their checksums are right.
    const again = { name: "again.png", mimeType: "image/png", buffer: await readFile(await download.path()) };
    await openBy(page, () => page.keyboard.press("o"), [again]);
    await until(page, () => [...document.querySelectorAll("#facts td")].some((cell) => cell.textContent === "PNG"));
    assert.deepEqual(await errors(page), []);
  });
}

for (const [width, colorScheme] of [
  [390, "light"],
  [390, "dark"],
  [1280, "dark"],
]) {
  onViewer(
    `nothing overflows at a width of ${width}, ${colorScheme}`,
    "?file=/cases/example-psnr.rdae&file=/cases/v1.0-photo.rdae",
    async (page) => {
      await until(page, () => !document.getElementById("divider").hidden);
      const [overflows, light, text] = await page.evaluate(() => {
        const brightness = (colour) => Number(/\d+/.exec(colour)[0]);
        const { backgroundColor, color } = getComputedStyle(document.body);
        return [document.documentElement.scrollWidth > innerWidth, brightness(backgroundColor), brightness(color)];
      });
      assert.equal(overflows, false);
      assert.equal(light > text, colorScheme === "light");
    },
    { viewport: { width, height: 800 }, colorScheme },
  );
}

test("rdae view serves it with the files that it was given, isolated, and asks nothing else", async () => {
  const python = process.env.PYTHON ?? "python3";
  const process_ = spawn(python, ["-m", "rdae", "view", "--no-open", golden("example-visual"), EXAMPLE]);
  try {
    const url = await new Promise((resolve, reject) => {
      process_.stdout.once("data", (data) => resolve(String(data).trim()));
      process_.once("exit", (status) => reject(new Error(`rdae view ended with status ${status}`)));
    });
    const { origin, pathname } = new URL(url);
    const base = `${origin}/${pathname.split("/")[1]}/`;
    const page = await browser.newPage();
    const complaints = [];
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => {
      if (!request.url().startsWith(base) && !/^(blob|data):/.test(request.url())) complaints.push(request.url());
    });
    await page.goto(url);
    await until(page, () => !document.getElementById("divider").hidden);
    assert.deepEqual((await facts(page)).Picture, ["example-visual.rdae", "example.png"]);
    assert.ok(await page.evaluate(() => crossOriginIsolated));
    // The address is another one the next time: models that were kept would never be found again.
    assert.deepEqual(await page.evaluate(async () => (await (await caches.open("rdae-models")).keys()).length), 0);
    assert.deepEqual(complaints, []);
    await page.close();
  } finally {
    process_.removeAllListeners("exit");
    process_.kill("SIGINT");
    await new Promise((resolve) => process_.once("close", resolve));
  }
});
