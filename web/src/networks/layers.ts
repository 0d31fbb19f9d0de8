/**
 * Layers as the kernels take them: matrices packed, and features in panels.
 *
 * Weights lie in the engine's memory for as long as the model does.
 */

import type { Engine } from "./engine.ts";
import type { Tensors } from "./weights.ts";

/** Positions of a panel. */
export const LANES = 8;
/** Bytes of a panel's channel. */
export const CHANNEL = 4 * LANES;

export const padded = (channels: number) => Math.ceil(channels / 4) * 4;

/** Features: rows of panels, with a row before the first and one after the last where `border` says so. */
export interface Features {
  /** Of the first row, border excluded. */
  readonly place: number;
  readonly rows: number;
  readonly width: number;
  /** Panels of a row. */
  readonly across: number;
  /** Bytes of a panel. */
  readonly stride: number;
  /** Bytes of a row. */
  readonly pitch: number;
}

export function features(engine: Engine, channels: number, rows: number, width: number, border = false): Features {
  const across = Math.ceil(width / LANES);
  const stride = padded(channels) * CHANNEL;
  const pitch = across * stride;
  const whole = engine.allocate((rows + (border ? 2 : 0)) * pitch);
  const made = { place: whole + (border ? pitch : 0), rows, width, across, stride, pitch };
  if (border) {
    clear(engine, whole, pitch);
    clear(engine, made.place + rows * pitch, pitch);
  }
  return made;
}

export function clear(engine: Engine, place: number, bytes: number): void {
  engine.bytes(place, bytes).fill(0);
}

/** How integers are made of sums: clamp(floor(sum * 2^-shift), low, high). */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/** A 1x1 convolution. */
export class Matrix {
  readonly rows: number;
  private readonly place: number;
  private readonly bias: number;
  private readonly factor: number;
  private readonly halves: Float32Array;

  /**
   * weight: (bias.length, depth).  shift: of integer layers, where half of the divisor belongs to the bias.
   */
  constructor(
    private readonly engine: Engine,
    weight: Float32Array,
    bias: Float32Array,
    readonly depth: number,
    shift?: Int32Array,
    private readonly range: Range = { low: 0, high: 0 },
  ) {
    const rows = bias.length;
    if (weight.length !== rows * depth)
      throw new Error(`a matrix has ${weight.length} numbers, expected ${rows * depth}`);
    this.rows = padded(rows);
    this.place = engine.allocate(4 * this.rows * depth);
    this.setWeight(weight);
    this.halves = halvesOf(bias.length, shift);
    this.bias = stored(engine, new Float32Array(this.rows));
    this.factor = shift ? stored(engine, factorsOf(shift)) : 0;
    this.setBias(bias);
  }

  setWeight(weight: Float32Array): void {
    const { depth } = this;
    const packed = this.engine.floats(this.place, this.rows * depth).fill(0);
    for (let row = 0, from = 0; from < weight.length; row++) {
      let to = (row >> 2) * 4 * depth + (row & 3);
      for (let column = 0; column < depth; column++, to += 4) packed[to] = weight[from++];
    }
  }

  setBias(bias: Float32Array): void {
    const place = this.engine.floats(this.bias, bias.length);
    bias.forEach((value, row) => (place[row] = value + this.halves[row]));
  }

  /**
   * Multiplies rows of panels. x, out, add: places of the first panel; strides in bytes.
   *
   * add: what is added to the product, of the same layout as out; 0 for nothing.
   */
  run(x: number, xStride: number, out: number, outStride: number, panels: number, add = 0): void {
    const { place, bias, rows, depth, factor, range } = this;
    const numbers = [place, bias, x, xStride, out, outStride, rows, depth, 0, factor, range.low, range.high, add];
    this.engine.run("multiply", numbers, panels);
  }
}

/** A depthwise 3x3 convolution of integers. */
export class Depthwise {
  readonly channels: number;
  private readonly kernels: number;
  private readonly bias: number;
  private readonly factor: number;

  constructor(
    private readonly engine: Engine,
    kernels: Float32Array,
    bias: Float32Array,
    shift: Int32Array,
    private readonly range: Range,
  ) {
    this.channels = bias.length;
    this.kernels = stored(engine, kernels);
    const halves = halvesOf(this.channels, shift);
    this.bias = stored(
      engine,
      bias.map((value, channel) => value + halves[channel]),
    );
    this.factor = stored(engine, factorsOf(shift));
  }

  /** x: with a border, which is zero. */
  run(x: Features, out: Features, rows: number): void {
    blank(this.engine, x, x.place, this.channels, rows);
    const { kernels, bias, factor, range, channels } = this;
    const above = x.place - x.pitch;
    const numbers = [
      kernels,
      bias,
      factor,
      range.low,
      range.high,
      above,
      x.stride,
      out.place,
      out.stride,
      channels,
      x.across,
      0,
      0,
    ];
    this.engine.run("spread", numbers, rows * x.across);
  }
}

/** Makes the positions beyond the width zero, as a depthwise convolution needs them. */
export function blank(engine: Engine, x: Features, place: number, channels: number, rows: number): void {
  const width = x.width % LANES;
  if (width) engine.run("blank", [place, x.stride, channels, x.across, rows, width]);
}

/** Copies numbers to where they stay. */
export function stored(engine: Engine, numbers: Float32Array): number {
  const place = engine.allocate(4 * numbers.length);
  engine.floats(place, numbers.length).set(numbers);
  return place;
}

/** What rounds sums that are divided by 2^shift: half of that; 0 without. */
function halvesOf(rows: number, shift?: Int32Array): Float32Array {
  return shift ? Float32Array.from(shift, (bits) => 2 ** (bits - 1)) : new Float32Array(rows);
}

/** 2^-shift, and 0 for rows that only fill a matrix up. */
function factorsOf(shift: Int32Array): Float32Array {
  const factors = new Float32Array(padded(shift.length));
  shift.forEach((bits, row) => (factors[row] = 2 ** -bits));
  return factors;
}

/** A 1x1 layer of the prior, of `depth` inputs from number `from` on. */
export function integerMatrix(
  engine: Engine,
  tensors: Tensors,
  name: string,
  range: Range,
  part?: { readonly from: number; readonly of: number },
): Matrix {
  let weight = tensors.floats(`prior.${name}.weight`);
  const bias = tensors.floats(`prior.${name}.bias`);
  let depth = weight.length / bias.length;
  if (part) {
    const { from, of } = part;
    weight = columns(weight, bias.length, depth, from, from + of);
    depth = of;
  }
  return new Matrix(engine, weight, bias, depth, tensors.integers(`prior.${name}.shift`), range);
}

export function integerDepthwise(engine: Engine, tensors: Tensors, name: string, range: Range): Depthwise {
  const [kernels, bias] = [tensors.floats(`prior.${name}.weight`), tensors.floats(`prior.${name}.bias`)];
  return new Depthwise(engine, kernels, bias, tensors.integers(`prior.${name}.shift`), range);
}

/** Columns first..last of a matrix. */
export function columns(weight: Float32Array, rows: number, depth: number, first: number, last: number): Float32Array {
  const part = new Float32Array(rows * (last - first));
  for (let row = 0; row < rows; row++) {
    part.set(weight.subarray(row * depth + first, row * depth + last), row * (last - first));
  }
  return part;
}
