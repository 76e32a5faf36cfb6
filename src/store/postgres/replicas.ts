/**
 * Which replicas there are, and what dead ones left behind.
 *
 * Owns the table `oar.instances`, and that rows of replicas that died while a request was under way say so. Times are the
 * server's: clocks of replicas may differ.
 */
import type { PgQuery, PgStore } from "./query.ts";
import { SOME_WORDS_MISSING } from "./shipper/search_words.ts";

/** How often {@link Replicas.beat} is due. */
export const BEAT_MS = 5_000;

/**
 * After this long without a beat a replica counts as dead. A mistake corrects itself: the row that it ships at the end of a
 * request replaces `crashed`.
 */
const DEAD_AFTER_SECONDS = 30;
/** Rows that a dead replica may ship after it was forgotten, before they count as left behind. */
const STRAY_AFTER_SECONDS = 120;

const CRASH_MESSAGE = "the replica stopped while this request was in flight";

/** A replica as others see it. */
export interface ReplicaNote {
  readonly version: string;
  /** Where it listens, for people. */
  readonly listen: string;
  /** Records in its journal that wait to be shipped. */
  readonly waiting: number;
  /** Age of the oldest of them; null: none waits. */
  readonly lagMs: number | null;
}

export interface Replica extends ReplicaNote {
  readonly id: string;
  readonly startedAtMs: number;
  /** Since its last beat. */
  readonly silentMs: number;
}

export interface ReplicasOptions {
  readonly database: Pick<PgStore, "read" | "write">;
  /** Random per process; `instance` of its records. */
  readonly id: string;
  /** Of its journal. */
  readonly journal: string;
}

export class Replicas {
  readonly #options: ReplicasOptions;

  constructor(options: ReplicasOptions) {
    this.#options = options;
  }

  /**
   * Says that this replica lives, and closes the rows of dead ones.
   * @returns how many rows became `crashed`
   * @throws PgError
   */
  async beat(note: ReplicaNote): Promise<number> {
    return await this.#options.database.write(async (query) => {
      await this.#put(query, note);
      const [row] = await query<{ count: number }>(CLOSE_ROWS_OF_THE_DEAD, [
        CRASH_MESSAGE,
        DEAD_AFTER_SECONDS,
        STRAY_AFTER_SECONDS,
        `'${SOME_WORDS_MISSING}'`,
      ]);
      return row?.count ?? 0;
    });
  }

  /** Removes this replica, so that nobody has to wait for its beat to grow old. @throws PgError */
  async leave(): Promise<void> {
    await this.#options.database.write(async (query) => {
      await query("DELETE FROM oar.upstream_states WHERE instance = $1", [this.#options.id]);
      await query("DELETE FROM oar.instances WHERE id = $1", [this.#options.id]);
    });
  }

  /** Those that live, oldest first. @throws PgError */
  async list(): Promise<Replica[]> {
    const rows = await this.#options.database.read<{
      id: string;
      version: string | null;
      listen: string | null;
      waiting: number | null;
      lag_ms: number | null;
      started_at: number | null;
      silent_ms: number;
    }>(LIST, [DEAD_AFTER_SECONDS]);
    return rows.map((row) => ({
      id: row.id,
      version: row.version ?? "",
      listen: row.listen ?? "",
      waiting: row.waiting ?? 0,
      lagMs: row.lag_ms,
      startedAtMs: row.started_at ?? 0,
      silentMs: row.silent_ms,
    }));
  }

  async #put(query: PgQuery, { version, listen, waiting, lagMs }: ReplicaNote): Promise<void> {
    const { id, journal } = this.#options;
    await query(PUT, [id, journal, version, listen, waiting, lagMs]);
  }
}

const PUT =
  `INSERT INTO oar.instances (id, journal, started_at, heartbeat_at, version, listen, waiting, lag_ms)
  VALUES ($1, $2, now(), now(), $3, $4, $5::bigint, $6::bigint)
  ON CONFLICT (id) DO UPDATE SET journal = excluded.journal, heartbeat_at = excluded.heartbeat_at,
    version = excluded.version, listen = excluded.listen, waiting = excluded.waiting, lag_ms = excluded.lag_ms`;

/**
 * Words of records are found when they are shipped; of those that are closed here, a search looks at the texts themselves.
 *
 * Two replicas that find the same dead one do not wait for each other: one of them closes its rows.
 */
const CLOSE_ROWS_OF_THE_DEAD = `WITH dead AS (
    SELECT id FROM oar.instances WHERE heartbeat_at < now() - make_interval(secs => $2::float8)
    FOR UPDATE SKIP LOCKED
  ), left_behind AS (
    SELECT created_at, id FROM oar.records
    WHERE outcome = 'in_flight' AND (instance IN (SELECT id FROM dead)
      OR (created_at < now() - make_interval(secs => $3::float8)
        AND NOT EXISTS (SELECT 1 FROM oar.instances WHERE instances.id = records.instance)))
    FOR UPDATE SKIP LOCKED
  ), closed AS (
    UPDATE oar.records SET outcome = 'crashed', error = coalesce(records.error, $1)
    FROM left_behind WHERE records.created_at = left_behind.created_at AND records.id = left_behind.id
    RETURNING records.created_at, records.id
  ), words AS (
    INSERT INTO oar.record_search (created_at, record_id, words)
    SELECT created_at, id, $4::tsvector FROM closed
    -- Partitions of texts may have been dropped before those of the rest.
    WHERE to_regclass('oar.record_search_' || to_char(created_at AT TIME ZONE 'UTC', 'YYYYMMDD')) IS NOT NULL
    ON CONFLICT DO NOTHING
  ), states AS (
    DELETE FROM oar.upstream_states WHERE instance IN (SELECT id FROM dead)
  ), gone AS (
    DELETE FROM oar.instances WHERE id IN (SELECT id FROM dead)
  )
  SELECT count(*) AS count FROM closed`;

const LIST = `SELECT id, version, listen, waiting, lag_ms, started_at,
    (extract(epoch from now() - heartbeat_at) * 1000)::bigint AS silent_ms
  FROM oar.instances WHERE heartbeat_at >= now() - make_interval(secs => $1::float8)
  ORDER BY started_at, id`;
