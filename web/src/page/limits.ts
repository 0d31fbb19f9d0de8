/** What browsers can show: on canvases, and safely as pictures. */

import type { Scale } from "./steps.ts";

export const SCALES: readonly Scale[] = [1, 2, 4, 8];
/** Browsers draw nothing on canvases that are larger. */
const MAX_SIDE = 16_384;
const MAX_AREA = 2 ** 28;

/** The part of its size at which a browser can show a picture: the whole, if it can. */
export function leastScale({ width, height }: { readonly width: number; readonly height: number }): Scale {
  const fits = (scale: number): boolean => {
    const [w, h] = [Math.ceil(width / scale), Math.ceil(height / scale)];
    return Math.max(w, h) <= MAX_SIDE && w * h <= MAX_AREA;
  };
  return SCALES.find(fits) ?? 8;
}
