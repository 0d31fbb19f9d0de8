"use strict";
// What moves on the page. Text from outside goes in as text, never as markup, and nothing is ever fetched.
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const MINUS = "\u2212", TIMES = "\u00d7", DASH = "\u2013", NARROW = "\u202f";

// ---------------------------------------------------------------------------------------------------- small helpers

function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

function draw(parent, name, attributes = {}, text = null) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== null) node.textContent = text;
  parent.append(node);
  return node;
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const number = (value, digits) => (value === null || value === undefined ? DASH : value.toFixed(digits).replace("-", MINUS));
const signed = (value, digits) => (value === null || value === undefined ? DASH : (value > 0 ? "+" : "") + number(value, digits));
const grouped = (value) => Math.round(value).toLocaleString("en-US");
const short = (name) => name.split("/").pop();
const metricOf = (key) => data.metrics.find((metric) => metric.key === key);
const withUnit = (metric) => metric.label + (metric.unit ? ", " + metric.unit : "");

// A codec keeps its colour everywhere. Published curves, dashed, begin again.
const dashes = ["7 4", "2 3", "10 4 2 4", "1 4", "12 5", "5 2 1 2"];
let published = 0;
data.codecs.forEach((codec, i) => {
  codec.colour = `var(--c${i % 8})`;
  codec.dash = codec.published ? dashes[published++ % dashes.length] : "none";
});
for (const key of document.querySelectorAll(".key[data-codec]")) {
  key.style.background = data.codecs[+key.dataset.codec].colour;
}

function options(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, text]) => make("option", { value, selected: value === chosen }, text)));
}

// The cubic that BD-rates integrate: Fritsch and Carlson's, as in rdae.evaluation.bdrate. x must rise.
function pchip(x, y) {
  const n = x.length, step = [], secant = [], slope = new Array(n).fill(0);
  for (let i = 0; i < n - 1; i++) { step.push(x[i + 1] - x[i]); secant.push((y[i + 1] - y[i]) / step[i]); }
  if (n === 2) slope.fill(secant[0]);
  const end = (h, next, d, dNext) => {
    const m = ((2 * h + next) * d - h * dNext) / (h + next);
    if (m * d <= 0) return 0;
    return d * dNext < 0 && Math.abs(m) > 3 * Math.abs(d) ? 3 * d : m;
  };
  if (n > 2) {
    for (let i = 1; i < n - 1; i++) {
      if (secant[i - 1] * secant[i] > 0) {
        const w1 = 2 * step[i] + step[i - 1], w2 = step[i] + 2 * step[i - 1];
        slope[i] = (w1 + w2) / (w1 / secant[i - 1] + w2 / secant[i]);
      }
    }
    slope[0] = end(step[0], step[1], secant[0], secant[1]);
    slope[n - 1] = end(step[n - 2], step[n - 3], secant[n - 2], secant[n - 3]);
  }
  return (at) => {
    let i = 0;
    while (i < n - 2 && at > x[i + 1]) i++;
    const h = step[i], t = (at - x[i]) / h;
    return y[i] * (1 + 2 * t) * (1 - t) ** 2 + slope[i] * h * t * (1 - t) ** 2
      + y[i + 1] * t * t * (3 - 2 * t) + slope[i + 1] * h * t * t * (t - 1);
  };
}

// ------------------------------------------------------------------------------------------------------- the curves

const chart = { metric: data.metrics[0].key, picture: -1, log: false, hidden: new Set(), at: null };

// [bpp, value] by rising rate, of the mean or of a picture.
function pointsOf(codec, metric, picture) {
  const columns = picture < 0 ? codec.means : codec.pictures && codec.pictures[picture];
  if (!columns || !columns[metric]) return [];
  const pairs = columns.bpp.map((bpp, i) => [bpp, columns[metric][i]]);
  return pairs.filter(([bpp, value]) => bpp !== null && value !== null && value !== undefined)
    .sort((a, b) => a[0] - b[0]).filter((pair, i, all) => i === 0 || pair[0] > all[i - 1][0]);
}

function curveOf(codec, metric, picture) {
  const points = pointsOf(codec, metric, picture);
  if (!points.length) return null;
  const low = points[0][0], high = points[points.length - 1][0];
  const cubic = points.length > 1 ? pchip(points.map((p) => Math.log(p[0])), points.map((p) => p[1])) : () => points[0][1];
  const value = (bpp) => (bpp < low || bpp > high ? null : cubic(Math.log(bpp)));
  // The rate at which the curve reaches a value, if it rises through it.
  const rate = (wanted) => {
    if (wanted < points[0][1] || wanted > points[points.length - 1][1]) return null;
    let a = Math.log(low), b = Math.log(high);
    for (let i = 0; i < 50; i++) { const m = (a + b) / 2; if (cubic(m) < wanted) a = m; else b = m; }
    return Math.exp((a + b) / 2);
  };
  return { codec, points, low, high, value, rate };
}

