/**
 * The prior P(ẑ)·P(ŷ|ẑ): from ẑ and the quality to means and scale indices, the same integers on every machine.
 *
 * `begin` with ẑ and the quality, then for each of four steps `predict` what the step codes and `place` what was decoded,
 * of which the next steps know (docs/format.md, sections 4 and 5). Everything between is integers that float32 holds
 * exactly, whatever the order of a sum.
 */

import type { Engine } from "./engine.ts";
import {
  blank,
  CHANNEL,
  columns,
  type Depthwise,
  type Features,
  features,
  integerDepthwise,
  integerMatrix,
  LANES,
  Matrix,
} from "./layers.ts";
import type { Architecture } from "./model.ts";
import type { Rows, Tensors } from "./weights.ts";

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
const SCALE_MAX = 63;
/** Half of 2^14, of which the tables' entries are. */
const HALF = 8192;

const HIDDEN = { low: 0, high: 1023 };
const SIGNED = { low: -1023, high: 1023 };
const MEAN = { low: -32767, high: 32767 };
const INDEX = { low: -127, high: 127 };

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
  /** Of the tables by whole quality. */
  readonly row: number;
  /** ŷ in 1/64 of the quantisation step, (latents, height, width), 0 where not yet decoded. */
  readonly y64: Int32Array;
  /** What the context model sees: normalised ŷ, hyper features, and in which cell of its 2x2 a position is. */
  readonly seen: Features;
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
  const upper = Math.floor((ANCHOR_UNIT * (index % ANCHOR_SPACING) + ANCHOR_SPACING / 2) / ANCHOR_SPACING);
  weights[lower] = ANCHOR_UNIT - upper;
  if (lower + 1 < ANCHORS) weights[lower + 1] = upper;
  return weights;
}

/** A depthwise layer, then a 1x1 layer; from the third on a pair adds to its input. */
interface Pair {
  readonly spread: Depthwise;
  readonly mix: Matrix;
}

/** The layers of one step of the context model. */
interface Step {
  readonly entry: Matrix;
  readonly pairs: readonly Pair[];
  readonly means: readonly Matrix[];
  readonly indices: readonly Matrix[];
}

export class PriorLayers {
  private readonly widen: Matrix;
  private readonly spreads: readonly Depthwise[];
  private readonly ups: readonly Matrix[];
  private readonly mix: Matrix;
  private readonly mixBias: Float32Array;
  /** What the anchors' weights add to the mix, (hyper_width, 9). */
  private readonly anchors: Float32Array;
  private readonly steps: readonly Step[];
  private readonly toContext: Rows<Int32Array>;
  private readonly fromMean: Rows<Int32Array>;
  private readonly indexOffset: Rows<Int32Array>;

  constructor(
    tensors: Tensors,
    private readonly architecture: Architecture,
    private readonly engine: Engine,
  ) {
    const { latents, hyper_width, context_trunks, context_deeper } = architecture;
    const matrix = (name: string, range = HIDDEN) => integerMatrix(engine, tensors, name, range);
    const depthwise = (name: string) => integerDepthwise(engine, tensors, name, HIDDEN);
    this.widen = matrix("hyper.widen");
    this.spreads = ["hyper.spread_64", "hyper.spread_32", "hyper.spread_16"].map(depthwise);
    this.ups = [matrix("hyper.to_32"), matrix("hyper.to_16")];
    this.mix = integerMatrix(engine, tensors, "hyper.mix", HIDDEN, { from: 0, of: hyper_width });
    this.mixBias = tensors.floats("prior.hyper.mix.bias");
    const whole = tensors.floats("prior.hyper.mix.weight");
    this.anchors = columns(whole, hyper_width, hyper_width + ANCHORS, hyper_width, hyper_width + ANCHORS);
    this.steps = Array.from({ length: STEPS }, (_, step) => {
      const trunk = `context.trunks.${step % context_trunks}`;
      const names = [
        ["spread", "mix"],
        ["spread_more", "mix_more"],
        ...Array.from({ length: context_deeper }, (_, i) => [`deeper_spread.${i}`, `deeper_mix.${i}`]),
      ];
      const heads = Array.from({ length: GROUPS }, (_, group) => step * GROUPS + group);
      return {
        // Before the first step nothing is known.
        entry: integerMatrix(engine, tensors, `context.entries.${step}`, HIDDEN, {
          from: step ? 0 : latents,
          of: (step ? latents : 0) + hyper_width + GROUPS,
        }),
        pairs: names.map(([spread, mix], pair) => ({
          spread: depthwise(`${trunk}.${spread}`),
          mix: matrix(`${trunk}.${mix}`, pair < 2 ? HIDDEN : SIGNED),
        })),
        means: heads.map((head) => matrix(`context.means.${head}`, MEAN)),
        indices: heads.map((head) => matrix(`context.indices.${head}`, INDEX)),
      };
    });
    this.toContext = tensors.rows("prior.to_context", latents);
    this.fromMean = tensors.rows("prior.from_mean", latents);
    this.indexOffset = tensors.rows("prior.index_offset", latents);
  }

