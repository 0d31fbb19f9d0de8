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

/** Fetches a model; WeightsError, which names it, if it is not there. engine: what it will work on. */
export async function openModel(id: string, folder: URL, engine: Promise<Engine>): Promise<Model> {
  const slice = await unpacked(await fetched(id, folder), id);
  const model = Model.read(slice, await engine);
  if (model.id !== id) throw new WeightsError(`the file of model ${id} is that of ${model.id}`);
  return model;
}

async function fetched(id: string, folder: URL): Promise<Response> {
  const url = new URL(id + SUFFIX, folder);
  // Not there where a page is not secure, or storage is switched off.
  const cache = await globalThis.caches?.open(CACHE).catch(() => undefined);
  const kept = await cache?.match(url);
  if (kept) return kept;
  let response: Response;
  try {
    response = await fetch(url);
  } catch {
    throw new WeightsError(`needs model ${id}, which could not be fetched`);
  }
  if (!response.ok) throw new WeightsError(`needs model ${id}, which is not there (status ${response.status})`);
  // A server whose address is another tomorrow, that of `rdae view`, would fill the cache: it says that nothing be kept.
  const isKept = !/no-store/i.test(response.headers.get("cache-control") ?? "");
  // A full disk, or a response that cannot be kept: then it is fetched again next time.
  if (isKept) void cache?.put(url, response.clone()).catch(() => undefined);
  return response;
}

/** Bytes of a gzip file. Some servers say that such a file is encoded so, and the browser has unpacked it. */
async function unpacked(response: Response, id: string): Promise<Uint8Array> {
  try {
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    await globalThis.caches?.delete(CACHE).catch(() => false);
    throw new WeightsError(`model ${id} is damaged`);
  }
}
