/**
 * Sessions of ONNX Runtime on a model's graphs, which are those that Python runs, byte for byte.
 *
 * Nothing that decides how a file is read rests on promises of the runtime: the prior's graphs hold integers whose sums
 * float32 computes exactly in any order, and `check` tries that here before a model is used.
 */

import { env, InferenceSession, Tensor } from "onnxruntime-web/wasm";
import { WeightsError } from "../errors.ts";

export { Tensor };
export type Feeds = Record<string, Tensor>;

/** The name by which graphs call the file that their tensors lie in. */
const WEIGHTS_NAME = "weights.safetensors";

/** Says where the runtime's own files lie, and how many threads share an operation. Before the first session only. */
export function prepare(assets: URL, threads: number): void {
  env.wasm.wasmPaths = assets.href;
  env.wasm.numThreads = threads;
  env.logLevel = "error";
}

export class Graph {
  private constructor(private readonly session: InferenceSession) {}

  /** weights: the weights file, of which the parts that the graph reads are there. */
  static async open(graph: Uint8Array, weights: Uint8Array): Promise<Graph> {
    const session = await InferenceSession.create(graph, {
      executionProviders: ["wasm"],
      externalData: [{ path: WEIGHTS_NAME, data: weights }],
      logSeverityLevel: 3,
    });
    return new Graph(session);
  }

  /** Computes the outputs that are asked for, by name; all without names. */
  async run(feeds: Feeds, names?: readonly string[]): Promise<Feeds> {
    return (await (names ? this.session.run(feeds, names) : this.session.run(feeds))) as Feeds;
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

const CHANNELS = 64;
const SIDE = 16;

/** Integers that anyone can make again: number i is (factor * i mod modulus) - offset. */
function known(length: number, factor: number, modulus: number, offset: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => ((factor * i) % modulus) - offset);
}

/**
 * WeightsError unless the graph `check` gives the sums that integers give: a 1x1 and a depthwise 3x3 convolution whose
 * sums come close to 2^24, with all bits in use.
 */
export async function check(graph: Graph): Promise<void> {
  const plane = SIDE * SIDE;
  const x = known(CHANNELS * plane, 37, 4096, 0);
  const mix = known(CHANNELS * CHANNELS, 53, 301, 75);
  const spread = known(CHANNELS * 9, 71, 1201, 400);
  const shape = [1, CHANNELS, SIDE, SIDE];
  const found = await graph.run({ x: new Tensor("float32", Float32Array.from(x), shape) });
  const [mixed, spreaded] = Object.values(found).map((each) => each.data as Float32Array);
  for (let channel = 0; channel < CHANNELS; channel++) {
    for (let place = 0; place < plane; place++) {
      const row = Math.floor(place / SIDE);
      const column = place % SIDE;
      let dense = 0;
      for (let from = 0; from < CHANNELS; from++) dense += mix[channel * CHANNELS + from] * x[from * plane + place];
      let deep = 0;
      for (let tap = 0; tap < 9; tap++) {
        const y = row + Math.floor(tap / 3) - 1;
        const left = column + (tap % 3) - 1;
        if (y >= 0 && y < SIDE && left >= 0 && left < SIDE) {
          deep += spread[channel * 9 + tap] * x[channel * plane + y * SIDE + left];
        }
      }
      const at = channel * plane + place;
      if (mixed[at] !== dense || spreaded[at] !== deep) {
        throw new WeightsError("float32 products are computed at lower precision here, so no file can be decoded");
      }
    }
  }
}
