/** The worker: decodes one file after the other, so that pages stay quick and memory is that of one picture. */

import { decodeFile } from "./decode.ts";
import { PictureError } from "./errors.ts";
import type { Reply, Request, Setup, Work } from "./messages.ts";
import { type Model, openModel } from "./networks/model.ts";
import { prepare } from "./networks/runtime.ts";

const MOST_THREADS = 4;
/** Each open model takes some 100 MB. */
const MOST_MODELS = 2;

let setup: Setup;
let models = new Map<string, Promise<Model>>();
let before: Promise<unknown> = Promise.resolve();
const cancelled = new Set<number>();

self.onmessage = ({ data }: MessageEvent<Request>) => {
  if (data.kind === "setup") {
    setup = data;
    const cores = Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS);
    // Threads share memory, which a page must ask for by two headers.
    prepare(new URL(setup.assets), self.crossOriginIsolated ? setup.threads || cores : 1);
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
      progress: (done, total) => {
        wanted(id);
        say({ kind: "progress", id, done, total });
      },
      ...(rows && {
        rows: (rgba: Uint8ClampedArray<ArrayBuffer>, top: number, width: number) =>
          say({ kind: "rows", id, rgba: rgba.slice(), top, width }),
      }),
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

async function model(id: string): Promise<Model> {
  const known = models.get(id);
  if (known) {
    models.delete(id); // the one used last is the last to go
    models.set(id, known);
    return known;
  }
  for (const [other, opened] of models) {
    if (models.size < MOST_MODELS) break;
    models.delete(other);
    await opened.then((each) => each.release());
  }
  const opening = openModel(id, new URL(setup.models));
  models.set(id, opening);
  try {
    return await opening;
  } catch (error) {
    models.delete(id); // another time it may be there
    throw error;
  }
}

/** A browser's own error for want of memory becomes one of ours. */
function described(error: unknown): Error {
  if (!(error instanceof Error)) return new PictureError(`not enough memory, or the runtime failed (${String(error)})`);
  const short = error instanceof RangeError && /allocation|array length|array buffer/i.test(error.message);
  return short ? new PictureError("not enough memory for the picture") : error;
}
