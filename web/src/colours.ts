/**
 * Pixels that a colour profile describes, to sRGB: by the browser's own colour management.
 *
 * A canvas takes no profile, but a PNG may hold one. So the pixels go into a PNG that is not compressed, which the browser
 * decodes, converting its colours, and draws. Alpha stays behind and is put back: a canvas would multiply it in.
 */

import { crc32 } from "./container/crc32.ts";
import { PictureError } from "./errors.ts";
import { readProfile } from "./profile.ts";

/** Pixels go through in tiles of at most so many a side, as a canvas beyond the browser's limit stays empty, ... */
const SIDE = 4096;
/** ... and of at most so many in all, which bounds memory. */
const TILE_PIXELS = 2 ** 22;
const STORED = 65535;

const NOTE = "its colour profile could not be used: colours are shown as if they were sRGB";

/** Levels that all profiles change but those that are much like sRGB. */
const PROBES = [
  [200, 100, 50],
  [60, 180, 90],
  [90, 60, 200],
  [64, 64, 64],
  [128, 128, 128],
];
const GREY_PROBES = [32, 64, 128, 192, 224].map((level) => [level, level, level]);

/**
 * Converts in place; returns a note if the profile is broken or the browser cannot use it, and leaves the pixels as they are.
 *
 * PictureError if memory is short on the way.
 */
export async function toSrgb(
  rgba: Uint8ClampedArray,
  width: number,
  height: number,
  icc: Uint8Array,
): Promise<string | undefined> {
  const profile = readProfile(icc);
  if (!profile || (profile.grey && !isGrey(rgba))) return NOTE;
  const channels = profile.grey ? 1 : 3;
  let packed: Uint8Array;
  try {
    packed = await deflated(profile.bytes);
    const probes = Uint8ClampedArray.from((profile.grey ? GREY_PROBES : PROBES).flatMap((levels) => [...levels, 255]));
    const drawn = await converted(probes, probes.length / 4, 1, channels, packed);
    // A browser ignores a profile that it does not like, without a word.
    if (profile.changes && drawn.every((level, i) => level === probes[i])) return NOTE;
  } catch {
    return NOTE;
  }
  const wide = Math.min(width, SIDE);
  const high = Math.min(height, SIDE, Math.floor(TILE_PIXELS / wide));
  for (let top = 0; top < height; top += high) {
    for (let left = 0; left < width; left += wide) {
      const size = [Math.min(wide, width - left), Math.min(high, height - top)] as const;
      const start = (top * width + left) * 4;
      const tile = new Uint8ClampedArray(size[0] * size[1] * 4);
      for (let row = 0; row < size[1]; row++) {
        const from = start + row * width * 4;
        tile.set(rgba.subarray(from, from + size[0] * 4), row * size[0] * 4);
      }
      let drawn: Uint8ClampedArray;
      try {
        drawn = await converted(tile, ...size, channels, packed);
      } catch {
        throw new PictureError("not enough memory for the colours of the picture");
      }
      for (let row = 0, at = 0; row < size[1]; row++) {
        for (let to = start + row * width * 4, end = to + size[0] * 4; to < end; to += 4, at += 4) {
          rgba[to] = drawn[at];
          rgba[to + 1] = drawn[at + 1];
          rgba[to + 2] = drawn[at + 2];
        }
      }
    }
  }
  return undefined;
}

function isGrey(rgba: Uint8ClampedArray): boolean {
  for (let at = 0; at < rgba.length; at += 4) {
    if (rgba[at] !== rgba[at + 1] || rgba[at] !== rgba[at + 2]) return false;
  }
  return true;
}

/** The pixels in sRGB, opaque; an error if the browser drew nothing. */
async function converted(
  rgba: Uint8ClampedArray,
  width: number,
  height: number,
  channels: 1 | 3,
  profile: Uint8Array,
): Promise<Uint8ClampedArray> {
  const file = new Blob(png(rgba, width, height, channels, profile), { type: "image/png" });
  const bitmap = await createImageBitmap(file);
  try {
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    if (!context) throw new Error("no canvas");
    context.drawImage(bitmap, 0, 0);
    const drawn = context.getImageData(0, 0, width, height, { colorSpace: "srgb" }).data;
    for (let at = 3; at < drawn.length; at += 4) if (drawn[at] !== 255) throw new Error("nothing was drawn");
    return drawn;
  } finally {
    bitmap.close();
  }
}

async function deflated(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The parts of a PNG of the pixels' red, green and blue, or red alone, with a profile that is deflated. */
function png(
  rgba: Uint8ClampedArray,
  width: number,
  height: number,
  channels: 1 | 3,
  profile: Uint8Array,
): Uint8Array<ArrayBuffer>[] {
  const line = 1 + channels * width; // a row's filter, none, and its samples
  const raw = new Uint8Array(line * height);
  for (let row = 0, at = 0, to = 0; row < height; row++) {
    to++;
    for (let column = 0; column < width; column++, at += 4) {
      for (let channel = 0; channel < channels; channel++) raw[to++] = rgba[at + channel];
    }
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, channels === 3 ? 2 : 0], 8); // 8 bits; red, green, blue, or grey
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
