/**
 * Listens on one channel for as long as it is wanted, over a connection of its own.
 *
 * Owns when it connects again. A connection whose other end vanished says nothing; so it is asked now and then.
 */
import type { Clock, TimerId } from "../../core/clock.ts";
import type { PgConnection } from "./connection.ts";

export interface ListenerOptions {
  readonly channel: string;
  /** With each text, and with `""` at each start. */
  readonly callback: (payload: string) => void;
  readonly clock: Clock;
  readonly open: () => Promise<PgConnection>;
}

const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 5_000;
/** How often a silent connection is asked. */
const ASK_MS = 10_000;
const ANSWER_MS = 3_000;

export class Listener {
  readonly #options: ListenerOptions;
  #connection: PgConnection | null = null;
  #timer: TimerId | null = null;
  #pauseMs = FIRST_PAUSE_MS;
  #isClosed = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    void this.#start();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#clearTimer();
    void this.#connection?.close();
  }

  async #start(): Promise<void> {
    let connection: PgConnection | null = null;
    try {
      connection = await this.#options.open();
      if (this.#isClosed) return connection.cut();
      connection.onNotification((channel, payload) => {
        if (channel === this.#options.channel && !this.#isClosed) this.#options.callback(payload);
      });
      await connection.run(`LISTEN ${quoted(this.#options.channel)}`, { timeoutMs: ANSWER_MS });
      if (this.#isClosed) return connection.cut();
    } catch {
      connection?.cut();
      // The pool has told of it.
      this.#startLater();
      return;
    }
    this.#connection = connection;
    this.#pauseMs = FIRST_PAUSE_MS;
    connection.onEnd(() => this.#startLater());
    this.#askLater(connection);
    this.#options.callback("");
  }

  #startLater(): void {
    if (this.#isClosed) return;
    this.#connection = null;
    this.#setTimer(() => void this.#start(), this.#pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, MAX_PAUSE_MS);
  }

  #askLater(connection: PgConnection): void {
    if (this.#isClosed || connection.end !== null) return;
    this.#setTimer(() => void this.#ask(connection), ASK_MS);
  }

  /** A server that was demoted takes no LISTEN, and sends nothing. */
  async #ask(connection: PgConnection): Promise<void> {
    try {
      const { rows } = await connection.run("SHOW transaction_read_only", { timeoutMs: ANSWER_MS });
      if (rows[0]?.["transaction_read_only"] !== "off") connection.cut();
    } catch {
      connection.cut();
    }
    this.#askLater(connection);
  }

  #setTimer(callback: () => void, delayMs: number): void {
    this.#clearTimer();
    this.#timer = this.#options.clock.setTimer(callback, delayMs);
  }

  #clearTimer(): void {
    if (this.#timer !== null) this.#options.clock.clearTimer(this.#timer);
    this.#timer = null;
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
