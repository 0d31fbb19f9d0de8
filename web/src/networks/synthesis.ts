/**
 * The synthesis of pictures of any size, in memory that does not grow with their height.
 *
 * Latents go through in bands of rows, from top to bottom. A block looks at the row above and the row below: what it
 * cannot finish for want of the next row waits, in `carried`, for the next band. Wide pictures go through in columns, each
 * with as many positions beside it as the transform looks at.
 */

import type { Model } from "./model.ts";
import { type Feeds, Tensor } from "./runtime.ts";

export const PATCH = 16;
export type Span = readonly [first: number, end: number];

/** Rows of latents, int32 (latents, rows, width). */
export interface Band {
  readonly y64: Int32Array;
  readonly rows: number;
  readonly width: number;
}

/** Rows of pixels, red, green, blue: uint8 (rows, width, 3). */
export interface Levels {
  readonly levels: Uint8Array;
  readonly rows: number;
  readonly width: number;
}

/** Of a band's widest array, the expanded features of a block at 1/8. */
const BAND_BYTES = 8 << 20;
/** Latents across that go through at a time, and those beside them. */
const COLUMN = 128;
const EDGE = 9223372036854775807n;

interface Column {
  readonly core: Span;
  readonly seen: Span;
  carried: Tensor[] | undefined;
}

/** How many latents away what a pixel depends on can be. */
export function reachOf(model: Model): number {
  const { synthesis_coarse, synthesis_fine } = model.architecture;
  return synthesis_coarse + Math.ceil(synthesis_fine / 2);
}

/** Turns bands of ŷ·64 into rows of levels at 1/scale, which is 1, 2, 4 or 8: means of so many by so many pixels. */
export async function* synthesise(
  model: Model,
  bands: AsyncIterable<Band>,
  index: number,
  scale: number,
): AsyncGenerator<Levels> {
  const { latents, fine, synthesis_coarse, synthesis_fine } = model.architecture;
  const blocks = [
    ...Array.from({ length: synthesis_coarse }, () => ({ channels: latents, rows: 1 })),
    ...Array.from({ length: synthesis_fine }, () => ({ channels: fine, rows: 2 })),
  ];
  // Each block holds a row back, so the first band needs as many, if it is not the whole picture.
  const firstRows = Math.floor(blocks.reduce((sum, block) => sum + 1 / block.rows, 0)) + 2;
  const [graph, toLevels] = await Promise.all([model.graph("synthesis"), model.graph(`levels.${scale}`)]);
  const restore = Float32Array.from(model.restore.row(index), (gain) => gain / 64);
  const gains = {
    restore: new Tensor("float32", restore, [1, latents, 1, 1]),
    gain: new Tensor("float32", Float32Array.from(model.synthesisGain.row(index)), [1, fine, 1, 1]),
  };
  const side = PATCH / scale;
  let columns: Column[] | undefined;
  for await (const { chunk, last } of regrouped(bands, firstRows)) {
    columns ??= columnsOf(chunk.width, reachOf(model));
    const widest = Math.max(...columns.map((column) => column.seen[1] - column.seen[0]));
    const rows = Math.max(firstRows, Math.floor(BAND_BYTES / (2 * 2 * widest * 2 * fine * 4)));
    const count = Math.max(1, Math.floor(chunk.rows / rows));
    for (let number = 0; number < count; number++) {
      const top = Math.floor((chunk.rows * number) / count);
      const bottom = Math.floor((chunk.rows * (number + 1)) / count);
      const atEnd = last && number === count - 1;
      let whole: Levels | undefined;
      for (const column of columns) {
        const [left, right] = column.seen;
        const width = right - left;
        const feeds: Feeds = {
          ...gains,
          y64: new Tensor("int32", cut(chunk, latents, [top, bottom], column.seen), [1, latents, bottom - top, width]),
        };
        if (blocks.length) {
          feeds.first = new Tensor("int64", BigInt64Array.of(column.carried ? 1n : 0n), [1]);
          feeds.last = new Tensor("int64", BigInt64Array.of(atEnd ? EDGE : -1n), [1]);
        }
        blocks.forEach(({ channels, rows: per }, block) => {
          feeds[`carried.${block}`] =
            column.carried?.[block] ?? new Tensor("float32", new Float32Array(0), [1, channels, 0, per * width]);
        });
        const found = await graph.run(feeds, atEnd ? ["features"] : undefined);
        if (!atEnd) column.carried = blocks.map((_, block) => found[`kept.${block}`]);
        const own = await toLevels.run({ features: middle(found.features, column) });
        const levels = own.levels.data as Uint8Array;
        const across = side * (column.core[1] - column.core[0]);
        const made = { levels, rows: levels.length / 3 / across, width: across };
        if (columns.length === 1) {
          whole = made;
        } else {
          const size = side * chunk.width;
          whole ??= { levels: new Uint8Array(made.rows * size * 3), rows: made.rows, width: size };
          for (let row = 0; row < made.rows; row++) {
            const line = levels.subarray(row * across * 3, (row + 1) * across * 3);
            whole.levels.set(line, (row * size + side * column.core[0]) * 3);
          }
        }
      }
      yield whole!;
    }
  }
}

