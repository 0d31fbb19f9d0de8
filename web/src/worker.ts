/** The worker: decodes one file after the other, so that pages stay quick and memory is that of one picture. */

import { peek } from "./container/container.ts";
import { decodeFile } from "./decode.ts";
import { PictureError, RdaeError } from "./errors.ts";
import type { Join, Reply, Request, Setup, Work } from "./messages.ts";
import { compileKernels, Engine, serve, type Thread } from "./networks/engine.ts";
import { fetchSlice, forgetSlice, Model } from "./networks/model.ts";

const MOST_THREADS = 4;
const MOST_MODELS = 2;
/** An engine that has grown beyond, for a large picture, is dropped after it; a model takes 40 MB of it. */
const MOST_BYTES = 256 << 20;
/** How long work may go on before messages are let in. */
const BREATH_MS = 50;
const NO_MODEL = "00000000";

let setup: Setup;
let kernels: Promise<WebAssembly.Module>;
/** By the model's name, the one used last at the end. */
const models = new Map<string, Model>();
/** Those that were fetched, or are, and not opened yet. */
const slices = new Map<string, Promise<Uint8Array>>();
let before: Promise<unknown> = Promise.resolve();
/** What stops those that are under way. */
const jobs = new Map<number, AbortController>();

self.onmessage = ({ data }: MessageEvent<Request | Join>) => {
  if (data.kind === "join") {
    data.port.onmessage = (event: MessageEvent<Thread>) => serve(event.data);
  } else if (data.kind === "setup") {
    setup = data;
    kernels = compileKernels(new URL(setup.assets), threads() > 1);
    kernels.catch(() => undefined); // told by who needs them
  } else if (data.kind === "cancel") {
    jobs.get(data.id)?.abort();
  } else {
    void queue(data);
  }
};

/** Threads share memory, which a page must ask for by two headers. */
function threads(): number {
  const cores = Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS);
  return self.crossOriginIsolated ? setup.threads || cores : 1;
}

/** Puts a file in the queue when its model is there: what is slow to come must not keep others waiting. */
async function queue(data: Work): Promise<void> {
  const job = new AbortController();
  jobs.set(data.id, job);
  await Promise.race([sliceFor(data.file), aborted(job.signal)]).catch(() => undefined); // told when it is decoded
  before = before.then(() => work(data, job.signal));
}

/** Fetches the model that a file names, unless it is open. */
async function sliceFor(file: Uint8Array): Promise<void> {
  const { model } = peek(file).header;
  if (model !== NO_MODEL && !models.has(model)) await slice(model);
}

function slice(id: string): Promise<Uint8Array> {
  let fetching = slices.get(id);
  if (!fetching) {
    slices.set(id, (fetching = fetchSlice(id, new URL(setup.models))));
    fetching.catch(() => slices.delete(id)); // another time it may be there
  }
  return fetching;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

function say(reply: Reply, transfer: Transferable[] = []): void {
  self.postMessage(reply, { transfer });
}

async function work({ id, file, settings, rows }: Work, signal: AbortSignal): Promise<void> {
  let last = performance.now();
  try {
    signal.throwIfAborted();
    const picture = await decodeFile(file, settings, {
      model: (name) => model(name, signal),
      progress: (done, total) => say({ kind: "progress", id, done, total }),
      breath: async () => {
        if (performance.now() - last < BREATH_MS) return;
        await turn();
        last = performance.now();
        signal.throwIfAborted();
      },
      ...(rows && { rows: (rgba, top, width) => say({ kind: "rows", id, rgba: rgba.slice(), top, width }) }),
    });
    say({ kind: "done", id, picture }, [picture.rgba.buffer]);
  } catch (error) {
    const { name, message } = described(error);
    say({ kind: "failed", id, name, message });
  } finally {
    jobs.delete(id);
    for (const [name, { engine }] of models) {
      if (engine.broken || engine.size > MOST_BYTES) close(name);
    }
  }
}

/** Resolves when messages that have come were looked at. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}

/**
 * Opens a model, unless it is open. A signal stops the wait for what is fetched, and nothing after that: to open one may mean
 * to close another, which must not happen beside the next file's work.
 */
async function model(id: string, signal: AbortSignal): Promise<Model> {
  let opened = models.get(id);
  if (!opened) {
    const [weights, module] = await Promise.race([Promise.all([slice(id), kernels]), aborted(signal)]);
    for (const other of models.keys()) {
      if (models.size < MOST_MODELS) break;
      close(other);
    }
    slices.delete(id);
    try {
      opened = await open(id, weights, module);
    } catch (error) {
      await forgetSlice(id, new URL(setup.models)); // of another version perhaps: it is fetched anew
      throw error;
    }
  }
  models.delete(id);
  models.set(id, opened);
  return opened;
}

/**
 * The page starts the threads and ends them: a worker that starts another may wait for ever in Firefox (153). Its thread and
 * the new one's then seem to sleep on one condition variable, whose only signal woke the wrong one. What the threads share goes
 * by a port, as the page's policy need not allow WebAssembly.
 */
async function open(id: string, weights: Uint8Array, module: WebAssembly.Module): Promise<Model> {
  try {
    const start = (thread: Thread) => {
      const { port1, port2 } = new MessageChannel();
      say({ kind: "thread wanted", model: id, port: port2 }, [port2]);
      port1.postMessage(thread);
    };
    return Model.read(weights, await Engine.open(module, threads(), start));
  } catch (error) {
    close(id);
    throw error;
  }
}

function close(id: string): void {
  say({ kind: "threads done", model: id });
  models.delete(id);
}

/** What is said of an error; a browser's own, for want of memory, becomes one of ours. */
function described(error: unknown): Error {
  if (!(error instanceof Error)) return new RdaeError(String(error));
  const short = error instanceof RangeError && /allocation|array length|array buffer/i.test(error.message);
  return short ? new PictureError("not enough memory for the picture") : error;
}
