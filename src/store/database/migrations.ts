/**
 * The schema, as an append-only list of steps over `PRAGMA user_version`.
 *
 * Owns what the tables look like. What a step does to a database never changes after a release; a change is a new step.
 * Steps must accept databases that have some of the columns already (older and forked Go versions do) and keep what
 * they do not know. Each can be repeated: `.dump` of the sqlite3 program, for one, loses the `user_version`.
 */
import type { DatabaseSync } from "node:sqlite";
import { CLIENT_TOKEN_COLUMNS } from "../config/client_token_row.ts";
import { OPTION_COLUMNS } from "../config/upstream_options.ts";
import { createSearchTables } from "../search/tables.ts";
import { SPEND_COLUMNS } from "./cost_columns.ts";
import { addCostSums } from "./cost_history.ts";
import { addMissingColumns } from "./columns.ts";
import { PART_COLUMNS } from "./record_parts.ts";
import { inTransaction } from "./transaction.ts";

export { columnsOf } from "./columns.ts";

type Step = (db: DatabaseSync) => void;

/** `PRAGMA application_id` of databases that this program created: "OARd". */
export const APPLICATION_ID = 0x4f415264;

const STEPS: readonly Step[] = [
  createGoSchema,
  addOwnSchema,
  addSearch,
  addUpstreamStates,
  addStats,
  addPartials,
  addDurationIndex,
  addUsage,
  addUpstreamChecks,
  addRecordParts,
  addModelsAndKeys,
  addCosts,
];

/** The `user_version` that this program works with. */
export const SCHEMA_VERSION = STEPS.length;

/** Runs the steps that are missing, in one transaction. Does nothing when another process was faster. */
export function migrate(db: DatabaseSync): void {
  inTransaction(db, () => {
    for (let version = userVersion(db); version < SCHEMA_VERSION; version++) {
      STEPS[version]?.(db);
      db.exec(`PRAGMA user_version = ${version + 1}`);
    }
  });
}

