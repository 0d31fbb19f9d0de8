/** The element <rdae-img> in Chromium: what it shows, what it says, and how it is laid out, beside what <img> does. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { caseFile, expected, pageOf, site, SlowFile, until, visit, TWELVE_NAMES } from "./page_kit.mjs";
import { launch } from "./server.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** Runs a test on a page with this body, and holds that its console stays empty and nothing is asked from elsewhere. */
function onPage(name, body, run, { places = {}, head = "", ...options } = {}) {
  test(name, async () => {
    const server = await site({ ...places, "/": pageOf(body, { head }) });
    const first = () => {
      globalThis.happened = [];
      for (const event of ["load", "error"]) {
        document.addEventListener(
          event,
          ({ target }) => target.localName === "rdae-img" && happened.push([event, target.id]),
          true,
        );
      }
    };
    const tab = await visit(browser, server, "/", { first, ...options });
    await tab.page.evaluate(() => void (globalThis.rdae = import("/dist/rdae.js")));
    try {
      await run(tab.page, server, tab);
      assert.deepEqual(tab.complaints, []);
    } finally {
      await tab.close();
      await server.close();
    }
  });
}

const TWELVE = TWELVE_NAMES.map(
  (name) => `<rdae-img id="${name}" src="/cases/v1.0-${name}.rdae" scale="1" alt="A ${name}"></rdae-img>`,
);

onPage("twelve pictures show the pixels that the library decodes", TWELVE.join("\n"), async (page) => {
  await until(page, () => happened.length === 12);
  assert.deepEqual(await page.evaluate(() => happened.map(([event]) => event)), Array(12).fill("load"));
  const found = await page.evaluate(async () => {
    const { decode } = await rdae;
    const results = [];
    for (const image of document.querySelectorAll("rdae-img")) {
      const { image: expected, header } = await decode(await (await fetch(image.src)).blob());
      const canvas = image.shadowRoot.querySelector("canvas");
      const drawn = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      // A canvas multiplies alpha in and takes it out again: of colours that are nearly transparent little is left.
      const same = expected.data.every((value, i) => {
        const alpha = expected.data[i | 3];
        return i % 4 === 3
          ? drawn[i] === value
          : alpha < 255
            ? Math.abs(drawn[i] - value) <= 256 / (alpha || 1) || !alpha
            : drawn[i] === value;
      });
      const { width, height } = image.getBoundingClientRect();
      const { naturalWidth, naturalHeight, complete } = image;
      results.push([image.id, same, complete, width, height, naturalWidth, naturalHeight, header.width, header.height]);
    }
    return results;
  });
  for (const [id, same, complete, width, height, naturalWidth, naturalHeight, w, h] of found) {
    assert.ok(same, id);
    assert.ok(complete, id);
    assert.deepEqual([width, height, naturalWidth, naturalHeight], [w, h, w, h], id);
  }
});

{
  const slow = {};
  const places = { "/slow.rdae": (...all) => slow.file.answer(...all) };
  onPage(
    "the size is known from the first bytes, and the page does not move",
    "<rdae-img id=one src=/slow.rdae></rdae-img><p>below</p>",
    async (page) => {
      await until(page, () => document.querySelector("rdae-img").naturalWidth > 0);
      const sizes = () =>
        page.evaluate(() => [
          document.querySelector("rdae-img").offsetWidth,
          document.querySelector("p").offsetTop,
          happened.length,
        ]);
      const early = await sizes();
      assert.equal(early[0], slow.width);
      assert.equal(early[2], 0);
      slow.file.go();
      await until(page, () => happened.length === 1);
      assert.deepEqual((await sizes()).slice(0, 2), early.slice(0, 2));
    },
    { places },
  );
  before(async () => {
    slow.file = new SlowFile(await caseFile("v1.0-photo"));
    slow.width = JSON.parse(await widthOf("v1.0-photo"));
  });
}

/** Of a golden file, from its header: behind magic, version, flags, model and quality index. */
async function widthOf(name) {
  const bytes = await caseFile(name);
  let at = 5;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  varint();
  at += 4;
  varint();
  return JSON.stringify(varint());
}

