/** The polyfill in Chromium: <img>, <picture> and backgrounds that name .rdae files, and pictures that it must not touch. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { caseFile, expected, pageOf, site, SlowFile, until, visit, TWELVE_NAMES } from "./page_kit.mjs";
import { launch } from "./server.mjs";

const PNG = await readFile(new URL("../../../data/example.png", import.meta.url));
const png = (_request, response, headers) =>
  response.writeHead(200, { ...headers, "content-type": "image/png" }).end(PNG);

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** What is in the page before the polyfill: a list of events that the page sees, and helpers. */
function first() {
  globalThis.happened = [];
  const seen = new WeakSet();
  const listen = (image) => {
    if (seen.has(image)) return;
    seen.add(image);
    for (const event of ["load", "error"]) image.addEventListener(event, () => happened.push([event, image.id]));
  };
  new MutationObserver(() => document.querySelectorAll("img").forEach(listen)).observe(document, {
    subtree: true,
    childList: true,
  });
  globalThis.isShown = (id) =>
    $(`#${id}`).src.startsWith("blob:") && happened.some(([event, other]) => event === "load" && other === id);
  globalThis.$ = (selector) => document.querySelector(selector);
  globalThis.isAlive = (url) =>
    fetch(url).then(
      () => true,
      () => false,
    );
  globalThis.pixelsOf = (image) => {
    const canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, canvas.width, canvas.height).data;
  };
}

/** blob: URLs may be looked at here, to see whether they are revoked. */
const POLICY =
  "default-src 'none'; script-src 'self' 'nonce-test' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' blob:; " +
  "style-src 'self' 'unsafe-inline'; img-src 'self' blob:";

/** What Chromium says of a URL that was revoked, when a test looks whether it was. */
const REVOKED = /ERR_FILE_NOT_FOUND/;

/** Runs a test on a page with this body, and holds that its console stays empty and nothing is asked from elsewhere. */
function onPage(name, body, run, { places = {}, head = "", ...options } = {}) {
  test(name, async () => {
    const html = pageOf(body, { head, script: "rdae-polyfill.js" });
    const server = await site({ "/example.png": png, ...places, "/": html }, { policy: POLICY });
    const tab = await visit(browser, server, "/", { first, ...options });
    try {
      await run(tab.page, server, tab);
      expected(tab, REVOKED);
      assert.deepEqual(tab.complaints, []);
    } finally {
      await tab.close();
      await server.close();
    }
  });
}

const TWELVE = TWELVE_NAMES.map((name) => `<img id="${name}" src="/cases/v1.0-${name}.rdae" alt="A ${name}">`).join(
  "\n",
);

onPage("twelve <img> show the pixels that the library decodes, and load once", TWELVE, async (page, server) => {
  await until(page, () => happened.filter(([event]) => event === "load").length >= 12);
  await page.waitForTimeout(300);
  const events = await page.evaluate(() => happened);
  // Before the script was there the browser has tried for itself, and failed.
  for (const name of TWELVE_NAMES) {
    const own = events.filter(([, id]) => id === name).map(([event]) => event);
    assert.deepEqual(
      own.filter((event, i) => event !== "error" || i > 0),
      ["load"],
      name,
    );
  }
  const found = await page.evaluate(async () => {
    const { decode } = await import("/dist/rdae-polyfill.js");
    const results = [];
    for (const image of document.images) {
      const original = image.dataset.rdaeSrc;
      const { image: expected } = await decode(await (await fetch(original)).blob());
      const drawn = pixelsOf(image);
      const wrong = expected.data.findIndex((value, i) => {
        const alpha = expected.data[i | 3];
        // A canvas multiplies alpha in and takes it out again: of colours that are nearly transparent little is left.
        return i % 4 < 3 && alpha < 255 ? alpha && Math.abs(drawn[i] - value) > 256 / alpha : drawn[i] !== value;
      });
      results.push([image.id, wrong, image.alt, original, image.naturalWidth === expected.width]);
    }
    return results;
  });
  assert.deepEqual(
    found,
    TWELVE_NAMES.map((name) => [name, -1, `A ${name}`, `/cases/v1.0-${name}.rdae`, true]),
  );
  // The browser has asked for each itself, and the polyfill once more.
  assert.ok(
    TWELVE_NAMES.every((name) => server.requests.filter((path) => path === `/cases/v1.0-${name}.rdae`).length <= 2 + 1),
  );
});

