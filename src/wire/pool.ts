/**
 * Idle connections, kept to be used again, and watched: one that its server ends is gone before it is needed.
 */
import type { Clock } from "../core/clock.ts";
import { type ByteConnection, closeQuietly, ConnectionInput, ConnectionOutput } from "./connection.ts";

export interface PoolOptions {
  readonly clock: Clock;
  /** Idle connections kept for each origin. */
  readonly maxIdlePerOrigin: number;
}

/** Idle connections of an origin that keep the large buffer which their last reply had use for. */
const MAX_LARGE_IDLE = 64;

/** A connection that serves one request after the other. */
export class PooledConnection {
  readonly input: ConnectionInput;
  readonly output: ConnectionOutput;
  isIdle = false;
  idleSinceMs = 0;

  constructor(readonly connection: ByteConnection) {
    this.input = new ConnectionInput(connection);
    this.output = new ConnectionOutput(connection);
  }

  close(): void {
    closeQuietly(this.connection);
  }
}

/** The connections to one origin. */
export class Pool {
  readonly #options: PoolOptions;
  readonly #onIdle: () => void;
  /** The one used last is at the end, and is taken first. */
  readonly #idle: PooledConnection[] = [];
  #usedCount = 0;
  #isClosed = false;

  constructor(options: PoolOptions, onIdle: () => void) {
    this.#options = options;
    this.#onIdle = onIdle;
  }

  get isUnused(): boolean {
    return this.#usedCount === 0 && this.#idle.length === 0;
  }

  take(): PooledConnection | null {
    const connection = this.#idle.pop() ?? null;
    if (connection !== null) connection.isIdle = false;
    return connection;
  }

  begun(): void {
    this.#usedCount++;
  }

  ended(): void {
    this.#usedCount--;
  }

  /** Keeps it, watched: one that the server ends is no longer there when it is needed. */
  give(connection: PooledConnection): void {
    if (this.#isClosed || this.#idle.length >= this.#options.maxIdlePerOrigin) return connection.close();
    connection.idleSinceMs = this.#options.clock.monotonic();
    // The last one given is taken first: it is the others whose large buffers would lie about.
    if (this.#idle.length >= MAX_LARGE_IDLE) connection.input.shrink();
    connection.isIdle = true;
    this.#idle.push(connection);
    const drop = () => {
      // In use again: it is the reply that has come.
      if (!connection.isIdle) return;
      connection.isIdle = false;
      this.#idle.splice(this.#idle.indexOf(connection), 1);
      connection.close();
    };
    // A server that sends something unasked is not to be trusted with the next request.
    connection.input.fill().then(drop, drop);
    this.#onIdle();
  }

  closeIdleSince(limitMs: number): void {
    while (this.#idle[0] !== undefined && this.#idle[0].idleSinceMs <= limitMs) this.#closeFirst();
  }

  close(): void {
    this.#isClosed = true;
    while (this.#idle.length > 0) this.#closeFirst();
  }

  #closeFirst(): void {
    const connection = this.#idle.shift();
    if (connection === undefined) return;
    connection.isIdle = false;
    connection.close();
  }
}
