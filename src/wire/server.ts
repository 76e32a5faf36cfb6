/**
 * The HTTP/1.1 server: accepts connections, reads their requests one after the other, and has each one answered.
 *
 * Uses plain sockets instead of `Deno.serve`, which does not report that a client has left if its body came after its
 * head, has no time limit on heads, and costs three times as much for each piece of a stream.
 */
import { plainAddress } from "../core/client_ip.ts";
import { RouterError } from "../core/errors.ts";
import { HeaderFields } from "../core/header_fields.ts";
import { LinkedList } from "../core/linked_list.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import { type AcceptedConnection, Accepting, type ConnectionListener } from "./accepting.ts";
import { closeQuietly, ConnectionInput, ConnectionOutput } from "./connection.ts";
import type { ConnectionLimits, NoPlace } from "./connection_limits.ts";
import type { InboundExchange } from "./exchange.ts";
import { HttpInboundExchange } from "./inbound_exchange.ts";
import { MessageError, parseRequestHead } from "./head.ts";
import { readHead, takeHead } from "./reading.ts";

export type { AcceptedConnection, ConnectionListener } from "./accepting.ts";

export interface ServerOptions {
  readonly clock: Clock;
  /** Answers a request. An error that it throws ends the connection. */
  readonly handle: (exchange: InboundExchange) => Promise<void>;
  /** Headers and body of the answer to a request that cannot be read. */
  readonly refusal: (
    error: RouterError,
  ) => { readonly headers: Iterable<[string, string]>; readonly body: Uint8Array };
  /** Something that should not have happened. */
  readonly onUnexpected: (error: unknown) => void;
  /**
   * Resolves when the runtime has looked at all sockets. With it, clients whose connection the system has made, but
   * nobody has accepted yet, are served before the end: otherwise the system would break it, with the request in it.
   */
  readonly afterTurn?: () => Promise<void>;
  /** Null or absent: no limit. */
  readonly limits?: ConnectionLimits | null;
  /** Reports connections without a place since the last call, with the latest reason; at most once a minute. */
  readonly onTurnedAway?: (count: number, reason: NoPlace) => void;
  /** How long a head may take from its first byte; default 60 s. */
  readonly headTimeoutMs?: number;
  /** How long a connection may wait for its next request; default 10 min. */
  readonly idleTimeoutMs?: number;
  /** How long a client may accept nothing of an answer; default 10 min. */
  readonly writeTimeoutMs?: number;
  /** How long an awaited body may send nothing, unless its reader gives up earlier; default 10 min. */
  readonly bodyTimeoutMs?: number;
}

const HEAD_TIMEOUT_MS = 60_000;
const IDLE_TIMEOUT_MS = 600_000;
const WRITE_TIMEOUT_MS = 600_000;
const BODY_TIMEOUT_MS = 600_000;
/** Between two reports of connections without a place. */
const TURNED_AWAY_MS = 60_000;
const SWEEP_MS = 1_000; // docs/tuning.md#heads-and-connections
/** How long a connection may wait for its first request when the server is told to stop: it may be on its way. */
const LAST_IDLE_MS = 1_000;

export class HttpServer {
  readonly #accepting: Accepting;
  readonly #options: ServerOptions;
  readonly #connections = new LinkedList<ServerConnection>();
  readonly #finished = Promise.withResolvers<void>();
  #sweep: TimerId | null = null;
  #isDraining = false;
  #isStopped = false;
  #turnedAway = 0;
  #turnedAwayToldMs: number | null = null;
  #date: { readonly second: number; readonly text: string } = { second: -1, text: "" };