{
  let slow;
  before(async () => (slow = new SlowFile(await caseFile("v1.0-photo"))));
  onPage(
    "the size is known from the first bytes, and the page hears of nothing before the picture",
    "<div></div><p>below</p>",
    async (page) => {
      await page.evaluate(() => ($("div").innerHTML = '<img id="one" src="/slow.rdae" alt="slow">'));
      await until(page, () => $("#one").naturalWidth > 0);
      const layout = () =>
        page.evaluate(() => [
          $("#one").naturalWidth,
          $("#one").offsetWidth,
          $("p").offsetTop,
          $("#one").dataset.rdaeSrc,
        ]);
      const early = await layout();
      assert.deepEqual(await page.evaluate(() => happened), []);
      assert.ok(early[0] > 1 && early[0] === early[1]);
      slow.go();
      await until(page, (id) => isShown(id), "one");
      assert.deepEqual(await layout(), early);
      assert.deepEqual(await page.evaluate(() => happened), [["load", "one"]]);
    },
    { places: { "/slow.rdae": (...all) => slow.answer(...all) } },
  );
}

onPage(
  "other pictures are not touched",
  `<img id="png" src="/example.png" srcset="/example.png 2x" alt="other"><img id="blob"><img id="rdae" src="/cases/v1.0-flat.rdae">
   <picture><source srcset="/example.png" type="image/png"><img id="chosen" src="/cases/v1.0-grey.rdae"></picture>
   <div id="back" style="background-image: url(/example.png)"></div>`,
  async (page) => {
    await page.evaluate(async () => {
      globalThis.changes = [];
      new MutationObserver((records) =>
        changes.push(...records.map(({ target, attributeName }) => `${target.id} ${attributeName}`)),
      ).observe(document.body, { attributes: true, subtree: true });
      $("#blob").src = globalThis.own = URL.createObjectURL(await (await fetch("/example.png")).blob());
    });
    await until(page, (id) => isShown(id), "rdae");
    await page.evaluate(() => $("#png").classList.add("changed"));
    await page.waitForTimeout(200);
    const changes = await page.evaluate(() => changes.filter((change) => !change.startsWith("rdae ")));
    assert.deepEqual(changes, ["blob src", "png class"]);
    assert.ok(await page.evaluate(() => $("#blob").src === own && isAlive(own)));
    assert.equal(await page.evaluate(() => $("#chosen").getAttribute("src")), "/cases/v1.0-grey.rdae");
  },
);

onPage(
  "a file that several show is decoded once, and its URL lives as long as one of them does",
  '<img id="a" src="/cases/v1.0-photo.rdae"><img id="b" src="/cases/v1.0-photo.rdae"><p id="c" style="background-image: url(/cases/v1.0-photo.rdae)"></p>',
  async (page) => {
    await until(page, (id) => isShown(id), "a");
    await until(page, (id) => isShown(id), "b");
    await until(page, () => $("#c").style.backgroundImage.includes("blob:"));
    const urls = await page.evaluate(() => [$("#a").src, $("#b").src, /"(.*)"/.exec($("#c").style.backgroundImage)[1]]);
    assert.equal(new Set(urls).size, 1);
    const alive = () => page.evaluate((url) => isAlive(url), urls[0]);
    await page.evaluate(() => {
      globalThis.kept = $("#a");
      kept.remove();
      $("#b").src = "/example.png";
    });
    await until(page, () => $("#b").naturalWidth > 100);
    assert.ok(await alive());
    assert.deepEqual(await page.evaluate(() => [$("#b").getAttribute("src"), $("#b").hasAttribute("data-rdae-src")]), [
      "/example.png",
      false,
    ]);
    await page.evaluate(() => $("#c").remove());
    await page.waitForTimeout(100);
    assert.equal(await alive(), false);
    // What was taken out comes back, with pixels of its own.
    await page.evaluate(() => {
      happened.length = 0;
      document.body.append(kept);
    });
    await until(page, (id) => isShown(id), "a");
    assert.notEqual(await page.evaluate(() => $("#a").src), urls[0]);
    assert.ok(await page.evaluate(() => isAlive($("#a").src)));
  },
);