const STYLES = [
  "",
  "width: 100px",
  "height: 100px",
  "width: 120px; height: 30px",
  "width: 100%",
  "width: 100%; height: auto",
  "max-width: 20px",
  "max-height: 20px",
  "max-width: 100%",
  "display: block",
  "display: block; width: 50%",
  "padding: 5px 10px; border: 3px solid",
  "padding: 5px; border: 3px solid; width: 90px; box-sizing: border-box",
  "min-width: 300px",
  "float: right; width: 33px",
  "position: absolute; left: 5px; width: 70px",
  "vertical-align: top",
  "aspect-ratio: 1; width: 64px",
];
const ATTRIBUTES = ["", "width=80", "height=80", "width=80 height=20"];

onPage("boxes are those of an <img> of the same size", '<main id="main"></main>', async (page) => {
  const differences = await page.evaluate(
    async ({ styles, attributes }) => {
      const { peek } = await rdae;
      const { width, height } = peek(new Uint8Array(await (await fetch("/cases/v1.0-photo.rdae")).arrayBuffer()));
      const blank = new Blob([`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"/>`], {
        type: "image/svg+xml",
      });
      const src = URL.createObjectURL(blank);
      const found = [];
      const boxOf = async (html, css, parent) => {
        main.style.cssText = parent;
        main.innerHTML = `a ${html} b<i>c</i>`;
        const made = main.querySelector("rdae-img, img");
        made.style.cssText = css;
        await new Promise((resolve) => made.addEventListener("load", resolve, { once: true }));
        const box = made.getBoundingClientRect();
        const next = main.querySelector("i").getBoundingClientRect();
        return [box.left, box.top, box.width, box.height, next.left, next.top, main.offsetHeight]
          .map((n) => Math.round(n * 10) / 10)
          .join(" ");
      };
      for (const parent of [
        "width: 200px",
        "width: 200px; display: flex; align-items: start",
        "width: 200px; display: grid; justify-items: start",
      ]) {
        for (const css of styles) {
          for (const attribute of css.includes("aspect-ratio") ? [""] : attributes) {
            const ours = await boxOf(`<rdae-img src=/cases/v1.0-photo.rdae ${attribute}></rdae-img>`, css, parent);
            const theirs = await boxOf(`<img src=${src} ${attribute}>`, css, parent);
            if (ours !== theirs) found.push(`${parent} | ${css} | ${attribute}: ${ours}, <img> ${theirs}`);
          }
        }
      }
      return found;
    },
    { styles: STYLES, attributes: ATTRIBUTES },
  );
  assert.deepEqual(differences, []);
});

onPage("object-fit is obeyed", "<rdae-img id=one src=/cases/v1.0-flat.rdae scale=1></rdae-img>", async (page) => {
  await until(page, () => happened.length === 1);
  const fits = await page.evaluate(() => {
    const image = document.querySelector("rdae-img");
    const canvas = image.shadowRoot.querySelector("canvas");
    return ["fill", "contain", "cover", "none"].map((fit) => {
      image.style.cssText = `object-fit: ${fit}; object-position: 1px 2px`;
      return [getComputedStyle(canvas).objectFit, getComputedStyle(canvas).objectPosition];
    });
  });
  assert.deepEqual(
    fits,
    ["fill", "contain", "cover", "none"].map((fit) => [fit, "1px 2px"]),
  );
});

const BAD = [
  ["v1.0-bad-flipped", "CorruptError"],
  ["v1.0-bad-cut-payload", "TruncatedError"],
  ["v1.0-bad-major-15", "VersionError"],
  ["v1.0-bad-png", "NotRdaeError"],
  ["v1.0-bad-empty", "NotRdaeError"],
];
const WORDS = "<b onclick=alert(1)>What was there</b>";
onPage(
  "what cannot be shown is an error event, a reason, and the alt text as text",
  BAD.map(
    ([name]) => `<rdae-img id=${name} src=/cases/${name}.rdae alt="${WORDS.replaceAll('"', "&quot;")}"></rdae-img>`,
  ).join("") +
    "<rdae-img id=gone src=/cases/gone.rdae></rdae-img><rdae-img id=none src='' alt=''></rdae-img><rdae-img id=odd src='http://[' alt=odd></rdae-img>",
  async (page, _server, tab) => {
    await until(page, (count) => happened.length === count, BAD.length + 3);
    const found = await page.evaluate(() =>
      [...document.querySelectorAll("rdae-img")].map((image) => [
        image.id,
        image.error.name,
        image.error.message.includes("\n"),
        image.shadowRoot.querySelector("span")?.textContent,
        image.shadowRoot.querySelectorAll("b, canvas").length,
        image.offsetWidth > 0,
      ]),
    );
    const bad = BAD.map(([name, error]) => [name, error, false, WORDS, 0, true]);
    const others = [
      ["gone", "RdaeError", false, "gone.rdae", 0, true],
      ["none", "RdaeError", false, "", 0, false],
      ["odd", "RdaeError", false, "odd", 0, true],
    ];
    assert.deepEqual(found, [...bad, ...others]);
    assert.ok(await page.evaluate(() => happened.every(([event]) => event === "error")));
    assert.equal(expected(tab, /404/), 1);
  },
);

