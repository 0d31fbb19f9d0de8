/** What is kept byte for byte beside the pixels: docs/format.md, section 6, ICC, EXIF and XMP. */

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
export function metadata(container: Container): Metadata {
  const found: Metadata = {};
  const { ICC, EXIF, XMP } = SectionType;
  for (const [name, type] of [["icc", ICC] as const, ["exif", EXIF] as const, ["xmp", XMP] as const]) {
    const [payload] = payloads(container, type);
    if (payload) found[name] = unpacked(payload);
  }
  return found;
}

/** The bytes as a copy: the file's own can be gone before they are. */
function unpacked(payload: Uint8Array): Uint8Array {
  const method = payload[0];
  if (method !== 0 && method !== 1) throw new CorruptError(`metadata of an unknown method: ${method ?? "none"}`);
  const data = payload.subarray(1);
  const bytes = method === 1 ? lzma2(data, MAX_BYTES) : data.slice(0, MAX_BYTES + 1);
  if (bytes.length < 1 || bytes.length > MAX_BYTES) {
    throw new CorruptError(`${bytes.length} bytes of metadata, expected 1 to ${MAX_BYTES}`);
  }
  return bytes;
}