onPage("what a script adds, changes, copies and moves", "<main></main><aside></aside>", async (page) => {
  await page.evaluate(() => ($("main").innerHTML = '<p><img id="a" src="/cases/v1.0-photo.rdae" alt="first"></p>'));
  await until(page, (id) => isShown(id), "a");
  const width = () => page.evaluate(() => $("#a").naturalWidth);
  const before = await width();
  await page.evaluate(() => {
    happened.length = 0;
    $("#a").src = "/cases/v1.0-pixel.rdae";
  });
  await until(page, (id) => isShown(id), "a");
  assert.equal(await width(), 1);
  assert.notEqual(before, 1);
  await page.evaluate(() => {
    const copy = $("#a").cloneNode();
    copy.id = "b";
    $("aside").append(copy, $("#a"));
  });
  await until(page, (id) => isShown(id), "b");
  assert.deepEqual(
    await page.evaluate(() => [
      $("#b").naturalWidth,
      $("#b").dataset.rdaeSrc,
      $("#a").naturalWidth,
      $("#a").src === $("#b").src,
    ]),
    [1, "/cases/v1.0-pixel.rdae", 1, true],
  );
  // The copy counts by itself.
  await page.evaluate(() => $("#a").remove());
  await page.waitForTimeout(100);
  assert.ok(await page.evaluate(() => isAlive($("#b").src)));
  await page.evaluate(() => $("#b").removeAttribute("src"));
  await page.waitForTimeout(100);
  assert.deepEqual(await page.evaluate(() => $("#b").getAttributeNames().sort()), ["alt", "id"]);
});

const SETS = `<img id="set" srcset="/cases/v1.0-pixel.rdae 1x, /cases/v1.0-photo.rdae 2x" alt="set">
<img id="both" src="/cases/v1.0-pixel.rdae" srcset="/cases/v1.0-photo.rdae 2x" alt="both">
<img id="wide" srcset="/cases/v1.0-pixel.rdae 10w, /cases/v1.0-photo.rdae 400w" sizes="200px" alt="wide">`;
for (const [ratio, names] of [
  [1, ["pixel", "pixel", "photo"]],
  [2, ["photo", "photo", "photo"]],
]) {
  onPage(
    `of a srcset the candidate for a screen of ${ratio} pixels a unit, at its density`,
    SETS,
    async (page) => {
      const chosen = [];
      for (const id of ["set", "both", "wide"]) {
        await until(page, (id) => happened.some(([event, other]) => event === "load" && other === id), id);
        chosen.push(
          await page.evaluate(
            (id) => [$(`#${id}`).currentSrc.startsWith("blob:"), $(`#${id}`).naturalWidth, $(`#${id}`).alt],
            id,
          ),
        );
      }
      const width = await page.evaluate(async () => {
        const { peek } = await import("/dist/rdae-polyfill.js");
        return peek(new Uint8Array(await (await fetch("/cases/v1.0-photo.rdae")).arrayBuffer())).width;
      });
      const density = { set: 2, both: 2, wide: 2 };
      for (const [i, id] of ["set", "both", "wide"].entries()) {
        const [isBlob, found, alt] = chosen[i];
        assert.ok(isBlob, id);
        assert.equal(alt, id);
        assert.equal(found, names[i] === "pixel" ? 1 : Math.floor(width / density[id]), id);
      }
    },
    { deviceScaleFactor: ratio },
  );
}

