/**
 * The arithmetic of the networks, in AssemblyScript: `npm run build` compiles it to WebAssembly, with and without fused
 * multiply-add, with and without threads.
 *
 * Features lie in panels: eight positions beside each other in a row, of all channels, [channel][8] float32. A row of
 * features is as many panels as cover its width; positions beyond the width hold what nobody reads, or zeros where a
 * depthwise convolution follows. Channels are padded to a multiple of four. Pointers and strides are in bytes.
 *
 * All sums of the prior are integers below 2^24, so it does not matter whether a multiply-add rounds once or twice.
 */

/** Bytes of a channel of a panel. */
const LANES: usize = 32;
/** Rows of a matrix that go through all panels before the next ones: their weights stay in the second cache. */
const ROWS: i32 = 64;

// @ts-ignore: a decorator of AssemblyScript's
@inline
function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/**
 * A matrix times panels, for `panels` panels: out = finish(W x + bias).
 *
 * w: [rows / 4][depth][4].  bias: [rows].  x, out: first panels; xStride, outStride: from a panel to the next.  rows: a
 * multiple of 4.  factor: 0, or what makes integers of the sums: floor(sum * factor[row]), clamped to low..high.  add: 0, or
 * panels like `out` that are added.
 */
export function multiply(
  w: usize, bias: usize, x: usize, xStride: usize, out: usize, outStride: usize,
  rows: i32, depth: i32, panels: i32, factor: usize, low: f32, high: f32, add: usize,
): void {
  const block = <usize>depth << 4;
  const length = <usize>depth * LANES;
  const least = f32x4.splat(low);
  const most = f32x4.splat(high);
  for (let first: i32 = 0; first < rows; first += ROWS) {
    const last = min(rows, first + ROWS);
    for (let panel: i32 = 0; panel < panels; panel++) {
      const start = x + <usize>panel * xStride;
      const end = start + length;
      const base = <usize>panel * outStride;
      for (let row = first; row < last; row += 4) {
        let weight = w + <usize>(row >> 2) * block;
        const at = bias + (<usize>row << 2);
        let a0 = v128.load32_splat(at), a1 = a0;
        let b0 = v128.load32_splat(at, 4), b1 = b0;
        let c0 = v128.load32_splat(at, 8), c1 = c0;
        let d0 = v128.load32_splat(at, 12), d1 = d0;
        for (let source = start; source < end; source += LANES) {
          const x0 = v128.load(source), x1 = v128.load(source, 16);
          let s = v128.load32_splat(weight);
          a0 = madd(s, x0, a0);
          a1 = madd(s, x1, a1);
          s = v128.load32_splat(weight, 4);
          b0 = madd(s, x0, b0);
          b1 = madd(s, x1, b1);
          s = v128.load32_splat(weight, 8);
          c0 = madd(s, x0, c0);
          c1 = madd(s, x1, c1);
          s = v128.load32_splat(weight, 12);
          d0 = madd(s, x0, d0);
          d1 = madd(s, x1, d1);
          weight += 16;
        }
        const place = base + <usize>row * LANES;
        if (factor) {
          const by = factor + (<usize>row << 2);
          let f = v128.load32_splat(by);
          a0 = settle(a0, f, least, most);
          a1 = settle(a1, f, least, most);
          f = v128.load32_splat(by, 4);
          b0 = settle(b0, f, least, most);
          b1 = settle(b1, f, least, most);
          f = v128.load32_splat(by, 8);
          c0 = settle(c0, f, least, most);
          c1 = settle(c1, f, least, most);
          f = v128.load32_splat(by, 12);
          d0 = settle(d0, f, least, most);
          d1 = settle(d1, f, least, most);
        }
        if (add) {
          const more = add + place;
          a0 = f32x4.add(a0, v128.load(more));
          a1 = f32x4.add(a1, v128.load(more, 16));
          b0 = f32x4.add(b0, v128.load(more, 32));
          b1 = f32x4.add(b1, v128.load(more, 48));
          c0 = f32x4.add(c0, v128.load(more, 64));
          c1 = f32x4.add(c1, v128.load(more, 80));
          d0 = f32x4.add(d0, v128.load(more, 96));
          d1 = f32x4.add(d1, v128.load(more, 112));
        }
        const to = out + place;
        v128.store(to, a0);
        v128.store(to, a1, 16);
        v128.store(to, b0, 32);
        v128.store(to, b1, 48);
        v128.store(to, c0, 64);
        v128.store(to, c1, 80);
        v128.store(to, d0, 96);
        v128.store(to, d1, 112);
      }
    }
  }
}

