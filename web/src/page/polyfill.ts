/**
 * One script that makes <img src="photo.rdae">, <picture> and backgrounds of style sheets and style attributes work.
 *
 * It watches the document. Where an .rdae file is named, the file is fetched and decoded, and its name is put away, in
 * `data-rdae-src`, for the blob: URL of a picture that the browser opens itself: first an empty one of the right size, so
 * that the page does not jump, then the pixels. A file that several elements name is decoded once, and its URL is revoked
 * when the last of them has gone. Other pictures are not touched.
 */

import "./element.ts";
import { decode } from "../index.ts";
import { bitmapOf, emptyPicture } from "./bitmap.ts";
import { leastScale } from "./limits.ts";
import { near } from "./near.ts";
import { fetchSource } from "./source.ts";
import { type Candidate, candidatesOf } from "./srcset.ts";

export * from "../index.ts";
export * from "./element.ts";

const TYPE = "image/x-rdae";
/** Before the names of attributes that hold what the page wrote. */
const KEPT = "data-rdae-";
/** Attributes that name pictures, or say what they are. */
const NAMES = ["src", "srcset", "type"];
const NAMED = /\.rdae(?:[?#]|$)/i;
const MENTIONED = /\.rdae/i;
/** One url(…) of a style, as browsers write it. */
const CSS_URL = /url\("((?:[^"\\]|\\.)*)"\)/g;
const BACKGROUND = "background-image";

// ------------------------------------------------------------------------------------------------ files that are shared

/** A picture that the browser opens, and the part of the file's size that it has: 1, or 2 for half of it. */
interface Opened {
  readonly url: string;
  readonly scale: number;
}

/** A file that something on the page shows. */
class Shared {
  readonly empty: Promise<Opened>;
  readonly picture: Promise<Opened>;
  private users = 0;
  private readonly urls: string[] = [];
  private readonly job = new AbortController();

  constructor(private readonly address: string) {
    const { signal } = this.job;
    const url = (blob: Blob): string => {
      signal.throwIfAborted();
      const made = URL.createObjectURL(blob);
      this.urls.push(made);
      return made;
    };
    const source = fetchSource(address, signal);
    this.empty = source.then(({ header }) => ({ url: url(emptyPicture(header.width, header.height)), scale: 1 }));
    this.picture = source.then(async ({ header, file }) => {
      const scale = leastScale(header);
      const { image } = await decode(await file, { signal, scale });
      const made = url(bitmapOf(image));
      await tried(made);
      return { url: made, scale };
    });
    for (const one of [this.empty, this.picture]) one.catch(() => undefined); // its users are told
  }

  static of(address: string): Shared {
    let one = shared.get(address);
    if (!one) shared.set(address, (one = new Shared(address)));
    one.users++;
    return one;
  }

  release(): void {
    if (--this.users > 0) return;
    shared.delete(this.address);
    this.job.abort();
    this.urls.forEach((url) => URL.revokeObjectURL(url));
  }
}

const shared = new Map<string, Shared>();

/** Rejects if the browser does not open a picture, for its size or for the page's policy. */
function tried(url: string): Promise<void> {
  const probe = new Image();
  return new Promise((resolve, reject) => {
    probe.onload = () => resolve();
    probe.onerror = () => reject(new Error("the browser cannot show the picture"));
    probe.src = url;
  });
}

/** Does one of several things; if that fails, the others are done all the same, and the console says so. */
function apart(one: () => void): void {
  try {
    one();
  } catch (failure) {
    reportError(failure);
  }
}

// -------------------------------------------------------------------------------------------------------------- pictures

/** Attributes and what they say; null: they are not there. */
type Written = Record<string, string | null>;

/** Where a page names an .rdae file as a picture. */
interface Place {
  /** The <img>, or a <source> before it. */
  readonly element: HTMLImageElement | HTMLSourceElement;
  readonly address: string;
  /** What srcset says of it; a density of 1 if it says nothing. */
  readonly candidate: Candidate;
  /** Whether the browser shows another picture as long as there is none. */
  readonly spare: boolean;
}

/** An <img> that shows an .rdae file, or will. */
interface Shown {
  readonly place: Place;
  readonly job: AbortController;
  file: Shared | null;
  /** What the place's attributes say, as long as nobody else changes them. */
  written: Written;
  /** Whether we wrote that. */
  ours: boolean;
  /** Events of the browser's own tries are not the page's business: of a file that it cannot read, of the empty picture. */
  quiet: boolean;
  /** Whether it has left the document, and its file was let go. */
  away: boolean;
}

const images = new WeakMap<HTMLImageElement, Shown>();

