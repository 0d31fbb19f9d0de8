/** What a colour profile says of itself (ICC.1), as far as it shows whether a browser can use it, and did. */

const HEADER_BYTES = 128;
const TAG_BYTES = 12;

/** sRGB's primaries, as a profile has them, and its level 1/2 as light. */
const PRIMARIES = [
  [0.4361, 0.2225, 0.0139],
  [0.3851, 0.7169, 0.0971],
  [0.1431, 0.0606, 0.7141],
];
const HALF = 0.214;
/** Differences beyond change colours by more than a level of 255. */
const [PRIMARY_TOLERANCE, HALF_TOLERANCE] = [0.02, 0.01];

export interface Profile {
  /** The profile without what may follow it. */
  readonly bytes: Uint8Array;
  /** Whether it is of grey levels, not of red, green and blue. */
  readonly grey: boolean;
  /** Whether it surely says something else than sRGB, or nothing that can be understood. */
  readonly changes: boolean;
}

/** Reads a profile's header and the tags that most have; null if it is broken, or of other colours. */
export function readProfile(bytes: Uint8Array): Profile | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES + 4) return null;
  const length = view.getUint32(0);
  const space = name(view, 16);
  if (length < HEADER_BYTES + 4 || length > bytes.length || name(view, 36) !== "acsp") return null;
  if ((space !== "RGB " && space !== "GRAY") || !["XYZ ", "Lab "].includes(name(view, 20))) return null;

  const tags = new Map<string, DataView>();
  const count = view.getUint32(HEADER_BYTES);
  if (HEADER_BYTES + 4 + count * TAG_BYTES > length) return null;
  for (let at = HEADER_BYTES + 4; tags.size < count && at < HEADER_BYTES + 4 + count * TAG_BYTES; at += TAG_BYTES) {
    const [start, size] = [view.getUint32(at + 4), view.getUint32(at + 8)];
    if (start + size > length) return null;
    tags.set(name(view, at), new DataView(bytes.buffer, bytes.byteOffset + start, size));
  }
  const grey = space === "GRAY";
  return { bytes: bytes.subarray(0, length), grey, changes: changes(tags, grey) };
}

function changes(tags: ReadonlyMap<string, DataView>, grey: boolean): boolean {
  if (tags.has("A2B0")) return false; // a table, which may say anything
  try {
    const halves = (grey ? ["kTRC"] : ["rTRC", "gTRC", "bTRC"]).map((tag) => half(tags.get(tag)!));
    if (halves.some((value) => Math.abs(value - HALF) > HALF_TOLERANCE)) return true;
    return (
      !grey &&
      ["rXYZ", "gXYZ", "bXYZ"].some((tag, i) =>
        PRIMARIES[i].some((value, k) => Math.abs(fixed(tags.get(tag)!, 8 + 4 * k) - value) > PRIMARY_TOLERANCE),
      )
    );
  } catch {
    return true; // a tag is not there, or too short
  }
}

/** The light of the level 1/2, by a curve. */
function half(curve: DataView): number {
  const kind = name(curve, 0);
  if (kind === "curv") {
    const count = curve.getUint32(8);
    if (count === 0) return 0.5;
    if (count === 1) return 0.5 ** (curve.getUint16(12) / 256);
    const [low, high] = [Math.floor((count - 1) / 2), Math.ceil((count - 1) / 2)];
    return (curve.getUint16(12 + 2 * low) + curve.getUint16(12 + 2 * high)) / 2 / 65535;
  }
  if (kind !== "para") throw new RangeError("no curve");
  // (a·x + b)^g, then + c or e; what there is below a level is far below 1/2.
  const type = curve.getUint16(8);
  const at = (index: number): number => fixed(curve, 12 + 4 * index);
  const [a, b] = type === 0 ? [1, 0] : [at(1), at(2)];
  return (a / 2 + b) ** at(0) + (type === 2 ? at(3) : type === 4 ? at(5) : 0);
}

/** A number of 16 bits before the point and 16 behind. */
function fixed(view: DataView, at: number): number {
  return view.getInt32(at) / 65536;
}

function name(view: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
}