// @ts-ignore: a decorator of AssemblyScript's
@inline
function settle(sum: v128, factor: v128, low: v128, high: v128): v128 {
  return f32x4.min(f32x4.max(f32x4.floor(f32x4.mul(sum, factor)), low), high);
}

/** The sum of a 3x3 kernel over two vectors of a channel, from the three rows that `above`, `here` and `below` point to. */
// @ts-ignore: a decorator of AssemblyScript's
@inline
function taps(
  taps: usize, bias: v128, above: usize, here: usize, below: usize, left: usize, right: usize, second: bool,
): v128 {
  let sum = bias;
  sum = tapsOfRow(taps, sum, above, left, right, second);
  sum = tapsOfRow(taps + 12, sum, here, left, right, second);
  return tapsOfRow(taps + 24, sum, below, left, right, second);
}

/**
 * One row of it. left, right: how far the panels beside this one are, 0 where there is none.  second: of the panel's two
 * vectors the second.
 */
// @ts-ignore: a decorator of AssemblyScript's
@inline
function tapsOfRow(taps: usize, sum: v128, at: usize, left: usize, right: usize, second: bool): v128 {
  const x0 = v128.load(at), x1 = v128.load(at, 16);
  let before: v128, here: v128, after: v128;
  if (second) {
    const next = right ? v128.load32_splat(at + right) : f32x4.splat(0);
    before = v128.shuffle<f32>(x0, x1, 3, 4, 5, 6);
    here = x1;
    after = v128.shuffle<f32>(x1, next, 1, 2, 3, 4);
  } else {
    const last = left ? v128.load32_splat(at - left, 28) : f32x4.splat(0);
    before = v128.shuffle<f32>(last, x0, 3, 4, 5, 6);
    here = x0;
    after = v128.shuffle<f32>(x0, x1, 1, 2, 3, 4);
  }
  sum = madd(v128.load32_splat(taps), before, sum);
  sum = madd(v128.load32_splat(taps, 4), here, sum);
  return madd(v128.load32_splat(taps, 8), after, sum);
}

/**
 * Depthwise 3x3 convolutions of both halves of the channels, and their product: value * gate, for panels first..last of
 * consecutive rows.
 *
 * kernels: [2 channels][9].  bias: [2 channels].  x: the row above the first, which rows of `across` panels follow.
 */
export function gate(
  kernels: usize, bias: usize, x: usize, xStride: usize, out: usize, outStride: usize,
  channels: i32, across: i32, first: i32, last: i32,
): void {
  const pitch = <usize>across * xStride;
  const half = <usize>channels * LANES;
  const bound = f32x4.splat(8), sixth = f32x4.splat(1.0 / 6.0), middle = f32x4.splat(0.5);
  const zero = f32x4.splat(0), one = f32x4.splat(1);
  for (let panel = first; panel < last; panel++) {
    const column = panel % across;
    const left = column > 0 ? xStride : 0;
    const right = column + 1 < across ? xStride : 0;
    const above = x + <usize>panel * xStride;
    const to = out + <usize>panel * outStride;
    for (let channel: i32 = 0; channel < channels; channel++) {
      const at = above + <usize>channel * LANES;
      const kernel = kernels + <usize>channel * 36;
      const other = kernel + <usize>channels * 36;
      const b = v128.load32_splat(bias + (<usize>channel << 2));
      const c = v128.load32_splat(bias + (<usize>(channel + channels) << 2));
      const gated = at + half;
      let value = taps(kernel, b, at, at + pitch, at + 2 * pitch, left, right, false);
      let open = taps(other, c, gated, gated + pitch, gated + 2 * pitch, left, right, false);
      const place = to + <usize>channel * LANES;
      value = f32x4.max(f32x4.min(value, bound), f32x4.neg(bound));
      open = f32x4.max(f32x4.min(madd(open, sixth, middle), one), zero);
      v128.store(place, f32x4.mul(value, open));
      value = taps(kernel, b, at, at + pitch, at + 2 * pitch, left, right, true);
      open = taps(other, c, gated, gated + pitch, gated + 2 * pitch, left, right, true);
      value = f32x4.max(f32x4.min(value, bound), f32x4.neg(bound));
      open = f32x4.max(f32x4.min(madd(open, sixth, middle), one), zero);
      v128.store(place, f32x4.mul(value, open), 16);
    }
  }
}

