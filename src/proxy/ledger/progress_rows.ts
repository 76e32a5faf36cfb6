/**
 * Writes rows for requests that are still under way, so that a crash loses about a second of a reply, or a few when
 * there are thousands: relaying comes first.
 *
 * One timer sweeps all requests; a request that ends within 250 ms costs two set operations.
 */
import { LinkedList, type ListNode } from "../../core/linked_list.ts";
import type { Clock, TimerId } from "../../core/clock.ts";
import type { RecordSink } from "../../store/store.ts";
import type { RequestLedger } from "./request_ledger.ts";

const SWEEP_MS = 250;
/** One step of a round. With a few thousand requests, rounds take longer and rows come less often. */
const MAX_STEP_LOOKS = 512;
const MAX_STEP_WRITES = 32;
const STEP_REST_MS = 10;
/** And so many times what a full step took: sending and writing its rows costs several times as much. */
const FULL_STEP_RESTS = 100;
/** A step may have been held up by something else. */
const MAX_REST_MS = 1_000;
/** So many steps go through all requests, in half a second: their rows are made a few at a time. */
const STEPS = 50;
const FIRST_WRITE_MS = 250;
const REWRITE_MS = 1_000;
const REWRITE_BYTES = 64 * 1024;
/** A reply that sends nothing new is rewritten this often all the same, so that its attempts are kept. */
const QUIET_REWRITE_MS = 10_000;

interface Written {
  readonly atMs: number;
  readonly bytes: number;
  readonly attempts: number;
}

/** A request under way, and what its row said last. */
export interface ProgressRow {
  readonly ledger: RequestLedger;
  written: Written | null;
}

export class ProgressRows {
  readonly #sink: RecordSink;
  readonly #clock: Clock;
  readonly #rows = new LinkedList<ProgressRow>();
  #timer: TimerId | null = null;
  /** Where the round that is under way goes on. */
  #next: ListNode<ProgressRow> | null = null;

  constructor(sink: RecordSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** What it gives is for {@link remove}. */
  add(ledger: RequestLedger): ListNode<ProgressRow> {
    this.#timer ??= this.#clock.setTimer(() => this.#sweep(), SWEEP_MS);
    return this.#rows.add({ ledger, written: null });
  }

  remove(place: ListNode<ProgressRow>): void {
    if (place === this.#next) this.#next = place.after;
    this.#rows.remove(place);
  }

  /** Stops the timer; what is still under way is settled by its own end. */
  stop(): void {
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  /** Goes through the requests a few at a time: thousands at once would hold up every stream. */
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
    const restMs = isFull ? (this.#clock.monotonic() - startedAtMs) * FULL_STEP_RESTS : 0;
    const delayMs = Math.max(this.#next === null ? SWEEP_MS : STEP_REST_MS, Math.min(MAX_REST_MS, restMs));
    this.#timer = this.#rows.size > 0 ? this.#clock.setTimer(() => this.#sweep(), delayMs) : null;
  }

  #write(row: ProgressRow): void {
    const record = row.ledger.snapshot();
    row.written = {
      atMs: this.#clock.monotonic(),
      bytes: record.responseBytes,
      attempts: row.ledger.attemptCount,
    };
    void this.#sink.write(record);
  }
}

function isDue({ ledger, written }: ProgressRow, nowMs: number): boolean {
  if (written === null) return ledger.elapsedMs() >= FIRST_WRITE_MS;
  const sinceMs = nowMs - written.atMs;
  if (sinceMs >= QUIET_REWRITE_MS || ledger.attemptCount !== written.attempts) return true;
  const grownBytes = ledger.bytesSeen - written.bytes;
  if (grownBytes > 0 && sinceMs >= REWRITE_MS) return true;
  // Each write carries the whole text: what a long reply must have grown by grows with it.
  return grownBytes >= Math.max(REWRITE_BYTES, written.bytes / 2);
}
