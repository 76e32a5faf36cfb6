/**
 * Upstreams and settings in PostgreSQL: read as a whole, changed as a whole.
 *
 * A change is tried in memory, by the rules of SQLite, within a transaction that keeps everybody else from changing anything:
 * other replicas, and psql. Triggers count every change (`oar.config_version`).
 */
import { type ConfigStore, StoreError } from "../../store.ts";
import type { PgQuery, PgStore } from "../query.ts";
import {
  changesBetween,
  columnNames,
  type ColumnType,
  columnTypes,
  CONFIG_TABLES,
  type ConfigRow,
  type ConfigRows,
  type ConfigTable,
  type TableChange,
} from "./config_rows.ts";
import { PgError } from "../errors.ts";
import { type LastIds, ScratchConfig } from "./scratch_config.ts";

/** Everything at one moment. */
export interface LoadedConfig {
  readonly version: number;
  readonly rows: ConfigRows;
  readonly lastIds: LastIds;
}

const NUMBERED = ["openai_upstreams", "config_kvs", "client_tokens"] as const;
/** Statements of a psql transaction may take the tables in another order; then one of the two is sent away. */
const MAX_DEADLOCKS = 3;
const DEADLOCK = "40P01";
/** As long as a change waits for a transaction of psql. */
const LOCK_TIMEOUT_MS = 3_000;
const LOCK_TIMED_OUT = "55P03";

export class RemoteConfig {
  readonly #database: Pick<PgStore, "read" | "write">;
  readonly #now: () => number;

