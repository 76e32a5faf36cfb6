/**
 * Writes rows for requests that are still under way, so that a crash loses about a second of a reply; a few seconds
 * when there are thousands, because relaying comes first.
 *
 * One timer sweeps all requests; a request that ends within 250 ms costs one insertion and one removal.
 */
import { LinkedList, type ListNode } from "../../core/linked_list.ts";
import type { Clock, TimerId } from "../../core/clock.ts";
import type { RecordSink } from "../../store/store.ts";
import type { WrittenText } from "./reply_part.ts";
import type { RequestLedger } from "./request_ledger.ts";

const SWEEP_MS = 250; // docs/tuning.md#rows-of-requests-under-way
/** Requests per step of a round. With thousands of requests, rounds take longer and rows are written less often. */
const MAX_STEP_LOOKS = 512; // docs/tuning.md#rows-of-requests-under-way
const MAX_STEP_WRITES = 32; // docs/tuning.md#rows-of-requests-under-way
const STEP_REST_MS = 10;
/** After a full step, also rest this many times its duration: writing its rows costs several times as much. */
const FULL_STEP_REST_FACTOR = 100; // docs/tuning.md#rows-of-requests-under-way
/** Limits that rest: something else may have delayed the step. */
const MAX_REST_MS = 1_000; // docs/tuning.md#rows-of-requests-under-way
/** Steps per round, spread over half a second: rows are made a few at a time. */
const STEPS = 50; // docs/tuning.md#rows-of-requests-under-way
const FIRST_WRITE_MS = 250;
const REWRITE_MS = 1_000; // docs/tuning.md#rows-of-requests-under-way
const REWRITE_BYTES = 64 * 1024;
/** A reply without news is rewritten this often too, so that its attempts are kept. */
const QUIET_REWRITE_MS = 10_000; // docs/tuning.md#rows-of-requests-under-way

interface Written {
  readonly atMs: number;
  readonly bytes: number;
  readonly attempts: number;
  /** As the row has them: a part cannot follow when they have changed. */
  readonly endedAttempts: number;
  readonly upstreamId: number | null;
  readonly text: WrittenText;
  /** Until then, the next write is a whole one again. */
  isCommitted: boolean;
}

/** A request under way, and its row as last written. */
export interface ProgressRow {
  readonly ledger: RequestLedger;
  written: Written | null;
}

export class ProgressRows {
  readonly #sink: RecordSink;
  readonly #clock: Clock;
  readonly #rows = new LinkedList<ProgressRow>();
  #timer: TimerId | null = null;
  /** Where the current round continues. */
  #next: ListNode<ProgressRow> | null = null;

  constructor(sink: RecordSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** Returns the node for {@link remove}. */
  add(ledger: RequestLedger): ListNode<ProgressRow> {
    this.#timer ??= this.#clock.setTimer(() => this.#sweep(), SWEEP_MS);
    return this.#rows.add({ ledger, written: null });
  }

  remove(place: ListNode<ProgressRow>): void {
    if (place === this.#next) this.#next = place.after;
    this.#rows.remove(place);
  }

  /** Stops the timer; requests under way are settled when they end. */
  stop(): void {
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  /** Visits a few requests per step: thousands at once would delay every stream. */
  #sweep(): void {
    this.#next ??= this.#rows.first;
    const startedAtMs = this.#clock.monotonic();
    const maxWrites = Math.min(MAX_STEP_WRITES, Math.ceil(this.#rows.size / STEPS));
    let looks = 0;
    let writes = 0;
    while (this.#next !== null && looks < MAX_STEP_LOOKS && writes < maxWrites) {
      const { value: row, after } = this.#next;
      this.#next = after;
      looks++;
      if (row.ledger.isSettled || !isDue(row, this.#clock.monotonic())) continue;
      writes++;
      this.#write(row);
    }
    const isFull = writes === MAX_STEP_WRITES;
    const restMs = isFull ? (this.#clock.monotonic() - startedAtMs) * FULL_STEP_REST_FACTOR : 0;
    const delayMs = Math.max(this.#next === null ? SWEEP_MS : STEP_REST_MS, Math.min(MAX_REST_MS, restMs));
    this.#timer = this.#rows.size > 0 ? this.#clock.setTimer(() => this.#sweep(), delayMs) : null;
  }

  #write(row: ProgressRow): void {
    const { record, written: text } = row.ledger.progress(continuable(row));
    const written: Written = {
      atMs: this.#clock.monotonic(),
      bytes: record.responseBytes,
      attempts: row.ledger.attemptCount,
      endedAttempts: record.attempts.length,
      upstreamId: record.upstreamId,
      text,
      isCommitted: false,
    };
    row.written = written;
    void this.#sink.write(record).then((result) => written.isCommitted = result === "committed");
  }
}

/** What a part can follow; null: the row has to be written whole. */
function continuable({ ledger, written }: ProgressRow): WrittenText | null {
  if (written === null || !written.isCommitted) return null;
  const isSame = written.endedAttempts === ledger.attempts.length &&
    written.upstreamId === (ledger.upstream?.id ?? null);
  return isSame ? written.text : null;
}

function isDue({ ledger, written }: ProgressRow, nowMs: number): boolean {
  if (written === null) return ledger.elapsedMs() >= FIRST_WRITE_MS;
  const sinceMs = nowMs - written.atMs;
  if (sinceMs >= QUIET_REWRITE_MS || ledger.attemptCount !== written.attempts) return true;
  const grownBytes = ledger.bytesSeen - written.bytes;
  if (grownBytes > 0 && sinceMs >= REWRITE_MS) return true;
  // Each write carries the whole text, so a longer reply must have grown by more.
  return grownBytes >= Math.max(REWRITE_BYTES, written.bytes / 2);
}
