/**
 * The bytes of a file to pixels.
 *
 *     container -> for each row of tiles: latents (range decoder <-> prior) -> ŷ -> synthesis -> rows of levels
 *               -> pixels that are stored as such, in their places -> alpha -> colours
 */

import { toSrgb } from "./colours.ts";
import { type Container, parse, payloads, SectionType } from "./container/container.ts";
import { crc32 } from "./container/crc32.ts";
import { CorruptError } from "./errors.ts";
import { readLatents } from "./latents.ts";
import type { DecodedPicture, DecodeSettings } from "./messages.ts";
import type { Model } from "./networks/model.ts";
import { type Band, PATCH, type Pixels, Synthesis } from "./networks/synthesis.ts";
import { alpha as readAlpha } from "./sections/alpha.ts";
import { metadata } from "./sections/metadata.ts";
import { decodePixels, rectangles } from "./sections/pixels.ts";

/** What a decode asks of its surroundings. */
export interface Surroundings {
  /** Opens the model of that name; WeightsError if it is not there. */
  model(id: string): Promise<Model>;
  /** How many tiles' latents are decoded. */
  progress(done: number, total: number): void;
  /** Lets messages in, now and then: to be called often. Rejects if nobody waits for the picture any longer. */
  breath(): Promise<void>;
  /** Rows of the picture as they are made, red, green, blue and opaque; where what is beside the latents is not yet there. */
  rows?(rgba: Uint8ClampedArray<ArrayBuffer>, top: number, width: number): void;
}

type Span = readonly [first: number, end: number];

/** Latents across beyond which a picture goes through the synthesis in columns, as it would take too much memory. */
const WIDEST = 2048;

/** A rectangle of the picture, or of boxes of scale x scale of its pixels. */
interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Decodes a file; the errors of errors.ts, and RangeError for a region or a scale that there cannot be. */
export async function decodeFile(
  file: Uint8Array,
  settings: DecodeSettings,
  surroundings: Surroundings,
): Promise<DecodedPicture> {
  const clock = new Clock();
  const container = parse(file, settings.maxPixels);
  const { header } = container;
  const scale = settings.scale ?? 1;
  if (![1, 2, 4, 8].includes(scale)) throw new RangeError(`scale is ${scale}, expected 1, 2, 4 or 8`);
  const region = regionOf(container, settings);
  const boxes = boxesOf(region, scale);
  const stored = rectangles(container);
  clock.lap("container");

  const rgba = new Uint8ClampedArray(boxes.width * boxes.height * 4).fill(255);
  let checksum: number | null = null;
  if (container.needsModel) {
    const model = await surroundings.model(header.model);
    clock.lap("model");
    checksum = await ofLatents(container, model, region, boxes, scale, rgba, surroundings, clock);
  } else {
    surroundings.progress(0, 1);
  }
  for (const rectangle of stored) {
    if (!meets(rectangle, region)) continue;
    const pixels = await decodePixels(rectangle, header, surroundings.breath);
    const size = { width: rectangle.width, height: rectangle.height };
    // Rectangles begin where boxes do.
    const from = boxesOf({ x: rectangle.left, y: rectangle.top, ...size }, scale);
    lay(means(pixels, size.width, size.height, 4, scale), from, rgba, boxes, [0, 1, 2, 3]);
  }
  const plane = await readAlpha(container, surroundings.breath);
  if (plane) {
    const whole = { x: 0, y: 0, width: Math.ceil(header.width / scale), height: Math.ceil(header.height / scale) };
    lay(means(plane, header.width, header.height, 1, scale), whole, rgba, boxes, [3]);
  }
  clock.lap("pixels");
  const beside = await metadata(container, surroundings.breath);
  clock.lap("metadata");

  const notes: string[] = [];
  if (beside.icc && settings.profile !== "keep") {
    const note = await toSrgb(rgba, boxes.width, boxes.height, beside.icc);
    if (note) notes.push(note);
    clock.lap("colours");
  }
  return {
    rgba,
    width: boxes.width,
    height: boxes.height,
    header,
    ...beside,
    alpha: plane !== null || container.sections.some((section) => section.type === SectionType.PIXELS_ALPHA),
    exact: stored.length > 0 && !container.needsModel && stored.every((each) => each.exact),
    latentChecksum: checksum,
    notes,
    seconds: clock.seconds,
  };
}