{
  const large = new SlowFile(Buffer.alloc(1 << 20), 100);
  onPage(
    "what is no .rdae file is not fetched to its end",
    "<rdae-img src=/large.rdae></rdae-img>",
    async (page) => {
      await until(page, () => happened.length === 1);
      for (let i = 0; i < 100 && !large.left; i++) await page.waitForTimeout(20);
      assert.deepEqual([large.asked, large.left], [1, 1]);
    },
    { places: { "/large.rdae": large.answer } },
  );
}

{
  let slow;
  before(async () => (slow = new SlowFile(await caseFile("v1.0-photo"))));
  onPage(
    "another src in the middle of the first: one load, of the second, and the first is given up",
    "<rdae-img id=one></rdae-img>",
    async (page) => {
      await page.evaluate(() => (document.querySelector("rdae-img").src = "/slow.rdae"));
      await until(page, () => document.querySelector("rdae-img").naturalWidth > 0);
      await page.evaluate(() => (document.querySelector("rdae-img").src = "/cases/v1.0-grey.rdae"));
      await until(page, () => happened.length === 1);
      for (let i = 0; i < 100 && !slow.left; i++) await page.waitForTimeout(20);
      slow.go();
      await page.waitForTimeout(200);
      assert.deepEqual([slow.asked, slow.left], [1, 1]);
      assert.deepEqual(
        await page.evaluate(() => [
          happened.length,
          document.querySelector("rdae-img").currentSrc.endsWith("/cases/v1.0-grey.rdae"),
        ]),
        [1, true],
      );
    },
    { places: { "/slow.rdae": (...all) => slow.answer(...all) } },
  );
}

{
  let slow;
  before(async () => (slow = new SlowFile(await caseFile("v1.0-photo"))));
  onPage(
    "an element that is taken out gives up; put back it loads; moved it keeps its picture",
    "<rdae-img id=one src=/slow.rdae></rdae-img><div></div>",
    async (page) => {
      await until(page, () => document.querySelector("rdae-img").naturalWidth > 0);
      await page.evaluate(() => {
        globalThis.image = document.querySelector("rdae-img");
        image.remove();
      });
      for (let i = 0; i < 100 && !slow.left; i++) await page.waitForTimeout(20);
      assert.equal(slow.left, 1);
      assert.deepEqual(await page.evaluate(() => happened), []);
      slow.go();
      await page.evaluate(() => document.body.append(image));
      await until(page, () => happened.length === 1);
      await page.evaluate(() => document.querySelector("div").append(image));
      await page.waitForTimeout(200);
      assert.equal(await page.evaluate(() => image.shadowRoot.querySelectorAll("canvas").length), 1);
      assert.deepEqual([slow.asked, await page.evaluate(() => happened)], [2, [["load", "one"]]]);
    },
    { places: { "/slow.rdae": (...all) => slow.answer(...all) } },
  );
}

onPage(
  "lazy pictures wait until they are near",
  `<p>long</p><rdae-img id=far src=/cases/v1.0-photo.rdae loading=lazy></rdae-img>
   <rdae-img id=hurried src=/cases/v1.0-grey.rdae loading=lazy></rdae-img>`,
  async (page, server) => {
    await page.waitForTimeout(500);
    assert.ok(!server.requests.some((path) => path.startsWith("/cases/")));
    await page.evaluate(() => (document.querySelector("#hurried").loading = "eager"));
    await until(page, () => happened.some(([, id]) => id === "hurried"));
    assert.ok(!server.requests.includes("/cases/v1.0-photo.rdae"));
    await page.evaluate(() => scrollTo(0, 9000));
    await until(page, () => happened.some(([, id]) => id === "far"));
  },
  { head: '<style nonce="test">p { height: 9000px }</style>' },
);