{
  let slow;
  before(async () => (slow = new SlowFile(await caseFile("v1.0-photo"))));
  onPage(
    "a <picture> shows what the browser knows until the .rdae file is there",
    `<picture><source media="(max-width: 1px)" type="image/x-rdae" srcset="/cases/v1.0-grey.rdae">
     <source type="image/x-rdae" srcset="/slow.rdae 2x"><img id="one" src="/example.png" alt="either"></picture>`,
    async (page) => {
      await until(page, () => $("#one").naturalWidth === 512);
      assert.ok(await page.evaluate(() => $("#one").currentSrc.endsWith("/example.png")));
      slow.go();
      await until(page, () => $("#one").currentSrc.startsWith("blob:") && $("#one").naturalWidth < 512);
      const [source, other] = await page.evaluate(() =>
        [...document.querySelectorAll("source")].map((each) => [each.type, each.getAttribute("srcset")]),
      );
      assert.deepEqual(source, ["image/x-rdae", "/cases/v1.0-grey.rdae"]);
      assert.match(other[1], /^blob:.* 2x$/);
      await page.evaluate(() => $("source + source").setAttribute("srcset", "/cases/v1.0-pixel.rdae"));
      await until(page, () => $("#one").naturalWidth === 1);
    },
    { places: { "/slow.rdae": (...all) => slow.answer(...all) }, deviceScaleFactor: 2 },
  );
}

