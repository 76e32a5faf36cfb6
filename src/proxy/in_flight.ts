/**
 * Writes rows for requests that are still under way, so that a crash loses at most a second of a reply.
 *
 * One timer sweeps all requests; a request that ends within 250 ms costs two set operations.
 */
import type { Clock } from "../core/types.ts";
import type { RecordSink } from "../store/store.ts";
import type { RequestSession } from "./session.ts";

const SWEEP_MS = 250;
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

export class InFlightRows {
  readonly #sink: RecordSink;
  readonly #clock: Clock;
  readonly #sessions = new Map<RequestSession, Written | null>();
  #timer: number | null = null;

  constructor(sink: RecordSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** The requests under way, oldest first. */
  sessions(): Iterable<RequestSession> {
    return this.#sessions.keys();
  }

  add(session: RequestSession): void {
    this.#sessions.set(session, null);
    this.#timer ??= this.#clock.setTimer(() => this.#sweep(), SWEEP_MS);
  }

  remove(session: RequestSession): void {
    this.#sessions.delete(session);
  }

  /** Stops the timer; what is still under way is settled by its own end. */
  stop(): void {
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
    this.#sessions.clear();
  }

  #sweep(): void {
    this.#timer = this.#sessions.size > 0 ? this.#clock.setTimer(() => this.#sweep(), SWEEP_MS) : null;
    const nowMs = this.#clock.monotonic();
    for (const [session, written] of this.#sessions) {
      if (session.isSettled || !isDue(session, written, nowMs)) continue;
      const record = session.snapshot();
      this.#sessions.set(session, {
        atMs: nowMs,
        bytes: record.responseBytes,
        attempts: session.attemptCount,
      });
      void this.#sink.write(record);
    }
  }
}

function isDue(session: RequestSession, written: Written | null, nowMs: number): boolean {
  if (written === null) return session.elapsedMs() >= FIRST_WRITE_MS;
  const sinceMs = nowMs - written.atMs;
  if (sinceMs >= QUIET_REWRITE_MS || session.attemptCount !== written.attempts) return true;
  const grownBytes = session.bytesSeen - written.bytes;
  if (grownBytes > 0 && sinceMs >= REWRITE_MS) return true;
  // Each write carries the whole text: what a long reply must have grown by grows with it.
  return grownBytes >= Math.max(REWRITE_BYTES, written.bytes / 2);
}