export function userVersion(db: DatabaseSync): number {
  return Number(db.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
}

function createGoSchema(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE IF NOT EXISTS openai_upstreams (
      id integer PRIMARY KEY AUTOINCREMENT,
      created_at datetime, updated_at datetime, deleted_at datetime,
      sk text, endpoint text, timeout integer
    );
    CREATE TABLE IF NOT EXISTS config_kvs (
      id integer PRIMARY KEY AUTOINCREMENT,
      created_at datetime, updated_at datetime, deleted_at datetime,
      key text UNIQUE, value text
    );
    CREATE TABLE IF NOT EXISTS records (
      id integer PRIMARY KEY AUTOINCREMENT,
      created_at datetime, ip text, body text, model text, response text,
      elapsed_time integer, status integer, upstream_id integer, authorization text
    );
  `);
  addMissingColumns(db, "openai_upstreams", {
    created_at: "datetime",
    updated_at: "datetime",
    deleted_at: "datetime",
    sk: "text",
    endpoint: "text",
    timeout: "integer",
  });
  addMissingColumns(db, "config_kvs", {
    created_at: "datetime",
    updated_at: "datetime",
    deleted_at: "datetime",
    key: "text",
    value: "text",
  });
  addMissingColumns(db, "records", {
    created_at: "datetime",
    ip: "text",
    body: "text",
    model: "text",
    response: "text",
    elapsed_time: "integer",
    status: "integer",
    upstream_id: "integer",
    authorization: "text",
  });
  // Go versions before the index may hold duplicates, and losing a row of the user's is worse than no index.
  const duplicates = db.prepare(
    "SELECT 1 FROM openai_upstreams GROUP BY sk, endpoint HAVING count(*) > 1 AND sk IS NOT NULL AND endpoint IS NOT NULL",
  ).get();
  if (duplicates === undefined) {
    db.exec("CREATE UNIQUE INDEX IF NOT EXISTS idx_sk_endpoint ON openai_upstreams(sk, endpoint)");
  }
}

function addOwnSchema(db: DatabaseSync): void {
  addMissingColumns(db, "openai_upstreams", {
    name: "text",
    position: "integer",
    enabled: "integer DEFAULT 1",
    allow: "text",
    deny: "text",
    model_map: "text",
    auth_style: "text",
    weight: "integer DEFAULT 1",
  });
  const added = addMissingColumns(db, "records", {
    request_id: "text",
    method: "text",
    path: "text",
    is_stream: "integer",
    outcome: "text",
    attempts: "integer",
    first_byte_ms: "integer",
    first_token_ms: "integer",
    input_tokens: "integer",
    output_tokens: "integer",
    cached_tokens: "integer",
    reasoning_tokens: "integer",
    finish_reason: "text",
    reasoning: "text",
    tool_calls: "text",
    response_model: "text",
    request_bytes: "integer",
    response_bytes: "integer",
    user_agent: "text",
    client: "text",
    error: "text",
    is_truncated: "integer",
    instance: "text",
  });
  if (!added.includes("request_id")) {
    // A fork's column of that name need not be unique; the unique index below would refuse the database.
    db.exec(
      `UPDATE records SET request_id = NULL WHERE request_id IS NOT NULL AND id NOT IN
        (SELECT min(id) FROM records WHERE request_id <> '' GROUP BY request_id)`,
    );
  }
  db.exec(`
    CREATE TABLE IF NOT EXISTS attempts (
      record_id integer NOT NULL, n integer NOT NULL,
      upstream_id integer, started_at datetime, duration_ms integer,
      status integer, error_class text, error text,
      PRIMARY KEY (record_id, n)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS instances (
      id text PRIMARY KEY, started_at datetime, heartbeat_at datetime,
      pid integer, place text, process_started text
    );
    CREATE UNIQUE INDEX IF NOT EXISTS idx_records_request_id ON records(request_id);
    CREATE INDEX IF NOT EXISTS idx_records_created_at ON records(created_at);
    CREATE INDEX IF NOT EXISTS idx_records_in_flight ON records(instance) WHERE outcome = 'in_flight';
  `);
}

/**
 * One narrow index that holds all that lists are filtered by, in the order in which they are shown: columns of
 * `records` that come after a large body are slow to reach. Then the full-text index (../search/tables.ts).
 */
function addSearch(db: DatabaseSync): void {
  db.exec(`
    CREATE INDEX IF NOT EXISTS idx_records_list ON records(
      id, created_at, model, status, outcome, upstream_id, client
    );
  `);
  createSearchTables(db);
}

/** What running servers think of their upstreams (see upstream_states.ts). */
function addUpstreamStates(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE IF NOT EXISTS upstream_states (
      upstream_id integer NOT NULL, instance text NOT NULL,
      state text, until datetime, reason text, changed_at datetime,
      PRIMARY KEY (upstream_id, instance)
    ) WITHOUT ROWID
  `);
}

/**
 * Requests added up by time and upstream (see stats_writer.ts), so that an overview need not read the records;
 * and where the last failure of an upstream is.
 */
function addStats(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE IF NOT EXISTS request_stats (
      step_seconds integer NOT NULL, at integer NOT NULL, upstream_id integer NOT NULL,
      requests integer NOT NULL, errors integer NOT NULL, failures integer NOT NULL,
      input_tokens integer NOT NULL, output_tokens integer NOT NULL,
      latencies text NOT NULL, first_tokens text NOT NULL,
      PRIMARY KEY (step_seconds, at, upstream_id)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS request_stats_progress (id integer PRIMARY KEY CHECK (id = 1), low integer NOT NULL);
    INSERT OR IGNORE INTO request_stats_progress SELECT 1, coalesce(max(id), 0) FROM records;
    CREATE INDEX IF NOT EXISTS idx_attempts_failed ON attempts(upstream_id, record_id) WHERE error_class IS NOT NULL;
  `);
}

/** What failed attempts had said. */
function addPartials(db: DatabaseSync): void {
  addMissingColumns(db, "attempts", { partial: "text" });
}

/**
 * How long settled requests took and how many attempts they made, for lists of the slow ones: in the table, both columns
 * come after a large body. Rows in flight are left out, because their duration is written every second.
 */
function addDurationIndex(db: DatabaseSync): void {
  db.exec(`
    CREATE INDEX IF NOT EXISTS idx_records_took ON records(id, elapsed_time, attempts)
      WHERE outcome IS NOT 'in_flight'
  `);
}

/**
 * Requests added up by time and model, and by time and client, and each client's since ever (see stats/usage_writer.ts).
 * `since_ms` says since when all are counted; NULL: since ever.
 */
function addUsage(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE IF NOT EXISTS usage_stats (
      step_seconds integer NOT NULL, at integer NOT NULL,
      dimension text NOT NULL, is_rest integer NOT NULL, name text NOT NULL,
      requests integer NOT NULL, errors integer NOT NULL,
      input_tokens integer NOT NULL, output_tokens integer NOT NULL, cached_tokens integer NOT NULL,
      latencies text NOT NULL,
      PRIMARY KEY (step_seconds, at, dimension, is_rest, name)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS client_totals (
      client text PRIMARY KEY, requests integer NOT NULL, errors integer NOT NULL,
      input_tokens integer NOT NULL, output_tokens integer NOT NULL, cached_tokens integer NOT NULL,
      last_used_ms integer NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS usage_progress (
      id integer PRIMARY KEY CHECK (id = 1), low integer NOT NULL, since_ms integer
    );
    INSERT OR IGNORE INTO usage_progress
      SELECT 1, coalesce(max(id), 0), CASE WHEN max(id) IS NULL THEN NULL ELSE unixepoch() * 1000 END FROM records;
    `);
}

/** What running servers say of attempts that fail, and which upstreams have answered (see upstream_checks.ts). */
function addUpstreamChecks(db: DatabaseSync): void {
  addMissingColumns(db, "upstream_states", { attempts: "integer", failed: "integer" });
  db.exec(`
    CREATE TABLE IF NOT EXISTS upstream_checks (
      upstream_id integer PRIMARY KEY, target text NOT NULL, checked_at datetime
    )
  `);
}

/** What came of replies under way after their rows were written (see record_parts.ts). */
function addRecordParts(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE IF NOT EXISTS record_parts (
      record_id integer NOT NULL, n integer NOT NULL, PRIMARY KEY (record_id, n)
    ) WITHOUT ROWID
  `);
  addMissingColumns(db, "record_parts", PART_COLUMNS);
}

/**
 * Models that upstreams list, limits and changes of requests by upstream, who owns the ids that replies named, and what is
 * known of each of several keys.
 */
function addModelsAndKeys(db: DatabaseSync): void {
  addMissingColumns(db, "openai_upstreams", OPTION_COLUMNS);
  addMissingColumns(db, "records", { affinity: "text", queued_ms: "integer" });
  addMissingColumns(db, "attempts", { key_n: "integer", changed: "integer" });
  addMissingColumns(db, "upstream_states", { keys: "text" });
  db.exec(`
    CREATE TABLE IF NOT EXISTS upstream_model_lists (
      upstream_id integer PRIMARY KEY, target text NOT NULL,
      asked_at datetime, listed_at datetime, problem text
    );
    CREATE TABLE IF NOT EXISTS upstream_models (
      upstream_id integer NOT NULL, n integer NOT NULL, model text NOT NULL, raw text,
      PRIMARY KEY (upstream_id, n)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS owned_ids (
      id_hash integer PRIMARY KEY, upstream_id integer NOT NULL, key_hash integer,
      kind text NOT NULL, seen_ms integer NOT NULL
    );
    CREATE INDEX IF NOT EXISTS idx_owned_ids_seen ON owned_ids(seen_ms);
  `);
}

/** Tokens of clients with what they may do, what requests cost, and what was spent. */
function addCosts(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE IF NOT EXISTS client_tokens (
      id integer PRIMARY KEY AUTOINCREMENT, created_at datetime, updated_at datetime
    );
    CREATE TABLE IF NOT EXISTS token_spend (
      token_id integer NOT NULL, day text NOT NULL, source text NOT NULL,
      PRIMARY KEY (token_id, day, source)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS token_leases (
      token_id integer NOT NULL, source text NOT NULL, nano integer NOT NULL, renewed_ms integer NOT NULL,
      PRIMARY KEY (token_id, source)
    ) WITHOUT ROWID;
  `);
  addMissingColumns(db, "client_tokens", clientTokenColumns());
  addMissingColumns(db, "token_spend", SPEND_COLUMNS);
  addMissingColumns(db, "openai_upstreams", { usage_injection: "text", price_factor: "text" });
  addMissingColumns(db, "upstream_checks", { usage_refused: "integer" });
  addMissingColumns(db, "records", {
    usage_details: "text",
    tokens_are_estimated: "integer",
    cost_nano: "integer",
  });
  addMissingColumns(db, "attempts", { usage: "text", cost_nano: "integer" });
  addCostSums(db);
}

function clientTokenColumns(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(CLIENT_TOKEN_COLUMNS).map(([name, type]) => {
      if (name === "enabled") return [name, "integer DEFAULT 1"];
      return [name, type === "time" ? "datetime" : type];
    }),
  );
}