/** Fills a view with what the latents say; returns their checksum if all of them were decoded, else null. */
async function ofLatents(
  container: Container,
  model: Model,
  region: Box,
  boxes: Box,
  scale: number,
  rgba: Uint8ClampedArray<ArrayBuffer>,
  surroundings: Surroundings,
  clock: Clock,
): Promise<number | null> {
  const { header } = container;
  const [height, width] = [Math.ceil(header.height / PATCH), Math.ceil(header.width / PATCH)];
  // A window of latents, of which those at its borders only serve as neighbours.
  const { engine } = model;
  const { reach } = model.synthesis;
  const vertical = windowOf(region.y, region.height, height, reach);
  const horizontal = windowOf(region.x, region.width, width, reach);
  const across = horizontal[1] - horizontal[0];
  const tiles = { decoded: 0, checksum: 0 };
  const bands = decodedRows(container, model, vertical, horizontal, tiles, surroundings, clock);
  const side = PATCH / scale;

  /** Decodes a column of the window from bands of what is seen of it. */
  async function column({ core, seen, last }: Column, parts: AsyncIterable<Band> | Iterable<Band>): Promise<void> {
    const origin = horizontal[0] * side;
    const left = Math.max(boxes.x, origin + core[0] * side);
    const right = Math.min(boxes.x + boxes.width, origin + core[1] * side);
    let top = vertical[0] * side;
    const take = async (made: Iterable<Pixels>) => {
      for (const pixels of made) {
        await surroundings.breath();
        const start = Math.max(boxes.y, top);
        const end = Math.min(boxes.y + boxes.height, top + pixels.rows);
        if (start < end && left < right) {
          const from = {
            rows: [start - top, end - top] as Span,
            left: left - origin - seen[0] * side,
            width: right - left,
          };
          write(pixels, from, rgba, boxes.width, start - boxes.y, left - boxes.x);
          const [first, behind] = [start, end].map((row) => (row - boxes.y) * boxes.width * 4);
          if (last) surroundings.rows?.(rgba.subarray(first, behind), start - boxes.y, boxes.width);
        }
        top += pixels.rows;
      }
      clock.lap("synthesis");
    };
    const mark = engine.mark();
    try {
      const { qualityIndex, grey } = header;
      const synthesis = new Synthesis(model.synthesis, qualityIndex, seen[1] - seen[0], scale, grey);
      for await (const band of parts) await take(synthesis.push(band));
      await take(synthesis.end());
    } finally {
      engine.release(mark);
    }
  }

  const columns = columnsOf(across, reach);
  if (columns.length === 1) {
    await column(columns[0], bands);
  } else {
    // So wide a picture is not high: its latents are decoded first, and go through in columns.
    const parts: Band[] = [];
    for await (const band of bands) parts.push(band);
    const channels = model.architecture.latents;
    for (const each of columns) {
      const width = each.seen[1] - each.seen[0];
      const own = parts.map((part) => ({
        y64: cut(part, channels, [0, part.rows], each.seen),
        rows: part.rows,
        width,
      }));
      await column(each, own);
    }
  }
  if (tiles.decoded < payloads(container, SectionType.LATENTS).length) return null;
  if (container.latentChecksum !== null && container.latentChecksum !== tiles.checksum) {
    throw new CorruptError("the decoded latents are not those that were encoded");
  }
  return tiles.checksum;
}

