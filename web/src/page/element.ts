/**
 * <rdae-img src="photo.rdae" alt="…">: a picture in a page, laid out and spoken of as an <img> is.
 *
 * The pixels are on a canvas in a shadow tree, so that neither blob: URLs nor inline styles are needed. The size is known
 * from the file's first bytes. The picture is decoded at the part of its size at which it is shown, which spares memory
 * and makes small pictures of large ones smooth; when its box grows it is decoded anew.
 */

import { type Header, RdaeError } from "../index.ts";
import { leastScale, SCALES } from "./limits.ts";
import { near } from "./near.ts";
import { fetchSource } from "./source.ts";
import { COARSE, decodeInSteps, type Scale } from "./steps.ts";

/** Of larger pictures rows are shown as they come. */
const LARGE = 2 ** 18;

// Rules of the page come before those of :host.
const STYLE = `
:host {
  display: inline-block;
  min-width: 0;
  min-height: 0;
  overflow: clip;
}

:host([hidden]) {
  display: none;
}

canvas {
  position: absolute;
  inset: 0;
  box-sizing: border-box;
  width: 100%;
  height: 100%;
  padding: inherit;
  object-fit: inherit;
  object-position: inherit;
}`;

// The module can be imported where there is no document, in a worker or for its types.
const Base = globalThis.HTMLElement ?? (class {} as typeof HTMLElement);

/**
 * Events: `load` when the picture is there, `error` when it cannot be; `error` of the element then says why.
 *
 * Attributes: src, alt, width, height, loading ("lazy": when it comes near to the window) as of <img>; and scale: 1, 2,
 * 4 or 8 for a part of the size, "auto" (default) for what its box needs.
 */
export class RdaeImage extends Base {
  static readonly observedAttributes = ["src", "alt", "width", "height", "scale", "loading"];

  /** Why there is no picture. */
  error: Error | null = null;
  /** What a decoder has to say about a picture that is shown, a colour profile that could not be used for one. */
  notes: readonly string[] = [];

  private readonly internals = this.attachInternals();
  private readonly root = this.attachShadow({ mode: "open" });
  private readonly host: CSSStyleDeclaration;
  private readonly words = document.createElement("span");
  private canvas: HTMLCanvasElement | null = null;
  private job: AbortController | null = null;
  /** Whether what `src` says was tried to its end. */
  private tried = false;
  /** Ends the wait of a picture that is loaded lazily. */
  private hurry: () => void = () => undefined;
  private resizing: ResizeObserver | null = null;
  private header: Header | null = null;
  private address = "";
  /** The file, as long as it may be decoded again. */
  private file: Uint8Array | null = null;
  /** At which the picture is shown, or 0 if there is none. */
  private shown: Scale | 0 = 0;

  constructor() {
    super();
    // A sheet that is made by script needs no permission of a content security policy.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    this.host = (sheet.cssRules[0] as CSSStyleRule).style;
    this.root.adoptedStyleSheets = [sheet];
    this.words.setAttribute("part", "alt");
    this.lay();
    this.name();
  }

  get src(): string {
    const text = this.getAttribute("src");
    return text === null ? "" : (resolved(text)?.href ?? text);
  }

  set src(value: string) {
    this.setAttribute("src", value);
  }

  get alt(): string {
    return this.getAttribute("alt") ?? "";
  }

  set alt(value: string) {
    this.setAttribute("alt", value);
  }

  get loading(): "lazy" | "eager" {
    return this.getAttribute("loading")?.toLowerCase() === "lazy" ? "lazy" : "eager";
  }

  set loading(value: string) {
    this.setAttribute("loading", value);
  }

  /** Whether nothing is under way. */
  get complete(): boolean {
    return this.job === null;
  }

  /** The address of the picture that is shown or on its way. */
  get currentSrc(): string {
    return this.address;
  }

  /** Of the picture in its file, in pixels; 0 as long as that is not known. */
  get naturalWidth(): number {
    return this.header?.width ?? 0;
  }

  /** See naturalWidth. */
  get naturalHeight(): number {
    return this.header?.height ?? 0;
  }

  connectedCallback(): void {
    if (!this.tried && !this.job) this.begin();
    else this.follow();
  }

