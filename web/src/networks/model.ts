/**
 * A model: fetched by the eight hexadecimal digits that a file names it by, kept in the browser's cache, opened once.
 *
 * What is fetched is a slice of the weights file that `rdae models --slices` wrote: a safetensors file, in gzip, of those
 * tensors that a decoder reads (docs/format.md, section 5).
 */

import { Tables } from "../coding/tables.ts";
import { WeightsError } from "../errors.ts";
import type { Engine } from "./engine.ts";
import { PriorLayers } from "./prior.ts";
import { SynthesisLayers } from "./synthesis.ts";
import { type Tensors, WeightsFile } from "./weights.ts";

const SUFFIX = ".rdae-model.gz";
const CACHE = "rdae-models";
const FORMAT = "rdae-model-1";
/** How long the browser's cache may think. */
const PATIENCE_MS = 3000;

export interface Architecture {
  readonly fine: number;
  readonly latents: number;
  readonly hyper_latents: number;
  readonly hyper_width: number;
  readonly context_width: number;
  readonly context_deeper: number;
  readonly context_trunks: number;
  readonly synthesis_coarse: number;
  readonly synthesis_fine: number;
}

export class Model {
  readonly name: string;
  readonly id: string;
  readonly architecture: Architecture;
  /** Latents whose scale index is smaller are not coded: their residual is 0. */
  readonly skipBelow: number;
  readonly yTables: Tables;
  readonly zTables: Tables;
  readonly prior: PriorLayers;
  readonly synthesis: SynthesisLayers;

  private constructor(
    { metadata, tensors }: WeightsFile,
    readonly engine: Engine,
  ) {
    if (metadata.format !== FORMAT) throw new Error(`format is ${metadata.format}`);
    this.name = metadata.name;
    this.id = metadata.sha256.slice(0, 8);
    const architecture = JSON.parse(metadata.architecture) as Architecture;
    this.architecture = {
      ...architecture,
      context_deeper: architecture.context_deeper ?? 0,
      context_trunks: architecture.context_trunks ?? 1,
    };
    this.skipBelow = Number(metadata.skip_below);
    this.yTables = tablesOf(tensors, "y");
    this.zTables = tablesOf(tensors, "z");
    this.prior = new PriorLayers(tensors, this.architecture, engine);
    this.synthesis = new SynthesisLayers(tensors, this.architecture, engine);
  }

  /** Reads an unpacked slice; WeightsError if it is none of this version. */
  static read(slice: Uint8Array, engine: Engine): Model {
    try {
      return new Model(new WeightsFile(slice), engine);
    } catch (error) {
      throw new WeightsError(`not a model of this version: ${(error as Error).message}`);
    }
  }
}

function tablesOf(tensors: Tensors, name: string): Tables {
  return new Tables(tensors.integers(`tables.${name}.counts`), tensors.integers(`tables.${name}.limits`));
}

/** Fetches a slice and unpacks it; WeightsError, which names the model, if it is not there or another's. */
export async function fetchSlice(id: string, folder: URL): Promise<Uint8Array> {
  const url = new URL(id + SUFFIX, folder);
  const cache = await soon(opened());
  const kept = await soon(cache?.match(url));
  if (kept) {
    try {
      const bytes = await soon(kept.arrayBuffer());
      if (bytes) return await unpacked(bytes, id);
    } catch {
      await soon(cache!.delete(url)); // damaged, or of another version: it is fetched again
    }
  }
  let bytes: ArrayBuffer;
  let keep: boolean;
  try {
    const response = await fetch(url);
    if (!response.ok) throw new WeightsError(`needs model ${id}, which is not there (status ${response.status})`);
    keep = !response.headers.get("cache-control")?.includes("no-store");
    bytes = await response.arrayBuffer();
  } catch (error) {
    throw error instanceof WeightsError ? error : new WeightsError(`needs model ${id}, which could not be fetched`);
  }
  const slice = await unpacked(bytes, id);
  // A full disk, or a page that may not keep it: then it is fetched again next time.
  if (keep) void cache?.put(url, new Response(bytes)).catch(() => undefined);
  return slice;
}

/** Takes a slice out of the browser's cache. */
export async function forgetSlice(id: string, folder: URL): Promise<void> {
  await soon((await soon(opened()))?.delete(new URL(id + SUFFIX, folder)));
}

/** The browser's cache of models; not there where a page is not secure. */
function opened(): Promise<Cache> | undefined {
  return globalThis.caches?.open(CACHE);
}

/** What the cache says, unless it fails or takes its time: storage that is switched off, full or busy must not keep a picture. */
async function soon<T>(answer: Promise<T> | undefined): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, PATIENCE_MS, undefined)));
  try {
    return await Promise.race([answer, late]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** A slice, which is gzip unless the server said so and the browser has unpacked it; WeightsError if it is another's. */
async function unpacked(bytes: ArrayBuffer, id: string): Promise<Uint8Array> {
  try {
    const [first, second] = new Uint8Array(bytes);
    const packed = first === 0x1f && second === 0x8b;
    const stream = new Blob([bytes]).stream();
    const slice = packed
      ? await new Response(stream.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer()
      : bytes;
    const { metadata } = new WeightsFile(new Uint8Array(slice));
    if (!metadata.sha256.startsWith(id)) throw new Error(`it is ${metadata.sha256.slice(0, 8)}`);
    return new Uint8Array(slice);
  } catch (error) {
    throw new WeightsError(`needs model ${id}, and what is there is not it: ${(error as Error).message}`);
  }
}
