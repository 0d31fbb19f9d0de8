/**
 * Pixels that a colour profile describes, to sRGB: by the browser's own colour management.
 *
 * A canvas takes no profile, but a PNG may hold one. So the pixels go into a PNG that is not compressed, which the browser
 * decodes, converting its colours, and draws. Alpha stays behind and is put back: a canvas would multiply it in.
 */

import { crc32 } from "./container/crc32.ts";

/** Rows of about so many bytes go through at a time. */
const BAND_BYTES = 1 << 24;
const STORED = 65535;

/** Converts in place; returns a note if the browser cannot, and leaves the pixels as they are. */
export async function toSrgb(
  rgba: Uint8ClampedArray,
  width: number,
  height: number,
  icc: Uint8Array,
): Promise<string | undefined> {
  try {
    const profile = await deflated(icc);
    const rows = Math.max(1, Math.floor(BAND_BYTES / (3 * width)));
    for (let top = 0; top < height; top += rows) {
      const count = Math.min(rows, height - top);
      const part = rgba.subarray(top * width * 4, (top + count) * width * 4);
      const bitmap = await createImageBitmap(new Blob(png(part, width, count, profile), { type: "image/png" }));
      const context = new OffscreenCanvas(width, count).getContext("2d", { willReadFrequently: true })!;
      context.drawImage(bitmap, 0, 0);
      bitmap.close();
      const drawn = context.getImageData(0, 0, width, count, { colorSpace: "srgb" }).data;
      for (let at = 0; at < part.length; at += 4) {
        part[at] = drawn[at];
        part[at + 1] = drawn[at + 1];
        part[at + 2] = drawn[at + 2];
      }
    }
    return undefined;
  } catch {
    return "its colour profile could not be used: colours are shown as if they were sRGB";
  }
}

async function deflated(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The parts of a PNG of the pixels' red, green and blue, with a profile that is deflated. */
function png(rgba: Uint8ClampedArray, width: number, height: number, profile: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const line = 1 + 3 * width; // a row's filter, none, and its samples
  const raw = new Uint8Array(line * height);
  for (let row = 0, at = 0, to = 0; row < height; row++) {
    to++;
    for (let column = 0; column < width; column++, at += 4) {
      raw[to++] = rgba[at];
      raw[to++] = rgba[at + 1];
      raw[to++] = rgba[at + 2];
    }
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 2], 8); // 8 bits, red, green, blue
  const named = new Uint8Array(5 + profile.length);
  named.set([0x69, 0x63, 0x63]); // "icc", its end, and the method: deflate
  named.set(profile, 5);
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  return [
    signature,
    chunk("IHDR", header),
    chunk("iCCP", named),
    chunk("IDAT", stored(raw)),
    chunk("IEND", new Uint8Array(0)),
  ];
}

function chunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(12 + data.length);
  const view = new DataView(whole.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) whole[4 + i] = type.charCodeAt(i);
  whole.set(data, 8);
  view.setUint32(8 + data.length, crc32(whole.subarray(4, 8 + data.length)));
  return whole;
}

/** A zlib stream whose blocks are stored as they are. */
function stored(raw: Uint8Array): Uint8Array {
  const blocks = Math.max(1, Math.ceil(raw.length / STORED));
  const whole = new Uint8Array(2 + raw.length + 5 * blocks + 4);
  whole.set([0x78, 0x01]);
  let to = 2;
  for (let block = 0; block < blocks; block++) {
    const part = raw.subarray(block * STORED, (block + 1) * STORED);
    const { length } = part;
    whole.set([block === blocks - 1 ? 1 : 0, length & 255, length >> 8, ~length & 255, (~length >> 8) & 255], to);
    whole.set(part, to + 5);
    to += 5 + length;
  }
  let [a, b] = [1, 0];
  for (let i = 0; i < raw.length;) {
    // So many additions before a remainder do not overflow 32 bits.
    for (const end = Math.min(i + 3800, raw.length); i < end; i++) {
      a += raw[i];
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  new DataView(whole.buffer).setUint32(to, ((b << 16) | a) >>> 0);
  return whole;
}