/** Yields ŷ·64 of a window of latents, a row of tiles at a time, decoding what it needs. */
async function* decodedRows(
  container: Container,
  model: Model,
  vertical: Span,
  horizontal: Span,
  tiles: { decoded: number; checksum: number },
  surroundings: Surroundings,
  clock: Clock,
): AsyncGenerator<Band> {
  const { header } = container;
  const channels = model.architecture.latents;
  const rows = spans(Math.ceil(header.height / PATCH), header.tile);
  const columns = spans(Math.ceil(header.width / PATCH), header.tile);
  const coded = payloads(container, SectionType.LATENTS);
  const total = meeting(rows, vertical) * meeting(columns, horizontal);
  surroundings.progress(0, total);
  for (const [number, [top, bottom]] of rows.entries()) {
    const within: Span = [Math.max(top, vertical[0]) - top, Math.min(bottom, vertical[1]) - top];
    if (within[0] >= within[1]) continue;
    const parts: Band[] = [];
    for (const [column, [left, right]] of columns.entries()) {
      const across: Span = [Math.max(left, horizontal[0]) - left, Math.min(right, horizontal[1]) - left];
      if (across[0] >= across[1]) continue;
      const payload = coded[number * columns.length + column];
      const size = [bottom - top, right - left] as const;
      const tile = await readLatents(payload, model, header.qualityIndex, ...size, surroundings.breath);
      for (const integers of [tile.z, tile.y64])
        tiles.checksum = crc32(new Uint8Array(integers.buffer), tiles.checksum);
      const whole = { y64: tile.y64, rows: bottom - top, width: right - left };
      const width = across[1] - across[0];
      parts.push({ y64: cut(whole, channels, within, across), rows: within[1] - within[0], width });
      surroundings.progress(++tiles.decoded, total);
    }
    clock.lap("latents");
    yield abreast(parts, channels);
  }
}

/** Tiles beside each other as one band. */
function abreast(parts: Band[], channels: number): Band {
  if (parts.length === 1) return parts[0];
  const rows = parts[0].rows;
  const width = parts.reduce((sum, part) => sum + part.width, 0);
  const y64 = new Int32Array(channels * rows * width);
  let left = 0;
  for (const part of parts) {
    for (let row = 0; row < channels * rows; row++) {
      y64.set(part.y64.subarray(row * part.width, (row + 1) * part.width), row * width + left);
    }
    left += part.width;
  }
  return { y64, rows, width };
}

/** Columns of latents that go through the synthesis together: those wanted, and those seen with them. */
interface Column {
  readonly core: Span;
  readonly seen: Span;
  readonly last: boolean;
}

function columnsOf(width: number, reach: number): Column[] {
  const count = Math.ceil(width / WIDEST);
  return Array.from({ length: count }, (_, number) => {
    const core: Span = [Math.floor((width * number) / count), Math.floor((width * (number + 1)) / count)];
    const seen: Span = [Math.max(0, core[0] - reach), Math.min(width, core[1] + reach)];
    return { core, seen, last: number + 1 === count };
  });
}

/** Writes a part of what was made to a view of so many pixels across, from a row and a column of it on. */
function write(
  made: Pixels,
  from: { readonly rows: Span; readonly left: number; readonly width: number },
  rgba: Uint8ClampedArray,
  across: number,
  top: number,
  left: number,
): void {
  for (let row = from.rows[0]; row < from.rows[1]; row++) {
    const start = (row * made.width + from.left) * 4;
    const to = ((top + row - from.rows[0]) * across + left) * 4;
    rgba.set(made.rgba.subarray(start, start + 4 * from.width), to);
  }
}

