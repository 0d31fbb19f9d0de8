/** Files that were dropped, chosen or named in the address, to pictures on a canvas and what there is to say of them. */

import { decode, type Picture } from "../src/index.ts";
import { pngOf } from "./png.ts";

const MAGIC = "RDAE";
/** Browsers draw nothing on canvases that are larger. */
const MAX_SIDE = 16_384;
const MAX_AREA = 2 ** 28;
const QUALITY_STEPS = 8;

/** Where bytes come from: a file that was handed over, or an address of this site. */
export type Origin = Blob | URL;

/** What is being done, and how far it is: 0 to 1, or undefined where nobody knows. */
export type Progress = (doing: string, part?: number) => void;

export interface Opened {
  readonly name: string;
  readonly canvas: HTMLCanvasElement;
  /** In the order in which they are shown, by their headings. */
  readonly facts: ReadonlyMap<string, string>;
  /** All pixels as a PNG. */
  png(): Promise<Blob>;
}

/** Opens an .rdae file, or any picture that the browser knows; errors of errors.ts, or an Error of one line. */
export async function open(name: string, origin: Origin, signal: AbortSignal, progress: Progress): Promise<Opened> {
  progress("reading");
  const blob = origin instanceof URL ? await fetched(origin, signal) : origin;
  const start = new TextDecoder("latin1").decode(await blob.slice(0, MAGIC.length).arrayBuffer());
  signal.throwIfAborted();
  if (start === MAGIC || /\.rdae$/i.test(name)) return openRdae(name, blob, signal, progress);
  return openOther(name, blob);
}

async function fetched(url: URL, signal: AbortSignal): Promise<Blob> {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.blob();
}

async function openRdae(name: string, blob: Blob, signal: AbortSignal, progress: Progress): Promise<Opened> {
  progress("decoding");
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const start = performance.now();
  const picture = await decode(bytes, {
    signal,
    onProgress: (done, total) => progress("decoding", total > 1 ? done / total : undefined),
  });
  const seconds = (performance.now() - start) / 1000;
  const { image } = picture;
  if (!fits(image.width, image.height)) {
    throw new Error(`${image.width} × ${image.height} pixels, more than a browser can show`);
  }
  const canvas = canvasOf(image.width, image.height, (context) => context.putImageData(image, 0, 0));
  return { name, canvas, facts: factsOf(bytes, picture, seconds), png: () => exactPng(bytes) };
}

/** Decoded once more, so that a profile is kept, and not applied, and so that not all pictures are held twice. */
async function exactPng(bytes: Uint8Array): Promise<Blob> {
  const { image, header, alpha, icc, exif, xmp } = await decode(bytes, { profile: "keep" });
  const greyProfile = icc && String.fromCharCode(...icc.subarray(16, 20)) === "GRAY";
  const grey = header.grey && (!icc || greyProfile === true);
  return pngOf(image, { grey, alpha, ...(icc && { icc }), ...(exif && { exif }), ...(xmp && { xmp }) });
}

function factsOf(bytes: Uint8Array, picture: Picture, seconds: number): ReadonlyMap<string, string> {
  const { header, exact, alpha, icc, exif, xmp, latentChecksum, notes } = picture;
  const facts = common(header.width, header.height, bytes.length, `.rdae ${bytes[4] >> 4}.${bytes[4] & 15}`);
  const say = (key: string, value: string): void => void facts.set(key, value);
  if (!exact) say("Quality", String(header.qualityIndex / QUALITY_STEPS));
  if (header.model !== "00000000") say("Model", header.model);
  if (exact) say("Exact", "the pixels that were compressed");
  const channels = header.grey ? "grey" : "colour";
  say("Channels", alpha ? `${channels}, transparency` : channels);
  if (icc) say("Profile", `ICC, ${count(icc.length)} bytes`);
  const metadata = [exif && `EXIF, ${count(exif.length)} bytes`, xmp && `XMP, ${count(xmp.length)} bytes`].filter(
    Boolean,
  );
  if (metadata.length) say("Metadata", metadata.join("; "));
  if (header.tile !== null) say("Tiles", `of ${16 << header.tile} × ${16 << header.tile} pixels`);
  if (latentChecksum !== null) say("Latents", `CRC-32 ${latentChecksum.toString(16).padStart(8, "0")}`);
  say("Decoded in", `${seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`}`);
  if (notes.length) say("Notes", notes.join("; "));
  return facts;
}

async function openOther(name: string, blob: Blob): Promise<Opened> {
  const url = URL.createObjectURL(blob);
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
    const { naturalWidth: width, naturalHeight: height } = image;
    if (!width || !height || !fits(width, height)) throw new Error("no size");
    const canvas = canvasOf(width, height, (context) => context.drawImage(image, 0, 0, width, height));
    const suffix = /\.(\w{1,5})$/.exec(name)?.[1];
    const format = /^image\/([\w.-]+)/.exec(blob.type)?.[1] ?? suffix ?? "–";
    const png = (): Promise<Blob> =>
      new Promise((resolve, reject) => {
        canvas.toBlob((made) => (made ? resolve(made) : reject(new Error("the browser cannot save it"))), "image/png");
      });
    return { name, canvas, facts: common(width, height, blob.size, format.replace(/^x-/, "").toUpperCase()), png };
  } catch {
    throw new Error("neither an .rdae file nor a picture that this browser can open");
  } finally {
    URL.revokeObjectURL(url);
  }
}

function common(width: number, height: number, bytes: number, format: string): Map<string, string> {
  return new Map([
    ["Pixels", `${width} × ${height}`],
    ["Bytes", count(bytes)],
    ["Bits per pixel", ((8 * bytes) / (width * height)).toFixed(3)],
    ["Format", format],
  ]);
}

function count(number: number): string {
  return number.toLocaleString("en-US");
}

function fits(width: number, height: number): boolean {
  return Math.max(width, height) <= MAX_SIDE && width * height <= MAX_AREA;
}

function canvasOf(width: number, height: number, draw: (context: CanvasRenderingContext2D) => void): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  draw(canvas.getContext("2d")!);
  return canvas;
}
