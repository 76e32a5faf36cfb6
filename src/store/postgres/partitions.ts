/**
 * The partitions of the tables with records: one for each day (UTC).
 *
 * Owns their names, when they are made and dropped. There is no default partition: rows in it would stop the making of
 * the right one.
 */
import { PgError } from "./errors.ts";
import { LOCK_SPACE } from "./migration.ts";
import { type PgQuery, type PgStore, pgTime } from "./query.ts";
import { PARTITIONED } from "./schema.ts";

export const DAY_MS = 86_400_000;

/** Of the advisory lock, beside that of the migration. */
export const PARTITION_LOCK = 2;
const TIMEOUT_MS = 30_000;
const LOCK_TIMEOUT_MS = 5_000;
/** How far ahead: a week in which nobody comes near the program. */
const DAYS_AHEAD = 7;

export interface Partition {
  readonly table: typeof PARTITIONED[number];
  /** In the schema `oar`. */
  readonly name: string;
  /** Start of its day, milliseconds since the Unix epoch. */
  readonly dayMs: number;
  /** With its indexes and large texts. */
  readonly bytes: number;
}

/** The start of a moment's day (UTC). */
export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS;
}

/** From yesterday to a week from now: for clocks that differ, and for weeks without anybody. */
export function daysAhead(nowMs: number): number[] {
  const today = dayOf(nowMs);
  return Array.from({ length: DAYS_AHEAD + 2 }, (_, index) => today + (index - 1) * DAY_MS);
}

/**
 * Makes the partitions of these days that are missing.
 *
 * @param options.days starts of days, in milliseconds since the Unix epoch
 * @param options.shouldWait whether to wait for another replica that makes some; else leaves it to that one
 * @returns how many days were missing
 * @throws PgError
 */
export async function makePartitions(
  db: Pick<PgStore, "read" | "write">,
  { days, shouldWait }: { readonly days: Iterable<number>; readonly shouldWait: boolean },
): Promise<number> {
  const wanted = [...new Set([...days].map(dayOf))];
  const missing = missingOf(wanted, await db.read(LIST));
  if (missing.length === 0) return 0;
  return await db.write(async (query) => {
    await query(`SET LOCAL lock_timeout TO ${LOCK_TIMEOUT_MS}`);
    if (!await locked(query, shouldWait)) return 0;
    const still = missingOf(wanted, await query(LIST));
    for (const { table, dayMs } of still) await makeOne(query, table, dayMs);
    return new Set(still.map(({ dayMs }) => dayMs)).size;
  }, { timeoutMs: TIMEOUT_MS });
}

/** All partitions, oldest first, and those that {@link dropPartition} was stopped at. */
export async function listPartitions(db: Pick<PgStore, "read">): Promise<Partition[]> {
  const rows = await db.read<{ name: string; bytes: number }>(LIST_WITH_SIZES, [TO_BE_DROPPED]);
  return rows.flatMap(({ name, bytes }) => {
    const known = partitionOf(name);
    return known === null ? [] : [{ ...known, bytes }];
  }).sort((a, b) => a.dayMs - b.dayMs || a.name.localeCompare(b.name));
}

/**
 * Drops a partition with all its rows. It is detached first, without stopping those who read or write other days, where
 * the server can do that (14 and later); this waits for all transactions that use the table now.
 */
export async function dropPartition(
  db: Pick<PgStore, "write" | "execute" | "read">,
  { table, name }: Pick<Partition, "table" | "name">,
): Promise<void> {
  if (partitionOf(name)?.table !== table) throw new TypeError("no partition of ours");
  const [state] = await db.read<{ version: number; exists: boolean; pending: boolean | null }>(
    `SELECT current_setting('server_version_num')::int AS version, to_regclass($1) IS NOT NULL AS exists,
      (SELECT coalesce((to_jsonb(link)->>'inhdetachpending')::boolean, false) FROM pg_inherits AS link
        WHERE inhrelid = to_regclass($1)) AS pending`,
    [`oar.${name}`],
  );
  if (state === undefined || !state.exists) return;
  if (state.version >= 140_000 && state.pending !== null) {
    await db.write((query) => query(`COMMENT ON TABLE oar.${name} IS '${TO_BE_DROPPED}'`));
    const detach = `ALTER TABLE oar.${table} DETACH PARTITION oar.${name}`;
    // One that was interrupted has to be finished: nothing else can be done with it. It waits with a lock on the table.
    if (state.pending) await withinLockTimeout(db, `${detach} FINALIZE`);
    else await db.execute(`${detach} CONCURRENTLY`);
  }
  await withinLockTimeout(db, `DROP TABLE IF EXISTS oar.${name}`);
}

