/**
 * One channel's queue and the loop that empties it.
 *
 * Owns the order of messages, the waits that the channel asks for, and what becomes of a queue that waits. Must not
 * throw.
 */
import type { Clock } from "../core/clock.ts";
import { type AlertMessage, type Channel, ChannelError } from "./channel.ts";
import { fold, inOrder, isUrgentMessage } from "./fold.ts";
import { delay } from "./http_channel.ts";

/** Messages waiting for one channel; more are dropped and counted. */
const MAX_PENDING = 100;
/** Longest wait between two tries, whatever the channel asks for. */
const MAX_WAIT_MS = 60_000;
/** Shortest one, and the first one where the channel names none; each further one is at least twice as long. */
const MIN_WAIT_MS = 100;
const FIRST_WAIT_MS = 1_000;
/** A channel that asks to wait for longer than this in a row has failed. */
const MAX_WAITED_MS = 600_000;

/** `error` is safe to log. */
export type SentListener = (
  channel: string,
  result: "ok" | "error" | "dropped",
  error: Error | null,
) => void;

export interface WorkerOptions {
  readonly clock: Clock;
  readonly onSent: SentListener;
  readonly newId: () => string;
}

export class ChannelWorker {
  readonly #channel: Channel;
  readonly #options: WorkerOptions;
  readonly #stop = new AbortController();
  /** The urgent ones first. */
  #pending: AlertMessage[] = [];
  #running: Promise<void> | null = null;

  constructor(channel: Channel, options: WorkerOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  /** Urgent messages go before all others, and displace them when the queue is full. */
  push(message: AlertMessage): void {
    const isUrgent = isUrgentMessage(message);
    const urgentCount = this.#pending.filter(isUrgentMessage).length;
    if (this.#pending.length >= MAX_PENDING) {
      this.drop(1);
      if (!isUrgent || urgentCount === this.#pending.length) return;
      this.#pending.pop();
    }
    this.#pending.splice(isUrgent ? urgentCount : this.#pending.length, 0, message);
    this.#running ??= this.#run();
  }

  drop(count: number): void {
    for (let i = 0; i < count; i++) this.#report("dropped", null);
  }

  /** Drops what is being sent and what waits. */
  abort(): void {
    const waiting = this.#pending.length;
    this.#pending = [];
    this.drop(waiting);
    this.#stop.abort();
  }

  /** Resolves when nothing is being sent and nothing waits. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // The first step of a send must not run inside raise().
    await Promise.resolve();
    for (let message = this.#pending.shift(); message !== undefined; message = this.#pending.shift()) {
      await this.#deliver(message);
    }
    this.#running = null;
  }

  /** Sends one message; while the channel asks to wait, as one with all that come meanwhile. */
  async #deliver(first: AlertMessage): Promise<void> {
    let messages: readonly AlertMessage[] = [first];
    let waitedMs = 0;
    for (let tries = 0;; tries++) {
      const error = await this.#sent(this.#asOne(messages));
      if (error === null) return this.#settle(messages, "ok", null);
      const waitMs = waitOf(error, tries);
      if (waitMs === null || waitedMs + waitMs > MAX_WAITED_MS) return this.#settle(messages, "error", error);
      waitedMs += waitMs;
      await delay(this.#options.clock, waitMs, this.#stop.signal);
      if (this.#stop.signal.aborted) return this.#settle(messages, "error", error);
      messages = this.#withPending(messages);
    }
  }

  /** Null when it was delivered. */
  async #sent(message: AlertMessage): Promise<Error | null> {
    try {
      await orAborted(this.#channel.send(message, this.#stop.signal), this.#stop.signal);
      return null;
    } catch (error) {
      return error instanceof ChannelError ? error : new Error("Cannot send alert");
    }
  }

  #asOne(messages: readonly AlertMessage[]): AlertMessage {
    const [only, ...others] = messages;
    if (only !== undefined && others.length === 0) return only;
    const { clock, newId } = this.#options;
    return fold(messages, { id: newId(), atMs: clock.now() });
  }

  #withPending(messages: readonly AlertMessage[]): readonly AlertMessage[] {
    const all = inOrder([...messages, ...this.#pending]);
    this.#pending = [];
    this.drop(Math.max(0, all.length - MAX_PENDING));
    return all.slice(0, MAX_PENDING);
  }

  /** Each of the messages that were sent as one has this result. */
  #settle(messages: readonly AlertMessage[], result: "ok" | "error", error: Error | null): void {
    messages.forEach((_, at) => this.#report(result, at === 0 ? error : null));
  }

  #report(result: "ok" | "error" | "dropped", error: Error | null): void {
    try {
      this.#options.onSent(this.#channel.name, result, error);
    } catch {
      // A listener's failure must not stop the queue.
    }
  }
}

/** How long to wait before the next try; null: there is none. */
function waitOf(error: Error, tries: number): number | null {
  if (!(error instanceof ChannelError) || error.retry.type !== "later") return null;
  const askedMs = error.retry.afterMs ?? FIRST_WAIT_MS;
  return Math.min(MAX_WAIT_MS, Math.max(askedMs, MIN_WAIT_MS * 2 ** tries));
}

/** Settles when `signal` aborts, even if the work ignores it: closing must end in time. */
function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new Error("aborted"));
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    if (signal.aborted) onAbort();
  });
}
