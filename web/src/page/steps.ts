/**
 * A picture in steps: where that is worth it a coarse one first, at 1/8 of the size, and then the one that was asked for.
 *
 * A coarse picture takes the same range decoder and most of the network, so it comes hardly earlier; it is worth its time
 * only where pictures that the page shows small, and so decodes at 1/8 anyway, have proved to be much quicker.
 */

import { decode, type DecodeOptions, type Picture } from "../index.ts";

export type Scale = 1 | 2 | 4 | 8;

export const COARSE: Scale = 8;
/** Seconds that nobody minds. */
const SHORT = 0.5;
/** A coarse picture is worth its time if it takes at most this share of the whole. */
const SHARE = 0.4;
/** Of an older measurement in the running mean. */
const OLD = 0.5;

/** Seconds a pixel of the file, by scale. */
const measured = new Map<Scale, number>();

/** Decodes a file; `show` is called with each step, and whether it is the last. Rejects as `decode` does. */
export async function decodeInSteps(
  file: Uint8Array,
  pixels: number,
  scale: Scale,
  options: Omit<DecodeOptions, "scale">,
  show: (picture: Picture, last: boolean) => void,
): Promise<void> {
  if (scale < COARSE && isWorthIt(pixels, scale)) {
    const { onRows: _, ...rest } = options;
    show(await timed(file, pixels, COARSE, rest), false);
  }
  show(await timed(file, pixels, scale, options), true);
}

function isWorthIt(pixels: number, scale: Scale): boolean {
  const whole = measured.get(scale) ?? measured.get(1);
  if (whole === undefined || whole * pixels < SHORT) return false;
  return (measured.get(COARSE) ?? Infinity) < SHARE * whole;
}

async function timed(file: Uint8Array, pixels: number, scale: Scale, options: DecodeOptions): Promise<Picture> {
  const picture = await decode(file, { ...options, scale });
  const { seconds } = picture;
  const taken = Object.entries(seconds).reduce((sum, [stage, value]) => sum + (stage === "model" ? 0 : value), 0);
  const before = measured.get(scale);
  const now = taken / pixels;
  measured.set(scale, before === undefined ? now : OLD * before + (1 - OLD) * now);
  return picture;
}
