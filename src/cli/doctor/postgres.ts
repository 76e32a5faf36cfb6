/**
 * The doctor's checks of a PostgreSQL database: its servers, its schema, and the replicas that use it. Never makes a schema.
 */
import { type Finding, found } from "../../control/finding.ts";
import { isLoopback } from "../../core/loopback.ts";
import { formatBytes } from "../../core/recorded_text.ts";
import { formatDuration } from "../../core/times.ts";
import { systemClock } from "../../server/clock.ts";
import { PgError } from "../../store/postgres/errors.ts";
import { openWritable } from "../../store/postgres/hosts.ts";
import { schemaVersion } from "../../store/postgres/migration.ts";
import { listPartitions } from "../../store/postgres/partitions.ts";
import { PgDatabase } from "../../store/postgres/pool.ts";
import { type Replica, Replicas } from "../../store/postgres/replicas.ts";
import { MIN_SERVER_VERSION, SCHEMA } from "../../store/postgres/schema.ts";
import type { PgHost, PgTarget } from "../../store/postgres/target.ts";
import { type RegistrySnapshot, StoreError } from "../../store/store.ts";
import { type DatabaseRequest, quietRegistry } from "../context.ts";
import { UsageError } from "../errors.ts";
import { checkKeys } from "./keys.ts";
import { openRemote, toFailure } from "../postgres/database.ts";
import { targetOf } from "../postgres/target.ts";

export interface RemoteCheck {
  readonly findings: readonly Finding[];
  /** null when they cannot be read. */
  readonly snapshot: RegistrySnapshot | null;
}

const CONNECT_TIMEOUT_MS = 3_000;
const ASK_TIMEOUT_MS = 5_000;
/** Clocks further apart make the times of records hard to compare. */
const CLOCK_LIMIT_MS = 5_000;
/** Records that wait longer have met trouble. */
const LONG_WAIT_MS = 60_000;
/** A replica says every five seconds that it lives. */
const LONG_SILENCE_MS = 15_000;

export async function checkRemote(url: string, request: DatabaseRequest): Promise<RemoteCheck> {
  let target: PgTarget;
  try {
    target = targetOf(url, request.env);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return failed(error.message);
  }
  const servers = await Promise.all(target.hosts.map((host) => askServer(target, host)));
  const findings = serverFindings(target, servers);
  if (!servers.some(({ facts }) => facts !== null)) return { findings, snapshot: null };
  const note = (...more: Finding[]): void => void findings.push(...more);
  try {
    return { snapshot: await checkContents(url, { request, target, note }), findings };
  } catch (error) {
    const failure = toFailure(error, target);
    if (!(failure instanceof StoreError)) throw error;
    return failed(failure.message, findings);
  }
}

function failed(message: string, before: readonly Finding[] = []): RemoteCheck {
  return { findings: [...before, found("database", { level: "fail", message })], snapshot: null };
}

interface ServerFacts {
  readonly version: string;
  readonly number: number;
  readonly encoding: string;
  readonly now_ms: number;
}

interface Server {
  readonly host: PgHost;
  /** null: it cannot be used. */
  readonly facts: ServerFacts | null;
  readonly isEncrypted: boolean;
  readonly error: PgError | null;
}

const FACTS = `SELECT current_setting('server_version') AS version,
  current_setting('server_version_num')::int AS number, current_setting('server_encoding') AS encoding,
  (extract(epoch from clock_timestamp()) * 1000)::float8 AS now_ms`;

async function askServer(target: PgTarget, host: PgHost): Promise<Server> {
  const { signal } = new AbortController();
  const options = { clock: systemClock, connectTimeoutMs: CONNECT_TIMEOUT_MS, first: 0, signal };
  try {
    const { connection } = await openWritable({ ...target, hosts: [host] }, options);
    try {
      const { rows: [row] } = await connection.run(FACTS, { timeoutMs: ASK_TIMEOUT_MS });
      const facts = row as unknown as ServerFacts;
      return { host, facts, isEncrypted: connection.isEncrypted, error: null };
    } finally {
      await connection.close();
    }
  } catch (error) {
    if (!(error instanceof PgError)) throw error;
    return { host, facts: null, isEncrypted: false, error };
  }
}

