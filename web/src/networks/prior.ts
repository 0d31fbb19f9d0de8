/**
 * The prior P(ẑ)·P(ŷ|ẑ): from ẑ and the quality to means and scale indices, the same integers on every machine.
 *
 * `begin` with ẑ and the quality, then for each of four steps `predict` what the step codes and `place` what was decoded,
 * of which the next steps know (docs/format.md, sections 4 and 5).
 */

import type { Model } from "./model.ts";
import { Tensor } from "./runtime.ts";

export const STEPS = 4;
export const HYPER_STRIDE = 4;
export const Z_MAX = 127;

const GROUPS = 4;
const ANCHORS = 9;
const ANCHOR_SPACING = 100;
const ANCHOR_UNIT = 128;
const UNIT = 128;
const CONTEXT_MAX = 2047;
const STEP_UNIT = 64;
/** Positions of latents that the context model works on at a time; more would only take memory. */
const WINDOW = 1 << 12;

/** What a step says of the latents that it codes, in the order of coding. */
export interface Prediction {
  readonly step: number;
  readonly means: Int32Array;
  readonly scales: Uint8Array;
}

/** How far a tile is. */
export interface Progress {
  readonly height: number;
  readonly width: number;
  readonly row: number;
  /** ŷ in 1/64 of the quantisation step, (latents, height, width), 0 where not yet decoded. */
  readonly y64: Int32Array;
  /** Hyper features, (hyper_width, height, width). */
  readonly features: Float32Array;
  /** Normalised ŷ, (latents, height, width). */
  readonly known: Float32Array;
}

/** Where a group of channels is coded in a step: the row and column of each 2x2. */
function cell(step: number, group: number): [row: number, column: number] {
  const number = (step + group) % GROUPS;
  return [number >> 1, number & 1];
}

/** At most two neighbouring anchors have a weight, and the weights sum to 128. */
function anchorWeights(index: number): Float32Array {
  const weights = new Float32Array(ANCHORS);
  const lower = Math.floor(index / ANCHOR_SPACING);
  const offset = index % ANCHOR_SPACING;
  const upper = Math.floor((ANCHOR_UNIT * offset + ANCHOR_SPACING / 2) / ANCHOR_SPACING);
  weights[lower] = ANCHOR_UNIT - upper;
  if (lower + 1 < ANCHORS) weights[lower + 1] = upper;
  return weights;
}

/** z: (hyper_latents, height/4, width/4) rounded up. */
export async function begin(
  model: Model,
  z: Int32Array,
  index: number,
  height: number,
  width: number,
): Promise<Progress> {
  const { hyper_latents, hyper_width, latents } = model.architecture;
  const [high, wide] = [Math.ceil(height / HYPER_STRIDE), Math.ceil(width / HYPER_STRIDE)];
  const graph = await model.graph("hyper_synthesis");
  const found = await graph.run({
    z: new Tensor("int32", z, [1, hyper_latents, high, wide]),
    anchors: new Tensor("float32", anchorWeights(index), [1, ANCHORS, 1, 1]),
  });
  const whole = found.features.data as Float32Array;
  return {
    height,
    width,
    row: Math.floor((index + 4) / 8),
    y64: new Int32Array(latents * height * width),
    features: corner(whole, hyper_width, high * HYPER_STRIDE, wide * HYPER_STRIDE, height, width),
    known: new Float32Array(latents * height * width),
  };
}

/** The left upper height x width of each plane. */
function corner(
  planes: Float32Array,
  channels: number,
  rows: number,
  columns: number,
  height: number,
  width: number,
): Float32Array {
  if (rows === height && columns === width) return planes;
  const cut = new Float32Array(channels * height * width);
  for (let plane = 0; plane < channels; plane++) {
    for (let row = 0; row < height; row++) {
      const start = (plane * rows + row) * columns;
      cut.set(planes.subarray(start, start + width), (plane * height + row) * width);
    }
  }
  return cut;
}

