/**
 * The connections of a listener, until it is closed.
 *
 * Owns when the listener is closed. Knows nothing of what is done with a connection.
 */
import type { Clock } from "../core/clock.ts";
import type { ByteConnection } from "./connection.ts";

/** A client's connection, as `Deno.Listener` accepts it. */
export interface AcceptedConnection extends ByteConnection {
  readonly remoteAddr: Deno.Addr;
  setNoDelay?(noDelay: boolean): void;
}

export interface ConnectionListener {
  accept(): Promise<AcceptedConnection>;
  close(): void;
}

export interface AcceptingOptions {
  readonly clock: Clock;
  readonly onConnection: (connection: AcceptedConnection) => void;
  /** Accepting fails, as when no file descriptors are left; once per series. */
  readonly onUnexpected: (error: unknown) => void;
  /** There will be no further connection; called once. */
  readonly onClosed: () => void;
  /** See `ServerOptions` of server.ts. */
  readonly afterTurn: (() => Promise<void>) | undefined;
}

/** Pause after a failed accept. */
const ACCEPT_PAUSE_MS = 100;
/** How long the end waits, at most, for a moment without a new connection. */
const LAST_ACCEPTS_MS = 250;

export class Accepting {
  readonly #listener: ConnectionListener;
  readonly #options: AcceptingOptions;
  #count = 0;
  #isEnding = false;
  #isListening = true;
  #isOver = false;

  /** Begins to accept connections. */
  constructor(listener: ConnectionListener, options: AcceptingOptions) {
    this.#listener = listener;
    this.#options = options;
    void this.#accept();
  }

  /** There will be no further connection. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Closes the listener; with `afterTurn`, unless it is to happen `now`, when nobody waits to be accepted. */
  end({ isNow = false } = {}): void {
    const { afterTurn } = this.#options;
    if (afterTurn === undefined || isNow) return this.#unlisten();
    if (!this.#isEnding) void this.#emptyQueue(afterTurn);
    this.#isEnding = true;
  }

  #unlisten(): void {
    if (!this.#isListening) return;
    this.#isListening = false;
    this.#listener.close();
  }

  async #emptyQueue(afterTurn: () => Promise<void>): Promise<void> {
    const { clock } = this.#options;
    const endMs = clock.monotonic() + LAST_ACCEPTS_MS;
    let count: number;
    do {
      count = this.#count;
      await afterTurn();
    } while (this.#count !== count && clock.monotonic() < endMs);
    this.#unlisten();
  }

  async #accept(): Promise<void> {
    // Reported once per series: otherwise, anybody could fill the log by opening enough connections.
    let isFailing = false;
    while (this.#isListening) {
      let accepted: AcceptedConnection;
      try {
        accepted = await this.#listener.accept();
        isFailing = false;
      } catch (error) {
        if (!this.#isListening) break;
        if (!isFailing) this.#options.onUnexpected(error);
        isFailing = true;
        await new Promise<void>((resolve) => this.#options.clock.setTimer(resolve, ACCEPT_PAUSE_MS));
        continue;
      }
      // Also one that was accepted at the moment when the listener was closed.
      this.#count++;
      this.#options.onConnection(accepted);
    }
    this.#isOver = true;
    this.#options.onClosed();
  }
}
