/** What is kept byte for byte beside the pixels: docs/format.md, section 6, ICC, EXIF and XMP. */

import type { Breath } from "../breath.ts";
import { lzma2 } from "../coding/lzma2.ts";
import { type Container, payloads, SectionType } from "../container/container.ts";
import { CorruptError } from "../errors.ts";

const MAX_BYTES = 2 ** 26;

export interface Metadata {
  /** The colour profile that the pixels are of. */
  icc?: Uint8Array;
  exif?: Uint8Array;
  xmp?: Uint8Array;
}

/** The metadata that a file has; CorruptError for a section that is not as the format says. */
export async function metadata(container: Container, breath: Breath): Promise<Metadata> {
  const found: Metadata = {};
  const { ICC, EXIF, XMP } = SectionType;
  for (const [name, type] of [["icc", ICC] as const, ["exif", EXIF] as const, ["xmp", XMP] as const]) {
    const [payload] = payloads(container, type);
    if (payload) found[name] = await unpacked(payload, breath);
  }
  return found;
}

/** The bytes as a copy: the file's own can be gone before they are. */
async function unpacked(payload: Uint8Array, breath: Breath): Promise<Uint8Array> {
  const method = payload[0];
  if (method !== 0 && method !== 1) throw new CorruptError(`metadata of an unknown method: ${method ?? "none"}`);
  const data = payload.subarray(1);
  const bytes = method === 1 ? await lzma2(data, MAX_BYTES, breath) : data.slice(0, MAX_BYTES + 1);
  if (bytes.length < 1 || bytes.length > MAX_BYTES) {
    throw new CorruptError(`${bytes.length} bytes of metadata, expected 1 to ${MAX_BYTES}`);
  }
  return bytes;
}
