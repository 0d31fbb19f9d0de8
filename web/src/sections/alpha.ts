/** The opacity of a picture's pixels, from a section of its own: docs/format.md, section 6, ALPHA and ALPHA_WEBP. */

import type { Breath } from "../breath.ts";
import { lzma2 } from "../coding/lzma2.ts";
import { type Container, payloads, SectionType } from "../container/container.ts";
import { Cursor } from "../container/cursor.ts";
import { CorruptError, TruncatedError } from "../errors.ts";
import { MAX_SIDE, webp } from "./webp.ts";

/** Pixels of a band of ALPHA_WEBP at most, unless a row has more. */
const BAND_PIXELS = 2 ** 22;

/**
 * The alpha of all width x height pixels, row by row, 0 (transparent) to 255; null if there is no section ALPHA or
 * ALPHA_WEBP. (PIXELS_ALPHA has alpha beside its pixels.) CorruptError for a section that is not as the format says.
 */
export async function alpha(container: Container, breath: Breath): Promise<Uint8Array<ArrayBuffer> | null> {
  const { width, height } = container.header;
  const [bytes] = payloads(container, SectionType.ALPHA);
  if (bytes) return ofBytes(bytes, width, height, breath);
  const [bands] = payloads(container, SectionType.ALPHA_WEBP);
  return bands ? ofBands(bands, width, height, breath) : null;
}

async function ofBytes(
  payload: Uint8Array,
  width: number,
  height: number,
  breath: Breath,
): Promise<Uint8Array<ArrayBuffer>> {
  const [method, value] = payload;
  if (method === 0) {
    if (payload.length !== 2) throw new CorruptError(`constant alpha of ${payload.length} bytes, expected 2`);
    return new Uint8Array(width * height).fill(value);
  }
  if (method !== 1 && method !== 2) throw new CorruptError(`alpha of an unknown method: ${method ?? "none"}`);
  const plane = await lzma2(payload.subarray(1), width * height, breath);
  if (plane.length !== width * height) {
    throw new CorruptError(`alpha of ${plane.length} pixels, expected ${width * height}`);
  }
  if (method === 2) {
    for (let row = 0; row < plane.length; row += width) {
      for (let i = row + 1; i < row + width; i++) plane[i] += plane[i - 1];
      if (Math.floor(row / BAND_PIXELS) < Math.floor((row + width) / BAND_PIXELS)) await breath();
    }
  }
  return plane;
}

async function ofBands(
  payload: Uint8Array,
  width: number,
  height: number,
  breath: Breath,
): Promise<Uint8Array<ArrayBuffer>> {
  if (width > MAX_SIDE) throw new CorruptError(`alpha as WebP of ${width} columns, at most ${MAX_SIDE} expected`);
  const most = Math.min(Math.floor(BAND_PIXELS / width), MAX_SIDE);
  const plane = new Uint8Array(width * height);
  const cursor = new Cursor(payload);
  for (let top = 0; top < height; top += most) {
    const pixels = await webp(nextBand(cursor), width, Math.min(most, height - top), breath);
    for (let i = 0, at = top * width; i < pixels.length; i++, at++) {
      const green = (pixels[i] >>> 8) & 255;
      if ((pixels[i] & 0xffffff) !== green * 0x010101) throw new CorruptError("alpha as WebP has colours");
      plane[at] = green;
    }
    await breath();
  }
  if (cursor.left > 0) throw new CorruptError(`alpha is followed by ${cursor.left} bytes`);
  return plane;
}

function nextBand(cursor: Cursor): Uint8Array {
  try {
    return cursor.take(cursor.uint32());
  } catch (error) {
    // The file is whole, but not the section.
    throw error instanceof TruncatedError ? new CorruptError("alpha ends too early") : error;
  }
}
