/**
 * The connections of one replica to its PostgreSQL database: one for writes, three for reads, one for each listener.
 *
 * Owns when they are opened and thrown away, and the transactions around statements. Never repeats a statement that may
 * have been run: callers decide by the error's kind.
 */
import type { Clock } from "../../core/clock.ts";
import type { PgConnection, PgResult } from "./connection.ts";
import { PgError, toPgError } from "./errors.ts";
import { openWritable } from "./hosts.ts";
import { Lane } from "./lane.ts";
import { Listener } from "./listener.ts";
import type { PgCallOptions, PgQuery, PgStore } from "./query.ts";
import type { PgTarget } from "./target.ts";

export interface PgDatabaseOptions {
  readonly clock: Clock;
  /** Called when the database cannot be reached any more, once until {@link onResumed}. */
  readonly onTrouble?: (error: PgError) => void;
  /** Called when it can be used again. */
  readonly onResumed?: () => void;
  /** For each host; default 3,000. */
  readonly connectTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 3_000;
const WRITE_TIMEOUT_MS = 5_000;
const READ_TIMEOUT_MS = 2_000;
const EXECUTE_TIMEOUT_MS = 600_000;
/** The server cancels a long statement itself; only if it does not is the connection cut. */
const ANSWER_MS = 2_000;
/** Keeps the locks of a replica that has stopped in a transaction from staying. */
const IDLE_IN_TRANSACTION_MS = 15_000;

/** Compiling a query over many partitions takes half a second and more, in which it cannot be cancelled. */
const BEGIN_READ = "BEGIN TRANSACTION READ ONLY; SET LOCAL jit TO off";

/**
 * The role's own settings must not count. A commit that is not on the disk may be lost when a process of the server is
 * killed, which nothing that is asked of the server tells; what waits for more than that stays.
 */
const BEGIN_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED;" +
  " SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'";

const READERS = 3;
const MAX_WAITING = 256;

/** Where a connection is kept. */
interface Slot {
  connection: PgConnection | null;
  /** Of the pool, when it was opened. */
  generation: number;
}

export class PgDatabase implements PgStore {
  readonly #target: PgTarget;
  readonly #options: PgDatabaseOptions;
  readonly #slots: readonly Slot[];
  readonly #writer: Lane<Slot>;
  readonly #readers: Lane<Slot>;
  readonly #listeners = new Set<Listener>();
  /** Of {@link execute}. */
  readonly #single = new Set<PgConnection>();
  /** Grows when a host turns out not to take writes: what else is connected there would read stale rows. */
  #generation = 0;
  #host = 0;
  #trouble: PgError | null = null;
  /** Aborted by {@link close}. */
  readonly #closing = new AbortController();

  constructor(target: PgTarget, options: PgDatabaseOptions) {
    this.#target = target;
    this.#options = options;
    const [writer, ...readers] = Array.from(
      { length: 1 + READERS },
      (): Slot => ({ connection: null, generation: 0 }),
    );
    this.#slots = writer === undefined ? [] : [writer, ...readers];
    this.#writer = new Lane(writer === undefined ? [] : [writer], MAX_WAITING);
    this.#readers = new Lane(readers, MAX_WAITING);
  }

  write<Result>(
    body: (query: PgQuery) => Promise<Result>,
    { timeoutMs = WRITE_TIMEOUT_MS }: PgCallOptions = {},
  ): Promise<Result> {
    return this.#writer.use((slot) =>
      this.#transaction(slot, { body, timeoutMs, begin: beginning(BEGIN_WRITE, timeoutMs) })
    );
  }

  read<Row = Record<string, unknown>>(
    text: string,
    values: readonly unknown[] = [],
    { timeoutMs = READ_TIMEOUT_MS }: PgCallOptions = {},
  ): Promise<Row[]> {
    const begin = beginning(BEGIN_READ, timeoutMs);
    const body = (query: PgQuery): Promise<Row[]> => query<Row>(text, values);
    return this.#readers.use((slot) => this.#transaction(slot, { body, timeoutMs, begin }));
  }

  async execute(text: string, { timeoutMs = EXECUTE_TIMEOUT_MS }: PgCallOptions = {}): Promise<void> {
    const connection = await this.#open();
    this.#single.add(connection);
    try {
      await this.#watched(connection.run(text, { timeoutMs }));
    } finally {
      this.#single.delete(connection);
      void connection.close();
    }
  }