function niceTicks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(+(i * step).toPrecision(12));
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const m of [1, 2, 5]) { const t = +(m * 10 ** power).toPrecision(3); if (t >= low && t <= high) ticks.push(t); }
  }
  return ticks;
}

function drawChart() {
  const box = $("chart"), old = box.querySelector("svg");
  const width = Math.max(280, box.clientWidth), height = clamp(Math.round(width * 0.52), 300, 560);
  const margin = { left: 52, right: 10, top: 12, bottom: 46 };
  const curves = data.codecs.map((codec) => curveOf(codec, chart.metric, chart.picture));
  const first = curves[0];
  const node = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const metric = metricOf(chart.metric);
  const of = chart.picture < 0 ? `mean of ${data.pictures.length} pictures` : data.pictures[chart.picture][0];
  for (const [key, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, width, height, tabindex: 0, role: "img",
    "aria-label": `${withUnit(metric)}, over bits per pixel, ${of}: ${curves.filter(Boolean).map((c) => c.codec.name).join(", ")}` })) {
    node.setAttribute(key, value);
  }
  if (old) old.replaceWith(node); else box.prepend(node);
  hideTip();
  chart.geometry = null;
  if (!first) { draw(node, "text", { x: 60, y: 60 }, "There are no points of this."); return; }

  const values = first.points.map((p) => p[1]);
  const span = Math.max(...values) - Math.min(...values) || 1;
  let low = Math.min(...values) - 0.06 * span, high = Math.max(...values) + 0.06 * span;
  const least = chart.log ? first.low / 1.25 : 0, most = chart.log ? first.high * 1.15 : first.high * 1.04;
  const across = width - margin.left - margin.right, down = height - margin.top - margin.bottom;
  const x = chart.log
    ? (bpp) => margin.left + across * Math.log(bpp / least) / Math.log(most / least)
    : (bpp) => margin.left + across * (bpp - least) / (most - least);
  const back = chart.log
    ? (px) => least * (most / least) ** ((px - margin.left) / across)
    : (px) => least + (most - least) * (px - margin.left) / across;
  const y = (value) => margin.top + down * (high - value) / (high - low);

  for (const tick of niceTicks(low, high, height / 62)) {
    draw(node, "line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: y(tick), y2: y(tick) });
    draw(node, "text", { x: margin.left - 9, y: y(tick) + 4.5, "text-anchor": "end" }, String(tick));
  }
  for (const tick of chart.log ? logTicks(least, most) : niceTicks(least, most, width / 95)) {
    draw(node, "line", { class: "grid", x1: x(tick), x2: x(tick), y1: margin.top, y2: margin.top + down });
    draw(node, "text", { x: x(tick), y: margin.top + down + 19, "text-anchor": "middle" }, String(tick));
  }
  draw(node, "text", { x: width - margin.right, y: height - 6, "text-anchor": "end" }, "bits per pixel");
  draw(node, "text", { x: margin.left + 8, y: margin.top + 15 }, withUnit(metric));

  const clip = draw(draw(node, "defs"), "clipPath", { id: "frame" });
  draw(clip, "rect", { x: margin.left, y: margin.top, width: across, height: down });
  const plot = draw(node, "g", { "clip-path": "url(#frame)" });
  for (let i = curves.length - 1; i >= 0; i--) {
    const curve = curves[i];
    if (!curve || chart.hidden.has(i)) continue;
    const colour = curve.codec.colour, path = [];
    const from = Math.max(x(curve.low), margin.left), to = Math.min(x(curve.high), width - margin.right);
    for (let k = 0; k <= 160 && to > from; k++) {
      const bpp = clamp(back(from + (to - from) * k / 160), curve.low, curve.high);
      path.push(`${(from + (to - from) * k / 160).toFixed(1)} ${y(curve.value(bpp)).toFixed(1)}`);
    }
    const line = draw(plot, "path", { class: "curve" + (i ? "" : " first"), d: "M" + (path.join("L") || "0 0"), "stroke-dasharray": curve.codec.dash });
    line.style.stroke = colour;
    if (!curve.codec.published) {
      for (const [bpp, value] of curve.points) {
        if (bpp > most || bpp < least) continue;
        draw(plot, "circle", { class: "dot", cx: x(bpp), cy: y(value), r: i ? 3 : 4.2 }).style.fill = colour;
      }
    }
  }
  const marks = draw(node, "g");
  chart.geometry = { x, y, back, curves, width, height, margin, low, high, marks, least, most };
  node.addEventListener("pointermove", (event) => {
    const frame = node.getBoundingClientRect();
    readAt(back((event.clientX - frame.left) * width / frame.width));
  });
  node.addEventListener("pointerleave", () => { if (document.activeElement !== node) hideTip(); });
  node.addEventListener("blur", hideTip);
  node.addEventListener("focus", () => { if (node.matches(":focus-visible")) readAt(chart.at ?? first.points[Math.floor(first.points.length / 2)][0]); });
  node.addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (event.key === "Escape") hideTip();
    if (!move) return;
    event.preventDefault();
    readAt(back(clamp(x(chart.at ?? first.low) + move * 4, x(Math.max(first.low, least || first.low)), x(first.high))));
  });
}