/** Depthwise 3x3 convolutions of integers: clamp(floor(sum * factor), low, high); the rest as of `gate`. */
export function spread(
  kernels: usize, bias: usize, factor: usize, low: f32, high: f32, x: usize, xStride: usize, out: usize, outStride: usize,
  channels: i32, across: i32, first: i32, last: i32,
): void {
  const pitch = <usize>across * xStride;
  const least = f32x4.splat(low), most = f32x4.splat(high);
  for (let panel = first; panel < last; panel++) {
    const column = panel % across;
    const left = column > 0 ? xStride : 0;
    const right = column + 1 < across ? xStride : 0;
    const above = x + <usize>panel * xStride;
    const to = out + <usize>panel * outStride;
    for (let channel: i32 = 0; channel < channels; channel++) {
      const at = above + <usize>channel * LANES;
      const kernel = kernels + <usize>channel * 36;
      const b = v128.load32_splat(bias + (<usize>channel << 2));
      const f = v128.load32_splat(factor + (<usize>channel << 2));
      const place = to + <usize>channel * LANES;
      const one = taps(kernel, b, at, at + pitch, at + 2 * pitch, left, right, false);
      v128.store(place, settle(one, f, least, most));
      const two = taps(kernel, b, at, at + pitch, at + 2 * pitch, left, right, true);
      v128.store(place, settle(two, f, least, most), 16);
    }
  }
}

/** Zeros in the last panel of each of `rows` rows, from position `width` of it on. */
export function blank(x: usize, stride: usize, channels: i32, across: i32, rows: i32, width: i32): void {
  for (let row: i32 = 0; row < rows; row++) {
    let at = x + (<usize>row * across + across - 1) * stride;
    for (let channel: i32 = 0; channel < channels; channel++, at += LANES) {
      for (let lane = width; lane < 8; lane++) store<f32>(at + (<usize>lane << 2), 0);
    }
  }
}

/**
 * Four channels become one of twice the height and width: [4 c + 2 i + j] to rows 2 y + i, columns 2 x + j.
 *
 * channels: of `out`.  across, outAcross: panels of a row.
 */
export function shuffle(
  x: usize, xStride: usize, out: usize, outStride: usize, channels: i32, across: i32, outAcross: i32, first: i32, last: i32,
): void {
  for (let panel = first; panel < last; panel++) {
    const row = panel / across, column = panel % across;
    const from = x + <usize>panel * xStride;
    for (let i: i32 = 0; i < 2; i++) {
      const to = out + (<usize>(2 * row + i) * outAcross + 2 * column) * outStride;
      const both = 2 * column + 1 < outAcross;
      for (let channel: i32 = 0; channel < channels; channel++) {
        const at = from + <usize>(4 * channel + 2 * i) * LANES;
        const even0 = v128.load(at), even1 = v128.load(at, 16), odd0 = v128.load(at, 32), odd1 = v128.load(at, 48);
        const place = to + <usize>channel * LANES;
        v128.store(place, v128.shuffle<f32>(even0, odd0, 0, 4, 1, 5));
        v128.store(place, v128.shuffle<f32>(even0, odd0, 2, 6, 3, 7), 16);
        if (both) {
          v128.store(place + outStride, v128.shuffle<f32>(even1, odd1, 0, 4, 1, 5));
          v128.store(place + outStride, v128.shuffle<f32>(even1, odd1, 2, 6, 3, 7), 16);
        }
      }
    }
  }
}

