/** Decoded pixels as a file that every browser opens: a BMP of the pixels as they are, made without a pass over them. */

const FILE_HEADER = 14;
const INFO_HEADER = 124; // version 5, which has a place for alpha
const START = FILE_HEADER + INFO_HEADER;
const BITFIELDS = 3;
const SRGB = 0x73524742;
/** Chromium draws nothing of pictures whose files are shorter than about 150 bytes. */
const LEAST = 512;

/** A BMP of sRGB pixels and their alpha. */
export function bitmapOf({ data, width, height }: ImageData): Blob {
  const view = new DataView(new ArrayBuffer(START));
  const put = (at: number, value: number): void => view.setUint32(at, value, true);
  view.setUint16(0, 0x424d); // "BM"
  put(2, START + data.length);
  put(10, START);
  put(14, INFO_HEADER);
  put(18, width);
  put(22, -height); // the first row is the top
  view.setUint16(26, 1, true); // planes
  view.setUint16(28, 32, true); // bits a pixel
  put(30, BITFIELDS);
  put(34, data.length);
  [0x0000_00ff, 0x0000_ff00, 0x00ff_0000, 0xff00_0000].forEach((mask, i) => put(54 + 4 * i, mask));
  put(70, SRGB);
  put(122, 4); // intent: of pictures
  const rest = new Uint8Array(Math.max(0, LEAST - START - data.length));
  return new Blob([view, data as Uint8ClampedArray<ArrayBuffer>, rest], { type: "image/bmp" });
}

/** A picture of a size and no colours: it gives an <img> its size before there are pixels. */
export function emptyPicture(width: number, height: number): Blob {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"/>`;
  return new Blob([svg], { type: "image/svg+xml" });
}