function readAt(bpp) {
  const g = chart.geometry;
  if (!g) return;
  const first = g.curves[0];
  bpp = clamp(bpp, first.low, first.high);
  chart.at = bpp;
  g.marks.replaceChildren();
  draw(g.marks, "line", { class: "cross", x1: g.x(bpp), x2: g.x(bpp), y1: g.margin.top, y2: g.height - g.margin.bottom });
  const rows = [];
  const own = first.value(bpp);
  g.curves.forEach((curve, i) => {
    if (!curve || chart.hidden.has(i)) return;
    const value = curve.value(bpp), rate = i ? curve.rate(own) : null;
    if (value === null && rate === null) return;
    if (value !== null && value <= g.high && value >= g.low) {
      draw(g.marks, "circle", { class: "dot", cx: g.x(bpp), cy: g.y(value), r: 4.5 }).style.fill = curve.codec.colour;
    }
    rows.push({ i, value, saved: rate === null ? null : 100 * (bpp / rate - 1) });
  });
  rows.sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity));
  const metric = metricOf(chart.metric);
  const body = rows.map(({ i, value, saved }) => {
    const key = make("span", { class: "key" });
    key.style.background = data.codecs[i].colour;
    return make("tr", {}, make("th", { scope: "row" }, key, data.codecs[i].name),
      make("td", { class: "n" }, number(value, 2)), make("td", { class: "n" }, i ? (saved === null ? "" : `${signed(saved, 1)}${NARROW}%`) : ""));
  });
  const tip = $("tip");
  tip.replaceChildren(make("table", {}, make("thead", {}, make("tr", {}, make("td", {}, `${number(bpp, 3)} bits per pixel`),
    make("th", { class: "n" }, metric.unit || metric.label), make("th", { class: "n" }, `bits at equal ${metric.unit || "score"}`))), make("tbody", {}, ...body)));
  tip.hidden = false;
  const scale = $("chart").clientWidth / g.width, at = g.x(bpp) * scale, wide = tip.offsetWidth;
  tip.style.left = `${at + wide + 26 > $("chart").clientWidth && at - wide - 14 > 0 ? at - wide - 14 : Math.min(at + 14, Math.max(0, $("chart").clientWidth - wide))}px`;
  tip.style.top = `${g.y(own) < g.height / 2 ? Math.max(4, g.height * scale - tip.offsetHeight - 62) : 18}px`;
}

function hideTip() {
  $("tip").hidden = true;
  if (chart.geometry) chart.geometry.marks.replaceChildren();
}

function drawLegend() {
  $("legend").replaceChildren(...data.codecs.map((codec, i) => {
    const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    sample.setAttribute("width", 26); sample.setAttribute("height", 10); sample.setAttribute("aria-hidden", "true");
    const line = draw(sample, "line", { x1: 1, x2: 25, y1: 5, y2: 5, "stroke-width": i ? 2 : 3.2, "stroke-dasharray": codec.dash });
    line.style.stroke = codec.colour;
    const missing = !curveOf(codec, chart.metric, chart.picture);
    return make("button", { type: "button", "aria-pressed": String(!chart.hidden.has(i) && !missing), disabled: missing, onclick: () => {
      if (chart.hidden.has(i)) chart.hidden.delete(i); else chart.hidden.add(i);
      drawLegend(); drawChart();
      $("legend").children[i].focus();
    } }, sample, codec.name);
  }));
}

function refreshChart() { drawLegend(); drawChart(); }

function setPicture(i) {
  chart.picture = i;
  $("of").value = String(i);
  for (const row of document.querySelectorAll("#table tbody tr")) row.classList.toggle("chosen", +row.dataset.picture === i);
  refreshChart();
}

options($("metric"), data.metrics.map((metric) => [metric.key, withUnit(metric)]), chart.metric);
$("metric").addEventListener("change", () => { chart.metric = $("metric").value; refreshChart(); });
options($("of"), [["-1", `mean of all ${data.pictures.length}`], ...data.pictures.map(([name], i) => [String(i), name])], "-1");
$("of").addEventListener("change", () => setPicture(+$("of").value));
$("log").addEventListener("change", () => { chart.log = $("log").checked; refreshChart(); });

// -------------------------------------------------------------------------------------------------- table of pictures

const table = { quality: data.quality, sort: null, rising: true };

