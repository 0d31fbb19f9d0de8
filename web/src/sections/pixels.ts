/** Rectangles that are stored as pixels: docs/format.md, section 7, PIXELS and PIXELS_ALPHA. */

import type { Breath } from "../breath.ts";
import { type Container, type Header, type Section, SectionType } from "../container/container.ts";
import { crc32 } from "../container/crc32.ts";
import { uint32 } from "../container/cursor.ts";
import { CorruptError } from "../errors.ts";
import { MAX_SIDE, webp } from "./webp.ts";

/** Rectangles begin and end at multiples of this, or end where the picture does. */
const GRID = 16;

/** Pixels that are checked between two breaths: a millisecond. */
const CHUNK = 2 ** 16;

/** The two bits of a payload's first byte. */
const Kind = { WHOLE: 1, EXACT: 2 } as const;

export interface Rectangle {
  /** In pixels of the picture, as the following. */
  left: number;
  top: number;
  width: number;
  height: number;
  /** Whether its writer says that the pixels are those that were compressed. */
  exact: boolean;
  section: Section;
}

/**
 * The rectangles of a file, in its order. CorruptError for what breaks a rule that can be seen without the pixels: kinds,
 * places, pixels in two rectangles and, without LATENTS, in none.
 */
export function rectangles(container: Container): Rectangle[] {
  const { header, sections, needsModel } = container;
  const found = sections
    .filter(({ type }) => type === SectionType.PIXELS || type === SectionType.PIXELS_ALPHA)
    .map((section) => rectangleOf(section, header));
  if (found.length === 0) return found;

  // A file has a byte for each 64 x 64 pixels, so there are 16 cells at most for each of its bytes.
  const columns = Math.ceil(header.width / GRID);
  const covered = new Uint8Array(columns * Math.ceil(header.height / GRID));
  let count = 0;
  for (const { left, top, width, height } of found) {
    const right = Math.ceil((left + width) / GRID);
    for (let row = top / GRID; row * GRID < top + height; row++) {
      for (let cell = row * columns + left / GRID; cell < row * columns + right; cell++) {
        if (covered[cell]++) throw new CorruptError("pixels twice");
        count++;
      }
    }
  }
  if (!needsModel && count < covered.length) throw new CorruptError("neither latents nor pixels of all of the picture");
  return found;
}

/**
 * The pixels of a rectangle: red, green, blue and alpha of each, row by row; 255 for alpha in PIXELS.
 *
 * CorruptError if the bitstream is broken or ends early, the checksum does not match, or a grey picture has colours.
 */
export async function decodePixels(
  rectangle: Rectangle,
  header: Header,
  breath: Breath,
): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height, section } = rectangle;
  const { payload } = section;
  const start = startOf(payload);
  const pixels = await webp(payload.subarray(start), width, height, breath);
  const hasAlpha = section.type === SectionType.PIXELS_ALPHA;
  let checksum = 0;
  let isGrey = true;
  for (let at = 0; at < pixels.length; at += CHUNK) {
    const part = pixels.subarray(at, at + CHUNK);
    checksum = hasAlpha ? withAlpha(part, checksum) : opaque(part, checksum);
    if (header.grey) isGrey &&= part.every((pixel) => (pixel & 0xffffff) === (pixel & 255) * 0x010101);
    await breath();
  }
  if (checksum !== uint32(payload, start - 4)) {
    throw new CorruptError("the decoded pixels are not those that were encoded");
  }
  if (!isGrey) throw new CorruptError("pixels of a grey picture have colours");
  return new Uint8Array(pixels.buffer);
}

/** Where the bitstream begins. */
function startOf(payload: Uint8Array): number {
  return payload[0] & Kind.WHOLE ? 5 : 21;
}

function rectangleOf(section: Section, { width, height }: Header): Rectangle {
  const { payload, type } = section;
  const kind = payload[0];
  const isWhole = (kind & Kind.WHOLE) !== 0;
  if (!(kind <= 3) || (type === SectionType.PIXELS_ALPHA && !isWhole)) {
    throw new CorruptError(`pixels of an unknown kind: ${kind ?? "none"}`);
  }
  if (payload.length < startOf(payload)) throw new CorruptError("pixels end too early");
  const place = isWhole ? [0, 0, width, height] : [1, 5, 9, 13].map((at) => uint32(payload, at));
  const [left, top, wide, high] = place;
  const fits = (start: number, length: number, end: number): boolean =>
    start % GRID === 0 &&
    length > 0 &&
    length <= MAX_SIDE &&
    start + length <= end &&
    ((start + length) % GRID === 0 || start + length === end);
  if (!fits(left, wide, width) || !fits(top, high, height)) {
    throw new CorruptError(`pixels of ${wide} x ${high} at ${left}, ${top} in ${width} x ${height}`);
  }
  return { left, top, width: wide, height: high, exact: (kind & Kind.EXACT) !== 0, section };
}

/** Alpha, red, green, blue of each pixel, from the top of 32 bits, to bytes in the order red, green, blue, alpha. */
function turn(pixels: Uint32Array): void {
  for (let i = 0; i < pixels.length; i++) {
    const pixel = pixels[i];
    pixels[i] = (pixel & 0xff00ff00) | ((pixel & 255) << 16) | ((pixel >>> 16) & 255);
  }
}

/** Turns pixels; returns the CRC-32 of their four channels, after that of what is before. */
function withAlpha(pixels: Uint32Array, checksum: number): number {
  turn(pixels);
  return crc32(new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength), checksum);
}

/** Turns pixels and makes them opaque; returns the CRC-32 of red, green and blue, after that of what is before. */
function opaque(pixels: Uint32Array, checksum: number): number {
  turn(pixels);
  const colours = new Uint8Array(3 * pixels.length);
  let to = 0;
  for (let i = 0; i < pixels.length; i++) {
    const pixel = (pixels[i] |= 0xff000000);
    colours[to++] = pixel;
    colours[to++] = pixel >> 8;
    colours[to++] = pixel >> 16;
  }
  return crc32(colours, checksum);
}