/** Looks at an <img> again: what it names may have changed. */
function consider(image: HTMLImageElement): void {
  const known = images.get(image);
  if (known) {
    const { element } = known.place;
    const same = Object.entries(known.written).every(([name, value]) => element.getAttribute(name) === value);
    if (same && !known.away && (element === image || element.parentNode === image.parentNode)) return;
    drop(image, known);
  } else {
    // A copy of an element has what we wrote into that, but not what stands behind it.
    for (const element of [image, ...sourcesOf(image)]) {
      if (NAMES.some((name) => element.hasAttribute(KEPT + name))) restore(element, NAMES);
    }
  }
  const place = placeOf(image);
  if (place) void show(image, place);
}

/** Where an <img> and the <source>s before it name an .rdae file that the browser would take if it could. */
function placeOf(image: HTMLImageElement): Place | null {
  for (const element of sourcesOf(image)) {
    if (element.media && !matchMedia(element.media).matches) continue;
    const spare = element.type === TYPE;
    // Most pictures of a page are none of ours, and their names may be long.
    if (!spare && !MENTIONED.test(element.srcset)) return null;
    const found = chosen(element.srcset, null, image);
    if (found && (spare || (element.type === "" && NAMED.test(found.address)))) return { element, spare, ...found };
    return null; // the browser takes this one
  }
  const src = image.getAttribute("src");
  if (!MENTIONED.test(image.srcset) && !MENTIONED.test(src ?? "")) return null;
  const found = chosen(image.srcset, src, image);
  return found && NAMED.test(found.address) ? { element: image, spare: false, ...found } : null;
}

function sourcesOf(image: HTMLImageElement): HTMLSourceElement[] {
  const parent = image.parentElement;
  if (!(parent instanceof HTMLPictureElement)) return [];
  return [...parent.children].filter((child): child is HTMLSourceElement => child instanceof HTMLSourceElement);
}

/** The candidate of srcset, and src beside it, that fits the screen: the smallest that is large enough, or the largest. */
function chosen(
  srcset: string,
  src: string | null,
  image: HTMLImageElement,
): { address: string; candidate: Candidate } | null {
  const width = image.clientWidth || innerWidth;
  const candidates = candidatesOf(srcset);
  const densityOf = (one: Candidate): number => one.density ?? one.width! / width;
  if (src && !candidates.some((one) => one.width || one.density === 1)) candidates.push({ name: src, density: 1 });
  candidates.sort((a, b) => densityOf(a) - densityOf(b));
  const best = candidates.find((one) => densityOf(one) >= devicePixelRatio) ?? candidates.at(-1);
  if (!best || !URL.canParse(best.name, document.baseURI)) return null;
  return { address: new URL(best.name, document.baseURI).href, candidate: best };
}

/** What srcset says of a picture at a part of its size, so that its place on the page is that of the whole. */
function descriptorOf({ width, density = 1 }: Candidate, scale: number): string {
  return width ? `${Math.max(1, Math.round(width / scale))}w` : `${density / scale}x`;
}

async function show(image: HTMLImageElement, place: Place): Promise<void> {
  const { element, spare, candidate } = place;
  const job = new AbortController();
  const now = Object.fromEntries(NAMES.map((name) => [name, element.getAttribute(name)]));
  const state: Shown = { place, job, file: null, written: now, ours: false, quiet: !spare, away: false };
  images.set(image, state);
  const write = ({ url, scale }: Opened): void => {
    job.signal.throwIfAborted();
    const descriptor = descriptorOf(candidate, scale);
    const srcset = element === image && descriptor === "1x" ? null : `${url} ${descriptor}`;
    // No other candidate is left, which the browser could not read if the window moved to another screen, and no src beside
    // a srcset, which would be one of density 1.
    state.written = element === image ? { src: srcset ? null : url, srcset } : { srcset, type: null };
    state.ours = true;
    for (const [name, value] of Object.entries(state.written)) put(element, name, value);
  };
  try {
    if (image.loading === "lazy") await near(image, job.signal);
    job.signal.throwIfAborted();
    state.file = Shared.of(place.address);
    if (!spare) write(await state.file.empty);
    const picture = await state.file.picture;
    state.quiet = false;
    write(picture);
  } catch {
    if (job.signal.aborted) return;
    // Back to what the page wrote: the browser says in its own way that it cannot show it.
    state.file?.release();
    state.file = null;
    state.quiet = false;
    if (state.ours) restore(element, NAMES);
    state.written = now;
    state.ours = false;
    if (!spare) tryAgain(image, element);
  }
}