function columns() {
  const own = data.codecs[0];
  const at = (key) => (i) => { const found = own.pictures[i][key]; return found ? found[table.quality] : null; };
  const list = [{ title: "picture", value: (i) => data.pictures[i][0], name: true }];
  list.push({ title: "pixels", value: (i) => data.pictures[i][1] * data.pictures[i][2], show: (v, i) => `${data.pictures[i][1]} ${TIMES} ${data.pictures[i][2]}` });
  list.push({ title: "bpp", value: at("bpp"), show: (v) => number(v, 3) });
  const measured = (metric) => ({ title: withUnit(metric), value: at(metric.key), show: (v) => number(v, 2), rising: true });
  list.push(...data.metrics.filter((metric) => !metric.last).map(measured));
  data.saved.forEach((saved, k) => {
    if (saved) list.push({ title: `bits against ${data.codecs[k + 1].name}`, value: (i) => saved[i], show: (v) => (v === null ? DASH : `${signed(v, 1)}${NARROW}%`), judged: true, codec: k + 1 });
  });
  list.push({ title: "encode, s", value: at("encoding_time"), show: (v) => number(v, 3) });
  list.push({ title: "decode, s", value: at("decoding_time"), show: (v) => number(v, 3) });
  list.push(...data.metrics.filter((metric) => metric.last).map(measured));
  return list.filter((column) => column.name || data.pictures.some((_, i) => column.value(i) !== null && column.value(i) !== undefined));
}

function drawTable() {
  const list = columns();
  const order = data.order.slice();
  if (table.sort !== null) {
    const column = list.find((c) => c.title === table.sort);
    const sign = table.rising ? 1 : -1;
    order.sort((a, b) => {
      const [x, y] = [column.value(a), column.value(b)];
      if (x === null || x === undefined) return 1;
      if (y === null || y === undefined) return -1;
      return sign * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
    });
  }
  $("table").tHead.rows[0].replaceChildren(...list.map((column) => {
    const sorted = table.sort === column.title;
    const button = make("button", { type: "button", onclick: () => {
      // A first click shows the worst first: few dB, many bits, much time; names from A.
      if (sorted) table.rising = !table.rising; else { table.sort = column.title; table.rising = Boolean(column.name || column.rising); }
      drawTable();
      [...$("table").tHead.querySelectorAll("button")].find((b) => b.textContent === column.title).focus();
    } }, column.title);
    return make("th", { scope: "col", class: column.name ? "" : "n", "aria-sort": sorted ? (table.rising ? "ascending" : "descending") : null }, button);
  }));
  $("table").tBodies[0].replaceChildren(...order.map((i) => {
    const row = make("tr", { "data-picture": i, class: chart.picture === i ? "chosen" : "" });
    for (const column of list) {
      const value = column.value(i);
      if (column.name) {
        row.append(make("th", { scope: "row" }, make("button", { type: "button", title: "Show its curves", onclick: () => {
          setPicture(chart.picture === i ? -1 : i);
          $("curves").scrollIntoView();
        } }, value)));
      } else {
        const judged = column.judged && value !== null ? (value < 0 ? " good" : " bad") : "";
        row.append(make("td", { class: "n" + judged }, column.show(value ?? null, i)));
      }
    }
    return row;
  }));
  $("order").textContent = table.sort !== null ? ""
    : data.main !== null ? `in the order of bits saved, by ${data.metrics[0].label}, against ${data.codecs[data.main].name}, least first` : "in the order of their loss, largest first";
}

options($("quality"), data.qualities.map((quality, i) => [String(i), String(quality)]), String(data.quality));
$("quality").addEventListener("change", () => { table.quality = +$("quality").value; drawTable(); });

// --------------------------------------------------------------------------------------------------------- pictures

const images = new Map();

// The picture behind a data URI, decoded once.
function imageOf(uri) {
  if (!images.has(uri)) {
    const image = new Image();
    image.src = uri;
    images.set(uri, image.decode().then(() => image));
  }
  return images.get(uri);
}

const look = { shown: 0, match: "", left: -1, right: 0, mode: "slider", zoom: 1, fit: true, x: 0, y: 0, split: 0.5, gain: 4, flipped: false, timer: 0, pictures: null, difference: null };

const current = () => data.shown[look.shown];
const version = (side) => (side < 0 ? null : current().versions[side]);
const area = () => { const s = current(); return s.crop ? { width: s.crop[2], height: s.crop[3] } : { width: s.width, height: s.height }; };

function sideName(side) {
  const found = version(side);
  return found ? data.codecs[found.codec].name : "original";
}

function sides() {
  const entries = [["-1", "original"]];
  current().versions.forEach((found, i) => {
    if (found.match === "" || found.match === look.match) entries.push([String(i), data.codecs[found.codec].name]);
  });
  return entries;
}

