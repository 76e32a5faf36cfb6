/**
 * A PostgreSQL database that is copied from, which servers may be using: its records, in the order of their times.
 *
 * Owns these statements. Values come as SQLite takes them. What has been read is not read again; a record that a journal
 * ships late may come before it, so the caller walks twice.
 */
import type { SQLInputValue } from "node:sqlite";
import { RECORD_COLUMNS, type RecordColumn } from "../../database/record_columns.ts";
import { majorOf, SCHEMA_VERSION } from "../schema.ts";
import { schemaVersion } from "../migration.ts";
import type { PgStore } from "../query.ts";
import { columnOf, recordsWithTexts, safeTimeText, TEXT_BYTES, timeText } from "../read/columns.ts";
import { DEAD_AFTER_SECONDS } from "../replicas.ts";
import { ATTEMPT_COLUMNS } from "../shipper/shipped_record.ts";
import { CopyRefusedError } from "./copied.ts";

type Db = Pick<PgStore, "read">;

export interface RemoteKey {
  readonly id: bigint;
  /** As SQLite keeps it: exact, and of one length. */
  readonly at: string;
  readonly requestId: string;
  /** Its replica lives, and will write it again. */
  readonly isUnderWay: boolean;
}

export interface RemoteRecord extends RemoteKey {
  /** In the order of the columns of `records`, without the id. */
  readonly values: readonly SQLInputValue[];
  /** In the order of the columns of `attempts`, without the record's id. */
  readonly attempts: readonly (readonly SQLInputValue[])[];
  readonly isInFlight: boolean;
}

/** Of statements that read many rows, or large ones. */
const TIMEOUT_MS = 60_000;

/** Tells databases apart. @throws CopyRefusedError, PgError */
export async function identifyRemote(db: Db): Promise<string> {
  const version = await schemaVersion((text, values) => db.read(text, values));
  if (version === 0) {
    throw new CopyRefusedError("the PostgreSQL database has nothing of this program (no schema oar)");
  }
  if (majorOf(version) !== majorOf(SCHEMA_VERSION)) {
    throw new CopyRefusedError(
      `the schema oar is of version ${version}, this release works with ${SCHEMA_VERSION}: use the release that made it`,
    );
  }
  const [row] = await db.read<{ id: string }>(
    `SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::text
      || '-' || to_regnamespace('oar')::oid::text AS id`,
  );
  return `${row?.id ?? ""}-${await clusterId(db)}`;
}

async function clusterId(db: Db): Promise<string> {
  try {
    const [row] = await db.read<{ id: string }>(
      "SELECT system_identifier::text AS id FROM pg_control_system()",
    );
    return row?.id ?? "";
  } catch {
    // Not everybody may ask.
    return "";
  }
}

/** The highest number of a record; null: there is none. @throws PgError */
export async function lastRemoteId(db: Db): Promise<bigint | null> {
  const [row] = await db.read<{ id: string | null }>("SELECT max(id)::text AS id FROM oar.records", [], {
    timeoutMs: TIMEOUT_MS,
  });
  return typeof row?.id === "string" ? BigInt(row.id) : null;
}

/** Records that replicas have yet to ship, as they said last. @throws PgError */
export async function waitingInJournals(db: Db): Promise<number> {
  const [row] = await db.read<{ waiting: number }>(
    "SELECT coalesce(sum(waiting), 0)::float8 AS waiting FROM oar.instances",
  );
  return row?.waiting ?? 0;
}

/** The bound chooses the partitions before the statement runs. */
const KEYS = `SELECT id::text AS id, ${timeText("created_at")} AS at, request_id,
    coalesce(outcome = 'in_flight' AND EXISTS (SELECT 1 FROM oar.instances i WHERE i.id = records.instance
      AND i.heartbeat_at >= now() - make_interval(secs => $4::float8)), false) AS is_under_way
  FROM oar.records
  WHERE created_at >= $1::timestamptz AND (created_at, id) > ($1::timestamptz, $2::bigint)
    AND id <= $3::bigint
  ORDER BY created_at, id LIMIT $5::bigint`;

const FIRST = { at: "-infinity", id: 0n };

/** The next records. @param options.lastId later ones are left out. @throws PgError */
export async function remoteKeys(
  db: Db,
  { after, lastId, limit }: {
    readonly after: Pick<RemoteKey, "at" | "id"> | null;
    readonly lastId: bigint;
    readonly limit: number;
  },
): Promise<RemoteKey[]> {
  const { at, id } = after ?? FIRST;
  const rows = await db.read<{ id: string; at: string; request_id: string; is_under_way: boolean }>(
    KEYS,
    [at, String(id), String(lastId), DEAD_AFTER_SECONDS, limit],
    { timeoutMs: TIMEOUT_MS },
  );
  return rows.map((row) => ({
    id: BigInt(row.id),
    at: row.at,
    requestId: row.request_id,
    isUnderWay: row.is_under_way,
  }));
}

