/**
 * A model: fetched by the eight hexadecimal digits that a file names it by, kept in the browser's cache, opened once.
 *
 * What is fetched is a slice that `rdae models --slices` wrote: the graphs and those parts of the weights file that a
 * decoder reads. Put back where they were, with zeros between, the graphs find their tensors where they look.
 */

import { WeightsError } from "../errors.ts";
import { Tables } from "../coding/tables.ts";
import { check, Graph } from "./runtime.ts";

const FORMAT = "rdae-model-slice-1";
const SUFFIX = ".rdae-model.gz";
const CACHE = "rdae-models";
const MAX_WEIGHTS = 1 << 28;
const QUALITIES = 801;

export interface Architecture {
  readonly fine: number;
  readonly latents: number;
  readonly hyper_latents: number;
  readonly synthesis_coarse: number;
  readonly synthesis_fine: number;
  readonly hyper_width: number;
  readonly context_deeper: number;
}

interface Header {
  format: string;
  name: string;
  sha256: string;
  bytes: number;
  metadata: { architecture: string; skip_below: string };
  tensors: Record<string, { dtype: string; shape: number[]; place: [number, number] }>;
  pieces: [place: number, length: number][];
  graphs: [name: string, length: number][];
}

/** Rows of a table of the weights file, one after the other. */
export class Rows<T extends Float32Array | Int32Array> {
  constructor(private readonly values: T, readonly width: number) {}

  row(number: number): T {
    return this.values.subarray(number * this.width, (number + 1) * this.width) as T;
  }
}

export class Model {
  readonly name: string;
  readonly id: string;
  readonly architecture: Architecture;
  /** Latents whose scale index is smaller are not coded: their residual is 0. */
  readonly skipBelow: number;
  readonly yTables: Tables;
  readonly zTables: Tables;
  /** A row per whole quality; see docs/format.md, section 5. */
  readonly toContext: Rows<Int32Array>;
  readonly fromMean: Rows<Int32Array>;
  readonly indexOffset: Rows<Int32Array>;
  /** A row per quality index. */
  readonly restore: Rows<Float32Array>;
  readonly synthesisGain: Rows<Float32Array>;

  private readonly opened = new Map<string, Promise<Graph>>();

  private constructor(
    private readonly header: Header,
    private readonly weights: Uint8Array,
    private readonly graphs: ReadonlyMap<string, Uint8Array>,
  ) {
    this.name = header.name;
    this.id = header.sha256.slice(0, 8);
    const architecture = JSON.parse(header.metadata.architecture) as Architecture;
    this.architecture = { ...architecture, context_deeper: architecture.context_deeper ?? 0 };
    this.skipBelow = Number(header.metadata.skip_below);
    const { latents, fine } = architecture;
    this.yTables = this.tables("y");
    this.zTables = this.tables("z");
    this.toContext = new Rows(this.integers("prior.to_context"), latents);
    this.fromMean = new Rows(this.integers("prior.from_mean"), latents);
    this.indexOffset = new Rows(this.integers("prior.index_offset"), latents);
    this.restore = new Rows(this.floats("gains.restore", QUALITIES * latents), latents);
    this.synthesisGain = new Rows(this.floats("gains.synthesis", QUALITIES * fine), fine);
  }

  /** Reads an unpacked slice; WeightsError if it is none of this version. */
  static read(slice: Uint8Array): Model {
    try {
      const length = new DataView(slice.buffer, slice.byteOffset).getUint32(0, true);
      const header = JSON.parse(new TextDecoder().decode(slice.subarray(4, 4 + length))) as Header;
      if (header.format !== FORMAT) throw new Error(`format is ${header.format}`);
      if (!(header.bytes <= MAX_WEIGHTS)) throw new Error("the weights are too large");
      let at = 4 + length;
      const take = (bytes: number) => {
        if (at + bytes > slice.length) throw new Error("it ends early");
        return slice.subarray(at, (at += bytes));
      };
      const weights = new Uint8Array(header.bytes);
      for (const [place, bytes] of header.pieces) weights.set(take(bytes), place);
      const graphs = new Map(header.graphs.map(([name, bytes]) => [name, take(bytes)]));
      return new Model(header, weights, graphs);
    } catch (error) {
      throw new WeightsError(`not a model of this version: ${(error as Error).message}`);
    }
  }

  /** Opens a graph, the first time that it is asked for. */
  graph(name: string): Promise<Graph> {
    let graph = this.opened.get(name);
    if (!graph) {
      const bytes = this.graphs.get(name);
      if (!bytes) throw new WeightsError(`model ${this.name} has no graph ${name}`);
      this.opened.set(name, (graph = Graph.open(bytes, this.weights)));
    }
    return graph;
  }

  async release(): Promise<void> {
    for (const graph of this.opened.values()) await (await graph).release();
    this.opened.clear();
  }

  private tables(name: string): Tables {
    return new Tables(this.integers(`tables.${name}.counts`), this.integers(`tables.${name}.limits`));
  }

  private place(name: string, dtype: string): ArrayBuffer {
    const tensor = this.header.tensors[name];
    if (tensor?.dtype !== dtype) throw new Error(`${name} is ${tensor?.dtype}, expected ${dtype}`);
    return this.weights.slice(...tensor.place).buffer;
  }

  private integers(name: string): Int32Array {
    return new Int32Array(this.place(name, "I32"));
  }

  private floats(name: string, length: number): Float32Array {
    const values = new Float32Array(this.place(name, "F32"));
    if (values.length !== length) throw new Error(`${name} has ${values.length} numbers, expected ${length}`);
    return values;
  }
}

/** Fetches and opens a model; WeightsError, which names it, if it is not there. */
export async function openModel(id: string, folder: URL): Promise<Model> {
  const slice = await unpacked(await fetched(id, folder), id);
  const model = Model.read(slice);
  if (model.id !== id) throw new WeightsError(`the file of model ${id} is that of ${model.id}`);
  await check(await model.graph("check"));
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
  // A full disk, or a response that may not be kept: then it is fetched again next time.
  await cache?.put(url, response.clone()).catch(() => undefined);
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