  /** z: (hyper_latents, height/4, width/4) rounded up. Memory is the engine's until it is released. */
  begin(z: Int32Array, index: number, height: number, width: number): Progress {
    const { engine } = this;
    const { latents, hyper_width } = this.architecture;
    const seen = features(engine, latents + hyper_width + GROUPS, height, width);
    const mark = engine.mark();
    this.hyperSynthesis(z, index, seen, latents);
    engine.release(mark);
    // After that: a matrix fills up the last of its channels, to a multiple of four.
    this.writeCells(seen, latents + hyper_width);
    const view = engine.floats(seen.place, (height * seen.pitch) / 4);
    const [panel, known] = [seen.stride / 4, latents * LANES];
    for (let place = 0; place < view.length; place += panel) view.fill(0, place, place + known);
    return { height, width, row: Math.floor((index + 4) / 8), y64: new Int32Array(latents * height * width), seen };
  }

  /** ẑ and the anchors' weights to features, which go to the channels of `seen` from `first` on. */
  private hyperSynthesis(z: Int32Array, index: number, seen: Features, first: number): void {
    const { engine } = this;
    const { hyper_latents } = this.architecture;
    const [rows, width] = [seen.rows, seen.width].map((side) => Math.ceil(side / HYPER_STRIDE));
    const latents = features(engine, hyper_latents, rows, width);
    const view = engine.floats(latents.place, (rows * latents.pitch) / 4);
    for (let channel = 0, from = 0; channel < hyper_latents; channel++) {
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < width; column++) view[sample(latents, channel, row, column)] = z[from++];
      }
    }
    let a = features(engine, this.widen.rows, rows, width, true);
    this.widen.run(latents.place, latents.stride, a.place, a.stride, rows * a.across);
    for (const [level, spread] of this.spreads.entries()) {
      const spreaded = features(engine, spread.channels, a.rows, a.width);
      spread.run(a, spreaded, a.rows);
      a = spreaded;
      const up = this.ups[level];
      if (up) a = this.enlarged(a, up);
    }
    const weights = anchorWeights(index);
    const bias = this.mixBias.map((sum, row) => {
      return weights.reduce((total, weight, anchor) => total + weight * this.anchors[row * ANCHORS + anchor], sum);
    });
    this.mix.setBias(bias);
    const out = seen.place + first * CHANNEL;
    for (let row = 0; row < seen.rows; row++) {
      this.mix.run(a.place + row * a.pitch, a.stride, out + row * seen.pitch, seen.stride, seen.across);
    }
  }

  /** A 1x1 layer to four times the channels, which become one of twice the height and width. */
  private enlarged(a: Features, up: Matrix): Features {
    const { engine } = this;
    const panels = a.rows * a.across;
    const four = features(engine, up.rows, a.rows, a.width);
    up.run(a.place, a.stride, four.place, four.stride, panels);
    const channels = up.rows / 4;
    const larger = features(engine, channels, 2 * a.rows, 2 * a.width, true);
    engine.run(
      "shuffle",
      [four.place, four.stride, larger.place, larger.stride, channels, a.across, larger.across, 0, 0],
      panels,
    );
    return larger;
  }

  private writeCells(seen: Features, first: number): void {
    const view = this.engine.floats(seen.place, (seen.rows * seen.pitch) / 4);
    for (let row = 0; row < seen.rows; row++) {
      for (let column = 0; column < seen.across * LANES; column++) {
        for (let number = 0; number < GROUPS; number++) {
          const here = number === 2 * (row % 2) + (column % 2);
          view[sample(seen, first + number, row, column)] = here ? UNIT : 0;
        }
      }
    }
  }

  /** Says what is expected of the latents that step 0..3 codes, when those of the steps before are placed. Lets messages in by `breath`. */
  async predict(progress: Progress, step: number, breath: () => Promise<void>): Promise<Prediction> {
    const { latents, context_deeper } = this.architecture;
    const { height, width } = progress;
    const size = (latents / GROUPS) * height * width;
    const prediction = { step, means: new Int32Array(size), scales: new Uint8Array(size) };
    // Both depthwise layers of a pair look one row further; a window begins at the first of two rows.
    const pairs = 2 + context_deeper;
    const reach = pairs + (pairs % 2);
    const rows = Math.max(2, Math.floor(WINDOW / width / 2) * 2);
    for (let top = 0; top < height; top += rows) {
      await breath();
      const bottom = Math.min(top + rows, height);
      this.window(progress, step, top, bottom, Math.max(0, top - reach), Math.min(height, bottom + reach), prediction);
    }
    return prediction;
  }

  /** Predicts rows top..bottom from rows start..end. */
  private window(
    progress: Progress,
    step: number,
    top: number,
    bottom: number,
    start: number,
    end: number,
    prediction: Prediction,
  ): void {
    const { engine } = this;
    const { latents, context_width } = this.architecture;
    const { seen, width } = progress;
    const { entry, pairs, means, indices } = this.steps[step];
    const mark = engine.mark();
    const rows = end - start;
    const panels = rows * seen.across;
    const a = features(engine, context_width, rows, width, true);
    const b = features(engine, context_width, rows, width);
    const known = step ? 0 : latents * CHANNEL;
    entry.run(seen.place + start * seen.pitch + known, seen.stride, a.place, a.stride, panels);
    for (const [number, { spread, mix }] of pairs.entries()) {
      spread.run(a, b, rows);
      mix.run(b.place, b.stride, a.place, a.stride, panels, number < 2 ? 0 : a.place);
      if (number >= 2) this.clamp(a);
    }
    const channels = latents / GROUPS;
    let before = 0;
    for (let group = 0; group < GROUPS; group++) {
      const [row, column] = cell(step, group);
      // Rows and columns of this cell that lie in the tile.
      const [tall, broad] = [Math.ceil((progress.height - row) / 2), Math.ceil((width - column) / 2)];
      const [first, last] = [top / 2, Math.min(Math.ceil(bottom / 2), tall)];
      if (first < last && broad) {
        const here = engine.mark();
        const cells = features(engine, context_width, last - first, broad);
        const mean = features(engine, channels, last - first, broad);
        const scale = features(engine, channels, last - first, broad);
        const count = (last - first) * cells.across;
        const from = a.place + (2 * first + row - start) * a.pitch;
        engine.run(
          "halve",
          [from, a.stride, cells.place, cells.stride, context_width, column, a.across, cells.across, 0, 0],
          count,
        );
        means[group].run(cells.place, cells.stride, mean.place, mean.stride, count);
        indices[group].run(cells.place, cells.stride, scale.place, scale.stride, count);
        this.tell(progress, group, mean, scale, before, tall, first, prediction);
        engine.release(here);
      }
      before += channels * tall * broad;
    }
    engine.release(mark);
  }

  /** Writes what the heads say of a group, from row `first` of its cell on, into a prediction that `before` others precede. */
  private tell(
    progress: Progress,
    group: number,
    mean: Features,
    scale: Features,
    before: number,
    tall: number,
    first: number,
    { means, scales }: Prediction,
  ): void {
    const { engine, architecture } = this;
    const channels = architecture.latents / GROUPS;
    const ofMeans = engine.floats(mean.place, (mean.rows * mean.pitch) / 4);
    const ofScales = engine.floats(scale.place, (scale.rows * scale.pitch) / 4);
    const [fromMean, offset] = [this.fromMean.row(progress.row), this.indexOffset.row(progress.row)];
    const { rows, width } = mean;
    for (let channel = 0; channel < channels; channel++) {
      const [entry, more] = [fromMean[group * channels + channel], offset[group * channels + channel]];
      let to = before + (channel * tall + first) * width;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < width; column++, to++) {
          const at = sample(mean, channel, row, column);
          // A mean times its entry needs 44 bits.
          means[to] = Math.floor((ofMeans[at] * entry + HALF) / (2 * HALF));
          const index = ofScales[at] + more;
          scales[to] = index < 0 ? 0 : index > SCALE_MAX ? SCALE_MAX : index;
        }
      }
    }
  }

  private clamp(a: Features): void {
    const view = this.engine.floats(a.place, (a.rows * a.pitch) / 4);
    for (let i = 0; i < view.length; i++) view[i] = Math.min(Math.max(view[i], HIDDEN.low), HIDDEN.high);
    blank(this.engine, a, a.place, this.architecture.context_width, a.rows);
  }

  /** Says what was decoded: residuals in the order of coding, 0 wherever the scale index is below the skip bound. */
  place(progress: Progress, prediction: Prediction, residuals: Int32Array): void {
    const { height, width, y64, seen } = progress;
    const { latents } = this.architecture;
    const toContext = this.toContext.row(progress.row);
    const view = this.engine.floats(seen.place, (height * seen.pitch) / 4);
    const channels = latents / GROUPS;
    const { step, means } = prediction;
    let next = 0;
    for (let group = 0; group < GROUPS; group++) {
      const [first, left] = cell(step, group);
      for (let channel = group * channels; channel < (group + 1) * channels; channel++) {
        const factor = toContext[channel];
        for (let row = first; row < height; row += 2) {
          const line = (channel * height + row) * width;
          for (let column = left; column < width; column += 2, next++) {
            const value = residuals[next] * STEP_UNIT + means[next];
            y64[line + column] = value;
            // Exact below 2^53, and far beyond the clamp above it.
            const scaled = Math.floor((value * factor + HALF) / (2 * HALF));
            view[sample(seen, channel, row, column)] =
              scaled > CONTEXT_MAX ? CONTEXT_MAX : scaled < -CONTEXT_MAX ? -CONTEXT_MAX : scaled;
          }
        }
      }
    }
  }
}

/** Where among the floats of features a sample is. */
function sample({ pitch, stride }: Features, channel: number, row: number, column: number): number {
  return (row * pitch + (column >> 3) * stride) / 4 + channel * LANES + (column & 7);
}
