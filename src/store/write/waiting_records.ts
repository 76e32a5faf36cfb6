/**
 * Records that wait to be written: one version of each request, and those who wait for it.
 *
 * Owns their order and which of two versions stays. Knows nothing of threads and retries.
 */
import type { RequestRecord } from "../../core/types.ts";
import type { WriteResult } from "../store.ts";

/** A record that waits, and those who wait for it. */
export interface Pending {
  record: RequestRecord;
  /** See {@link sizeOf}. */
  bytes: number;
  readonly waiters: ((result: WriteResult) => void)[];
}

export interface TakeLimits {
  readonly maxRecords: number;
  /** One record is taken whatever its size. */
  readonly maxBytes: number;
  /** Requests that stay here for now. */
  readonly isHeld: (requestId: string) => boolean;
}

export class WaitingRecords {
  /** By request id, oldest first. A new one whenever all have gone: see LinkedList for what a lasting one would cost. */
  #pendings = new Map<string, Pending>();

  get size(): number {
    return this.#pendings.size;
  }

  get(requestId: string): Pending | undefined {
    return this.#pendings.get(requestId);
  }

  /** Puts a record of a request that has none here at the end. */
  add(pending: Pending): void {
    this.#pendings.set(pending.record.requestId, pending);
  }

  /** Removes and returns the oldest, as far as the limits go. */
  take({ maxRecords, maxBytes, isHeld }: TakeLimits): Pending[] {
    const taken: Pending[] = [];
    let bytes = 0;
    for (const [requestId, pending] of this.#pendings) {
      if (isHeld(requestId)) continue;
      if (taken.length === maxRecords || (taken.length > 0 && bytes + pending.bytes > maxBytes)) break;
      taken.push(pending);
      bytes += pending.bytes;
    }
    if (taken.length === this.#pendings.size) this.#pendings = new Map();
    else for (const { record } of taken) this.#pendings.delete(record.requestId);
    return taken;
  }

  /** Removes and returns all. */
  takeAll(): Pending[] {
    const all = [...this.#pendings.values()];
    this.#pendings = new Map();
    return all;
  }

  /** Puts records back in front of the others. @returns bytes of versions that were left out, because another stays */
  putBack(pendings: readonly Pending[]): number {
    const newer = this.#pendings;
    let leftBytes = 0;
    this.#pendings = new Map(pendings.map((pending) => [pending.record.requestId, pending]));
    for (const [requestId, pending] of newer) {
      const older = this.#pendings.get(requestId);
      if (older === undefined) {
        this.#pendings.set(requestId, pending);
        continue;
      }
      const [kept, left] = isPartialOf(pending.record, older.record) ? [older, pending] : [pending, older];
      kept.waiters.push(...left.waiters);
      leftBytes += left.bytes;
      this.#pendings.set(requestId, kept);
    }
    return leftBytes;
  }
}

/** Answers those who wait. */
export function settle({ waiters }: Pending, result: WriteResult): void {
  for (const resolve of waiters) resolve(result);
}

/** Rows of requests still in flight are not counted: the request's last row is. */
export function settledCount(pendings: readonly Pending[]): number {
  return pendings.reduce((count, { record }) => record.outcome === "in_flight" ? count : count + 1, 0);
}

/** Whether a version comes too late: a request that is settled is never in flight again. */
export function isPartialOf(record: RequestRecord, other: RequestRecord): boolean {
  return record.outcome === "in_flight" && other.outcome !== "in_flight";
}

/** Whether it can be sent to another thread. */
export function isCloneable(record: RequestRecord): boolean {
  try {
    structuredClone(record);
    return true;
  } catch {
    return false;
  }
}

const RECORD_OVERHEAD_BYTES = 1024; // docs/tuning.md#record-queue
const ATTEMPT_OVERHEAD_BYTES = 256;

/** What a record costs while it waits: the length of its texts of any length, and a flat rate for the rest. */
export function sizeOf(record: RequestRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + record.body.length + record.response.length + record.reasoning.length +
    record.path.length + (record.userAgent?.length ?? 0) + (record.error?.length ?? 0);
  for (const call of record.toolCalls) bytes += call.name.length + call.arguments.length;
  for (const attempt of record.attempts) bytes += attempt.partial?.length ?? 0;
  return bytes + record.attempts.length * ATTEMPT_OVERHEAD_BYTES;
}