// The same codec in another picture or at another match, else the original.
function same(side, before) {
  if (side < 0) return -1;
  const codec = before[side] ? before[side].codec : 0;
  return current().versions.findIndex((v) => v.codec === codec && (v.match === "" || v.match === look.match));
}

function setShown(i) {
  const before = current().versions;
  look.shown = i;
  const [left, right] = [same(look.left, before), same(look.right, before)];
  [look.left, look.right] = [left, right];
  $("look-picture").value = $("bits-picture").value = String(i);
  bits.channel = 0;
  refreshLook();
  refreshBits();
}

function caption(node, side) {
  const found = version(side), s = current(), pixels = s.width * s.height;
  if (!found) { node.replaceChildren(make("strong", {}, "original"), `${s.width} ${TIMES} ${s.height}`); return; }
  const own = s.versions[0];
  const parts = [`${grouped(found.bytes)} bytes`];
  if (found !== own) parts[0] += ` (${signed(100 * (found.bytes / own.bytes - 1), 1)}${NARROW}%)`;
  parts.push(`${number(8 * found.bytes / pixels, 3)} bpp`);
  if (found.ssimulacra2 !== null) parts.push(`SSIMULACRA 2 ${number(found.ssimulacra2, 1)}`);
  parts.push(found.psnr === null ? "lossless" : `${number(found.psnr, 2)} dB`);
  if (found.ms_ssim !== null) parts.push(`MS-SSIM ${number(found.ms_ssim, 4)}`);
  node.replaceChildren(make("strong", {}, `${data.codecs[found.codec].name}, quality ${found.quality}`), parts.join(" · "));
}

async function refreshLook() {
  if (!data.shown.length) return;
  const s = current();
  const matches = [...new Set(s.versions.map((v) => v.match).filter(Boolean))];
  if (!matches.includes(look.match)) look.match = matches[0] || "";
  $("look-match-label").hidden = !matches.length;
  options($("look-match"), matches.map((m) => [m, m === "psnr" ? "PSNR" : "bytes"]), look.match);
  $("look-match").disabled = matches.length < 2;
  options($("look-left"), sides(), String(look.left));
  options($("look-right"), sides(), String(look.right));
  caption($("caption-left"), look.left);
  caption($("caption-right"), look.right);
  const difference = look.mode === "difference", flicker = look.mode === "flicker";
  $("look-gain-label").hidden = !difference;
  $("look-pace-label").hidden = $("look-flip").hidden = !flicker;
  $("slider").hidden = look.mode !== "slider";
  const wanted = [look.left, look.right].map((side) => (side < 0 ? s.original : version(side).uri));
  const found = await Promise.all(wanted.map(imageOf));
  // Another choice may have been made while these were decoded.
  if (s !== current() || wanted[0] !== (look.left < 0 ? s.original : version(look.left).uri) || wanted[1] !== (look.right < 0 ? s.original : version(look.right).uri)) return;
  look.pictures = found;
  look.difference = difference ? subtract(found[0], found[1], look.gain) : null;
  tick();
  drawLook();
}

function levels(image) {
  const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return [canvas, context, context.getImageData(0, 0, canvas.width, canvas.height)];
}

function subtract(first, second, gain) {
  const [canvas, context, a] = levels(first), [, , b] = levels(second);
  let total = 0, most = 0;
  for (let i = 0; i < a.data.length; i++) {
    if (i % 4 === 3) continue;
    const d = Math.abs(a.data[i] - b.data[i]);
    total += d; most = Math.max(most, d);
    a.data[i] = Math.min(255, gain * d);
  }
  context.putImageData(a, 0, 0);
  canvas.words = `difference ${TIMES}${gain}: mean ${number(total / (0.75 * a.data.length), 2)}, largest ${most} of 255`;
  return canvas;
}

// The size of the frame and of the picture in it, in CSS pixels.
function frame() {
  const { width, height } = area(), across = $("view").clientWidth;
  const panes = look.mode === "side" ? 2 : 1;
  const pane = (across - (panes - 1) * 4) / panes;
  const tallest = Math.max(260, Math.min(innerHeight * 0.9, 1000));
  // Whole pixels where there is room for them.
  const room = Math.min(pane / width, tallest / height, 4), fit = room > 1 ? Math.floor(room) : room;
  const scale = look.fit ? fit : look.zoom;
  const high = Math.round(look.fit ? fit * height : Math.min(tallest, scale * height));
  return { across, pane, panes, high, scale, fit };
}