  /** @param now milliseconds since the Unix epoch */
  constructor(database: Pick<PgStore, "read" | "write">, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  /** Grows with every change. */
  async version(): Promise<number> {
    const [row] = await this.#database.read<{ version: unknown }>(SELECT_VERSION);
    return Number(row?.version);
  }

  load(): Promise<LoadedConfig> {
    return loadConfig((text, values) => this.#database.read(text, values));
  }

  /**
   * Makes a change.
   * @param body may run again after a deadlock
   * @throws what `body` throws, StoreError `locked` when a transaction of somebody else does not end, PgError
   */
  async change<Result>(
    body: (store: ConfigStore) => Result,
  ): Promise<{ readonly result: Result; readonly version: number }> {
    for (let deadlocks = 0;; deadlocks++) {
      try {
        return await this.#database.write((query) => this.#changeWith(query, body));
      } catch (error) {
        if (!(error instanceof PgError)) throw error;
        if (error.code === LOCK_TIMED_OUT) throw locked(error);
        if (error.code !== DEADLOCK || deadlocks === MAX_DEADLOCKS) throw error;
      }
    }
  }

  async #changeWith<Result>(query: PgQuery, body: (store: ConfigStore) => Result) {
    await lockConfig(query);
    const loaded = await loadConfig(query);
    using scratch = new ScratchConfig({ ...loaded, now: this.#now });
    const result = body(scratch.store);
    for (const change of changesBetween(loaded.rows, scratch.rows())) await saveConfig(query, change);
    const [row] = await query<{ version: number }>(SELECT_VERSION);
    return { result, version: row?.version ?? loaded.version };
  }
}

/** Keeps everybody else from changing anything until the transaction ends. @throws PgError */
export async function lockConfig(query: PgQuery): Promise<void> {
  await query(`SET LOCAL lock_timeout TO ${LOCK_TIMEOUT_MS}`);
  await query(
    `LOCK TABLE ${NUMBERED.map((table) => `oar.${table}`).join(", ")} IN SHARE ROW EXCLUSIVE MODE`,
  );
}

/** @throws PgError */
export async function loadConfig(query: PgQuery): Promise<LoadedConfig> {
  // One statement sees one moment.
  const [row] = await query<{ config: string }>(SELECT_ALL);
  if (row === undefined) throw new StoreError("unreadable", "PostgreSQL gave no configuration");
  return JSON.parse(row.config) as LoadedConfig;
}

function locked(cause: PgError): StoreError {
  return new StoreError(
    "locked",
    "Cannot change upstreams and tokens: a transaction in PostgreSQL (psql?) holds them; end it, and try again",
    { cause },
  );
}

/** @throws PgError */
export async function saveConfig(query: PgQuery, { table, removedIds, put }: TableChange): Promise<void> {
  const names = columnNames(table);
  const [id = ""] = names;
  // First all rows that change are taken out: two of them may exchange what must be unique.
  const ids = [...removedIds, ...put.map(([first]) => first)];
  await query(`DELETE FROM oar.${table} WHERE ${id} = ANY ($1::bigint[])`, [ids]);
  for (const row of put) {
    await query(
      `INSERT INTO oar.${table} (${names.map((name) => `"${name}"`).join(", ")}) VALUES (${
        parameters(table)
      })`,
      row,
    );
  }
  if (isNumbered(table)) await keepNumbering(query, table, put);
}

/** Rows that psql inserts get numbers of their own. */
async function keepNumbering(query: PgQuery, table: string, put: readonly ConfigRow[]): Promise<void> {
  const highest = Math.max(0, ...put.map(([id]) => Number(id)));
  if (highest === 0) return;
  await query(
    `SELECT setval(pg_get_serial_sequence('oar.${table}', 'id'), $1)
      FROM oar.${table}_id_seq WHERE NOT is_called OR last_value < $1`,
    [highest],
  );
}

function isNumbered(table: ConfigTable): boolean {
  return NUMBERED.some((name) => name === table);
}

function parameters(table: ConfigTable): string {
  return columnTypes(table).map((type, place) => {
    const parameter = `$${place + 1}`;
    if (type === "time") return `to_timestamp(${parameter}::float8 / 1000)`;
    return type === "integer" ? `${parameter}::bigint` : `${parameter}::text`;
  }).join(", ");
}

const MAX_INTEGER = Number.MAX_SAFE_INTEGER;
/** The years 1 to 9999, which every text of a time can hold. */
const FIRST_TIME = { text: "0001-01-01 00:00:00+00", ms: -62_135_596_800_000 };
const LAST_TIME = { text: "9999-12-31 23:59:59.999+00", ms: 253_402_300_799_999 };

const SELECT_VERSION = "SELECT version FROM oar.config_version WHERE id = 1";

/** A {@link LoadedConfig} as JSON. */
const SELECT_ALL = `SELECT json_build_object(
    'version', (${SELECT_VERSION}),
    'rows', json_build_object(${CONFIG_TABLES.map((table) => `'${table}', ${rowsOf(table)}`).join(", ")}),
    'lastIds', json_build_object(${NUMBERED.map((table) => `'${table}', ${lastIdOf(table)}`).join(", ")})
  )::text AS config`;

function rowsOf(table: ConfigTable): string {
  const names = columnNames(table);
  const types = columnTypes(table);
  const values = names.map((name, place) => valueOf(name, types[place] ?? "text"));
  const [id] = names;
  // A number that cannot be told from its neighbours is of no use.
  return `(SELECT coalesce(json_agg(json_build_array(${
    values.join(", ")
  }) ORDER BY "${id}"), '[]') FROM oar.${table} WHERE "${id}" BETWEEN ${-MAX_INTEGER} AND ${MAX_INTEGER})`;
}

/** People type anything: what is beyond the bounds, as `infinity` is, counts as the bound. */
function valueOf(name: string, type: ColumnType): string {
  const column = `"${name}"`;
  if (type === "text") return column;
  if (type === "integer") {
    return `CASE WHEN ${column} > ${MAX_INTEGER} THEN ${MAX_INTEGER} WHEN ${column} < ${-MAX_INTEGER} THEN ${-MAX_INTEGER}
      ELSE ${column} END`;
  }
  return `CASE WHEN ${column} > '${LAST_TIME.text}' THEN ${LAST_TIME.ms} WHEN ${column} < '${FIRST_TIME.text}' THEN ${FIRST_TIME.ms}
      ELSE floor(extract(epoch from ${column}) * 1000)::bigint END`;
}

function lastIdOf(table: string): string {
  return `(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM oar.${table}_id_seq)`;
}