  listen(channel: string, callback: (payload: string) => void): () => void {
    const listener = new Listener({
      channel,
      callback,
      clock: this.#options.clock,
      open: () => this.#open(),
    });
    this.#listeners.add(listener);
    if (this.#closing.signal.aborted) listener.close();
    return () => {
      this.#listeners.delete(listener);
      listener.close();
    };
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    for (const listener of this.#listeners) listener.close();
    this.#writer.refuse(closed());
    this.#readers.refuse(closed());
    const connections = [...this.#slots.map(({ connection }) => connection), ...this.#single];
    await Promise.all(connections.map((connection) => connection?.close()));
  }

  async #transaction<Result>(
    slot: Slot,
    { body, timeoutMs, begin }: {
      body: (query: PgQuery) => Promise<Result>;
      timeoutMs: number;
      begin: string;
    },
  ): Promise<Result> {
    const connection = await this.#begun(slot, { begin, timeoutMs });
    const run = (text: string, values?: readonly unknown[]): Promise<PgResult> =>
      this.#watched(connection.run(text, { values, timeoutMs: timeoutMs + ANSWER_MS }));
    let result: Result;
    try {
      result = await body(async <Row>(text: string, values?: readonly unknown[]) =>
        (await run(text, values)).rows as Row[]
      );
    } catch (error) {
      if (connection.end === null) await run("ROLLBACK").catch(() => connection.cut());
      throw error;
    }
    await commit(run);
    return result;
  }

  /** A connection that was idle may have died unnoticed; a second one is tried, since nothing has been run yet. */
  async #begun(
    slot: Slot,
    { begin, timeoutMs }: { begin: string; timeoutMs: number },
  ): Promise<PgConnection> {
    const { connection, isNew } = await this.#ready(slot);
    try {
      await this.#watched(connection.run(begin, { timeoutMs: timeoutMs + ANSWER_MS }));
      return connection;
    } catch (error) {
      const known = toPgError(error, "PostgreSQL");
      if (isNew || !known.isConnectionLost || known.code === "TIMEOUT") throw known;
    }
    const { connection: second } = await this.#ready(slot);
    await this.#watched(second.run(begin, { timeoutMs: timeoutMs + ANSWER_MS }));
    return second;
  }

  async #ready(slot: Slot): Promise<{ connection: PgConnection; isNew: boolean }> {
    const kept = slot.connection;
    if (kept !== null && kept.end === null && slot.generation === this.#generation) {
      return { connection: kept, isNew: false };
    }
    slot.connection = null;
    kept?.cut();
    const connection = await this.#open();
    slot.connection = connection;
    slot.generation = this.#generation;
    return { connection, isNew: true };
  }

  async #open(): Promise<PgConnection> {
    if (this.#closing.signal.aborted) throw closed();
    const { clock, connectTimeoutMs = CONNECT_TIMEOUT_MS } = this.#options;
    try {
      const opened = await openWritable(this.#target, {
        clock,
        connectTimeoutMs,
        first: this.#host,
        signal: this.#closing.signal,
      });
      if (this.#closing.signal.aborted) {
        opened.connection.cut();
        throw closed();
      }
      if (opened.index !== this.#host) this.#generation++;
      this.#host = opened.index;
      this.#resume();
      return opened.connection;
    } catch (error) {
      if (this.#closing.signal.aborted) throw closed();
      throw this.#noted(error);
    }
  }

  async #watched<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      throw this.#noted(error);
    }
  }

  #noted(error: unknown): PgError {
    const known = toPgError(error, "PostgreSQL");
    if (known.code === "25006") this.#generation++;
    if (known.isConnectionLost && this.#trouble === null && !this.#closing.signal.aborted) {
      this.#trouble = known;
      this.#options.onTrouble?.(known);
    }
    return known;
  }

  #resume(): void {
    if (this.#trouble === null) return;
    this.#trouble = null;
    this.#options.onResumed?.();
  }
}

function beginning(begin: string, timeoutMs: number): string {
  const ms = Math.max(1, Math.round(timeoutMs));
  return `${begin}; SET LOCAL statement_timeout TO ${ms};` +
    ` SET LOCAL idle_in_transaction_session_timeout TO ${Math.max(IDLE_IN_TRANSACTION_MS, 2 * ms)}`;
}

/** A transaction in which a statement has failed is rolled back by COMMIT, without an error. */
async function commit(run: (text: string) => Promise<PgResult>): Promise<void> {
  let command: string;
  try {
    command = (await run("COMMIT")).command;
  } catch (error) {
    const known = toPgError(error, "PostgreSQL");
    throw new PgError(known.message, {
      kind: known.kind,
      code: known.code,
      isConnectionLost: known.isConnectionLost,
      isOutcomeUnknown: known.isConnectionLost,
      cause: error,
    });
  }
  if (command !== "COMMIT") {
    throw new PgError("PostgreSQL: the transaction was rolled back, because a statement in it had failed", {
      kind: "retry",
      code: "25P02",
      isConnectionLost: false,
    });
  }
}

function closed(): PgError {
  return new PgError("PostgreSQL: the database was closed", {
    kind: "retry",
    code: "CLOSED",
    isConnectionLost: true,
  });
}