function drawLook() {
  if (!look.pictures) return;
  const { width, height } = area(), f = frame(), ratio = devicePixelRatio || 1;
  const canvas = $("look-canvas");
  canvas.width = Math.round(f.across * ratio); canvas.height = Math.round(f.high * ratio);
  canvas.style.width = `${f.across}px`; canvas.style.height = `${f.high}px`;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  // Where the picture's left upper corner is in a pane: in the middle if it is smaller, else where it was moved to.
  const slack = [f.pane - f.scale * width, f.high - f.scale * height];
  look.x = slack[0] >= 0 ? 0 : clamp(look.x, slack[0], 0);
  look.y = slack[1] >= 0 ? 0 : clamp(look.y, slack[1], 0);
  const left = slack[0] >= 0 ? slack[0] / 2 : look.x, top = slack[1] >= 0 ? slack[1] / 2 : look.y;
  look.placed = { left, top, width: f.scale * width, pane: f.pane, free: slack[0] < 0 || slack[1] < 0 };
  const paint = (image, from, to, offset) => {
    if (to <= from) return;
    context.save();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.beginPath(); context.rect(from, 0, to - from, f.high); context.clip();
    const pixel = f.scale * ratio;
    context.imageSmoothingEnabled = pixel < 2 && pixel !== 1;
    context.imageSmoothingQuality = "high";
    context.drawImage(image, left + offset, top, f.scale * width, f.scale * height);
    context.restore();
  };
  const [a, b] = look.pictures;
  if (look.mode === "slider") {
    const x0 = Math.max(0, left), x1 = Math.min(f.pane, left + f.scale * width);
    const at = x0 + look.split * (x1 - x0);
    paint(a, 0, at, 0); paint(b, at, f.pane, 0);
    $("slider").style.left = `${at}px`;
    look.edges = [x0, x1];
  } else if (look.mode === "flicker") paint(look.flipped ? b : a, 0, f.pane, 0);
  else if (look.mode === "side") { paint(a, 0, f.pane, 0); paint(b, f.pane + 4, f.across, f.pane + 4); }
  else if (look.difference) paint(look.difference, 0, f.pane, 0);
  const [one, two] = [sideName(look.left), sideName(look.right)];
  $("tag-left").textContent = look.mode === "difference" ? (look.difference ? look.difference.words : "") : look.mode === "flicker" ? (look.flipped ? two : one) : one;
  $("tag-right").textContent = two;
  const edge = Math.max(0, left) + 10;
  $("tag-left").style.left = `${edge}px`;
  $("tag-right").style.right = `${edge}px`;
  $("tag-right").hidden = look.mode === "difference" || look.mode === "flicker";
  const percent = Math.round(100 * look.split);
  $("slider").setAttribute("aria-valuenow", percent);
  $("slider").setAttribute("aria-valuetext", `${percent} % ${one}, the rest ${two}`);
}

function setSplit(value) { look.split = clamp(value, 0, 1); drawLook(); }

function setZoom(value, at = null) {
  const f = frame(), p = look.placed || { left: 0, top: 0 };
  look.fit = value === "fit";
  if (!look.fit) {
    look.zoom = +value;
    // The point under `at` stays where it is, or what is in the middle stays in the middle.
    const after = frame(), [x, y] = at || [f.pane / 2, f.high / 2], to = at || [after.pane / 2, after.high / 2];
    look.x = to[0] - (x - p.left) * look.zoom / f.scale;
    look.y = to[1] - (y - p.top) * look.zoom / f.scale;
  }
  $("look-zoom").value = String(value);
  drawLook();
}

function stepZoom(by, at = null) {
  const values = [...$("look-zoom").options].map((o) => o.value);
  const scale = frame().scale;
  if (look.fit && by > 0) { setZoom(values.slice(1).find((v) => +v > scale * 1.05) || values[values.length - 1], at); return; }
  const i = values.indexOf($("look-zoom").value) + by;
  if (i >= 0 && i < values.length) setZoom(values[i], at);
}

function flip() { look.flipped = !look.flipped; drawLook(); }

function tick() {
  clearInterval(look.timer);
  const pace = +$("look-pace").value;
  if (look.mode === "flicker" && pace > 0) look.timer = setInterval(() => { if (!document.hidden) flip(); }, pace);
}

