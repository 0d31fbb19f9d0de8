/**
 * The synthesis of pictures of any size, in memory that does not grow with their height.
 *
 * Rows of latents are pushed from the top; each block hands on what it can finish and holds one row back, for it looks at the
 * row above and the row below. At the end each lets go of its row, as if zeros followed.
 */

import type { Engine } from "./engine.ts";
import { blank, CHANNEL, clear, type Features, features, LANES, Matrix, padded, stored } from "./layers.ts";
import type { Architecture } from "./model.ts";
import { Rows, type Tensors } from "./weights.ts";

export const PATCH = 16;
/** Pixels to a side of what a position of the features at 1/8 becomes. */
const EIGHTH = 8;
const QUALITIES = 801;
/** Panels of latents that are pushed at a time: enough to use weights that were read, and to share among threads. */
const PANELS = 32;

/** Rows of latents: ŷ·64, (latents, rows, width). */
export interface Band {
  readonly y64: Int32Array;
  readonly rows: number;
  readonly width: number;
}

/** Rows of pixels: red, green, blue and 255, (rows, width, 4). A view of memory that changes with the next. */
export interface Pixels {
  readonly rgba: Uint8Array;
  readonly rows: number;
  readonly width: number;
}

/** x + s̄ · W₂ (value · gate), where value and gate are the halves of the depthwise convolution of W₁ (x / s). */
class Block {
  readonly channels: number;
  readonly expand: Matrix;
  readonly project: Matrix;
  readonly kernels: number;
  readonly bias: number;

  constructor(tensors: Tensors, name: string, engine: Engine) {
    const scale = tensors.floats(`${name}.scale`);
    const channels = (this.channels = scale.length);
    const mean = Math.exp(scale.reduce((sum, each) => sum + Math.log(each), 0) / channels);
    // The scales go into the matrices.
    const expand = tensors.floats(`${name}.expand.weight`).map((weight, i) => weight / scale[i % channels]);
    this.expand = new Matrix(engine, expand, tensors.floats(`${name}.expand.bias`), channels);
    const project = tensors.floats(`${name}.project.weight`).map((weight) => weight * mean);
    const bias = tensors.floats(`${name}.project.bias`).map((each) => each * mean);
    this.project = new Matrix(engine, project, bias, channels);
    this.kernels = stored(engine, tensors.floats(`${name}.depthwise`));
    this.bias = stored(engine, tensors.floats(`${name}.depthwise_bias`));
  }
}

export class SynthesisLayers {
  readonly coarse: readonly Block[];
  readonly fine: readonly Block[];
  readonly toPixels: Matrix;
  private readonly toFine: { readonly matrix: Matrix; readonly weight: Float32Array; readonly bias: Float32Array };
  private readonly restore: Rows<Float32Array>;
  private readonly gain: Rows<Float32Array>;

  constructor(
    tensors: Tensors,
    readonly architecture: Architecture,
    readonly engine: Engine,
  ) {
    const { synthesis_coarse, synthesis_fine, latents, fine } = architecture;
    const blocks = (name: string, count: number) =>
      Array.from({ length: count }, (_, number) => new Block(tensors, `synthesis.${name}.${number}`, engine));
    const matrix = (name: string, depth: number) => {
      const [weight, bias] = [tensors.floats(`synthesis.${name}.weight`), tensors.floats(`synthesis.${name}.bias`)];
      return { matrix: new Matrix(engine, weight, bias, depth), weight, bias };
    };
    this.coarse = blocks("coarse", synthesis_coarse);
    this.toFine = matrix("to_fine", latents);
    this.fine = blocks("fine", synthesis_fine);
    this.toPixels = matrix("to_pixels", fine).matrix;
    this.restore = table(tensors, "gains.restore", latents);
    this.gain = table(tensors, "gains.synthesis", fine);
  }

  /** How many latents away what a pixel depends on can be. */
  get reach(): number {
    return this.coarse.length + Math.ceil(this.fine.length / 2);
  }

  /** What latents of this quality are multiplied by. */
  restoreAt(index: number): Float32Array {
    return this.restore.row(index).map((gain) => gain / 64);
  }

