/**
 * Reads the beginning of a body, within limits of time and size.
 */
import { concat } from "../core/bytes.ts";
import type { ByteSource } from "./byte_source.ts";
import type { TimedReader } from "./timed_reader.ts";

export interface Collected {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The body ended before either limit was reached. */
  readonly isWhole: boolean;
}

/**
 * Reads what arrives within `limitMs` in total, until at least `limitBytes` have arrived. Never rejects; does not
 * cancel the rest.
 */
export async function collect<Source extends ByteSource>(
  reader: TimedReader<Source>,
  { limitMs, limitBytes }: { readonly limitMs: number; readonly limitBytes: number },
): Promise<Collected> {
  const deadlineMs = reader.clock.monotonic() + limitMs;
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  let isWhole = false;
  while (length < limitBytes) {
    const read = await reader.read(deadlineMs - reader.clock.monotonic());
    isWhole = read.type === "end";
    if (read.type !== "chunk") break;
    chunks.push(read.bytes);
    length += read.bytes.length;
  }
  return { bytes: concat(chunks), isWhole };
}
