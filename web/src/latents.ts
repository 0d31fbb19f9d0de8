/**
 * A LATENTS payload to ẑ and ŷ: the range decoder, and between its parts the prior's four steps (docs/format.md, section 4).
 */

import { SymbolDecoder } from "./coding/range_decoder.ts";
import { CorruptError } from "./errors.ts";
import type { Model } from "./networks/model.ts";
import { HYPER_STRIDE, STEPS, Z_MAX } from "./networks/prior.ts";

const SYMBOL_MAX = 1 << 20;

/** z: (hyper_latents, height/4, width/4) rounded up; y64: ŷ in 1/64 step, (latents, height, width). */
export interface Latents {
  readonly z: Int32Array;
  readonly y64: Int32Array;
}

/** Decodes the latents of a tile of height x width positions; CorruptError for bytes that no encoder writes. breath: see `Surroundings`. */
export async function readLatents(
  payload: Uint8Array,
  model: Model,
  index: number,
  height: number,
  width: number,
  breath: () => Promise<void>,
): Promise<Latents> {
  const { architecture, engine, prior, skipBelow } = model;
  const decoder = new SymbolDecoder(payload);
  const positions = Math.ceil(height / HYPER_STRIDE) * Math.ceil(width / HYPER_STRIDE);
  const z = decoder.get(rowsOfZ(architecture.hyper_latents, positions), model.zTables);
  demand(z, Z_MAX, "a hyper-latent");
  const mark = engine.mark();
  try {
    const progress = prior.begin(z, index, height, width);
    for (let step = 0; step < STEPS; step++) {
      const prediction = await prior.predict(progress, step, breath);
      const { scales } = prediction;
      const symbols = decoder.get(
        scales.filter((scale) => scale >= skipBelow),
        model.yTables,
      );
      demand(symbols, SYMBOL_MAX, "a latent");
      const residuals = new Int32Array(scales.length);
      for (let i = 0, next = 0; i < scales.length; i++) {
        if (scales[i] >= skipBelow) residuals[i] = symbols[next++];
      }
      prior.place(progress, prediction, residuals);
    }
    decoder.finish(positions);
    return { z, y64: progress.y64 };
  } finally {
    engine.release(mark);
  }
}

/** Hyper-latents are coded with the row of their channel. */
function rowsOfZ(channels: number, positions: number): Uint16Array {
  const rows = new Uint16Array(channels * positions);
  for (let channel = 0; channel < channels; channel++)
    rows.fill(channel, channel * positions, (channel + 1) * positions);
  return rows;
}

function demand(values: Int32Array, most: number, what: string): void {
  for (let i = 0; i < values.length; i++) {
    if (values[i] > most || values[i] < -most) throw new CorruptError(`${what} is out of range: the file is damaged`);
  }
}
