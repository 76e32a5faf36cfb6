/**
 * Brings the schema `oar` up to date.
 *
 * Owns when the steps of schema.ts run: together in one transaction, by one replica at a time.
 */
import { PgError } from "./errors.ts";
import type { PgQuery, PgStore } from "./query.ts";
import { majorOf, MIN_SERVER_VERSION, SCHEMA_VERSION, type SchemaStep, STEPS } from "./schema.ts";

/** Steps add empty tables and columns; what takes longer waits for somebody's lock. */
const TIMEOUT_MS = 60_000;
const LOCK_TIMEOUT_MS = 5_000;

/** Of the advisory lock: "oar" in ASCII and a number. Only locks of the transaction: others leak under PgBouncer. */
export const LOCK_SPACE = 0x6f6172;
export const MIGRATION_LOCK = 1;

/**
 * Makes or completes the schema; does nothing where it is complete, or newer within the same major version.
 *
 * @returns the version that the database has now
 * @throws PgError of kind `setup` when the server, the database or the schema cannot be used, with what to do
 */
export async function migrate(
  db: Pick<PgStore, "read" | "write">,
  steps: readonly SchemaStep[] = STEPS,
): Promise<number> {
  const [server] = await db.read<{ version: number; encoding: string }>(
    "SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding",
  );
  checkServer(server?.version ?? 0, server?.encoding ?? "");
  const wanted = steps.at(-1)?.version ?? 0;
  const present = await schemaVersion((text, values) => db.read(text, values));
  checkVersion(present, wanted);
  if (present >= wanted) return present;
  return await db.write((query) => runSteps(query, steps), { timeoutMs: TIMEOUT_MS });
}

/** What the database has; 0: nothing yet. */
export async function schemaVersion(query: PgQuery): Promise<number> {
  const [table] = await query<{ name: string | null }>(
    "SELECT to_regclass('oar.schema_version')::text AS name",
    [],
  );
  if (table?.name === null || table === undefined) return 0;
  const [row] = await query<{ version: number | null }>(
    "SELECT max(version) AS version FROM oar.schema_version",
    [],
  );
  return row?.version ?? 0;
}

async function runSteps(query: PgQuery, steps: readonly SchemaStep[]): Promise<number> {
  await query(`SET LOCAL lock_timeout TO ${LOCK_TIMEOUT_MS}`);
  await query("SELECT pg_advisory_xact_lock($1, $2)", [LOCK_SPACE, MIGRATION_LOCK]);
  // Who may use a schema that somebody else has made need not be allowed to make one.
  const [schema] = await query("SELECT 1 FROM pg_namespace WHERE nspname = 'oar'");
  if (schema === undefined) await query("CREATE SCHEMA oar");
  await query("CREATE TABLE IF NOT EXISTS oar.schema_version (version integer PRIMARY KEY)");
  let version = await schemaVersion(query);
  checkVersion(version, steps.at(-1)?.version ?? 0);
  for (const step of steps) {
    if (step.version <= version) continue;
    await query(step.sql);
    await query("INSERT INTO oar.schema_version(version) VALUES ($1)", [step.version]);
    version = step.version;
  }
  return version;
}

function checkServer(version: number, encoding: string): void {
  if (version < MIN_SERVER_VERSION) {
    throw setup(`the server is of version ${Math.floor(version / 10_000)}; at least 13 is needed`);
  }
  if (encoding !== "UTF8") {
    throw setup(
      `the database's encoding is ${encoding}; make another one: createdb --encoding UTF8 --template template0 NAME`,
    );
  }
}

function checkVersion(present: number, wanted: number): void {
  if (present === 0 || majorOf(present) === majorOf(wanted)) return;
  throw majorOf(present) > majorOf(wanted)
    ? setup(
      `the schema oar is of version ${present}, made by a newer release; ` +
        `this one works with ${wanted}: install the newer release, or name another database`,
    )
    : setup(`the schema oar is of version ${present}, too old for this release, which works with ${wanted}`);
}

function setup(problem: string): PgError {
  return new PgError(`Cannot use the PostgreSQL database: ${problem}`, {
    kind: "setup",
    code: null,
    isConnectionLost: false,
  });
}

export { SCHEMA_VERSION };