  /** The matrix to the features at 1/8, with the gains of a quality, until another is asked for. */
  toFineAt(index: number): Matrix {
    const { matrix, weight, bias } = this.toFine;
    const gain = this.gain.row(index);
    const depth = matrix.depth;
    // Four rows of the matrix become a channel.
    matrix.setWeight(weight.map((each, i) => each * gain[Math.floor(i / depth / 4)]));
    matrix.setBias(bias.map((each, row) => each * gain[row >> 2]));
    return matrix;
  }
}

function table(tensors: Tensors, name: string, width: number): Rows<Float32Array> {
  const numbers = tensors.floats(name);
  if (numbers.length !== QUALITIES * width) throw new Error(`${name} has ${numbers.length} numbers`);
  return new Rows(numbers, width);
}

/** A block at work: the row that it holds back, and room for those that come. */
class Stage {
  /** Features: in row 0 what was held back, then what is pushed. */
  readonly x: Features;
  /** Expanded: in rows 0 and 1 what was held back, then of what is pushed; and one of zeros at the end. */
  private readonly h: Features;
  private begun = false;

  constructor(
    private readonly engine: Engine,
    private readonly block: Block,
    most: number,
    width: number,
  ) {
    const { channels } = block;
    this.x = features(engine, channels, 1 + most, width);
    this.h = features(engine, 2 * channels, 3 + most, width);
    clear(engine, this.x.place, this.x.pitch);
    clear(engine, this.h.place, 2 * this.h.pitch);
  }

  /** Where pushed rows go. */
  get inlet(): number {
    return this.x.place + this.x.pitch;
  }

  /** Takes rows that lie in the inlet, writes what they finish to `out`, and returns how many rows that is. */
  push(rows: number, scratch: number, out: number): number {
    if (!rows) return 0;
    const { block, h, x } = this;
    const inlet = h.place + 2 * h.pitch;
    block.expand.run(this.inlet, x.stride, inlet, h.stride, rows * x.across);
    blank(this.engine, h, inlet, 2 * block.channels, rows);
    // The first row has none above it that could be finished.
    const skipped = this.begun ? 0 : 1;
    this.begun = true;
    const done = rows - skipped;
    this.finish(skipped, done, scratch, out);
    this.engine.bytes(x.place, x.pitch).set(this.engine.bytes(x.place + rows * x.pitch, x.pitch));
    const kept = this.engine.bytes(h.place + rows * h.pitch, 2 * h.pitch);
    this.engine.bytes(h.place, 2 * h.pitch).set(kept);
    return done;
  }

  /** Finishes the last row, which was held back. */
  end(scratch: number, out: number): number {
    clear(this.engine, this.h.place + 2 * this.h.pitch, this.h.pitch);
    this.finish(0, 1, scratch, out);
    return 1;
  }

  private finish(first: number, rows: number, scratch: number, out: number): void {
    const { block, h, x } = this;
    const { channels, kernels, bias } = block;
    const panels = rows * x.across;
    if (!panels) return;
    const above = h.place + first * h.pitch;
    const numbers = [kernels, bias, above, h.stride, scratch, x.stride, channels, x.across, 0, 0];
    this.engine.run("gate", numbers, panels);
    block.project.run(scratch, x.stride, out, x.stride, panels, x.place + first * x.pitch);
  }
}

/** The synthesis of one picture, or of columns of it: rows of latents go in, rows of pixels come out. */
export class Synthesis {
  private readonly coarse: Stage[];
  private readonly fine: Stage[];
  private readonly restore: Float32Array;
  private readonly toFine: Matrix;
  private readonly step: number;
  private readonly scratch: number;
  /** Features at 1/16 that no block takes any more, and those at 1/8. */
  private readonly last: Features;
  private readonly large: Features;
  private readonly four: Features;
  private readonly patches: Features;
  private readonly pixels: number;
  private rows = 0;

