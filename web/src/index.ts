/**
 * Decodes .rdae files in a browser: the latents are those of every other decoder, bit for bit, the pixels theirs to a level.
 *
 * A page has one worker, which is started by the first `decode` and keeps the models that it has opened. Threads that share its
 * work are workers of the page too, started and ended as it asks: `open` in worker.ts says why.
 */

import { type Header, peek as peekHeader } from "./container/container.ts";
import * as errors from "./errors.ts";
import type { DecodedPicture, DecodeSettings, Join, Region, Reply, Request } from "./messages.ts";

export * from "./errors.ts";
export type { Header, Region };

export interface DecodeOptions extends DecodeSettings {
  scale?: 1 | 2 | 4 | 8;
  /** Called as tiles are done. */
  onProgress?: (done: number, total: number) => void;
  /** Called with rows as they are made, and the first one's number: colours only, before alpha and stored pixels. */
  onRows?: (rows: ImageData, top: number) => void;
  signal?: AbortSignal;
}

export interface Picture extends Omit<DecodedPicture, "rgba"> {
  /** The pixels: red, green, blue, alpha; sRGB unless a profile was kept. */
  readonly image: ImageData;
  /** Of the file. */
  readonly bytes: number;
}

export interface Configuration {
  /** Folder of rdae-worker.js and the kernels, of the page's own origin. Default: that of this module. */
  assets?: string | URL;
  /** Folder of models, files named by eight hexadecimal digits. Default: `models/` in the assets. */
  models?: string | URL;
  /** That share the work; default as many as processors, at most four. One where the page is not cross-origin isolated. */
  threads?: number;
}

interface Waiting {
  readonly options: DecodeOptions;
  readonly bytes: number;
  readonly resolve: (picture: Picture) => void;
  readonly reject: (error: Error) => void;
}

let configuration: Configuration = {};
let worker: Worker | undefined;
/** By the model that they work for. */
const threads = new Map<string, Worker[]>();
let last = 0;
const waiting = new Map<number, Waiting>();

/** Says where things are; before the first `decode`, or it starts a new worker, and what is under way fails. */
export function configure(options: Configuration): void {
  configuration = { ...configuration, ...options };
  if (worker) stop(new errors.RdaeError("configured anew"));
}

/** Reads a file's header from its first 64 bytes, or all if it has fewer; no checksum is looked at. */
export function peek(bytes: Uint8Array): Header {
  return peekHeader(bytes).header;
}

/**
 * Decodes a file.
 *
 * Rejects with an error of errors.ts for a file that is damaged or not supported, or a model that is not there; with
 * RangeError for a scale or a region that the picture does not have; with the signal's reason when that is aborted.
 */
export async function decode(file: Uint8Array | ArrayBuffer | Blob, options: DecodeOptions = {}): Promise<Picture> {
  const { scale, region, maxPixels, profile, onProgress, onRows, signal } = options;
  signal?.throwIfAborted();
  // A copy in any case, as it goes to the worker for good.
  const copy = new Uint8Array(file instanceof Blob ? await file.arrayBuffer() : file.slice(0));
  signal?.throwIfAborted();
  const id = ++last;
  const settings: DecodeSettings = {
    ...(scale !== undefined && { scale }),
    ...(region !== undefined && { region }),
    ...(maxPixels !== undefined && { maxPixels }),
    ...(profile !== undefined && { profile }),
  };
  return new Promise((resolve, reject) => {
    const cancel = () => {
      if (!waiting.delete(id)) return;
      send({ kind: "cancel", id });
      reject(signal!.reason as Error);
    };
    signal?.addEventListener("abort", cancel, { once: true });
    const settled = () => signal?.removeEventListener("abort", cancel);
    waiting.set(id, {
      options: { ...(onProgress && { onProgress }), ...(onRows && { onRows }) },
      bytes: copy.length,
      resolve: (picture) => (settled(), resolve(picture)),
      reject: (error) => (settled(), reject(error)),
    });
    const request = { kind: "decode", id, file: copy as Uint8Array<ArrayBuffer>, settings, rows: !!onRows } as const;
    try {
      send(request, [copy.buffer]);
    } catch (error) {
      waiting.delete(id);
      settled();
      reject(error as Error);
    }
  });
}

function send(request: Request, transfer: Transferable[] = []): void {
  worker ??= started();
  worker.postMessage(request, transfer);
}

function started(): Worker {
  const folder = (url: string | URL) =>
    new URL(String(url).replace(/\/?$/, "/"), globalThis.document?.baseURI ?? location.href);
  const assets = folder(configuration.assets ?? new URL(".", import.meta.url));
  const models = configuration.models === undefined ? new URL("models/", assets) : folder(configuration.models);
  const script = new URL("rdae-worker.js", assets);
  let made: Worker;
  try {
    made = new Worker(script, { type: "module", name: "rdae" });
  } catch (error) {
    throw new errors.RdaeError(`the worker cannot be started: ${(error as Error).message}`, { cause: error });
  }
  made.onmessage = ({ data }: MessageEvent<Reply>) => receive(data, script);
  made.onerror = (event) => {
    event.preventDefault();
    stop(new errors.RdaeError(`the worker failed: ${event.message || "it could not be loaded"}`));
  };
  made.onmessageerror = () => stop(new errors.RdaeError("the worker's answer could not be read"));
  made.postMessage({ kind: "setup", assets: assets.href, models: models.href, threads: configuration.threads ?? 0 });
  return made;
}

function startThread(script: URL, model: string, port: MessagePort): void {
  const made = new Worker(script, { type: "module", name: "rdae thread" });
  made.onerror = (event) => event.preventDefault(); // without it the others do the work
  made.postMessage({ kind: "join", port } satisfies Join, [port]);
  threads.set(model, [...(threads.get(model) ?? []), made]);
}

function endThreads(model: string): void {
  threads.get(model)?.forEach((thread) => thread.terminate());
  threads.delete(model);
}

/** script: that of the worker. */
function receive(reply: Reply, script: URL): void {
  if (reply.kind === "thread wanted") startThread(script, reply.model, reply.port);
  else if (reply.kind === "threads done") endThreads(reply.model);
  else settle(reply);
}

function settle(reply: Exclude<Reply, { model: string }>): void {
  const one = waiting.get(reply.id);
  if (!one) return;
  if (reply.kind === "progress") {
    one.options.onProgress?.(reply.done, reply.total);
  } else if (reply.kind === "rows") {
    one.options.onRows?.(new ImageData(reply.rgba, reply.width), reply.top);
  } else if (reply.kind === "done") {
    waiting.delete(reply.id);
    const { rgba, ...rest } = reply.picture;
    let image: ImageData;
    try {
      image = new ImageData(rgba, rest.width, rest.height);
    } catch {
      one.reject(new errors.PictureError(`${rest.width} x ${rest.height} pixels are more than the browser holds`));
      return;
    }
    one.resolve({ ...rest, image, bytes: one.bytes });
  } else {
    waiting.delete(reply.id);
    one.reject(errorOf(reply.name, reply.message));
  }
}

function errorOf(name: string, message: string): Error {
  const known = (errors as Record<string, new (message: string) => Error>)[name];
  if (known) return new known(message);
  return name === "RangeError" ? new RangeError(message) : new errors.RdaeError(message);
}

function stop(error: Error): void {
  worker?.terminate();
  worker = undefined;
  for (const model of threads.keys()) endThreads(model);
  for (const [id, one] of [...waiting]) {
    waiting.delete(id);
    one.reject(error);
  }
}
