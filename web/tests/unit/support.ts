/** What unit tests share: the golden files, randomness that is the same each time, bytes put together by hand. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { crc32 } from "../../src/container/crc32.ts";

/** tests/golden of the repository that the tests run in. */
export const GOLDEN = ((): string => {
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    const golden = join(folder, "tests", "golden");
    if (existsSync(golden)) return golden;
    if (folder === dirname(folder)) throw new Error("tests/golden is not above the working directory");
  }
})();

export interface Golden {
  /** Such as "v1.0/photo". */
  name: string;
  bytes: Uint8Array;
  facts: Record<string, any>;
}

/** The golden files that are to be read ("files") or refused ("errors"), of all versions. */
export function golden(kind: "files" | "errors"): Golden[] {
  const versions = readdirSync(GOLDEN).filter((name) => name.startsWith("v"));
  return versions.sort().flatMap((version) => {
    const told: Record<string, any> = JSON.parse(readFileSync(join(GOLDEN, version, `${kind}.json`), "utf8"));
    const folder = kind === "errors" ? join(version, "errors") : version;
    return Object.entries(told).map(([stem, facts]) => {
      return { name: `${version}/${stem}`, bytes: file(join(folder, `${stem}.rdae`)), facts };
    });
  });
}

export function file(path: string): Uint8Array {
  return new Uint8Array(readFileSync(join(GOLDEN, path)));
}

/** Whole numbers from 0 to `below` − 1 (below: up to 2³²), the same for the same seed: xorshift32. */
export function randomness(seed: number): (below: number) => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * below);
  };
}

export function bytesOf(...parts: (Uint8Array | number[] | string)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...(typeof part === "string" ? Buffer.from(part) : part)]));
}

export function varint(value: bigint | number): number[] {
  const rest = BigInt(value) >> 7n;
  const low = Number(BigInt(value) & 127n);
  return rest === 0n ? [low] : [low | 128, ...varint(rest)];
}

/** The bytes with their CRC-32 after them. */
export function sealed(bytes: Uint8Array): Uint8Array {
  return bytesOf(bytes, uint32Bytes(crc32(bytes)));
}

export function uint32Bytes(value: number): number[] {
  return [0, 8, 16, 24].map((shift) => (value >>> shift) & 255);
}

/** A breath that never rejects. */
export const noBreath = (): Promise<void> => Promise.resolve();

/** Breaths that reject from the last of so many on, and how many were taken. */
export function breaths(most: number): { breath: () => Promise<void>; taken: number } {
  const counted = {
    taken: 0,
    breath: async () => {
      if (++counted.taken >= most) throw new DOMException("given up", "AbortError");
    },
  };
  return counted;
}