function serverFindings(target: PgTarget, servers: readonly Server[]): Finding[] {
  const hasWritable = servers.some(({ facts }) => facts !== null);
  return servers.flatMap((server) => {
    const { facts, error } = server;
    if (facts === null) return unusable(error, hasWritable);
    const findings = [...unfit(facts), ...encryption(target, server), ...clock(facts)];
    const message = `${target.shownText} takes writes at ${server.host.host}:${server.host.port}: ` +
      `PostgreSQL ${facts.version}, ${facts.encoding}, ${server.isEncrypted ? "with" : "without"} TLS`;
    return [found("database", { level: "ok", message }), ...findings];
  });
}

const READ_ONLY = "25006";

function unusable(error: PgError | null, hasWritable: boolean): Finding {
  const message = error?.message ?? "";
  const isStandby = error?.code === READ_ONLY;
  // That a standby takes none is how it should be, beside one that does.
  if (hasWritable) return found("database", { level: isStandby ? "ok" : "warn", message });
  return found("database", {
    level: "fail",
    message,
    advice: isStandby ? "promote it (SELECT pg_promote()), or name the server that takes writes, too" : null,
  });
}

function unfit({ number, version, encoding }: ServerFacts): Finding[] {
  return [
    ...(number >= MIN_SERVER_VERSION ? [] : [found("database", {
      level: "fail",
      message: `the server is of version ${version}`,
      advice: "PostgreSQL 13 or later is needed",
    })]),
    ...(encoding === "UTF8" ? [] : [found("database", {
      level: "fail",
      message: `the database's encoding is ${encoding}`,
      advice: "make another one: createdb --encoding UTF8 --template template0 NAME",
    })]),
  ];
}

function encryption({ ssl }: PgTarget, { host, isEncrypted }: Server): Finding[] {
  if (host.host.startsWith("/") || isLoopback(host.host)) return [];
  const advice = "add sslmode=verify-full&sslrootcert=FILE to the URL";
  if (!isEncrypted) {
    const message =
      `the connection to ${host.host} is not encrypted: keys and prompts can be read on the way`;
    return [found("database", { level: "warn", message, advice })];
  }
  if (ssl.mode === "verify-ca" || ssl.mode === "verify-full") return [];
  const message = `the certificate of ${host.host} is not checked: another server could take its place`;
  return [found("database", { level: "warn", message, advice })];
}

function clock({ now_ms: serverMs }: ServerFacts): Finding[] {
  const offsetMs = serverMs - systemClock.now();
  if (Math.abs(offsetMs) < CLOCK_LIMIT_MS) return [];
  const message = `the clock of PostgreSQL is ${formatDuration(Math.abs(offsetMs))} ${
    offsetMs > 0 ? "ahead of" : "behind"
  } this machine's`;
  return [found("clock", { level: "warn", message, advice: "set both by NTP" })];
}

interface ContentsCheck {
  readonly request: DatabaseRequest;
  readonly target: PgTarget;
  /** Takes what is found, also before a failure. */
  readonly note: (...findings: Finding[]) => void;
}

/** @throws PgError, StoreError */
async function checkContents(
  url: string,
  { request, target, note }: ContentsCheck,
): Promise<RegistrySnapshot | null> {
  const db = new PgDatabase(target, { clock: systemClock });
  const version = () => schemaVersion((text, values) => db.read(text, values));
  try {
    const rights = await readRights(db);
    if (await version() === 0) {
      note(noSchema(rights));
      return null;
    }
    note(...ownership(rights));
    const { snapshot, keys } = await readSnapshot(url, request);
    note(await schemaFinding(db, await version()));
    note(...replicaFindings(await new Replicas({ database: db, id: "", journal: "" }).list()), ...keys);
    return snapshot;
  } finally {
    await db.close();
  }
}

