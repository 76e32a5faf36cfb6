/**
 * Finds the server that takes writes among the hosts of a target.
 *
 * Owns the order of trial and what a new session is set to. The package has neither several hosts nor
 * `target_session_attrs=read-write`, and behind PgBouncer only a question to the server tells.
 */
import type { Clock } from "../../core/clock.ts";
import { PgConnection, placeOf } from "./connection.ts";
import { PgError, toPgError } from "./errors.ts";
import type { PgHost, PgTarget } from "./target.ts";

export interface OpenOptions {
  readonly clock: Clock;
  /** For each host. */
  readonly connectTimeoutMs: number;
  /** Index of the host to try first: the one that took writes last. */
  readonly first: number;
  /** Gives up. */
  readonly signal: AbortSignal;
}

export interface Opened {
  readonly connection: PgConnection;
  /** Of the host. */
  readonly index: number;
}

/**
 * A session must write times as values.ts reads them. PgBouncer knows both settings, and keeps them for its client.
 * https://www.pgbouncer.org/config.html#ignore_startup_parameters
 */
const PREPARE_SESSION = "SET datestyle TO 'ISO, MDY'; SET timezone TO 'UTC'; SHOW transaction_read_only";

/** @throws PgError when no host can be used; it tells of each why */
export async function openWritable(target: PgTarget, options: OpenOptions): Promise<Opened> {
  const count = target.hosts.length;
  const errors: PgError[] = [];
  for (let n = 0; n < count; n++) {
    const index = (options.first + n) % count;
    const host = target.hosts[index];
    if (host === undefined || options.signal.aborted) continue;
    try {
      return { connection: await openOne(target, host, options), index };
    } catch (error) {
      errors.push(toPgError(error, placeOf(host)));
    }
  }
  throw allFailed(errors);
}

async function openOne(target: PgTarget, host: PgHost, options: OpenOptions): Promise<PgConnection> {
  const connection = await connect(target, host, options);
  try {
    const { rows } = await connection.cutOn(
      options.signal,
      () => connection.run(PREPARE_SESSION, { timeoutMs: options.connectTimeoutMs }),
    );
    if (rows[0]?.["transaction_read_only"] === "off") return connection;
    throw new PgError(`${placeOf(host)}: it takes no writes (a standby, or default_transaction_read_only)`, {
      kind: "retry",
      code: "25006",
      isConnectionLost: true,
    });
  } catch (error) {
    connection.cut();
    throw error;
  }
}

async function connect(target: PgTarget, host: PgHost, options: OpenOptions): Promise<PgConnection> {
  const { mode } = target.ssl;
  const isTls = mode !== "disable" && !host.host.startsWith("/");
  try {
    return await PgConnection.open(target, host, { ...options, isTls });
  } catch (error) {
    if (mode !== "prefer" || !isTls || !isAboutTls(error) || options.signal.aborted) throw error;
    return await PgConnection.open(target, host, { ...options, isTls: false });
  }
}

/** The server knows no TLS, cannot agree on it, or lets this user in without it only (28000). */
function isAboutTls(error: unknown): boolean {
  if (!(error instanceof PgError)) return false;
  return error.code === null || error.code === "28000" || error.code.startsWith("ERR_");
}

function allFailed(errors: readonly PgError[]): PgError {
  const [first] = errors;
  if (errors.length <= 1 && first !== undefined) return first;
  return new PgError(errors.map(({ message }) => message).join("; "), {
    kind: errors.every(({ kind }) => kind === "setup") ? "setup" : "retry",
    code: errors.find(({ code }) => code !== "25006")?.code ?? first?.code ?? null,
    isConnectionLost: true,
    cause: first,
  });
}