/** Some rows and columns of a band. */
function cut(band: Band, channels: number, [top, bottom]: Span, [left, right]: Span): Int32Array {
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

/** Lays samples, as many a pixel as `into` has entries, over those channels of a view, as far as they meet. */
function lay(samples: Uint8Array, from: Box, rgba: Uint8ClampedArray, boxes: Box, into: readonly number[]): void {
  const count = into.length;
  const [top, left] = [Math.max(from.y, boxes.y), Math.max(from.x, boxes.x)];
  const bottom = Math.min(from.y + from.height, boxes.y + boxes.height);
  const right = Math.min(from.x + from.width, boxes.x + boxes.width);
  for (let y = top; y < bottom; y++) {
    let at = ((y - from.y) * from.width + left - from.x) * count;
    let to = ((y - boxes.y) * boxes.width + left - boxes.x) * 4;
    for (let x = left; x < right; x++, to += 4) {
      for (let channel = 0; channel < count; channel++) rgba[to + into[channel]] = samples[at++];
    }
  }
}

/** The mean of each box of scale x scale, as far as it has pixels, rounded as Pillow does, of which Python's decoder makes use. */
function means(samples: Uint8Array, width: number, height: number, channels: number, scale: number): Uint8Array {
  if (scale === 1) return samples;
  const [wide, high] = [Math.ceil(width / scale), Math.ceil(height / scale)];
  const reduced = new Uint8Array(wide * high * channels);
  let to = 0;
  for (let y = 0; y < high; y++) {
    const bottom = Math.min(height, (y + 1) * scale);
    for (let x = 0; x < wide; x++) {
      const right = Math.min(width, (x + 1) * scale);
      const count = (bottom - y * scale) * (right - x * scale);
      const share = Math.floor(2 ** 24 / count);
      for (let channel = 0; channel < channels; channel++) {
        let sum = count >> 1;
        for (let row = y * scale; row < bottom; row++) {
          for (let column = x * scale; column < right; column++)
            sum += samples[(row * width + column) * channels + channel];
        }
        reduced[to++] = Math.floor((sum * share) / 2 ** 24);
      }
    }
  }
  return reduced;
}

function regionOf({ header }: Container, settings: DecodeSettings): Box {
  const [x, y, width, height] = settings.region ?? [0, 0, header.width, header.height];
  const whole = [x, y, width, height].every(Number.isSafeInteger);
  const inside =
    x >= 0 && y >= 0 && width > 0 && height > 0 && x + width <= header.width && y + height <= header.height;
  if (!whole || !inside) {
    throw new RangeError(`region ${settings.region} is not inside of ${header.width} x ${header.height} pixels`);
  }
  return { x, y, width, height };
}

/** What a region touches of boxes of scale x scale pixels, counted in boxes. */
function boxesOf(region: Box, scale: number): Box {
  const [x, y] = [Math.floor(region.x / scale), Math.floor(region.y / scale)];
  const right = Math.ceil((region.x + region.width) / scale);
  const bottom = Math.ceil((region.y + region.height) / scale);
  return { x, y, width: right - x, height: bottom - y };
}

function meets(one: { left: number; top: number; width: number; height: number }, region: Box): boolean {
  return (
    one.left < region.x + region.width &&
    region.x < one.left + one.width &&
    one.top < region.y + region.height &&
    region.y < one.top + one.height
  );
}

/** The latents, of `limit`, that pixels start..start + length depend on if each reaches so many latents. */
function windowOf(start: number, length: number, limit: number, reach: number): Span {
  const last = Math.ceil((start + length) / PATCH) + reach;
  return [Math.max(0, Math.floor(start / PATCH) - reach), Math.min(limit, last)];
}

/** The latents of each tile along an axis; tile: log2 of their side. */
function spans(length: number, tile: number | null): Span[] {
  const side = tile === null ? length : 2 ** tile;
  return Array.from({ length: Math.ceil(length / side) }, (_, number): Span => {
    return [number * side, Math.min((number + 1) * side, length)];
  });
}

function meeting(all: Span[], wanted: Span): number {
  return all.filter(([start, end]) => Math.max(start, wanted[0]) < Math.min(end, wanted[1])).length;
}

/** Seconds by stage. */
class Clock {
  readonly seconds: Record<string, number> = {};
  private last = performance.now();

  lap(stage: string): void {
    const now = performance.now();
    this.seconds[stage] = (this.seconds[stage] ?? 0) + (now - this.last) / 1000;
    this.last = now;
  }
}
