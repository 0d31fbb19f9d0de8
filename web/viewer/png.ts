/** Pixels as a PNG file, exactly: a canvas would multiply colours by their opacity, and drop profiles. */

import { crc32 } from "../src/container/crc32.ts";

/** Rows that are filtered at a time. */
const BAND = 64;

export interface Beside {
  /** Whether red, green and blue are the same everywhere. */
  readonly grey: boolean;
  readonly alpha: boolean;
  readonly icc?: Uint8Array;
  readonly exif?: Uint8Array;
  readonly xmp?: Uint8Array;
}

/** A PNG of 8 bits a channel, of as many channels as are needed. */
export async function pngOf({ data, width, height }: ImageData, beside: Beside): Promise<Blob> {
  const channels = beside.grey ? [0] : [0, 1, 2];
  if (beside.alpha) channels.push(3);
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, (beside.grey ? 0 : 2) + (beside.alpha ? 4 : 0)], 8);

  const length = channels.length * width;
  const lines = new Filter(length, channels.length);
  let row = 0;
  const rows = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller): void {
      const last = Math.min(height, row + BAND);
      const band = new Uint8Array((last - row) * (1 + length));
      for (let at = 0; row < last; row++, at += 1 + length) {
        const line = new Uint8Array(length);
        let from = row * width * 4;
        for (let to = 0; to < length; from += 4) for (const channel of channels) line[to++] = data[from + channel];
        band.set(lines.next(line), at);
      }
      controller.enqueue(band);
      if (row === height) controller.close();
    },
  });
  const parts = [Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), chunk("IHDR", header)];
  const text = (words: string): Uint8Array => new TextEncoder().encode(words);
  if (beside.icc) {
    const profile = new Blob([beside.icc as Uint8Array<ArrayBuffer>]).stream();
    parts.push(chunk("iCCP", text("icc\0\0"), await deflated(profile)));
  }
  if (beside.exif) parts.push(chunk("eXIf", beside.exif));
  if (beside.xmp) parts.push(chunk("iTXt", text("XML:com.adobe.xmp\0\0\0\0\0"), beside.xmp));
  parts.push(chunk("IDAT", await deflated(rows)), chunk("IEND"));
  return new Blob(parts, { type: "image/png" });
}

/** The filter of each row whose differences are smallest, as most encoders choose it. */
class Filter {
  private before: Uint8Array;
  private readonly tried: Uint8Array[];

  constructor(
    length: number,
    private readonly pixel: number,
  ) {
    this.before = new Uint8Array(length);
    this.tried = [0, 1, 2, 3, 4].map((kind) => {
      const line = new Uint8Array(1 + length);
      line[0] = kind;
      return line;
    });
  }

  /** The number of the filter and the filtered row; valid until the next call. */
  next(line: Uint8Array): Uint8Array {
    const { before, pixel, tried } = this;
    const [none, sub, up, average, paeth] = tried;
    const sums = [0, 0, 0, 0, 0];
    for (let i = 0; i < line.length; i++) {
      const value = line[i];
      const left = i < pixel ? 0 : line[i - pixel];
      const above = before[i];
      const corner = i < pixel ? 0 : before[i - pixel];
      none[i + 1] = value;
      sub[i + 1] = value - left;
      up[i + 1] = value - above;
      average[i + 1] = value - ((left + above) >> 1);
      const [a, b, c] = [Math.abs(above - corner), Math.abs(left - corner), Math.abs(left + above - 2 * corner)];
      paeth[i + 1] = value - (a <= b && a <= c ? left : b <= c ? above : corner);
      for (let kind = 0; kind < 5; kind++) {
        const difference = tried[kind][i + 1];
        sums[kind] += difference < 128 ? difference : 256 - difference;
      }
    }
    this.before = line;
    return tried[sums.indexOf(Math.min(...sums))];
  }
}

async function deflated(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream.pipeThrough(new CompressionStream("deflate"))).arrayBuffer());
}

function chunk(type: string, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const whole = new Uint8Array(12 + length);
  const view = new DataView(whole.buffer);
  view.setUint32(0, length);
  whole.set(new TextEncoder().encode(type), 4);
  let at = 8;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  view.setUint32(at, crc32(whole.subarray(4, at)));
  return whole;
}