const COLUMNS = Object.keys(RECORD_COLUMNS) as RecordColumn[];

const RECORD_LIST = COLUMNS.map((name) => {
  if (name === "created_at") return `${timeText("r.created_at")} AS created_at`;
  return RECORD_COLUMNS[name] === "number" ? `r."${name}"::text AS "${name}"` : columnOf(name);
}).join(", ");

/** Sizes of their texts, in their order; 0 for those that have gone. @throws PgError */
export async function remoteSizes(db: Db, keys: readonly RemoteKey[]): Promise<number[]> {
  const rows = await readPlaces(db, keys, `${TEXT_BYTES} AS bytes`);
  return keys.map(({ id }) => Number(rows.get(String(id))?.["bytes"] ?? 0));
}

/** In their order, without those that have gone. @throws PgError */
export async function remoteRecords(db: Db, keys: readonly RemoteKey[]): Promise<RemoteRecord[]> {
  const rows = await readPlaces(db, keys, RECORD_LIST);
  const attempts = await readAttempts(db, keys);
  return keys.flatMap((key) => {
    const row = rows.get(String(key.id));
    if (row === undefined) return [];
    return [{
      ...key,
      values: COLUMNS.map((name) => toSqlite(row[name], RECORD_COLUMNS[name] === "number")),
      attempts: attempts.get(String(key.id)) ?? [],
      isInFlight: row["outcome"] === "in_flight",
    }];
  });
}

type Row = Readonly<Record<string, unknown>>;

async function readPlaces(db: Db, keys: readonly RemoteKey[], list: string): Promise<Map<string, Row>> {
  const rows = await db.read<Row>(
    `SELECT r.id::text AS id, ${list}
      FROM ${recordsWithTexts(["t.created_at BETWEEN $3::timestamptz AND $4::timestamptz"])}
      WHERE (r.created_at, r.id) IN (SELECT * FROM unnest($1::timestamptz[], $2::bigint[]))
        AND r.created_at BETWEEN $3::timestamptz AND $4::timestamptz`,
    placeValues(keys),
    { timeoutMs: TIMEOUT_MS },
  );
  return new Map(rows.map((row) => [String(row["id"]), row]));
}

const ATTEMPT_NAMES = Object.keys(ATTEMPT_COLUMNS) as (keyof typeof ATTEMPT_COLUMNS)[];

const ATTEMPT_LIST = ATTEMPT_NAMES.map((name) => {
  if (name === "started_at") return `${safeTimeText("a.started_at")} AS started_at`;
  return ATTEMPT_COLUMNS[name] === "bigint" ? `a.${name}::text AS ${name}` : `a.${name}`;
}).join(", ");

async function readAttempts(
  db: Db,
  keys: readonly RemoteKey[],
): Promise<Map<string, (readonly SQLInputValue[])[]>> {
  const rows = await db.read<Row>(
    `SELECT a.record_id::text AS record_id, ${ATTEMPT_LIST} FROM oar.attempts a
      WHERE (a.created_at, a.record_id) IN (SELECT * FROM unnest($1::timestamptz[], $2::bigint[]))
        AND a.created_at BETWEEN $3::timestamptz AND $4::timestamptz
      ORDER BY a.created_at, a.record_id, a.n`,
    placeValues(keys),
    { timeoutMs: TIMEOUT_MS },
  );
  const attempts = new Map<string, (readonly SQLInputValue[])[]>();
  for (const row of rows) {
    const id = String(row["record_id"]);
    const values = ATTEMPT_NAMES.map((name) => toSqlite(row[name], ATTEMPT_COLUMNS[name] === "bigint"));
    attempts.set(id, [...attempts.get(id) ?? [], values]);
  }
  return attempts;
}

function placeValues(keys: readonly RemoteKey[]): unknown[] {
  const times = keys.map(({ at }) => at);
  const sorted = times.toSorted();
  return [times, keys.map(({ id }) => String(id)), sorted[0], sorted.at(-1)];
}

function toSqlite(value: unknown, isNumber: boolean): SQLInputValue {
  if (value === null || value === undefined) return null;
  return isNumber ? BigInt(String(value)) : String(value);
}