/**
 * Every second column of a row of panels, from `column` (0 or 1) on, for panels first..last of `out`, which are of consecutive
 * rows; `x` is the first row, and of its rows every second counts.
 *
 * across, outAcross: panels of a row.
 */
export function halve(
  x: usize, xStride: usize, out: usize, outStride: usize, channels: i32, column: i32, across: i32, outAcross: i32,
  first: i32, last: i32,
): void {
  for (let panel = first; panel < last; panel++) {
    const row = panel / outAcross, place = panel % outAcross;
    const from = x + (<usize>(2 * row) * across + 2 * place) * xStride;
    const to = out + <usize>panel * outStride;
    // Where there is no second panel nobody reads what comes of it.
    const more = 2 * place + 1 < across ? xStride : 0;
    for (let channel: i32 = 0; channel < channels; channel++) {
      const at = from + <usize>channel * LANES, store = to + <usize>channel * LANES;
      const x0 = v128.load(at), x1 = v128.load(at, 16), x2 = v128.load(at + more), x3 = v128.load(at + more, 16);
      if (column) {
        v128.store(store, v128.shuffle<f32>(x0, x1, 1, 3, 5, 7));
        v128.store(store, v128.shuffle<f32>(x2, x3, 1, 3, 5, 7), 16);
      } else {
        v128.store(store, v128.shuffle<f32>(x0, x1, 0, 2, 4, 6));
        v128.store(store, v128.shuffle<f32>(x2, x3, 0, 2, 4, 6), 16);
      }
    }
  }
}

/** The level, 0 to 255, of a pixel's value around 0. */
// @ts-ignore: a decorator of AssemblyScript's
@inline
function level(at: usize): i32 {
  return <i32>max<f32>(0, min<f32>(255, nearest<f32>(load<f32>(at) * 255 + <f32>127.5)));
}

/**
 * Panels of 3 * 64 values, [colour][8][8] of the picture at each position, to pixels: red, green, blue and 255, means of
 * scale x scale levels, halves up, for panels first..last of consecutive rows.
 *
 * out: pixels, rows of `width` of them; positions: of a row; grey: 1 if pixels are grey, the mean of their colours, else 0.
 */
export function pixels(
  x: usize, xStride: usize, out: usize, width: i32, scale: i32, grey: i32, positions: i32, across: i32, first: i32, last: i32,
): void {
  const side = 8 / scale;
  const shift = 2 * ctz(scale), half = (1 << shift) >> 1;
  const colours: usize = 64 * LANES;
  for (let panel = first; panel < last; panel++) {
    const row = panel / across, left = (panel % across) * 8;
    const lanes = min(8, positions - left);
    const from = x + <usize>panel * xStride;
    for (let i: i32 = 0; i < side; i++) {
      for (let lane: i32 = 0; lane < lanes; lane++) {
        for (let j: i32 = 0; j < side; j++) {
          const to = out + (<usize>((row * side + i) * width + (left + lane) * side + j) << 2);
          let red = half, green = half, blue = half;
          for (let y: i32 = 0; y < scale; y++) {
            for (let z: i32 = 0; z < scale; z++) {
              const at = from + <usize>((i * scale + y) * 8 + j * scale + z) * LANES + (<usize>lane << 2);
              const r = level(at), g = level(at + colours), b = level(at + 2 * colours);
              const mean = (r + g + b + 1) / 3;
              red += grey ? mean : r;
              green += grey ? mean : g;
              blue += grey ? mean : b;
            }
          }
          store<u32>(to, <u32>(red >> shift) | (<u32>(green >> shift) << 8) | (<u32>(blue >> shift) << 16) | 0xff000000);
        }
      }
    }
  }
}