/** Cuts a width of latents into columns of like width. */
function columnsOf(width: number, reach: number): Column[] {
  const count = Math.max(1, Math.round(width / COLUMN));
  const edges = Array.from({ length: count + 1 }, (_, number) => Math.floor((width * number) / count));
  return edges.slice(1).map((end, number) => ({
    core: [edges[number], end],
    seen: [Math.max(0, edges[number] - reach), Math.min(width, end + reach)],
    carried: undefined,
  }));
}

/** Joins bands until they have `least` rows, and says which is the last. */
async function* regrouped(bands: AsyncIterable<Band>, least: number): AsyncGenerator<{ chunk: Band; last: boolean }> {
  let held: Band[] = [];
  for await (const band of bands) {
    // What is held is not the last: there are rows below it.
    if (held.reduce((sum, each) => sum + each.rows, 0) >= least) {
      yield { chunk: joined(held), last: false };
      held = [];
    }
    held.push(band);
  }
  if (held.length) yield { chunk: joined(held), last: true };
}

function joined(bands: Band[]): Band {
  if (bands.length === 1) return bands[0];
  const width = bands[0].width;
  const rows = bands.reduce((sum, band) => sum + band.rows, 0);
  const channels = bands[0].y64.length / bands[0].rows / width;
  const y64 = new Int32Array(channels * rows * width);
  let top = 0;
  for (const band of bands) {
    const size = band.rows * width;
    for (let channel = 0; channel < channels; channel++) {
      y64.set(band.y64.subarray(channel * size, (channel + 1) * size), (channel * rows + top) * width);
    }
    top += band.rows;
  }
  return { y64, rows, width };
}

/** Some rows and columns of a band. */
export function cut(band: Band, channels: number, [top, bottom]: Span, [left, right]: Span): Int32Array {
  const { y64, rows, width } = band;
  if (top === 0 && bottom === rows && left === 0 && right === width) return y64;
  const part = new Int32Array(channels * (bottom - top) * (right - left));
  let to = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let row = top; row < bottom; row++) {
      const start = (channel * rows + row) * width;
      part.set(y64.subarray(start + left, start + right), to);
      to += right - left;
    }
  }
  return part;
}

/** Those features, two a latent, that are a column's own. */
function middle(features: Tensor, column: Column): Tensor {
  const [, channels, rows, width] = features.dims as number[];
  const start = 2 * (column.core[0] - column.seen[0]);
  const own = 2 * (column.core[1] - column.core[0]);
  if (own === width) return features;
  const data = features.data as Float32Array;
  const part = new Float32Array(channels * rows * own);
  for (let row = 0; row < channels * rows; row++) {
    part.set(data.subarray(row * width + start, row * width + start + own), row * own);
  }
  return new Tensor("float32", part, [1, channels, rows, own]);
}
