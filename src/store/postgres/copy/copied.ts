/**
 * What a copy between SQLite and PostgreSQL did, and how it is asked for.
 *
 * Owns the counting of what was refused. No texts for people but the reasons, which hold no value of a row.
 */
import type { Clock } from "../../../core/clock.ts";

export interface CopyOptions {
  readonly clock: Clock;
  /** Ends the copy after the batch that is under way. */
  readonly signal: AbortSignal;
  /** Makes the id of a SQLite database that has none; random. */
  readonly newId: () => string;
  /** Called after each batch; `total` is null where it is not known. */
  readonly onProgress: (done: number, total: number | null) => void;
}

/** The source cannot be copied to this target; `message` says why and what to do, on one line. */
export class CopyRefusedError extends Error {
  override readonly name = "CopyRefusedError";
}

/** It was asked to end; what was copied stays. */
export class CopyStoppedError extends Error {
  override readonly name = "CopyStoppedError";
}

export interface Refusal {
  readonly reason: string;
  readonly count: number;
  /** Numbers of the first of these records in the source. */
  readonly ids: readonly string[];
}

/** What a copy did. */
export interface CopyCounts {
  readonly records: number;
  readonly attempts: number;
  /** Records that the target had already. */
  readonly present: number;
  /** Records of requests that a running server answers now: left out. */
  readonly underWay: number;
  /** Records of requests whose server had stopped; among {@link records}. */
  readonly crashed: number;
  /** Records in which characters were replaced that PostgreSQL cannot store; among {@link records}. */
  readonly replaced: number;
  /** Records that got another request id, because theirs is unique in SQLite; among {@link records}. */
  readonly renamed: number;
  readonly refused: readonly Refusal[];
}

const MAX_REASONS = 20;
const MAX_SHOWN_IDS = 5;
const OTHER_REASONS = "other reasons";

/** Counts while a copy goes on. */
export class CopyTally implements CopyCounts {
  records = 0;
  attempts = 0;
  present = 0;
  underWay = 0;
  crashed = 0;
  replaced = 0;
  renamed = 0;
  readonly #refused = new Map<string, { count: number; readonly ids: string[] }>();

  refuse(id: bigint, reason: string): void {
    const key = this.#refused.size < MAX_REASONS || this.#refused.has(reason) ? reason : OTHER_REASONS;
    const known = this.#refused.get(key) ?? { count: 0, ids: [] };
    this.#refused.set(key, known);
    known.count++;
    if (known.ids.length < MAX_SHOWN_IDS) known.ids.push(String(id));
  }

  get refused(): Refusal[] {
    return [...this.#refused].map(([reason, { count, ids }]) => ({ reason, count, ids }));
  }

  counts(): CopyCounts {
    const { records, attempts, present, underWay, crashed, replaced, renamed, refused } = this;
    return { records, attempts, present, underWay, crashed, replaced, renamed, refused };
  }

  get refusedCount(): number {
    return this.refused.reduce((sum, { count }) => sum + count, 0);
  }
}

/** @throws CopyStoppedError */
export function throwIfStopped(signal: AbortSignal): void {
  if (signal.aborted) throw new CopyStoppedError("stopped");
}
