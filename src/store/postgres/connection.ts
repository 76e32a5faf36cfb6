/**
 * One session with one PostgreSQL server.
 *
 * Owns the client of the package `pg`, its deadlines and its end: a connection that has missed a deadline is cut, never
 * used again. Which server, and what is run when, is decided elsewhere (hosts.ts, pool.ts).
 */
import process from "node:process";
import type { Duplex } from "node:stream";
import type { ConnectionOptions } from "node:tls";
// @ts-types="./pg.d.ts"
import pg, { type Client, type ClientConfig } from "pg";
import type { Clock, TimerId } from "../../core/clock.ts";
import { PgError, toPgError } from "./errors.ts";
import type { PgHost, PgTarget } from "./target.ts";
import { TYPES } from "./values.ts";

export interface PgResult {
  readonly rows: Record<string, unknown>[];
  /** What the server says it has done: `COMMIT`, `SELECT`, …; of several statements the last. */
  readonly command: string;
}

export interface ConnectOptions {
  readonly clock: Clock;
  /** For everything up to the first statement. */
  readonly connectTimeoutMs: number;
  /** `prefer` tries with TLS, then without. */
  readonly isTls: boolean;
  /** Gives up. */
  readonly signal: AbortSignal;
}

/** How long a farewell may take. */
const GOODBYE_MS = 1_000;

/** The protocol counts them in 16 bits; the package does not look. */
const MAX_VALUES = 65_535;

/** First bytes of keepalive after this much silence; the kernel's own default is two hours. */
const KEEPALIVE_DELAY_MS = 10_000;

export class PgConnection {
  /** Whether others on the network cannot read along: where TLS is asked for, it is used or the connection fails. */
  readonly isEncrypted: boolean;
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #place: string;
  #end: PgError | null = null;
  readonly #endListeners: ((error: PgError) => void)[] = [];