  /** Begins to accept connections. */
  constructor(listener: ConnectionListener, options: ServerOptions) {
    this.#options = options;
    this.#accepting = new Accepting(listener, {
      clock: options.clock,
      onConnection: (connection) => this.#take(connection),
      onUnexpected: options.onUnexpected,
      onClosed: () => this.#checkFinished(),
      afterTurn: options.afterTurn,
    });
  }

  /** Resolves when the server has stopped accepting and every connection has ended. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  /** Accepts no further connections; idle ones end now, the others after their answer. */
  shutdown(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#accepting.end();
    for (const connection of this.#connections.toArray()) connection.drain();
    this.#checkFinished();
  }

  /** Ends every connection now. */
  stop(): void {
    this.shutdown();
    this.#isStopped = true;
    this.#accepting.end({ isNow: true });
    for (const connection of this.#connections.toArray()) connection.close();
  }

  #take(accepted: AcceptedConnection): void {
    if (this.#isStopped) return closeQuietly(accepted);
    const noPlace = this.#options.limits?.take(addressOf(accepted)) ?? null;
    if (noPlace === null) this.#serve(accepted);
    else this.#turnAway(accepted, noPlace);
  }

  /** As cheap as possible: reads nothing, and does not wait for the client. */
  #turnAway(accepted: AcceptedConnection, reason: NoPlace): void {
    const close = () => closeQuietly(accepted);
    void accepted.write(NO_PLACE).then(close, close);
    this.#turnedAway++;
    const nowMs = this.#options.clock.monotonic();
    if (this.#turnedAwayToldMs !== null && nowMs - this.#turnedAwayToldMs < TURNED_AWAY_MS) return;
    this.#options.onTurnedAway?.(this.#turnedAway, reason);
    this.#turnedAwayToldMs = nowMs;
    this.#turnedAway = 0;
  }

  #serve(accepted: AcceptedConnection): void {
    const { clock } = this.#options;
    const connection = new ServerConnection(accepted, {
      ...this.#options,
      date: () => this.#dateNow(),
      isDraining: () => this.#isDraining,
    });
    const place = this.#connections.add(connection);
    this.#sweep ??= clock.setTimer(() => this.#sweepNow(), SWEEP_MS);
    void connection.run().finally(() => {
      this.#connections.remove(place);
      this.#options.limits?.leave(addressOf(accepted));
      this.#checkFinished();
    });
  }

  /** One timer for all connections. */
  #sweepNow(): void {
    const nowMs = this.#options.clock.monotonic();
    for (const connection of this.#connections.toArray()) connection.checkTime(nowMs);
    const isNeeded = this.#connections.size > 0;
    this.#sweep = isNeeded ? this.#options.clock.setTimer(() => this.#sweepNow(), SWEEP_MS) : null;
  }

  #checkFinished(): void {
    if (!this.#accepting.isOver || this.#connections.size > 0) return;
    if (this.#sweep !== null) this.#options.clock.clearTimer(this.#sweep);
    this.#sweep = null;
    this.#finished.resolve();
  }

  /** RFC 9110 section 6.6.1; formatted once a second. */
  #dateNow(): string {
    const second = Math.floor(this.#options.clock.now() / 1000);
    if (second !== this.#date.second) this.#date = { second, text: new Date(second * 1000).toUTCString() };
    return this.#date.text;
  }
}

/** The whole answer on a connection without a place. */
const NO_PLACE = new TextEncoder().encode(
  "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
);

/** A socket that listens on both families reports IPv4 addresses in IPv6 form. */
function addressOf({ remoteAddr }: AcceptedConnection): string {
  return "hostname" in remoteAddr ? plainAddress(remoteAddr.hostname) : "";
}

interface ServerConnectionOptions extends ServerOptions {
  readonly date: () => string;
  readonly isDraining: () => boolean;
}

/** What a client may still send, and for how long, before the connection is closed behind the last answer. */
const LINGER_BYTES = 16 * 1024 * 1024; // docs/tuning.md#heads-and-connections
const LINGER_MS = 2_000;

class ServerConnection {
  readonly #connection: AcceptedConnection;
  readonly #input: ConnectionInput;
  readonly #output: ConnectionOutput;
  readonly #options: ServerConnectionOptions;
  readonly #remoteAddress: string;
  #phase: "idle" | "head" | "exchange" | "linger" = "idle";
  /** First check in this phase; null: none yet. Reading the clock at each change would cost more than all checks. */
  #phaseSinceMs: number | null = null;
  /** Accepted writes at the last check, and since when there have been no more. */
  #seenWrites = 0;
  #takingSinceMs: number;
  /** The current request. */
  #exchange: HttpInboundExchange | null = null;
  /** Completed reads at the last check, and since when there have been no more. */
  #seenReads = 0;
  #bringingSinceMs: number;
  /** Nothing has come of it yet. */
  #isNew = true;
  #isClosed = false;

  constructor(connection: AcceptedConnection, options: ServerConnectionOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#input = new ConnectionInput(connection);
    this.#output = new ConnectionOutput(connection);
    this.#remoteAddress = addressOf(connection);
    this.#takingSinceMs = this.#bringingSinceMs = options.clock.monotonic();
    connection.setNoDelay?.(true);
  }

  /** Never rejects. */
  async run(): Promise<void> {
    try {
      for (let exchange = await this.#next(); exchange !== null; exchange = await this.#next()) {
        this.#enter("exchange");
        this.#exchange = exchange;
        await this.#options.handle(exchange);
        this.#exchange = null;
        if (!exchange.isReusable || this.#options.isDraining()) {
          if (!exchange.isGone) await this.#linger();
          return;
        }
        this.#enter("idle");
      }
    } catch (error) {
      if (!this.#isClosed) this.#options.onUnexpected(error);
    } finally {
      this.close();
    }
  }

  /** Ends the connection if it is idle; one that is new has a moment more. */
  drain(): void {
    if (this.#phase === "idle" && !this.#isNew) this.close();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeQuietly(this.#connection);
  }

  checkTime(nowMs: number): void {
    const { headTimeoutMs = HEAD_TIMEOUT_MS, idleTimeoutMs = IDLE_TIMEOUT_MS } = this.#options;
    const { writeTimeoutMs = WRITE_TIMEOUT_MS, bodyTimeoutMs = BODY_TIMEOUT_MS } = this.#options;
    this.#phaseSinceMs ??= nowMs;
    const passedMs = nowMs - this.#phaseSinceMs;
    const idleMs = this.#options.isDraining() ? LAST_IDLE_MS : idleTimeoutMs;
    const { isWriting, acceptedWrites } = this.#output;
    if (!isWriting || acceptedWrites !== this.#seenWrites) {
      this.#seenWrites = acceptedWrites;
      this.#takingSinceMs = nowMs;
    }
    const { completedReads } = this.#input;
    if (!(this.#exchange?.isBodyAwaited ?? false) || completedReads !== this.#seenReads) {
      this.#seenReads = completedReads;
      this.#bringingSinceMs = nowMs;
    }
    const isLate = (this.#phase === "head" && passedMs > headTimeoutMs) ||
      (this.#phase === "idle" && passedMs > idleMs) ||
      (this.#phase === "linger" && passedMs > LINGER_MS) ||
      nowMs - this.#takingSinceMs > writeTimeoutMs ||
      nowMs - this.#bringingSinceMs > bodyTimeoutMs;
    if (isLate) this.close();
  }

  #enter(phase: "idle" | "head" | "exchange" | "linger"): void {
    this.#phase = phase;
    this.#phaseSinceMs = null;
  }

  /** The next request; null when the connection ended, or sent something that is not a request. */
  async #next(): Promise<HttpInboundExchange | null> {
    try {
      if (this.#input.availableBytes === 0 && !await this.#input.fill()) return null;
      this.#isNew = false;
      this.#enter("head");
      const text = takeHead(this.#input) ?? await readHead(this.#input);
      if (text === null) return null;
      return new HttpInboundExchange(parseRequestHead(text), {
        output: this.#output,
        input: this.#input,
        remoteAddress: this.#remoteAddress,
        date: this.#options.date,
        isDraining: this.#options.isDraining,
        abort: () => this.close(),
      });
    } catch (error) {
      // Otherwise the client broke the connection, or a timeout closed it.
      if (error instanceof MessageError) await this.#refuse(error);
      return null;
    }
  }

  async #refuse({ status, message }: MessageError): Promise<void> {
    const refused = new RouterError(status, "invalid_request", `The request is refused: ${message}`);
    const { headers, body } = this.#options.refusal(refused);
    const closing = new HeaderFields([["connection", "close"]]);
    const exchange = new HttpInboundExchange({
      method: "GET",
      target: "/",
      isHttp10: false,
      headers: closing,
    }, {
      output: this.#output,
      input: this.#input,
      remoteAddress: this.#remoteAddress,
      date: this.#options.date,
      isDraining: () => true,
      abort: () => this.close(),
    });
    try {
      await exchange.reply({ status, headers }, body);
      await this.#linger();
    } catch {
      // The client is gone.
    }
  }

  /**
   * Ends our direction and waits for the client to end its own: if the connection were closed while the client sends,
   * its system would discard our last bytes.
   * @see https://www.rfc-editor.org/rfc/rfc9112#section-9.6
   */
  async #linger(): Promise<void> {
    this.#enter("linger");
    try {
      await this.#connection.closeWrite();
      for (let bytes = 0; bytes < LINGER_BYTES;) {
        if (!await this.#input.fill()) return;
        bytes += this.#input.availableBytes;
        this.#input.consume(this.#input.availableBytes);
      }
    } catch {
      // Already closed, by either side.
    }
  }
}