function lookEvents() {
  options($("look-picture"), data.shown.map((s, i) => [String(i), s.name]), "0");
  $("look-picture").addEventListener("change", () => setShown(+$("look-picture").value));
  $("look-match").addEventListener("change", () => {
    const before = current().versions;
    look.match = $("look-match").value;
    [look.left, look.right] = [same(look.left, before), same(look.right, before)];
    refreshLook();
  });
  $("look-left").addEventListener("change", () => { look.left = +$("look-left").value; refreshLook(); });
  $("look-right").addEventListener("change", () => { look.right = +$("look-right").value; refreshLook(); });
  $("look-mode").addEventListener("change", (event) => { look.mode = event.target.value; look.flipped = false; refreshLook(); });
  $("look-zoom").addEventListener("change", () => setZoom($("look-zoom").value));
  $("look-gain").addEventListener("change", () => { look.gain = +$("look-gain").value; refreshLook(); });
  $("look-pace").addEventListener("change", tick);
  $("look-flip").addEventListener("click", flip);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) $("look-pace").value = "0";
  const view = $("view"), slider = $("slider");
  slider.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.1 : 0.01;
    const to = { ArrowLeft: look.split - step, ArrowDown: look.split - step, ArrowRight: look.split + step, ArrowUp: look.split + step,
      PageDown: look.split - 0.1, PageUp: look.split + 0.1, Home: 0, End: 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault(); event.stopPropagation();
    setSplit(to);
  });
  view.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (event.key === "+" || event.key === "=") stepZoom(1);
    else if (event.key === "-") stepZoom(-1);
    else if (event.key === "0") setZoom("fit");
    else if (event.key === " ") { if (look.mode === "flicker") flip(); }
    else if (move && look.placed && look.placed.free) { look.x += move[0]; look.y += move[1]; drawLook(); }
    else return;
    event.preventDefault();
  });
  let drag = null;
  const at = (event) => { const box = view.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  view.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const [x, y] = at(event), onHandle = event.target === slider;
    drag = { x, y, divide: look.mode === "slider" && (onHandle || !look.placed || !look.placed.free) };
    view.setPointerCapture(event.pointerId);
    view.classList.add("drag");
    if (drag.divide && !onHandle) slideTo(x);
  });
  const slideTo = (x) => { const [x0, x1] = look.edges || [0, 1]; setSplit((x - x0) / Math.max(1, x1 - x0)); };
  view.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [x, y] = at(event);
    if (drag.divide) slideTo(x);
    else { look.x += x - drag.x; look.y += y - drag.y; drag.x = x; drag.y = y; drawLook(); }
  });
  const stop = () => { drag = null; view.classList.remove("drag"); };
  view.addEventListener("pointerup", stop);
  view.addEventListener("pointercancel", stop);
  view.addEventListener("dblclick", (event) => { if (event.target !== slider) stepZoom(event.shiftKey ? -1 : 1, at(event)); });
}

// ------------------------------------------------------------------------------------------------ where the bits went

const bits = { map: "all", opacity: 0.75, channel: 0 };
const ramp = new Uint8ClampedArray(256 * 3);
for (let i = 0; i < 256; i++) {
  const share = i / 255 * (data.colours.length - 1), k = Math.min(Math.floor(share), data.colours.length - 2);
  for (let c = 0; c < 3; c++) ramp[3 * i + c] = data.colours[k][c] * (k + 1 - share) + data.colours[k + 1][c] * (share - k);
}

function planeOf(maps) {
  const plane = bits.map === "channel" ? maps.channel_maps[bits.channel] : maps[bits.map];
  if (!plane.levels) plane.levels = Uint8Array.from(atob(plane.data), (c) => c.charCodeAt(0));
  return plane;
}

async function refreshBits() {
  const s = data.shown[look.shown], maps = s && s.maps;
  if (!maps) return;
  const total = 8 * maps.bytes, parts = [["latents ŷ", maps.bits.y, "--c0"], ["hyper-latents ẑ", maps.bits.z, "--c1"], ["the rest of the file", maps.bits.rest, "--c7"]];
  $("bits-split").replaceChildren(...parts.map(([, value, colour]) => {
    const part = make("i");
    part.style.background = `var(${colour})`; part.style.flex = `${Math.max(0, value)} 0 0`;
    return part;
  }));
  const words = parts.map(([name, value, colour]) => {
    const key = make("span", { class: "key" });
    key.style.background = `var(${colour})`;
    return [key, `${name} ${grouped(value / 8)} bytes, ${number(100 * value / total, 1)}${NARROW}%`];
  });
  $("bits-words").replaceChildren(...words.flat());
  $("bits-split").setAttribute("aria-label", words.map((w) => w[1]).join("; "));
  $("bits-channel").max = Math.max(0, maps.channel_maps.length - 1);
  $("bits-channel").value = bits.channel;
  $("bits-map").value = bits.map;
  drawChannels(maps);
  const image = await imageOf(s.original);
  if (s === data.shown[look.shown]) drawBits(s, image);
}