const SHEETS = `<style>
  #rule { background: #fff url("cases/v1.0-flat.rdae") no-repeat }
  @media (min-width: 1px) { #media { background-image: url(/cases/v1.0-flat.rdae), url(/example.png) } }
  #pseudo::before { content: ""; display: block; height: 20px; background-image: url('/cases/v1.0-flat.rdae') }
  #hover:hover { background-image: url(/cases/v1.0-flat.rdae) }
  .later { background-image: url(/cases/v1.0-grey.rdae) !important }
  .never { background-image: url(/cases/v1.0-edge.rdae) }
</style><link rel="stylesheet" href="/styles/site.css">`;
const IDS = ["inline", "rule", "media", "pseudo", "hover", "linked", "later"];
onPage(
  "backgrounds of style attributes and of style sheets",
  `${IDS.map((id) => `<div id="${id}"></div>`).join("\n")}`,
  async (page, server) => {
    await page.evaluate(() => {
      $("#inline").style.backgroundImage = 'url("/cases/v1.0-flat.rdae")';
    });
    const background = (id, pseudo) =>
      page.evaluate(([id, pseudo]) => getComputedStyle($(`#${id}`), pseudo).backgroundImage, [id, pseudo]);
    for (const id of ["inline", "rule", "media", "linked"]) {
      await until(page, (id) => getComputedStyle($(`#${id}`)).backgroundImage.includes("blob:"), id);
    }
    assert.match(await background("media"), /^url\("blob:[^"]*"\), url\("http[^"]*example.png"\)$/);
    assert.match(await background("pseudo", "::before"), /^url\("blob:/);
    await page.hover("#hover");
    assert.match(await background("hover"), /^url\("blob:/);
    assert.equal(await background("later"), "none");
    assert.ok(!server.requests.includes("/cases/v1.0-grey.rdae"));
    await page.evaluate(() => $("#later").classList.add("later"));
    await until(page, () => getComputedStyle($("#later")).backgroundImage.includes("blob:"));
    assert.ok(!server.requests.includes("/cases/v1.0-edge.rdae"));
    // It is not only named but seen: the flat picture's colour is on the screen.
    const colours = await page.evaluate(async () => {
      const { decode } = await import("/dist/rdae-polyfill.js");
      return [...(await decode(await (await fetch("/cases/v1.0-flat.rdae")).blob())).image.data.subarray(0, 3)];
    });
    for (const id of ["inline", "rule", "linked"]) {
      const shot = (await page.locator(`#${id}`).screenshot()).toString("base64");
      const seen = await page.evaluate(async (shot) => {
        const bytes = Uint8Array.from(atob(shot), (letter) => letter.charCodeAt(0));
        const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
        const context = new OffscreenCanvas(1, 1).getContext("2d");
        context.drawImage(bitmap, 0, 0);
        return [...context.getImageData(0, 0, 1, 1).data.subarray(0, 3)];
      }, shot);
      assert.ok(
        seen.every((value, i) => Math.abs(value - colours[i]) <= 1),
        `${id}: ${seen}, expected ${colours}`,
      );
    }
    // A sheet that is taken out lets go of its files, if nothing else shows them.
    const url = /"(.*?)"/.exec(await background("later"))[1];
    await page.evaluate(() => $("style + link").previousElementSibling.remove());
    await page.waitForTimeout(200);
    assert.equal(await page.evaluate((url) => isAlive(url), url), false);
  },
  {
    head: `<style>div { width: 20px; height: 20px }</style>${SHEETS}`,
    places: {
      "/styles/site.css": (_request, response, headers) =>
        response
          .writeHead(200, { ...headers, "content-type": "text/css" })
          .end("#linked { background-image: url(../cases/v1.0-flat.rdae) }"),
    },
  },
);

onPage("what cannot be decoded stays as it was, with one error event", "<div></div>", async (page, _server, tab) => {
  await until(page, () => customElements.get("rdae-img"));
  await page.evaluate(
    () =>
      ($("div").innerHTML =
        '<img id="broken" src="/cases/v1.0-bad-flipped.rdae" alt="broken"><img id="gone" src="/cases/gone.rdae" alt="gone">' +
        '<img id="none" src="/cases/v1.0-bad-png.rdae" alt="a PNG"><i style="background-image: url(/cases/v1.0-bad-flipped.rdae)"></i>'),
  );
  await until(page, () => happened.length >= 3);
  await page.waitForTimeout(500);
  const found = await page.evaluate(() => [
    happened.map(([event, id]) => `${event} ${id}`).sort(),
    [...document.images].map((image) => [
      image.getAttribute("src"),
      image.getAttributeNames().length,
      image.complete,
      image.naturalWidth,
    ]),
  ]);
  // The file called .rdae that is a PNG is one to the browser.
  assert.deepEqual(
    found[0].filter((each) => !each.endsWith("none")),
    ["error broken", "error gone"],
  );
  assert.deepEqual(found[1].slice(0, 2), [
    ["/cases/v1.0-bad-flipped.rdae", 3, true, 0],
    ["/cases/gone.rdae", 3, true, 0],
  ]);
  assert.ok(expected(tab, /404/) > 0);
});

onPage(
  "a name that is no address spoils nothing else",
  `<div id="bad"></div><div id="rule"></div><i id="inline" style="background-image: url('http://[bad/x.rdae')"></i>
   <i id="both" style="background-image: url('http://[bad/x.rdae'), url('/cases/v1.0-flat.rdae')"></i>
   <i id="half" style="background-image: url('/cases/gone.rdae'), url('/cases/v1.0-flat.rdae')"></i>
   <img id="odd" src="http://[bad/x.rdae"><img id="one" src="/cases/v1.0-flat.rdae">`,
  async (page, _server, tab) => {
    await until(page, (id) => isShown(id), "one");
    const background = (id) => page.evaluate((id) => getComputedStyle($(`#${id}`)).backgroundImage, id);
    for (const id of ["rule", "both", "half"]) {
      await until(page, (id) => getComputedStyle($(`#${id}`)).backgroundImage.includes("blob:"), id);
    }
    assert.equal(await background("bad"), 'url("http://[bad/x.rdae")');
    assert.equal(await background("inline"), 'url("http://[bad/x.rdae")');
    assert.match(await background("both"), /^url\("http:\/\/\[bad\/x.rdae"\), url\("blob:[^"]*"\)$/);
    assert.match(await background("half"), /^url\("http[^"]*\/cases\/gone.rdae"\), url\("blob:[^"]*"\)$/);
    // And not what comes later.
    await page.evaluate(() => {
      $("#inline").style.backgroundImage = 'url("http://[worse/x.rdae")';
      document.body.insertAdjacentHTML("beforeend", '<img id="two" src="/cases/v1.0-pixel.rdae">');
    });
    await until(page, (id) => isShown(id), "two");
    expected(tab, /404|ERR_INVALID_URL|ERR_NAME_NOT_RESOLVED|asked http:\/\/\[/);
  },
  {
    head: `<style>
      #bad { background-image: url("http://[bad/x.rdae") }
      #rule { background-image: url("/cases/v1.0-flat.rdae") }
    </style>`,
  },
);

onPage("long names of other pictures hold nothing up", "<main></main>", async (page, _server, tab) => {
  await until(page, () => customElements.get("rdae-img"));
  const ms = await page.evaluate(async () => {
    const found = {};
    const long = `data:image/png;base64,${"A".repeat(160_000)}`;
    for (const srcset of [`${long} 1x 2x`, `${long} 1x 2x, /none.rdae 1x 2x`]) {
      const image = document.createElement("img");
      image.srcset = srcset;
      const start = performance.now();
      $("main").append(image);
      await new Promise((resolve) => setTimeout(resolve));
      found[srcset.slice(-9)] = performance.now() - start;
    }
    return found;
  });
  for (const [srcset, taken] of Object.entries(ms)) assert.ok(taken < 2000, `${srcset}: ${Math.round(taken)} ms`);
  expected(tab, /srcset/); // the browser's own words
});

onPage("srcset of one candidate is shown at its density", "<main></main>", async (page) => {
  await until(page, () => customElements.get("rdae-img"));
  await page.evaluate(() => ($("main").innerHTML = '<img id="one" srcset="/cases/v1.0-tiles.rdae 2x" alt="">'));
  await until(page, () => happened.some(([event, id]) => event === "load" && id === "one"));
  const [found, width] = await page.evaluate(async () => {
    const { peek } = await import("/dist/rdae-polyfill.js");
    const { width } = peek(new Uint8Array(await (await fetch("/cases/v1.0-tiles.rdae")).arrayBuffer()));
    return [[$("#one").naturalWidth, $("#one").getAttributeNames().sort()], width];
  });
  assert.deepEqual(found, [Math.floor(width / 2), ["alt", "data-rdae-srcset", "id", "srcset"]]);
});

onPage(
  "a picture that is larger than canvases is shown at a part of its size, in the place of the whole",
  "<main></main>",
  async (page) => {
    await until(page, () => customElements.get("rdae-img"));
    await page.evaluate(() => ($("main").innerHTML = '<img id="one" src="/cases/wide.rdae" alt="wide">'));
    await until(page, () => happened.some(([event, id]) => event === "load" && id === "one"));
    const found = await page.evaluate(async () => {
      const { peek } = await import("/dist/rdae-polyfill.js");
      const { width, height } = peek(new Uint8Array(await (await fetch("/cases/wide.rdae")).arrayBuffer()));
      const image = $("#one");
      const bitmap = await createImageBitmap(await (await fetch(image.currentSrc)).blob());
      const whole = [width, height];
      return { whole, stored: [bitmap.width, bitmap.height], natural: [image.naturalWidth, image.naturalHeight] };
    });
    const [width, height] = found.whole;
    assert.ok(width > 2 * 16_384);
    assert.deepEqual(found.stored, [Math.ceil(width / 4), Math.ceil(height / 4)]);
    assert.deepEqual(found.natural, found.whole);
    await page.evaluate(() => $("#one").setAttribute("src", "/cases/v1.0-pixel.rdae"));
    await until(page, () => $("#one").naturalWidth === 1);
    assert.deepEqual(await page.evaluate(() => [$("#one").hasAttribute("srcset"), $("#one").dataset.rdaeSrc]), [
      false,
      "/cases/v1.0-pixel.rdae",
    ]);
  },
);

onPage("a picture that the browser refuses gets its name back", "<main></main>", async (page) => {
  await until(page, () => customElements.get("rdae-img"));
  await page.evaluate(() => {
    // A browser with smaller limits: what it is given is no picture to it.
    const { createObjectURL } = URL;
    URL.createObjectURL = (blob) =>
      createObjectURL(blob.type === "image/bmp" ? new Blob(["no picture"], { type: "image/bmp" }) : blob);
    $("main").innerHTML =
      '<img id="one" src="/cases/v1.0-photo.rdae" alt="one"><i style="background-image: url(/cases/v1.0-photo.rdae)"></i>';
  });
  await until(page, () => happened.length > 0 && $("#one").getAttribute("src") === "/cases/v1.0-photo.rdae");
  await page.waitForTimeout(300);
  assert.deepEqual(await page.evaluate(() => happened), [["error", "one"]]);
  assert.deepEqual(await page.evaluate(() => $("#one").getAttributeNames().sort()), ["alt", "id", "src"]);
  assert.match(await page.evaluate(() => $("i").style.backgroundImage), /v1.0-photo.rdae/);
});

const FAILING = `<img id="set" srcset="/cases/gone.rdae 2x" alt="set"><img id="src" src="/cases/gone.rdae" alt="src">
<picture><source srcset="/cases/gone.rdae"><img id="source" alt="source"></picture>`;
onPage(
  "what cannot be had is as the page wrote it, without a src that it did not have",
  "<main></main>",
  async (page, _server, tab) => {
    await until(page, () => customElements.get("rdae-img"));
    await page.evaluate((html) => ($("main").innerHTML = html), FAILING);
    await until(page, () => happened.length >= 3);
    await page.waitForTimeout(300);
    assert.deepEqual(await page.evaluate(() => happened.map(([event, id]) => `${event} ${id}`).sort()), [
      "error set",
      "error source",
      "error src",
    ]);
    assert.equal(await page.evaluate(() => $("main").innerHTML), FAILING);
    assert.ok(expected(tab, /404/) > 0);
  },
);

onPage(
  "lazy pictures wait until they are near",
  "<p>long</p><div></div>",
  async (page, server) => {
    await until(page, () => customElements.get("rdae-img"));
    await page.evaluate(
      () => ($("div").innerHTML = '<img id="far" loading="lazy" width="20" height="20" src="/cases/v1.0-photo.rdae">'),
    );
    await page.waitForTimeout(500);
    assert.ok(!server.requests.some((path) => path.startsWith("/cases/")));
    await page.evaluate(() => scrollTo(0, 9000));
    await until(page, (id) => isShown(id), "far");
  },
  { head: "<style>p { height: 9000px }</style>" },
);

onPage("a shadow root that is watched", "<section></section>", async (page) => {
  await page.evaluate(async () => {
    const { watch } = await import("/dist/rdae-polyfill.js");
    const root = $("section").attachShadow({ mode: "open" });
    watch(root);
    root.innerHTML = '<img src="/cases/v1.0-photo.rdae">';
  });
  await until(page, () => $("section").shadowRoot.querySelector("img").src.startsWith("blob:"));
});

onPage("the element is there too", '<rdae-img src="/cases/v1.0-photo.rdae"></rdae-img>', async (page) => {
  await until(page, () => $("rdae-img").complete && $("rdae-img").naturalWidth > 0);
});
