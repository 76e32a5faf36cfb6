/**
 * Event streams of the admin API: live events, and one reply as it arrives.
 *
 * Owns the limit of what is queued for a slow reader, and that a stream ends when its reader leaves or the server
 * stops.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import type { Clock, TimerId } from "../../core/clock.ts";
import { RouterError } from "../../core/errors.ts";

const HEARTBEAT_MS = 15_000;
/** In UTF-16 units. A slower reader is disconnected; its browser reconnects. */
const MAX_WAITING_LENGTH = 4 * 1024 * 1024; // docs/tuning.md#control-page-and-command-line
const MAX_STREAMS = 64;

export interface EventStreamsDeps {
  readonly clock: Clock;
  /** Aborts when the server stops. */
  readonly ending: AbortSignal;
}

/** Where a source sends its events. */
export interface EventSink {
  send(event: string, data: unknown): void;
  /** After this one, nothing more is sent. */
  end(): void;
}

/** All open streams; limits their number. */
export class EventStreams {
  readonly #deps: EventStreamsDeps;
  #count = 0;

  constructor(deps: EventStreamsDeps) {
    this.#deps = deps;
  }

  /**
   * @param start begins to send; returns the function that stops it, null when there is nothing to send at all
   * @returns null when `start` did
   * @throws RouterError 429 when there are too many
   */
  open(start: (sink: EventSink) => (() => void) | null): Response | null {
    if (this.#count >= MAX_STREAMS) {
      throw new RouterError(
        429,
        "too_many_requests",
        `${MAX_STREAMS} streams are open already; close some pages`,
      );
    }
    const stream = new EventStream(this.#deps, () => this.#count--);
    this.#count++;
    const stop = start(stream);
    if (stop === null) {
      stream.end();
      return null;
    }
    stream.onStop(stop);
    return new Response(stream.body, {
      headers: {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      },
    });
  }
}

class EventStream implements EventSink {
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #deps: EventStreamsDeps;
  readonly #onClosed: () => void;
  readonly #encoder = new TextEncoder();
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | null = null;
  #heartbeat: TimerId | null = null;
  #stop: (() => void) | null = null;
  #isClosed = false;
  readonly #onEnding = () => this.end();

  constructor(deps: EventStreamsDeps, onClosed: () => void) {
    this.#deps = deps;
    this.#onClosed = onClosed;
    this.body = new ReadableStream({
      start: (controller) => void (this.#controller = controller),
      cancel: () => this.#close(),
    }, { highWaterMark: MAX_WAITING_LENGTH, size: (chunk) => chunk?.length ?? 0 });
    deps.ending.addEventListener("abort", this.#onEnding, { once: true });
    // The first bytes tell the browser that the stream is open.
    this.#write(": open\n\n");
    this.#beatLater();
    if (deps.ending.aborted) this.end();
  }

  onStop(stop: () => void): void {
    if (this.#isClosed) stop();
    else this.#stop = stop;
  }

  send(event: string, data: unknown): void {
    this.#write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  end(): void {
    if (this.#isClosed) return;
    this.#close();
    this.#controller?.close();
  }

  #write(text: string): void {
    if (this.#isClosed || this.#controller === null) return;
    if ((this.#controller.desiredSize ?? 0) < text.length) return this.end();
    this.#controller.enqueue(this.#encoder.encode(text));
  }

  #beatLater(): void {
    this.#heartbeat = this.#deps.clock.setTimer(() => {
      this.#write(": here\n\n");
      if (!this.#isClosed) this.#beatLater();
    }, HEARTBEAT_MS);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#heartbeat !== null) this.#deps.clock.clearTimer(this.#heartbeat);
    this.#deps.ending.removeEventListener("abort", this.#onEnding);
    this.#stop?.();
    this.#onClosed();
  }
}
