/**
 * Upstreams and settings in PostgreSQL: read as a whole, changed as a whole.
 *
 * A change is tried in memory and written only if nobody has changed anything since it was read
 * (`oar.config_version`, which triggers count up with every change, also one by psql); otherwise it is tried again.
 */
import { type ConfigStore, StoreError } from "../../store.ts";
import {
  changesBetween,
  columnNames,
  columnTypes,
  CONFIG_TABLES,
  type ConfigRow,
  type ConfigRows,
  type ConfigTable,
  type TableChange,
} from "./config_rows.ts";
import { type LastIds, ScratchConfig } from "./scratch_config.ts";

/** Runs one statement. */
export type Query = <Row = Record<string, unknown>>(
  text: string,
  values?: readonly unknown[],
) => Promise<Row[]>;

/** The connections that are used. */
export interface ConfigDatabase {
  read: Query;
  /** Commits what `body` does, or nothing. */
  write<Result>(body: (query: Query) => Promise<Result>): Promise<Result>;
}

/** Everything at one moment. */
export interface LoadedConfig {
  readonly version: number;
  readonly rows: ConfigRows;
  readonly lastIds: LastIds;
}

const NUMBERED = ["openai_upstreams", "config_kvs"] as const;
/** Changes of others that may come between reading and writing. */
const MAX_TRIES = 8;

export class RemoteConfig {
  readonly #database: ConfigDatabase;
  readonly #now: () => number;

  /** @param now milliseconds since the Unix epoch */
  constructor(database: ConfigDatabase, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  /** Grows with every change. */
  async version(): Promise<number> {
    const [row] = await this.#database.read<{ version: unknown }>(SELECT_VERSION);
    return Number(row?.version);
  }

  async load(): Promise<LoadedConfig> {
    // One statement sees one moment.
    const [row] = await this.#database.read<{ config: string }>(SELECT_ALL);
    if (row === undefined) throw new StoreError("unreadable", "PostgreSQL gave no configuration");
    return JSON.parse(row.config) as LoadedConfig;
  }

  /**
   * Makes a change; `body` may run several times.
   * @throws what `body` throws, StoreError `locked` when others change all the time, and what PostgreSQL refuses
   */
  async change<Result>(
    body: (store: ConfigStore) => Result,
  ): Promise<{ readonly result: Result; readonly version: number }> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const loaded = await this.load();
      using scratch = new ScratchConfig({ ...loaded, now: this.#now });
      const result = body(scratch.store);
      const changes = changesBetween(loaded.rows, scratch.rows());
      if (changes.length === 0) return { result, version: loaded.version };
      const version = await this.#save(loaded.version, changes);
      if (version !== null) return { result, version };
    }
    throw new StoreError("locked", "Others keep changing upstreams and tokens; try again");
  }

  /** Returns the version after it; null when somebody has changed something since `version`. */
  #save(version: number, changes: readonly TableChange[]): Promise<number | null> {
    return this.#database.write(async (query) => {
      const [row] = await query<{ version: unknown }>(`${SELECT_VERSION} FOR UPDATE`);
      if (Number(row?.version) !== version) return null;
      for (const change of changes) await save(query, change);
      const [after] = await query<{ version: unknown }>(SELECT_VERSION);
      return Number(after?.version);
    });
  }
}

async function save(query: Query, { table, removedIds, put }: TableChange): Promise<void> {
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
async function keepNumbering(query: Query, table: string, put: readonly ConfigRow[]): Promise<void> {
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
  const values = names.map((name, place) =>
    types[place] === "time" ? `floor(extract(epoch from "${name}") * 1000)::bigint` : `"${name}"`
  );
  const [id] = names;
  return `(SELECT coalesce(json_agg(json_build_array(${
    values.join(", ")
  }) ORDER BY "${id}"), '[]') FROM oar.${table})`;
}

function lastIdOf(table: string): string {
  return `(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM oar.${table}_id_seq)`;
}