  disconnectedCallback(): void {
    // An element that is moved is taken out and put in again at once.
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.abort();
      this.resizing?.disconnect();
    });
  }

  attributeChangedCallback(name: string, before: string | null, now: string | null): void {
    if (name === "src") this.begin();
    else if (name === "alt") this.name();
    else if (name === "loading") this.loading === "eager" && this.hurry();
    else if (name !== "scale") this.lay();
    else if (before !== now && this.shown) this.begin();
  }

  private abort(): void {
    this.job?.abort();
    this.job = null;
  }

  /** Leaves what was under way, and loads what `src` says. What is shown stays until there is something else to show. */
  private begin(): void {
    this.abort();
    this.tried = false;
    const text = this.getAttribute("src");
    if (text === null) this.clear(null);
    if (text === null || !this.isConnected) return;
    const job = (this.job = new AbortController());
    const url = resolved(text);
    this.address = url?.href ?? text;
    const settled = (event: string, failure: unknown): void => {
      if (this.job !== job) return; // there is another one meanwhile, or the element has left the page
      this.job = null;
      this.tried = true;
      if (failure) this.clear(failure instanceof Error ? failure : new Error(String(failure)));
      else this.follow();
      this.dispatchEvent(new Event(event));
    };
    this.fetched(url, job.signal).then(
      () => settled("load", null),
      (failure: unknown) => settled("error", failure),
    );
  }

  private async fetched(url: URL | null, signal: AbortSignal): Promise<void> {
    if (!url) throw new RdaeError("src is no address");
    await Promise.resolve(); // until all attributes that a script sets in a row are set
    if (this.loading === "lazy") {
      await Promise.race([near(this, signal), new Promise<void>((resolve) => (this.hurry = resolve))]);
    }
    signal.throwIfAborted();
    const { header, extras, file } = await fetchSource(url, signal);
    signal.throwIfAborted();
    if (!this.shown) {
      this.header = header;
      this.error = null;
      this.lay();
    }
    await this.decoded(await file, header, !extras && !this.shown, signal);
  }

  /** Decodes the file at the scale that is wanted, and shows it. rows: whether they can be shown as they come. */
  private async decoded(file: Uint8Array, header: Header, rows: boolean, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const scale = this.wanted(header);
    const pixels = header.width * header.height;
    let growing: CanvasRenderingContext2D | undefined;
    const onRows = (part: ImageData, top: number): void => {
      if (signal.aborted) return;
      growing ??= this.show(Math.ceil(header.width / scale), Math.ceil(header.height / scale));
      growing.putImageData(part, 0, top);
    };
    const options = { signal, ...(rows && pixels / scale ** 2 > LARGE && { onRows }) };
    await decodeInSteps(file, pixels, scale, options, ({ image, notes }, last) => {
      signal.throwIfAborted();
      this.show(image.width, image.height).putImageData(image, 0, 0);
      this.header = header;
      this.shown = last ? scale : COARSE;
      this.file = scale === 1 ? null : file;
      this.notes = notes;
      this.error = null;
      this.lay();
    });
  }

  /** Decodes anew, as the box has grown, what is shown at a part of its size. */
  private async refine(): Promise<void> {
    const { file, header } = this;
    if (this.job || !file || !header || this.wanted(header) >= this.shown) return;
    const job = (this.job = new AbortController());
    const failed = await this.decoded(file, header, false, job.signal).then(
      () => false,
      () => true,
    );
    if (this.job !== job) return;
    if (failed) this.file = null; // the picture stays as it is
    this.job = null;
    this.follow();
  }

  /** Watches the box as long as there is something to be made finer. */
  private follow(): void {
    this.resizing?.disconnect();
    if (!this.file || !this.isConnected) return;
    this.resizing ??= new ResizeObserver(() => void this.refine());
    this.resizing.observe(this);
  }

  private show(width: number, height: number): CanvasRenderingContext2D {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    this.canvas?.remove();
    this.root.append((this.canvas = canvas));
    return canvas.getContext("2d")!;
  }

  /** Shows nothing, or why there is nothing. */
  private clear(error: Error | null): void {
    this.canvas?.remove();
    this.canvas = this.header = this.file = null;
    this.shown = 0;
    this.notes = [];
    this.error = error;
    this.resizing?.disconnect();
    this.lay();
  }

  /** The scale at which a picture is to be decoded. */
  private wanted(header: Header): Scale {
    const { width, height } = header;
    const least = leastScale(header);
    const asked = SCALES.find((scale) => String(scale) === this.getAttribute("scale"));
    if (asked) return Math.max(asked, least) as Scale;
    // As many pixels as the box has on the screen, or more.
    const part = Math.max(this.clientWidth / width, this.clientHeight / height) * devicePixelRatio;
    const largest = SCALES.findLast((scale) => part * scale <= 1) ?? 1;
    return Math.max(largest, least) as Scale;
  }

  /** Gives the box the size that an <img> would have. */
  private lay(): void {
    const { host, header } = this;
    const [width, height] = [lengthOf(this.getAttribute("width")), lengthOf(this.getAttribute("height"))];
    const set = (name: string, value: string): void => host.setProperty(name, value);
    set("width", width === null ? "fit-content" : `${width}px`);
    set("height", height === null ? "auto" : `${height}px`);
    if (this.error) {
      // Then it is a word of the text around it, as the words of an <img> are.
      set("contain", "none");
      set("contain-intrinsic-size", "none");
      set("aspect-ratio", "auto");
      this.words.textContent = this.getAttribute("alt") ?? this.address.split(/[?#]/, 1)[0].split("/").pop()!;
      this.root.append(this.words);
      return;
    }
    this.words.remove();
    const ratio = header ? [header.width, header.height] : width && height ? [width, height] : null;
    set("contain", "strict");
    set("contain-intrinsic-size", header ? `${header.width}px ${header.height}px` : "0px 0px");
    // With "auto" it is that of the content, whatever box-sizing says.
    set("aspect-ratio", ratio ? `auto ${ratio.join(" / ")}` : "auto");
  }

  /** Tells assistive technology what this is, without attributes that a page could miss or mind. */
  private name(): void {
    const alt = this.getAttribute("alt");
    this.internals.role = alt === "" ? "presentation" : "img";
    this.internals.ariaLabel = alt || null;
    if (this.error) this.lay();
  }
}

function resolved(text: string): URL | null {
  try {
    return text.trim() === "" ? null : new URL(text, document.baseURI);
  } catch {
    return null;
  }
}

/** A length in pixels as attributes of <img> have it. */
function lengthOf(text: string | null): number | null {
  const digits = /^\s*(\d+)/.exec(text ?? "");
  return digits ? Number(digits[1]) : null;
}

if (globalThis.customElements && !customElements.get("rdae-img")) customElements.define("rdae-img", RdaeImage);

declare global {
  interface HTMLElementTagNameMap {
    "rdae-img": RdaeImage;
  }
}