  private constructor(
    client: Client,
    { clock, place, isTls }: { clock: Clock; place: string; isTls: boolean },
  ) {
    this.#client = client;
    this.#clock = clock;
    this.#place = place;
    this.isEncrypted = isTls;
    client.on("error", (error) => this.#lose(toLost(error, place)));
    client.on("end", () => this.#lose(closed(place)));
    guardReading(client, (error) => this.cut(toLost(error, place)));
  }

  /** @throws PgError */
  static async open(target: PgTarget, host: PgHost, options: ConnectOptions): Promise<PgConnection> {
    const { clock, connectTimeoutMs, signal, isTls } = options;
    const place = placeOf(host);
    const client = makeClient(target, host, isTls);
    const connection = new PgConnection(client, { clock, place, isTls });
    const connecting = client.connect().catch((error) => {
      throw toLost(error, place);
    });
    await connection.cutOn(signal, () => connection.#within(connectTimeoutMs, connecting));
    return connection;
  }

  /** Cuts it when the signal comes while `work` runs. */
  async cutOn<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    const cut = (): void => this.cut();
    signal.addEventListener("abort", cut);
    if (signal.aborted) cut();
    try {
      return await work();
    } finally {
      signal.removeEventListener("abort", cut);
    }
  }

  /** Why it cannot be used any more; null while it can. */
  get end(): PgError | null {
    return this.#end;
  }

  /** Calls back once, when it cannot be used any more. */
  onEnd(callback: (error: PgError) => void): void {
    if (this.#end === null) this.#endListeners.push(callback);
    else callback(this.#end);
  }

  onNotification(callback: (channel: string, payload: string) => void): void {
    this.#client.on("notification", ({ channel, payload }) => callback(channel, payload ?? ""));
  }

  /**
   * Runs a statement; several, without values. No two at once.
   *
   * @param timeoutMs after which the connection is cut
   * @throws PgError
   */
  async run(
    text: string,
    { values, timeoutMs }: { values?: readonly unknown[] | undefined; timeoutMs: number },
  ): Promise<PgResult> {
    if (this.#end !== null) throw this.#end;
    if (values !== undefined && values.length > MAX_VALUES) throw tooManyValues(values.length);
    // Without values the simple protocol is used, which takes several statements.
    const asked = values === undefined ? this.#client.query(text) : this.#client.query(text, [...values]);
    const result = await this.#within(timeoutMs, asked);
    const last = Array.isArray(result) ? result.at(-1) : result;
    return { rows: last?.rows ?? [], command: last?.command ?? "" };
  }

  /** Says goodbye to the server, for a bounded time. */
  async close(): Promise<void> {
    const wasUsable = this.#end === null;
    this.#lose(closed(this.#place));
    if (!wasUsable) return;
    const ending = this.#client.end().catch(() => {});
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.setTimer(resolve, GOODBYE_MS);
    await Promise.race([ending, promise]);
    this.#clock.clearTimer(timer);
    this.#cut();
  }

  /** Ends it at once; what runs fails. */
  cut(error: PgError = closed(this.#place)): void {
    this.#lose(error);
    this.#cut();
  }

  async #within<Result>(timeoutMs: number, work: Promise<Result>): Promise<Result> {
    const { promise: ended, reject } = Promise.withResolvers<never>();
    // Both go on after the race is decided.
    ended.catch(() => {});
    work.catch(() => {});
    const onEnd = (error: PgError): void => reject(error);
    this.#endListeners.push(onEnd);
    const timer: TimerId = this.#clock.setTimer(() => {
      this.cut(
        new PgError(`${this.#place}: no answer within ${timeoutMs} ms`, {
          kind: "retry",
          code: "TIMEOUT",
          isConnectionLost: true,
        }),
      );
    }, timeoutMs);
    try {
      return await Promise.race([work, ended]);
    } catch (error) {
      const thrown = this.#end ?? toPgError(error, this.#place);
      if (thrown.isConnectionLost) this.cut(thrown);
      throw thrown;
    } finally {
      this.#clock.clearTimer(timer);
      const index = this.#endListeners.indexOf(onEnd);
      if (index >= 0) this.#endListeners.splice(index, 1);
    }
  }

  #lose(error: PgError): void {
    if (this.#end !== null) return;
    this.#end = error;
    for (const callback of this.#endListeners.splice(0)) callback(error);
  }

  #cut(): void {
    this.#client.connection.stream.destroy();
  }
}

/** `h1:5432`, as messages name a server. */
export function placeOf({ host, port }: PgHost): string {
  const name = host.startsWith("/")
    ? `${host}/.s.PGSQL.${port}`
    : `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return `PostgreSQL at ${name}`;
}

function makeClient(target: PgTarget, host: PgHost, isTls: boolean): Client {
  const place = placeOf(host);
  const config: ClientConfig = {
    host: host.host,
    port: host.port,
    user: target.user,
    database: target.database,
    // A function is asked only when the server wants a password, and keeps the package from looking for one itself.
    password: () => {
      if (host.password !== null) return host.password;
      throw new PgError(`${place}: the server asks for a password; put it into PGPASSWORD or ~/.pgpass`, {
        kind: "setup",
        code: "28P01",
        isConnectionLost: true,
      });
    },
    ssl: isTls ? tlsOptions(target) : false,
    application_name: target.applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_DELAY_MS,
    types: TYPES,
  };
  return withoutEnvironment(() => new pg.Client(config));
}

/**
 * The package throws where it reads from the socket, when the server says what it does not know (authentication by GSSAPI
 * is enough): nobody could catch that, and the thread would end.
 */
function guardReading(client: Client, onError: (error: unknown) => void): void {
  const { connection } = client;
  const attach = connection.attachListeners.bind(connection);
  connection.attachListeners = (stream) => {
    const on = (event: string, listener: (...values: unknown[]) => void): unknown =>
      stream.on(event, (...values: unknown[]) => {
        try {
          listener(...values);
        } catch (error) {
          onError(error);
        }
      });
    attach({ on } as Pick<Duplex, "on">);
  };
}

function tlsOptions({ ssl }: PgTarget): ConnectionOptions {
  const isChecked = ssl.mode === "verify-full" || ssl.mode === "verify-ca";
  return {
    rejectUnauthorized: isChecked,
    ...(ssl.rootCert === null ? {} : { ca: ssl.rootCert }),
    ...(ssl.cert === null ? {} : { cert: ssl.cert }),
    ...(ssl.key === null ? {} : { key: ssl.key }),
    ...(ssl.mode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
  };
}

/**
 * The package reads a dozen variables of the environment (PGOPTIONS among them); they must change nothing here, and a
 * process that has no permission to read them must not fail.
 */
function withoutEnvironment<Result>(make: () => Result): Result {
  const kept = process.env;
  process.env = {};
  try {
    return make();
  } finally {
    process.env = kept;
  }
}

function tooManyValues(count: number): PgError {
  return new PgError(`PostgreSQL: a statement has ${count} values, at most ${MAX_VALUES} can be sent`, {
    kind: "poison",
    code: null,
    isConnectionLost: false,
  });
}

function closed(place: string): PgError {
  return new PgError(`${place}: the connection was closed`, {
    kind: "retry",
    code: "CLOSED",
    isConnectionLost: true,
  });
}

/** Of an error that is not about a statement: a value that cannot be read is the server's fault then. */
function toLost(error: unknown, place: string): PgError {
  const known = toPgError(error, place);
  if (known.isConnectionLost) return known;
  const kind = known.kind === "poison" ? "retry" : known.kind;
  return new PgError(known.message, { kind, code: known.code, isConnectionLost: true, cause: error });
}
