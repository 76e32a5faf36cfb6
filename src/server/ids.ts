/**
 * Request ids: ULIDs. Random bytes are fetched from the system for many ids at once.
 *
 * @see https://github.com/ulid/spec
 */
import { ulid } from "ulid";

const POOL_BYTES = 4096; // docs/tuning.md#server
const pool = new Uint8Array(POOL_BYTES);
let used = POOL_BYTES;

/** Uniform in [0, 1) in steps of 1/256; a ULID needs steps of 1/32 only. */
function random(): number {
  if (used === POOL_BYTES) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  return (pool[used++] ?? 0) / 256;
}

/** Unique; sorts by time, to the millisecond. */
export function newRequestId(): string {
  return ulid(undefined, random);
}
