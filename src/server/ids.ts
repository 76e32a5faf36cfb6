/**
 * Request ids: ULIDs, whose randomness is asked of the system for many at once.
 *
 * @see https://github.com/ulid/spec
 */
import { ulid } from "ulid";

const POOL_BYTES = 4096; // docs/tuning.md#server
const pool = new Uint8Array(POOL_BYTES);
let used = POOL_BYTES;

/** Uniform in [0, 1) in steps of 1/256, of which a ULID's 32 characters need an eighth. */
function random(): number {
  if (used === POOL_BYTES) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  return (pool[used++] ?? 0) / 256;
}

/** Unique, sortable by the millisecond. */
export function newRequestId(): string {
  return ulid(undefined, random);
}
