/**
 * Sends streams at a steady pace: one write for each event of each stream.
 */
import { concatenated, writeAll } from "../http1.ts";
import { EVENT_TEMPLATE, stampEvent, STREAM_END } from "../paced_events.ts";

const TICK_MS = 1;
const encoder = new TextEncoder();

const CHUNK_HEAD = encoder.encode(`${EVENT_TEMPLATE.length.toString(16)}\r\n`);
const LINE_END = encoder.encode("\r\n");
const CHUNK = concatenated(CHUNK_HEAD, EVENT_TEMPLATE, LINE_END);
const LAST_CHUNKS = concatenated(
  encoder.encode(`${STREAM_END.length.toString(16)}\r\n`),
  STREAM_END,
  encoder.encode("\r\n0\r\n\r\n"),
);

export interface PacedStream {
  readonly connection: Deno.Conn;
  /** Sent before the first event. */
  readonly head: Uint8Array;
  readonly events: number;
}

interface Sending extends PacedStream {
  sent: number;
  /** Reused while nothing is waiting to be written. */
  buffer: Uint8Array;
  /** Writes that the kernel has not taken yet. */
  waiting: number;
  /** No further event is due. */
  readonly leave: () => void;
  readonly finish: (error?: unknown) => void;
}

/** Sends the events of all streams; each stream's first one at once, then one every `periodMs`. */
export class PacedStreams {
  readonly #periodMs: number;
  /** Streams by the millisecond of the period at which their events are due. */
  readonly #slots: Set<Sending>[];
  #lastTick = 0;
  #isTicking = false;

  constructor(periodMs: number) {
    this.#periodMs = periodMs;
    this.#slots = Array.from({ length: periodMs }, () => new Set());
  }

  /** Resolves when the stream has been sent to its end. */
  async send(stream: PacedStream): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const slot = this.#slots[this.#now() % this.#periodMs];
    const sending: Sending = {
      ...stream,
      sent: 0,
      buffer: concatenated(stream.head, CHUNK),
      waiting: 0,
      leave: () => void slot?.delete(sending),
      finish: (error) => {
        slot?.delete(sending);
        if (error === undefined) resolve();
        else reject(error);
      },
    };
    this.#sendNext(sending, stream.head.length);
    sending.buffer = CHUNK.slice();
    slot?.add(sending);
    if (!this.#isTicking) {
      this.#isTicking = true;
      this.#lastTick = this.#now();
      this.#tick();
    }
    await promise;
  }

  #now(): number {
    return Math.floor(performance.now());
  }

  #tick(): void {
    const now = this.#now();
    for (let at = this.#lastTick + 1; at <= now; at++) {
      for (const sending of this.#slots[at % this.#periodMs] ?? []) this.#sendNext(sending, 0);
    }
    this.#lastTick = now;
    setTimeout(() => this.#tick(), TICK_MS);
  }

  /** @param at where the chunk begins in the buffer */
  #sendNext(sending: Sending, at: number): void {
    if (sending.sent === sending.events) {
      sending.leave();
      writeAll(sending.connection, LAST_CHUNKS).then(() => sending.finish(), sending.finish);
      return;
    }
    // The kernel may still read from the old one.
    if (sending.waiting > 0) sending.buffer = CHUNK.slice();
    stampEvent(sending.buffer, at + CHUNK_HEAD.length, sending.sent++);
    sending.waiting++;
    writeAll(sending.connection, sending.buffer).then(() => sending.waiting--, sending.finish);
  }
}