/** Lets the browser load what an <img> names by itself. element: the <img>, or the <source> whose srcset that is. */
function tryAgain(image: HTMLImageElement, element: Element): void {
  const src = image.getAttribute("src");
  const srcset = element.getAttribute("srcset");
  // What is set to what it was is loaded anew; what the page has not written is not written.
  if (src !== null) image.setAttribute("src", src);
  else if (srcset !== null) element.setAttribute("srcset", srcset);
}

/** Forgets an <img>, and its file if nothing else shows that; attributes that nobody else has changed are as they were. */
function drop(image: HTMLImageElement, { place: { element }, job, file, written, ours }: Shown): void {
  images.delete(image);
  job.abort();
  file?.release();
  if (!ours) return;
  for (const [name, value] of Object.entries(written)) {
    if (element.getAttribute(name) === value) restore(element, [name]);
    else element.removeAttribute(KEPT + name);
  }
}

/** An <img> that has left the document needs no file; it keeps the pixels, and is looked at again when it comes back. */
function leave(image: HTMLImageElement): void {
  const state = images.get(image);
  if (!state) return;
  state.job.abort();
  state.file?.release();
  state.file = null;
  state.away = true;
}

/** Sets an attribute, or takes it away, and remembers what the page wrote. */
function put(element: Element, name: string, value: string | null): void {
  const was = element.getAttribute(name);
  if (was !== null && !was.startsWith("blob:")) element.setAttribute(KEPT + name, was);
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

/** Gives attributes that we wrote back what the page wrote. */
function restore(element: Element, names: readonly string[]): void {
  for (const name of names) {
    const was = element.getAttribute(KEPT + name);
    const now = element.getAttribute(name);
    element.removeAttribute(KEPT + name);
    if (now !== null && !now.startsWith("blob:")) continue; // the page wrote it since
    if (was !== null) element.setAttribute(name, was);
    else element.removeAttribute(name);
  }
}

// ----------------------------------------------------------------------------------------------------------- backgrounds

/** A style that names .rdae files, of an element or of a rule. */
interface Background {
  /** As it was, and as it is since we wrote it. */
  readonly was: string;
  now: string;
  readonly files: Shared[];
  /** Whether it is still in use. */
  readonly alive: () => boolean;
}

const backgrounds = new Map<CSSStyleDeclaration, Background>();

/** Puts pictures into a style that names .rdae files. base: what names are relative to. */
function fill(style: CSSStyleDeclaration, base: string, alive: () => boolean): void {
  const known = backgrounds.get(style);
  const was = style.getPropertyValue(BACKGROUND);
  if (known && was === known.now) return;
  if (known) {
    backgrounds.delete(style);
    known.files.forEach((file) => file.release());
  }
  const addresses = [...was.matchAll(CSS_URL)].map(([, name]) => addressOf(name, base));
  const files = addresses.map((address) => (address === null ? null : Shared.of(address)));
  const held = files.filter((file) => file !== null);
  if (!held.length) return;
  const state: Background = { was, now: was, files: held, alive };
  backgrounds.set(style, state);
  // One that cannot be had stays as it is, as any background does.
  const urls = files.map((file) => file?.picture.then(({ url }) => url).catch(() => null) ?? null);
  void Promise.all(urls).then((urls) => {
    if (backgrounds.get(style) !== state || style.getPropertyValue(BACKGROUND) !== was) return;
    const filled = was.replace(CSS_URL, (whole) => {
      const url = urls.shift();
      return url ? `url("${url}")` : whole;
    });
    if (filled === was) return;
    style.setProperty(BACKGROUND, filled, style.getPropertyPriority(BACKGROUND));
    state.now = style.getPropertyValue(BACKGROUND);
  });
}

/** The address of an .rdae file that a url(…) names; null if it names something else, or no address. */
function addressOf(name: string, base: string): string | null {
  const plain = name.replace(/\\(.)/g, "$1");
  return NAMED.test(plain) && URL.canParse(plain, base) ? new URL(plain, base).href : null;
}

/** A rule that names .rdae files, and that nothing in the document obeys yet. */
interface Pending {
  readonly rule: CSSStyleRule;
  readonly base: string;
  readonly alive: () => boolean;
}

let pending: Pending[] = [];

/** Finds the rules of style sheets that name .rdae files. */
function readSheets(): void {
  pending = [];
  const open = (sheet: CSSStyleSheet, alive: () => boolean): void => {
    try {
      read(sheet.cssRules, sheet.href ?? document.baseURI, alive);
    } catch {
      // Of another site, which does not let us read it, or not there yet.
    }
  };
  const read = (rules: CSSRuleList, base: string, alive: () => boolean): void => {
    for (const rule of rules) {
      if (rule instanceof CSSImportRule && rule.styleSheet) open(rule.styleSheet, alive);
      if (rule instanceof CSSStyleRule && namesSome(rule.style)) pending.push({ rule, base, alive });
      if ("cssRules" in rule) read(rule.cssRules as CSSRuleList, base, alive); // of @media and the like
    }
  };
  for (const sheet of document.styleSheets) open(sheet, () => sheet.ownerNode?.isConnected ?? false);
}

/** Fills rules that something obeys by now, and lets go of backgrounds that have gone. */
function tend(): void {
  pending = pending.filter((one) => {
    if (!isObeyed(one.rule)) return true;
    apart(() => fill(one.rule.style, one.base, one.alive));
    return false;
  });
  for (const [style, { alive, files }] of backgrounds) {
    if (alive()) continue;
    backgrounds.delete(style);
    files.forEach((file) => file.release());
  }
}

/** Whether there is an element for a rule, in whatever state: hovered, or before its text. */
function isObeyed({ selectorText }: CSSStyleRule): boolean {
  try {
    return document.querySelector(selectorText.replace(STATES, "")) !== null;
  } catch {
    return true; // nested, or such as we cannot take apart: it is ready then before it is needed
  }
}

const STATES = /::[\w-]+|:(?:before|after|hover|focus|active|focus-within|focus-visible|target|visited|checked)\b/g;

function namesSome(style: CSSStyleDeclaration): boolean {
  return /\.rdae["?#]/i.test(style.getPropertyValue(BACKGROUND));
}

// -------------------------------------------------------------------------------------------------------------- watching

let sheetsHaveChanged = true;
let isDue = false;

function tendSoon(): void {
  if (isDue || !(sheetsHaveChanged || pending.length || backgrounds.size)) return;
  isDue = true;
  setTimeout(() => {
    isDue = false;
    if (sheetsHaveChanged) readSheets();
    sheetsHaveChanged = false;
    tend();
  });
}

function considerStyle(element: Element): void {
  if (!(element instanceof HTMLElement || element instanceof SVGElement)) return;
  const { style } = element;
  if (backgrounds.has(style) || namesSome(style)) fill(style, document.baseURI, () => element.isConnected);
}

/** Looks at an element and all that is in it. */
function considerAll(node: Element | Document | ShadowRoot): void {
  const within = <T extends Element>(selector: string): T[] => {
    const found = [...node.querySelectorAll<T>(selector)];
    return node instanceof Element && node.matches(selector) ? [node as T, ...found] : found;
  };
  for (const image of within<HTMLImageElement>("img")) apart(() => consider(image));
  for (const source of within<HTMLSourceElement>("source")) apart(() => considerSource(source));
  for (const element of within('[style*=".rdae" i]')) apart(() => considerStyle(element));
  if (within("style, link").length) sheetsHaveChanged = true;
}

function considerSource(source: Element): void {
  source.parentElement?.querySelectorAll("img").forEach(consider);
}

function look({ type, target, attributeName, addedNodes, removedNodes }: MutationRecord): void {
  if (type === "attributes") {
    if (attributeName === "style") considerStyle(target as Element);
    else if (target instanceof HTMLImageElement) consider(target);
    else if (target instanceof HTMLSourceElement) considerSource(target);
  }
  for (const node of removedNodes) {
    if (!(node instanceof Element) || node.isConnected) continue;
    if (node instanceof HTMLImageElement) leave(node);
    node.querySelectorAll("img").forEach(leave);
  }
  if (target instanceof HTMLStyleElement) sheetsHaveChanged = true;
  for (const node of addedNodes) if (node instanceof Element && node.isConnected) considerAll(node);
}

function hear(event: Event): void {
  const { target } = event;
  if (target instanceof HTMLImageElement && images.get(target)?.quiet) event.stopImmediatePropagation();
  if (target instanceof HTMLLinkElement) {
    sheetsHaveChanged = true;
    tendSoon();
  }
}

/** Watches a document, or the shadow root of an element, from now on. */
export function watch(root: Document | ShadowRoot): void {
  root.addEventListener("load", hear, true);
  root.addEventListener("error", hear, true);
  new MutationObserver((records) => {
    for (const record of records) apart(() => look(record));
    tendSoon();
  }).observe(root, {
    subtree: true,
    childList: true,
    attributes: true,
    attributeFilter: [...NAMES, "media", "style", "class", "id"],
  });
  considerAll(root);
  tendSoon();
}

watch(document);
