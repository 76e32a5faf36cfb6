/**
 * Writes rows for requests that are still under way, so that a crash loses at most a second of a reply.
 *
 * One timer sweeps all requests; a request that ends within 250 ms costs two set operations.
 */
import type { Clock } from "../core/types.ts";
import type { RecordSink } from "../store/store.ts";
import type { RequestSession } from "./session.ts";

const SWEEP_MS = 250;
/** One step of a round. With a few thousand requests rounds take longer than that, and rows come less often. */
const MAX_STEP_LOOKS = 512;
const MAX_STEP_WRITES = 32;
const STEP_REST_MS = 10;
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

export class InFlightRows {
  readonly #sink: RecordSink;
  readonly #clock: Clock;
  readonly #sessions = new Map<RequestSession, Written | null>();
  #timer: number | null = null;
  /** The round that is under way. */
  #round: MapIterator<[RequestSession, Written | null]> | null = null;

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
    this.#round = null;
    this.#sessions.clear();
  }

  /** Goes through the requests a few at a time: thousands at once would hold up every stream. */
  #sweep(): void {
    this.#round ??= this.#sessions.entries();
    const maxWrites = Math.min(MAX_STEP_WRITES, Math.ceil(this.#sessions.size / STEPS));
    let looks = 0;
    let writes = 0;
    while (looks < MAX_STEP_LOOKS && writes < maxWrites) {
      const next = this.#round.next();
      if (next.done) {
        this.#round = null;
        break;
      }
      looks++;
      const [session, written] = next.value;
      if (session.isSettled || !isDue(session, written, this.#clock.monotonic())) continue;
      writes++;
      this.#write(session);
    }
    const delayMs = this.#round === null ? SWEEP_MS : STEP_REST_MS;
    this.#timer = this.#sessions.size > 0 ? this.#clock.setTimer(() => this.#sweep(), delayMs) : null;
    if (this.#timer === null) this.#round = null;
  }

  #write(session: RequestSession): void {
    const record = session.snapshot();
    this.#sessions.set(session, {
      atMs: this.#clock.monotonic(),
      bytes: record.responseBytes,
      attempts: session.attemptCount,
    });
    void this.#sink.write(record);
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
