/**
 * What the admin API and the page are told of the running server: shapes only, safe to show.
 */
import type { OrderPolicy } from "../core/types.ts";

/** What the running server is and keeps. */
export interface ServerStatus {
  readonly version: string;
  readonly startedAtMs: number;
  readonly uptimeMs: number;
  readonly database: {
    readonly path: string;
    /** With its write-ahead log; null when it cannot be read. */
    readonly bytes: number | null;
  };
  /** The order of trial in use. */
  readonly policy: OrderPolicy;
  /** A flag or variable decides it, whatever the database says. */
  readonly isPolicyFixed: boolean;
  /** null: kept for ever, or without a limit. */
  readonly retention: {
    readonly keepDays: number | null;
    readonly keepBodiesDays: number | null;
    readonly maxDatabaseBytes: number | null;
  };
  /** null: records are in the database itself. */
  readonly postgres: PostgresStatus | null;
  /** Names of the configured alert channels. */
  readonly channels: readonly string[];
}

/** PostgreSQL, of which the database is the journal. */
export interface PostgresStatus {
  /** Without anything secret. */
  readonly url: string;
  readonly isUp: boolean;
  /** Why not; null while it is up. */
  readonly problem: string | null;
  /** Records in this server's journal that wait for it; null: not known. */
  readonly waiting: number | null;
  /** Of the one that has waited for longest; null: none waits, or it is not known. */
  readonly oldestAgeMs: number | null;
  /** Records that it cannot store, which stay in the journal; null: not known. */
  readonly rejected: number | null;
  /** Those that live, this one among them; null: it cannot be asked. */
  readonly replicas: readonly ReplicaStatus[] | null;
}

export interface ReplicaStatus {
  /** Its machine, and where it listens there, as it was told. */
  readonly listen: string;
  readonly version: string;
  readonly startedAtMs: number;
  /** Since its last sign of life. */
  readonly silentMs: number;
  /** Records in its journal, as of then. */
  readonly waiting: number;
  readonly isThis: boolean;
}