  /**
   * width: in latents.  scale: 1, 2, 4 or 8, for means of so many by so many pixels.  grey: whether pixels are, the mean
   * of their colours. Takes memory of the engine.
   */
  constructor(
    private readonly layers: SynthesisLayers,
    index: number,
    private readonly width: number,
    private readonly scale: number,
    private readonly grey: boolean,
  ) {
    const { engine, architecture } = layers;
    const { latents, fine } = architecture;
    const across = Math.ceil(width / LANES);
    const most = (this.step = Math.max(1, Math.round(PANELS / across)));
    this.restore = layers.restoreAt(index);
    this.toFine = layers.toFineAt(index);
    this.coarse = layers.coarse.map((block) => new Stage(engine, block, most, width));
    this.fine = layers.fine.map((block) => new Stage(engine, block, 2 * most, 2 * width));
    this.last = features(engine, latents, most, width);
    this.four = features(engine, 4 * fine, most, width);
    this.large = features(engine, fine, 2 * most, 2 * width);
    this.patches = features(engine, 3 * EIGHTH * EIGHTH, 2 * most, 2 * width);
    const row = Math.ceil((2 * width) / LANES) * CHANNEL * padded(fine);
    this.scratch = engine.allocate(Math.max(most * across * CHANNEL * padded(latents), 2 * most * row));
    this.pixels = engine.allocate(4 * (2 * most * EIGHTH) * (2 * width * EIGHTH));
  }

  /** Yields what the rows of a band finish. */
  *push(band: Band): Generator<Pixels> {
    for (let top = 0; top < band.rows; top += this.step) {
      const rows = Math.min(this.step, band.rows - top);
      this.enter(band, top, rows);
      yield* this.from(0, rows);
    }
  }

  /** Yields the rest. */
  *end(): Generator<Pixels> {
    const stages = [...this.coarse, ...this.fine];
    for (const [number, stage] of stages.entries()) {
      const rows = stage.end(this.scratch, this.outletOf(number));
      yield* number < this.coarse.length ? this.from(number + 1, rows) : this.onwards(number + 1, rows);
    }
  }

  /** Writes latents where the first block takes them. */
  private enter({ y64, rows: whole }: Band, top: number, rows: number): void {
    const { width, restore } = this;
    const { place, stride, pitch } = this.coarse[0]?.x ?? this.last;
    const start = this.coarse.length ? place + pitch : place;
    const view = this.layers.engine.floats(start, (rows * pitch) / 4);
    for (let channel = 0; channel < restore.length; channel++) {
      const factor = restore[channel];
      for (let row = 0; row < rows; row++) {
        const from = (channel * whole + top + row) * width;
        const to = (row * pitch) / 4 + channel * LANES;
        for (let column = 0; column < width; column++) {
          view[to + ((column >> 3) * stride) / 4 + (column & 7)] = y64[from + column] * factor;
        }
      }
    }
  }

  /** Where a stage, by number among all, writes. */
  private outletOf(number: number): number {
    if (number < this.coarse.length) return this.coarse[number + 1]?.inlet ?? this.last.place;
    return this.fine[number + 1 - this.coarse.length]?.inlet ?? this.large.place;
  }

  /** Goes on with rows that lie before a stage at 1/16. */
  private *from(number: number, rows: number): Generator<Pixels> {
    for (; number < this.coarse.length; number++) {
      rows = this.coarse[number].push(rows, this.scratch, this.outletOf(number));
    }
    if (!rows) return;
    const { last, four } = this;
    this.toFine.run(last.place, last.stride, four.place, four.stride, rows * last.across);
    const { stride, across } = this.fine[0]?.x ?? this.large;
    const out = this.fine[0]?.inlet ?? this.large.place;
    const channels = this.layers.architecture.fine;
    this.layers.engine.run(
      "shuffle",
      [four.place, four.stride, out, stride, channels, four.across, across, 0, 0],
      rows * four.across,
    );
    yield* this.onwards(this.coarse.length, 2 * rows);
  }

  /** Goes on with rows that lie before a stage at 1/8. */
  private *onwards(number: number, rows: number): Generator<Pixels> {
    const { engine } = this.layers;
    for (number -= this.coarse.length; number < this.fine.length; number++) {
      rows = this.fine[number].push(rows, this.scratch, this.outletOf(number + this.coarse.length));
    }
    if (!rows) return;
    const { large, patches, scale } = this;
    const panels = rows * large.across;
    this.layers.toPixels.run(large.place, large.stride, patches.place, patches.stride, panels);
    const [width, side] = [(2 * this.width * EIGHTH) / scale, EIGHTH / scale];
    const how = [width, scale, Number(this.grey), 2 * this.width, patches.across];
    const numbers = [patches.place, patches.stride, this.pixels, ...how, 0, 0];
    engine.run("pixels", numbers, panels);
    this.rows += rows * side;
    yield { rgba: engine.bytes(this.pixels, 4 * rows * side * width), rows: rows * side, width };
  }
}