/** On a connection of its own: nobody else waits with it for others' transactions. */
async function withinLockTimeout(db: Pick<PgStore, "execute">, statement: string): Promise<void> {
  await db.execute(`BEGIN; SET LOCAL lock_timeout TO ${LOCK_TIMEOUT_MS}; ${statement}; COMMIT`, {
    timeoutMs: TIMEOUT_MS,
  });
}

/** A comment on a table: tells one that is on its way out from one that somebody has detached to keep it. */
const TO_BE_DROPPED = "openai-api-route drops this partition";

const LIST = `SELECT child.relname::text AS name
  FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent
  WHERE parent.relnamespace = to_regnamespace('oar') AND parent.relkind = 'p'`;
const LIST_WITH_SIZES = `SELECT relname::text AS name, coalesce(pg_total_relation_size(oid), 0) AS bytes
  FROM pg_class WHERE relnamespace = to_regnamespace('oar') AND relkind = 'r'
    AND (relispartition OR obj_description(oid, 'pg_class') = $1)`;

type Wanted = Pick<Partition, "table" | "dayMs">;

function missingOf(days: readonly number[], rows: readonly Record<string, unknown>[]): Wanted[] {
  const present = new Set(rows.map(({ name }) => name));
  return days.flatMap((dayMs) =>
    PARTITIONED.filter((table) => !present.has(nameOf(table, dayMs))).map((table) => ({ table, dayMs }))
  );
}

async function locked(query: PgQuery, shouldWait: boolean): Promise<boolean> {
  if (shouldWait) {
    await query("SELECT pg_advisory_xact_lock($1, $2)", [LOCK_SPACE, PARTITION_LOCK]);
    return true;
  }
  const [row] = await query<{ is_ours: boolean }>("SELECT pg_try_advisory_xact_lock($1, $2) AS is_ours", [
    LOCK_SPACE,
    PARTITION_LOCK,
  ]);
  return row?.is_ours === true;
}

/** Attached when it is complete: PARTITION OF would stop all who read or write the table. */
async function makeOne(query: PgQuery, table: Partition["table"], dayMs: number): Promise<void> {
  const name = nameOf(table, dayMs);
  const [from, to] = [pgTime(dayMs), pgTime(dayMs + DAY_MS)];
  // It is there when it was detached, to be dropped or by somebody: then its rows are back.
  await query(`CREATE TABLE IF NOT EXISTS oar.${name} (LIKE oar.${table} INCLUDING ALL)`);
  await query(`COMMENT ON TABLE oar.${name} IS NULL`);
  await query(
    `ALTER TABLE oar.${table} ATTACH PARTITION oar.${name} FOR VALUES FROM ('${from}') TO ('${to}')`,
  );
}

/** `records_20261129`. */
function nameOf(table: Partition["table"], dayMs: number): string {
  const [date = ""] = pgTime(dayMs).split("T");
  if (!/^\d{4}-\d\d-\d\d$/.test(date)) {
    throw new PgError("PostgreSQL: a record of the year 10000 or later has no partition", {
      kind: "poison",
      code: null,
      isConnectionLost: false,
    });
  }
  return `${table}_${date.replaceAll("-", "")}`;
}

/** null for what has another name: somebody else's. */
function partitionOf(name: string): Pick<Partition, "table" | "name" | "dayMs"> | null {
  const [, prefix, year, month, day] = /^(\w{1,40})_(\d{4})(\d\d)(\d\d)$/.exec(name) ?? [];
  const table = PARTITIONED.find((each) => each === prefix);
  const dayMs = Date.parse(`${year}-${month}-${day}T00:00:00Z`);
  if (table === undefined || Number.isNaN(dayMs) || nameOf(table, dayMs) !== name) return null;
  return { table, name, dayMs };
}
