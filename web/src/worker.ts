/** The worker: decodes one file after the other, so that pages stay quick and memory is that of one picture. */

import { decodeFile } from "./decode.ts";
import { PictureError } from "./errors.ts";
import type { Reply, Request, Setup, Work } from "./messages.ts";
import { Engine, serve, type Thread } from "./networks/engine.ts";
import { type Model, openModel } from "./networks/model.ts";

const MOST_THREADS = 4;
/** Each open model takes some 60 MB. */
const MOST_MODELS = 2;

let setup: Setup;
/** A model, and the workers that share its work. */
interface Opened {
  readonly model: Promise<Model>;
  readonly threads: Worker[];
}

const models = new Map<string, Opened>();
let before: Promise<unknown> = Promise.resolve();
const cancelled = new Set<number>();

self.onmessage = ({ data }: MessageEvent<Request | Thread>) => {
  if (data.kind === "thread") {
    serve(data);
  } else if (data.kind === "setup") {
    setup = data;
  } else if (data.kind === "cancel") {
    cancelled.add(data.id);
  } else {
    before = before.then(() => work(data));
  }
};

async function work({ id, file, settings, rows }: Work): Promise<void> {
  const say = (reply: Reply, transfer: Transferable[] = []) => self.postMessage(reply, { transfer });
  try {
    wanted(id);
    const picture = await decodeFile(file, settings, {
      model,
      progress: (done, total) => say({ kind: "progress", id, done, total }),
      breath: async () => {
        await turn();
        wanted(id);
      },
      ...(rows && { rows: (rgba, top, width) => say({ kind: "rows", id, rgba: rgba.slice(), top, width }) }),
    });
    say({ kind: "done", id, picture }, [picture.rgba.buffer]);
  } catch (error) {
    const { name, message } = described(error);
    say({ kind: "failed", id, name, message });
  } finally {
    cancelled.delete(id);
  }
}

function wanted(id: number): void {
  if (cancelled.has(id)) throw new DOMException("nobody waits for it any longer", "AbortError");
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

async function model(id: string): Promise<Model> {
  let opened = models.get(id);
  models.delete(id); // the one used last is the last to go
  if (!opened) {
    for (const [other, { threads }] of models) {
      if (models.size < MOST_MODELS) break;
      models.delete(other);
      threads.forEach((thread) => thread.terminate());
    }
    opened = open(id);
  }
  models.set(id, opened);
  try {
    return await opened.model;
  } catch (error) {
    models.delete(id); // another time it may be there
    opened.threads.forEach((thread) => thread.terminate());
    throw error;
  }
}

function open(id: string): Opened {
  const threads: Worker[] = [];
  // Threads share memory, which a page must ask for by two headers.
  const cores = Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS);
  const count = self.crossOriginIsolated ? setup.threads || cores : 1;
  const engine = Engine.open(new URL(setup.assets), count, (thread) => {
    const worker = new Worker(self.location.href, { type: "module", name: "rdae thread" });
    worker.postMessage(thread);
    threads.push(worker);
  });
  return { model: openModel(id, new URL(setup.models), engine), threads };
}

/** A browser's own error for want of memory becomes one of ours. */
function described(error: unknown): Error {
  if (!(error instanceof Error)) return new PictureError(`not enough memory, or the runtime failed (${String(error)})`);
  const short = error instanceof RangeError && /allocation|array length|array buffer/i.test(error.message);
  return short ? new PictureError("not enough memory for the picture") : error;
}
