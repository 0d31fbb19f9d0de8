/**
 * The viewer: .rdae files that are dropped, chosen or named in the address (?file=…&file=…, of this site only), alone or
 * compared with another picture by a divider.
 *
 * Whatever files and their names hold goes into the page as text.
 */

import { configure } from "../src/index.ts";
import { open, type Opened, type Origin } from "./opened.ts";
import { Stage, type Zoom } from "./stage.ts";

/** Pixels of pictures that are kept, beside those that are shown, for when they are chosen again. */
const KEPT_PIXELS = 50_000_000;
/** Steps of the divider, as parts of the window. */
const STEP = 0.01;
const LEAP = 0.1;

interface Entry {
  readonly name: string;
  readonly origin: Origin;
  opened: Opened | null;
}

function element<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

const canvas = element<HTMLCanvasElement>("canvas");
const chooser = element<HTMLInputElement>("chooser");
const divider = element("divider");
const keys = element<HTMLDialogElement>("keys");
const first = element<HTMLSelectElement>("first");
const second = element<HTMLSelectElement>("second");
const save = element<HTMLButtonElement>("save");
const swap = element<HTMLButtonElement>("swap");
const zooms = [...element("zoom").querySelectorAll("button")];
const stage = new Stage(canvas, reflect);

const entries: Entry[] = [];
/** What is chosen, and what is shown, which follows when it is decoded. */
let chosen: { first: Entry | null; second: Entry | null } = { first: null, second: null };
let shown: { first: Opened | null; second: Opened | null } = { first: null, second: null };
let job = new AbortController();

// ----------------------------------------------------------------------------------------------------------------- files

/** Takes files in and shows the first of them; two that come as the first ones are compared. */
function take(files: { name: string; origin: Origin }[]): void {
  if (!files.length) return;
  const alone = entries.length === 0;
  const added = files.map((file) => ({ ...file, opened: null }));
  entries.push(...added);
  chosen.first = added[0];
  if (alone && added.length === 2) chosen.second = added[1];
  if (chosen.second === chosen.first) chosen.second = null;
  void update();
}

/** Decodes what is chosen and not yet there, and shows it. */
async function update(): Promise<void> {
  job.abort();
  const mine = (job = new AbortController());
  list();
  for (const part of ["first", "second"] as const) {
    const entry = chosen[part];
    if (!entry || entry.opened) continue;
    try {
      entry.opened = await open(entry.name, entry.origin, mine.signal, (doing, share) =>
        tell(doing, entry.name, share),
      );
    } catch (failure) {
      if (mine.signal.aborted) return;
      complain(entry.name, failure);
      forget(entry);
      return void update();
    }
    if (mine.signal.aborted) return;
    present(part === "second");
  }
  present(true);
  tell("");
}

/** Shows what is chosen, as far as it is decoded. whole: with what it is compared with. */
function present(whole: boolean): void {
  const picture = chosen.first?.opened ?? null;
  shown = { first: picture, second: (whole && chosen.second?.opened) || null };
  stage.show(shown.first?.canvas ?? null, shown.second?.canvas ?? null);
  describe();
  spare();
}

/** Takes an entry that cannot be opened from the list; its neighbour is chosen. */
function forget(entry: Entry): void {
  const place = entries.indexOf(entry);
  entries.splice(place, 1);
  const { first: one, second: other } = chosen;
  if (one === entry) chosen.first = other ?? entries[Math.min(place, entries.length - 1)] ?? null;
  if (other === entry || chosen.first === other) chosen.second = null;
}

/** Lets go of pixels of pictures that were not shown for long. */
function spare(): void {
  let pixels = 0;
  for (const entry of [...entries].reverse()) {
    if (!entry.opened || entry === chosen.first || entry === chosen.second) continue;
    pixels += entry.opened.canvas.width * entry.opened.canvas.height;
    if (pixels > KEPT_PIXELS) entry.opened = null;
  }
}

function choose(part: "first" | "second", entry: Entry | null): void {
  if (part === "first" && entry === chosen.second) chosen.second = chosen.first;
  chosen[part] = entry;
  void update();
}

/** Chooses the picture so many places further. */
function turn(places: number): void {
  if (entries.length < 2) return;
  const now = entries.indexOf(chosen.first!);
  choose("first", entries[(now + places + entries.length) % entries.length]);
}

function compare(): void {
  if (chosen.second) return choose("second", null);
  if (entries.length > 1) choose("second", entries[(entries.indexOf(chosen.first!) + 1) % entries.length]);
}