onPage(
  "a picture is decoded as large as its box needs it, and anew when that grows",
  "<rdae-img id=one src=/cases/example-psnr.rdae></rdae-img>",
  async (page) => {
    const drawn = () =>
      page.evaluate(() => document.querySelector("rdae-img").shadowRoot.querySelector("canvas")?.width);
    await until(page, () => happened.length === 1);
    const [whole, asked] = await page.evaluate(() => {
      const image = document.querySelector("rdae-img");
      return [image.naturalWidth, image.clientWidth];
    });
    assert.equal(asked, whole);
    assert.equal(await drawn(), whole);
    await page.evaluate((width) => {
      const image = document.querySelector("rdae-img");
      image.style.width = `${width / 10}px`;
      image.src = image.src;
    }, whole);
    await until(page, () => happened.length === 2);
    assert.equal(await drawn(), Math.ceil(whole / 8));
    assert.equal(await page.evaluate(() => document.querySelector("rdae-img").naturalWidth), whole);
    await page.evaluate((width) => (document.querySelector("rdae-img").style.width = `${width / 3}px`), whole);
    await until(
      page,
      (width) => document.querySelector("rdae-img").shadowRoot.querySelector("canvas").width === width,
      Math.ceil(whole / 2),
    );
    await page.evaluate(() => document.querySelector("rdae-img").setAttribute("scale", "4"));
    await until(page, () => happened.length === 3);
    assert.equal(await drawn(), Math.ceil(whole / 4));
    await page.evaluate(() => document.querySelector("rdae-img").setAttribute("scale", "1"));
    await until(page, () => happened.length === 4);
    assert.equal(await drawn(), whole);
  },
);

onPage(
  "rows of a large picture are shown as they come, and then the whole",
  "<rdae-img id=one scale=1></rdae-img>",
  async (page) => {
    const early = await page.evaluate(async () => {
      await rdae;
      const image = document.querySelector("rdae-img");
      const seen = [];
      const put = CanvasRenderingContext2D.prototype.putImageData;
      CanvasRenderingContext2D.prototype.putImageData = function (part, left, top) {
        seen.push([happened.length, part.width, part.height, top]);
        return put.call(this, part, left, top);
      };
      image.src = "/cases/v1.0-large.rdae";
      await new Promise((resolve) => image.addEventListener("load", resolve));
      return seen;
    });
    const rows = early.slice(0, -1);
    assert.ok(rows.length > 1, `${rows.length} bands`);
    let next = 0;
    for (const [loads, width, height, top] of rows) {
      assert.deepEqual([loads, width, top], [0, 700, next]);
      next += height;
    }
    assert.equal(next, 500);
    assert.deepEqual(early.at(-1), [0, 700, 500, 0]);
  },
);

onPage(
  "assistive technology hears what it hears of an <img>",
  `<rdae-img src=/cases/v1.0-flat.rdae alt="A flat field"></rdae-img><rdae-img src=/cases/v1.0-flat.rdae alt=""></rdae-img>
   <rdae-img src=/cases/v1.0-flat.rdae></rdae-img><rdae-img src=/cases/v1.0-bad-flipped.rdae alt="A broken field"></rdae-img>`,
  async (page) => {
    await until(page, () => happened.length === 4);
    const session = await page.context().newCDPSession(page);
    const { nodes } = await session.send("Accessibility.getFullAXTree");
    const images = nodes
      .filter(({ ignored, role }) => !ignored && role.value === "image")
      .map(({ name }) => name.value);
    assert.deepEqual(images, ["A flat field", "", "A broken field"]);
    await page.evaluate(() => (document.querySelector("rdae-img").alt = "Another name"));
    const again = await session.send("Accessibility.getFullAXTree");
    assert.ok(again.nodes.some(({ role, name }) => role?.value === "image" && name.value === "Another name"));
    assert.deepEqual(await page.evaluate(() => document.querySelector("rdae-img").getAttributeNames()), ["src", "alt"]);
  },
);

onPage("elements made by script, before and after they are in the page", "<main></main>", async (page) => {
  const found = await page.evaluate(async () => {
    await rdae;
    const image = document.createElement("rdae-img");
    image.src = "/cases/v1.0-photo.rdae";
    image.alt = "made";
    await new Promise((resolve) => setTimeout(resolve, 100));
    const before = [image.complete, image.naturalWidth];
    const done = new Promise((resolve) => image.addEventListener("load", resolve));
    document.querySelector("main").append(image);
    await done;
    image.removeAttribute("src");
    return [...before, image.naturalWidth, image.shadowRoot.querySelectorAll("canvas").length];
  });
  assert.deepEqual(found, [true, 0, 0, 0]);
});