/** Says what is expected of the latents that step 0..3 codes, when those of the steps before are placed. */
export async function predict(model: Model, progress: Progress, step: number): Promise<Prediction> {
  const { latents, hyper_width, context_deeper } = model.architecture;
  const { height, width } = progress;
  const channels = latents / GROUPS;
  const perGroup = [GROUPS, channels, 1, 1];
  const graph = await model.graph(`context.${step}`);
  const always = {
    from_mean: new Tensor("float64", Float64Array.from(model.fromMean.row(progress.row)), perGroup),
    offset: new Tensor("float32", Float32Array.from(model.indexOffset.row(progress.row)), perGroup),
  };
  // Both depthwise layers of a pair look one row further; a window begins at the first of two rows.
  const pairs = 2 + context_deeper;
  const reach = pairs + (pairs % 2);
  const size = latents * Math.ceil(height / 2) * Math.ceil(width / 2);
  const prediction = { step, means: new Int32Array(size), scales: new Uint8Array(size) };
  const rows = Math.max(2, Math.floor(WINDOW / width / 2) * 2);
  let used = 0;
  for (let top = 0; top < height; top += rows) {
    const bottom = Math.min(top + rows, height);
    const [start, end] = [Math.max(0, top - reach), Math.min(height, bottom + reach)];
    const odd = [0, 0, 0, 0, 0, 0, (end - start) % 2, width % 2];
    const found = await graph.run({
      ...always,
      features: rowsOf(progress.features, hyper_width, height, width, start, end),
      planes: cellPlanes(end - start, width),
      odd: new Tensor("int64", BigInt64Array.from(odd, BigInt), [odd.length]),
      ...(step ? { known: rowsOf(progress.known, latents, height, width, start, end) } : {}),
    });
    const means = found.means.data as Int32Array;
    const scales = found.scales.data as Uint8Array;
    const [high, wide] = [Math.ceil((end - start) / 2), Math.ceil(width / 2)];
    used = 0;
    for (let group = 0; group < GROUPS; group++) {
      const [row, column] = cell(step, group);
      // Rows and columns of this cell that lie in the tile, and where this window's begin among them.
      const [tall, broad] = [Math.ceil((height - row) / 2), Math.ceil((width - column) / 2)];
      const last = Math.min(Math.ceil(bottom / 2), tall);
      for (let channel = 0; channel < channels; channel++) {
        for (let line = top / 2; line < last; line++) {
          const from = ((group * channels + channel) * high + line - start / 2) * wide;
          const to = used + line * broad;
          prediction.means.set(means.subarray(from, from + broad), to);
          prediction.scales.set(scales.subarray(from, from + broad), to);
        }
        used += tall * broad;
      }
    }
  }
  return { step, means: prediction.means.subarray(0, used), scales: prediction.scales.subarray(0, used) };
}

/** Says what was decoded: residuals in the order of coding, 0 wherever the scale index is below the skip bound. */
export function place(model: Model, progress: Progress, prediction: Prediction, residuals: Int32Array): void {
  const { height, width, y64, known } = progress;
  const toContext = model.toContext.row(progress.row);
  const channels = model.architecture.latents / GROUPS;
  const { step, means } = prediction;
  let next = 0;
  for (let group = 0; group < GROUPS; group++) {
    const [first, left] = cell(step, group);
    for (let channel = group * channels; channel < (group + 1) * channels; channel++) {
      const factor = toContext[channel];
      for (let row = first; row < height; row += 2) {
        const start = (channel * height + row) * width;
        for (let at = start + left; at < start + width; at += 2) {
          const value = residuals[next] * STEP_UNIT + means[next];
          next++;
          y64[at] = value;
          // Exact below 2^53, and far beyond the clamp above it.
          const scaled = Math.floor((value * factor + 8192) / 16384);
          known[at] = scaled > CONTEXT_MAX ? CONTEXT_MAX : scaled < -CONTEXT_MAX ? -CONTEXT_MAX : scaled;
        }
      }
    }
  }
}

/** Rows start..end of planes, as a graph takes them. */
function rowsOf(
  planes: Float32Array,
  channels: number,
  height: number,
  width: number,
  start: number,
  end: number,
): Tensor {
  const shape = [1, channels, end - start, width];
  if (end - start === height) return new Tensor("float32", planes, shape);
  const part = new Float32Array(channels * (end - start) * width);
  for (let plane = 0; plane < channels; plane++) {
    const from = plane * height * width;
    part.set(planes.subarray(from + start * width, from + end * width), plane * (end - start) * width);
  }
  return new Tensor("float32", part, shape);
}

/** (1, 4, height, width): UNIT where a position is in that cell of its 2x2, else 0. */
function cellPlanes(height: number, width: number): Tensor {
  const planes = new Float32Array(GROUPS * height * width);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      planes[(((row % 2) * 2 + (column % 2)) * height + row) * width + column] = UNIT;
    }
  }
  return new Tensor("float32", planes, [1, GROUPS, height, width]);
}