function drawBits(s, image) {
  const plane = planeOf(s.maps), crop = s.crop || [0, 0, s.width, s.height];
  const canvas = $("bits-canvas"), most = canvas.parentElement.parentElement.clientWidth;
  const scale = Math.min(most / crop[2], Math.max(260, innerHeight * 0.68) / crop[3], 4), ratio = devicePixelRatio || 1;
  canvas.width = Math.round(crop[2] * scale * ratio); canvas.height = Math.round(crop[3] * scale * ratio);
  canvas.style.width = `${crop[2] * scale}px`; canvas.style.height = `${crop[3] * scale}px`;
  const context = canvas.getContext("2d");
  context.filter = "grayscale(1)";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  context.filter = "none";
  const small = make("canvas", { width: plane.width, height: plane.height }), inside = small.getContext("2d");
  const pixels = inside.createImageData(plane.width, plane.height);
  plane.levels.forEach((level, i) => { for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = ramp[3 * level + c]; pixels.data[4 * i + 3] = 255; });
  inside.putImageData(pixels, 0, 0);
  context.globalAlpha = bits.opacity;
  context.imageSmoothingEnabled = false;
  const unit = plane.side * scale * ratio;
  context.drawImage(small, -crop[0] * scale * ratio, -crop[1] * scale * ratio, plane.width * unit, plane.height * unit);
  context.globalAlpha = 1;
  const strip = $("bits-scale").getContext("2d"), row = strip.createImageData(256, 1);
  for (let i = 0; i < 256; i++) { for (let c = 0; c < 3; c++) row.data[4 * i + c] = ramp[3 * i + c]; row.data[4 * i + 3] = 255; }
  strip.putImageData(row, 0, 0);
  $("bits-most").textContent = `${number(plane.most, plane.most < 10 ? 2 : 0)} bits at a position`;
  $("bits-here").textContent = "";
  bits.place = { plane, crop, scale };
}

function drawChannels(maps) {
  const box = $("bits-channels"), width = Math.max(280, box.clientWidth || 800), height = 80;
  const node = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  node.setAttribute("viewBox", `0 0 ${width} ${height}`); node.setAttribute("preserveAspectRatio", "none"); node.setAttribute("role", "img");
  const list = maps.channels, most = list.length ? list[0][1] : 1, total = list.reduce((sum, c) => sum + c[1], 0);
  let running = 0, half = 0;
  list.forEach(([, value], i) => { if (running < total / 2) half = i + 1; running += value; });
  const step = width / Math.max(list.length, 24), thick = Math.max(step - (step > 4 ? 1.5 : 0.4), 0.6);
  list.forEach(([, value], i) => {
    const tall = Math.max(0.5, (height - 2) * value / most);
    draw(node, "rect", { x: i * step, y: height - tall, width: thick, height: tall, class: i === bits.channel ? "chosen" : i < maps.channel_maps.length ? "mapped" : "" });
  });
  node.setAttribute("aria-label", `Bits of each channel, most first: ${list.length} of ${maps.count} have any, ${half} have half of them`);
  node.addEventListener("click", (event) => {
    const frame = node.getBoundingClientRect();
    chooseChannel(Math.floor((event.clientX - frame.left) / frame.width * width / step));
  });
  box.replaceChildren(node);
  const [name, value] = list[bits.channel] || [0, 0];
  $("bits-channel-words").textContent = `channel ${name}: ${grouped(value / 8)} bytes, ${number(100 * value / (total || 1), 1)}${NARROW}% of ŷ. `
    + `${list.length} of ${maps.count} channels have bits, ${half} have half of them.`;
}

function chooseChannel(i) {
  const maps = data.shown[look.shown].maps;
  bits.channel = clamp(i, 0, Math.max(0, maps.channel_maps.length - 1));
  bits.map = "channel";
  refreshBits();
}

function bitsEvents() {
  options($("bits-picture"), data.shown.map((s, i) => [String(i), s.name]), "0");
  $("bits-picture").addEventListener("change", () => setShown(+$("bits-picture").value));
  $("bits-map").addEventListener("change", () => { bits.map = $("bits-map").value; refreshBits(); });
  $("bits-opacity").addEventListener("input", () => { bits.opacity = $("bits-opacity").value / 100; refreshBits(); });
  $("bits-channel").addEventListener("input", () => chooseChannel(+$("bits-channel").value));
  $("bits-canvas").addEventListener("pointermove", (event) => {
    if (!bits.place) return;
    const { plane, crop, scale } = bits.place, box = $("bits-canvas").getBoundingClientRect();
    const column = clamp(Math.floor(((event.clientX - box.left) / scale + crop[0]) / plane.side), 0, plane.width - 1);
    const row = clamp(Math.floor(((event.clientY - box.top) / scale + crop[1]) / plane.side), 0, plane.height - 1);
    $("bits-here").textContent = `column ${column}, row ${row}: ${number(plane.levels[row * plane.width + column] / 255 * plane.most, 1)} bits`;
  });
  $("bits-canvas").addEventListener("pointerleave", () => { $("bits-here").textContent = ""; });
}

// ------------------------------------------------------------------------------------------------------------- start

drawTable();
refreshChart();
if (data.shown.length) {
  const peer = data.shown[0].versions.findIndex((v) => v.codec === data.main);
  look.left = peer > 0 ? peer : data.shown[0].versions.length > 1 ? 1 : -1;
  lookEvents(); bitsEvents();
  refreshLook(); refreshBits();
}
let width = 0;
new ResizeObserver(() => {
  if (document.body.clientWidth === width) return;
  width = document.body.clientWidth;
  drawChart(); drawLook(); refreshBits();
}).observe(document.body);
})();
