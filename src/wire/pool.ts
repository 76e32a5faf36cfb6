/**
 * Idle connections, kept for reuse and watched, so that one that its server closes is dropped before it is needed.
 */
import type { Clock } from "../core/clock.ts";
import { type ByteConnection, closeQuietly, ConnectionInput, ConnectionOutput } from "./connection.ts";

export interface PoolOptions {
  readonly clock: Clock;
  /** Idle connections kept for each origin. */
  readonly maxIdlePerOrigin: number;
}

/** Idle connections of an origin that may keep a large buffer. */
const MAX_LARGE_IDLE = 64; // docs/tuning.md#buffers

/** A connection that serves requests one after the other. */
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
  /** A stack: the connection used last is taken first. */
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

  /** Keeps the connection, and watches it: if the server closes it, it is dropped. */
  give(connection: PooledConnection): void {
    if (this.#isClosed || this.#idle.length >= this.#options.maxIdlePerOrigin) return connection.close();
    connection.idleSinceMs = this.#options.clock.monotonic();
    // The last one is reused first; the large buffers of the others would lie idle.
    if (this.#idle.length >= MAX_LARGE_IDLE) connection.input.shrink();
    connection.isIdle = true;
    this.#idle.push(connection);
    const drop = () => {
      // In use again: the reply has arrived.
      if (!connection.isIdle) return;
      connection.isIdle = false;
      this.#idle.splice(this.#idle.indexOf(connection), 1);
      connection.close();
    };
    // A server that sends something unasked must not get the next request on this connection.
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