/** Brings an older schema up to date, as every command does. */
async function readSnapshot(
  url: string,
  request: DatabaseRequest,
): Promise<{ readonly snapshot: RegistrySnapshot; readonly keys: readonly Finding[] }> {
  const database = await openRemote(url, request);
  try {
    const config = await database.config();
    const snapshot = quietRegistry(config).snapshot();
    return { snapshot, keys: checkKeys(config, snapshot) };
  } finally {
    await database.close();
  }
}

interface Rights {
  readonly user: string;
  readonly database: string;
  readonly can_create: boolean;
  /** null: there are no tables. */
  readonly is_owner: boolean | null;
  readonly owner: string | null;
}

const RIGHTS = `SELECT current_user::text AS user, current_database()::text AS database,
    has_database_privilege(current_database(), 'CREATE') AS can_create,
    pg_has_role(tables.relowner, 'USAGE') AS is_owner, pg_get_userbyid(tables.relowner)::text AS owner
  FROM (SELECT 1) AS one LEFT JOIN pg_class AS tables ON tables.oid = to_regclass('${SCHEMA}.records')`;

async function readRights(db: PgDatabase): Promise<Rights> {
  const [row] = await db.read<Rights>(RIGHTS);
  return row ?? { user: "", database: "", can_create: false, is_owner: null, owner: null };
}

function noSchema({ user, database, can_create: canCreate }: Rights): Finding {
  const message = `it has no schema ${SCHEMA} yet`;
  if (canCreate) {
    return found("database", {
      level: "warn",
      message,
      advice: "the first server makes it, or the first upstream: add --key KEY --endpoint URL",
    });
  }
  return found("database", {
    level: "fail",
    message: `${message}, and the user ${user} may not make it`,
    advice: `GRANT CREATE ON DATABASE ${identifier(database)} TO ${identifier(user)}`,
  });
}

function ownership({ user, is_owner: isOwner, owner }: Rights): Finding[] {
  if (isOwner !== false) return [];
  return [found("database", {
    level: "warn",
    message:
      `the user ${user} does not own the schema ${SCHEMA}, so a server cannot make the partitions of ` +
      "coming days, nor delete old ones",
    advice: `connect as ${owner}, or make the user a member: GRANT ${identifier(owner ?? "")} TO ${
      identifier(user)
    }`,
  })];
}

async function schemaFinding(db: PgDatabase, version: number): Promise<Finding> {
  const partitions = await listPartitions(db);
  const days = new Set(partitions.map(({ dayMs }) => dayMs)).size;
  const bytes = partitions.reduce((sum, each) => sum + each.bytes, 0);
  return found("database", {
    level: "ok",
    message: `schema ${version}; ${days} days of records, ${formatBytes(bytes)}`,
  });
}

function replicaFindings(replicas: readonly Replica[]): Finding[] {
  if (replicas.length === 0) {
    return [found("replicas", { level: "ok", message: "no server uses the database now" })];
  }
  return replicas.map((replica) => ({
    ...replicaFinding(replica),
    check: "replicas" as const,
    subject: replica.listen === "" ? replica.id : `${replica.id} (${replica.listen})`,
  }));
}

function replicaFinding({ version, waiting, lagMs, silentMs }: Replica): Omit<Finding, "check" | "subject"> {
  const waits = waiting === 0
    ? "nothing waits in its journal"
    : `${waiting} in its journal wait${lagMs === null ? "" : `, the oldest for ${formatDuration(lagMs)}`}`;
  const message = `runs version ${version}; ${waits}`;
  if (silentMs > LONG_SILENCE_MS) {
    return {
      level: "warn",
      message: `has been silent for ${formatDuration(silentMs)}; it ran version ${version}, and ${waits}`,
      advice: "it has died, or cannot reach PostgreSQL: look in its log",
    };
  }
  if (waiting === 0 || (lagMs ?? 0) < LONG_WAIT_MS) return { level: "ok", message, advice: null };
  return {
    level: "warn",
    message,
    advice: "nothing is lost: look in its log why PostgreSQL takes no records",
  };
}

/** As SQL takes it. */
function identifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
