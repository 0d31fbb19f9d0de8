/** A picture's file from the network: its header as soon as the first bytes are here, and then all of it. */

import { peek } from "../container/container.ts";
import { type Header, RdaeError, StreamError } from "../index.ts";

const HEADER_BYTES = 64;
const MAX_FILE_BYTES = 2 ** 30;

export interface Source {
  readonly header: Header;
  /** Whether the file has opacity or metadata, a colour profile perhaps, so that decoded rows are not yet what is seen. */
  readonly extras: boolean;
  /** All bytes, when they have come. */
  readonly file: Promise<Uint8Array<ArrayBuffer>>;
}

/**
 * Begins to fetch a file; what is no .rdae file is not fetched to its end.
 *
 * Rejects with an error of errors.ts, the signal's reason, or an RdaeError that says what a server answered.
 * progress: is called with the bytes that have come, and how many there will be, 0 if that is not known.
 */
export async function fetchSource(
  url: string | URL,
  signal: AbortSignal,
  progress: (bytes: number, total: number) => void = () => undefined,
): Promise<Source> {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new RdaeError(`the server answered ${response.status}`);
  const total = Number(response.headers.get("content-length") ?? 0);
  // A response without a body is one of no bytes.
  const reader = (response.body ?? new Blob([]).stream()).getReader();
  const parts: Uint8Array[] = [];
  let length = 0;

  const more = async (): Promise<boolean> => {
    const { value } = await reader.read();
    if (!value) return false;
    parts.push(value);
    length += value.length;
    if (length > MAX_FILE_BYTES) throw new StreamError(`more than ${MAX_FILE_BYTES} bytes`);
    progress(length, Math.max(total, length));
    return true;
  };
  const given = (failure: unknown): never => {
    void reader.cancel().catch(() => undefined);
    throw failure;
  };
  const rest = async (): Promise<Uint8Array<ArrayBuffer>> => {
    while (await more());
    return joined(parts, length);
  };
  try {
    while (length < HEADER_BYTES && (await more()));
    const { header, flags } = peek(joined(parts, length));
    const file = rest().catch(given);
    file.catch(() => undefined); // whoever waits for it is told; if nobody does, it matters to nobody
    return { header, extras: (flags & 6) !== 0, file };
  } catch (failure) {
    return given(failure);
  }
}

function joined(parts: Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