function exchange(): void {
  if (!chosen.second) return;
  chosen = { first: chosen.second, second: chosen.first };
  void update();
}

async function saveAsPng(): Promise<void> {
  const picture = shown.first;
  if (!picture || save.disabled) return;
  save.disabled = true;
  tell("saving", picture.name);
  try {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await picture.png());
    link.download = `${picture.name.replace(/\.\w+$/, "")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    tell("");
  } catch (failure) {
    tell("");
    complain(picture.name, failure);
  }
  save.disabled = !shown.first;
}

// ------------------------------------------------------------------------------------------------------------ what is said

function tell(doing: string, name = "", part?: number): void {
  element("work").hidden = !doing;
  element("status").textContent = doing && `${doing} ${name}`;
  const bar = element<HTMLProgressElement>("bar");
  if (part === undefined) bar.removeAttribute("value");
  else bar.value = part;
}

/** Adds a line of an error, with the file's name, that can be put away. */
function complain(name: string, failure: unknown): void {
  const line = document.createElement("li");
  const words = document.createElement("span");
  words.textContent = `${name}: ${failure instanceof Error ? failure.message : String(failure)}`;
  const away = document.createElement("button");
  away.type = "button";
  away.textContent = "×";
  away.setAttribute("aria-label", `Put away: ${name}`);
  away.addEventListener("click", () => line.remove());
  line.append(words, away);
  element("errors").append(line);
}

/** Fills the lists of what can be chosen. */
function list(): void {
  const fill = (select: HTMLSelectElement, now: Entry | null, from: Entry[]): void => {
    const options = from.map((entry) => new Option(entry.name, String(entries.indexOf(entry)), false, entry === now));
    select.replaceChildren(...options);
  };
  fill(first, chosen.first, entries);
  fill(
    second,
    chosen.second,
    entries.filter((entry) => entry !== chosen.first),
  );
  second.prepend(new Option("nothing", "", false, !chosen.second));
  element("choice").hidden = entries.length === 0;
  second.disabled = entries.length < 2;
}

/** Says what is shown: the table, the tags, and what is read out. */
function describe(): void {
  const pictures = [shown.first, shown.second].filter((each) => each !== null);
  const table = element<HTMLTableElement>("facts");
  table.hidden = !pictures.length;
  const row = (heading: string, scope: string, texts: string[], cell: "th" | "td"): HTMLTableRowElement => {
    const made = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = scope;
    head.textContent = heading;
    made.append(head, ...texts.map((text) => Object.assign(document.createElement(cell), { textContent: text })));
    return made;
  };
  const headings = new Set(pictures.flatMap(({ facts }) => [...facts.keys()]));
  table.tHead!.replaceChildren(
    row(
      "Picture",
      "row",
      pictures.map(({ name }) => name),
      "th",
    ),
  );
  table.tBodies[0].replaceChildren(
    ...[...headings].map((key) =>
      row(
        key,
        "row",
        pictures.map(({ facts }) => facts.get(key) ?? "–"),
        "td",
      ),
    ),
  );
  for (const [id, picture] of [
    ["tag-first", shown.first],
    ["tag-second", shown.second],
  ] as const) {
    const tag = element(id);
    tag.hidden = !shown.second;
    tag.textContent = picture?.name ?? "";
  }
  divider.hidden = !shown.second;
  canvas.hidden = !shown.first;
  element("empty").hidden = !!shown.first;
  save.disabled = !shown.first;
  swap.disabled = !shown.second;
  for (const button of zooms) button.disabled = !shown.first;
  document.title = shown.first ? `${pictures.map(({ name }) => name).join(" | ")} – rdae viewer` : "rdae viewer";
}

/** Shows where zoom and divider are. */
function reflect(): void {
  const percent = `${Number((stage.scale * 100).toPrecision(3))} %`;
  element("scale").textContent = shown.first ? percent : "";
  for (const button of zooms) {
    if (button.dataset.zoom) button.setAttribute("aria-pressed", String(String(stage.zoom) === button.dataset.zoom));
  }
  divider.style.left = `${stage.split * 100}%`;
  divider.setAttribute("aria-valuenow", String(Math.round(stage.split * 100)));
  if (!shown.first) return;
  const size = shown.first.facts.get("Pixels");
  const beside = shown.second ? `, compared with ${shown.second.name}` : "";
  canvas.setAttribute("aria-label", `${shown.first.name}, ${size} pixels, at ${percent}${beside}`);
}

// ------------------------------------------------------------------------------------------------------- what is pressed

const COMMANDS: Record<string, () => void> = {
  o: () => chooser.click(),
  s: () => void saveAsPng(),
  "0": () => stage.zoomTo("fit"),
  f: () => stage.zoomTo("fit"),
  "1": () => stage.zoomTo(1),
  "2": () => stage.zoomTo(2),
  "4": () => stage.zoomTo(4),
  "8": () => stage.zoomTo(8),
  "+": () => stage.step(true),
  "=": () => stage.step(true),
  "-": () => stage.step(false),
  "−": () => stage.step(false),
  ",": () => turn(-1),
  ".": () => turn(1),
  c: compare,
  x: exchange,
  "?": () => keys.showModal(),
};

const ARROWS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
  // In a list of names, letters and arrows choose.
  if (target instanceof HTMLSelectElement || target === divider) {
    if (target === divider && moveDivider(event)) event.preventDefault();
    if (target instanceof HTMLSelectElement || key in ARROWS) return;
  }
  const arrow = ARROWS[key];
  const command = COMMANDS[key.toLowerCase()];
  if (arrow && shown.first) {
    const strides = event.shiftKey ? 5 : 1;
    stage.stride(arrow[0] * strides, arrow[1] * strides);
  } else if (command) {
    command();
  } else {
    return;
  }
  event.preventDefault();
});

function moveDivider({ key, shiftKey }: KeyboardEvent): boolean {
  const step = shiftKey ? LEAP : STEP;
  const to: Record<string, number> = {
    ArrowLeft: stage.split - step,
    ArrowDown: stage.split - step,
    ArrowRight: stage.split + step,
    ArrowUp: stage.split + step,
    PageDown: stage.split - LEAP,
    PageUp: stage.split + LEAP,
    Home: 0,
    End: 1,
  };
  if (!(key in to)) return false;
  stage.splitTo(to[key]);
  return true;
}

divider.addEventListener("pointerdown", (event) => divider.setPointerCapture(event.pointerId));
divider.addEventListener("pointermove", (event) => {
  if (!divider.hasPointerCapture(event.pointerId)) return;
  const { left, width } = element("stage").getBoundingClientRect();
  stage.splitTo((event.clientX - left) / width);
});

for (const button of zooms) {
  const { zoom } = button.dataset;
  const to: Zoom = zoom === "fit" ? "fit" : Number(zoom);
  button.addEventListener("click", () => (zoom ? stage.zoomTo(to) : stage.step(button.id === "larger")));
}
element("open").addEventListener("click", () => chooser.click());
chooser.addEventListener("change", () => {
  take([...chooser.files!].map((file) => ({ name: file.name, origin: file })));
  chooser.value = ""; // so that the same file can be chosen again
});
save.addEventListener("click", () => void saveAsPng());
swap.addEventListener("click", exchange);
first.addEventListener("change", () => choose("first", entries[Number(first.value)]));
second.addEventListener("change", () => choose("second", second.value ? entries[Number(second.value)] : null));
element("help").addEventListener("click", () => keys.showModal());

/** How many elements deep a file is dragged over the page. */
let depth = 0;
const dragged = (by: number) => (event: DragEvent) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  depth = Math.max(0, depth + by);
  document.body.classList.toggle("dragged", depth > 0);
};
addEventListener("dragenter", dragged(1));
addEventListener("dragleave", dragged(-1));
addEventListener("dragover", dragged(0));
addEventListener("drop", (event) => {
  dragged(-depth)(event);
  take([...(event.dataTransfer?.files ?? [])].map((file) => ({ name: file.name, origin: file })));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => stage.draw());

// ----------------------------------------------------------------------------------------------------------------- start

/** The library lies in the folder above, and models in `models/` there. */
configure({ assets: new URL("../", import.meta.url) });
element("empty").textContent = "Drop .rdae files or other pictures here, or open them with “Open…”.";

const named: { name: string; origin: URL }[] = [];
for (const file of new URLSearchParams(location.search).getAll("file")) {
  const url = URL.canParse(file, location.href) ? new URL(file, location.href) : null;
  if (url?.origin !== location.origin) {
    complain(file, new Error("not a file of this site"));
    continue;
  }
  const last = url.pathname.split("/").pop() ?? "";
  let name = last;
  try {
    name = decodeURIComponent(last);
  } catch {
    // Then it is shown as it is written.
  }
  named.push({ name: name || file, origin: url });
}
take(named);
