/**
 * A SQLite database that is copied from, which a server may be using.
 *
 * Owns what is read of it, a batch at a time: one long transaction would keep the server's write-ahead log from shrinking,
 * and with `--max-db-size` it would delete records for that. Writes nothing but the database's id (source_identity.ts).
 * Numbers of rows are `bigint`: people type any.
 */
import type { DatabaseSync } from "node:sqlite";
import { databaseFile } from "../../database/file.ts";
import { CRASH_MESSAGE, livingInstances } from "../../database/instances.ts";
import { openWhereverItIs } from "../../database/open.ts";
import { prepared } from "../../database/statements.ts";
import { asBlobs, text } from "../../database/values.ts";
import type { Row } from "../../read/record_decoding.ts";
import type { ConfigRows } from "../config/config_rows.ts";
import { readConfigRows } from "../config/local_rows.ts";
import { cleanString, cleanText } from "../shipper/clean_text.ts";
import {
  SELECT_ATTEMPTS,
  SELECT_SHIPPED,
  toTimestamp,
  translated,
  type TranslatedRecord,
} from "../shipper/journal_rows.ts";
import { identify, type SourceIdentity } from "./source_identity.ts";

export interface SourceKey {
  readonly id: bigint;
  readonly requestId: string;
  /** ISO 8601 in UTC, with microseconds; null: it has none that can be read. */
  readonly createdAt: string | null;
  readonly outcome: string | null;
  /** Its server lives, and will write it again. */
  readonly isUnderWay: boolean;
}

const FIRST_ID = -(2n ** 63n);
/** A living server's state is asked for no more often. */
const ALIVE_MS = 2_000;
const MAX_KEY = 64;

const KEYS = `SELECT id, ${
  asBlobs(["request_id", "created_at", "outcome", "instance"])
} FROM records WHERE id > ? AND id <= ? ORDER BY id LIMIT ?`;

const encoder = new TextEncoder();

export class SqliteSource {
  readonly db: DatabaseSync;
  readonly identity: SourceIdentity;
  #living: { readonly ids: ReadonlySet<string>; readonly askedAtMs: number } | null = null;

  /** @param path of a database that is up to date. @throws StoreError */
  constructor(path: string, newId: () => string) {
    this.db = openWhereverItIs(path, { isReadOnly: true, isTidying: true }).db;
    try {
      this.identity = identify(this.db, { newId, isFile: this.db.location() === databaseFile(path) });
    } catch (error) {
      this.db.close();
      throw error;
    }
  }

  config(): ConfigRows {
    return readConfigRows(this.db);
  }

  /** The last record's number; null: there is none. */
  lastId(): bigint | null {
    const id = this.#all("SELECT max(id) AS id FROM records")[0]?.["id"];
    return typeof id === "bigint" ? id : null;
  }

  /** How many records come after one, up to another. */
  count(afterId: bigint | null, lastId: bigint): number {
    const [row] = this.#all(
      "SELECT count(*) AS count FROM records WHERE id > ? AND id <= ?",
      afterId ?? FIRST_ID,
      lastId,
    );
    return Number(row?.["count"]);
  }

  /** The next records, oldest first. */
  keys(afterId: bigint | null, lastId: bigint, limit: number): SourceKey[] {
    return this.#all(KEYS, afterId ?? FIRST_ID, lastId, limit).map((row) => {
      const id = BigInt(String(row["id"]));
      const requestId = cleaned(row["request_id"]);
      const outcome = text(row["outcome"]);
      return {
        id,
        requestId: requestId ?? `${this.identity.goPrefix}${id}`,
        createdAt: toTimestamp(cleaned(row["created_at"])),
        outcome,
        isUnderWay: outcome === "in_flight" && this.#isAlive(text(row["instance"]) ?? ""),
      };
    });
  }

  /** A record; one that its server left behind is `crashed`. null: it has gone, or its time has. */
  read(id: bigint): (TranslatedRecord & { readonly isCrashed: boolean }) | null {
    const [row] = this.#all(SELECT_SHIPPED, id);
    if (row === undefined) return null;
    const isCrashed = text(row["outcome"]) === "in_flight";
    const record = translated(
      isCrashed ? crashed(row) : row,
      this.#all(SELECT_ATTEMPTS, id),
      this.identity.goPrefix,
    );
    return record === null ? null : { ...record, isCrashed };
  }

  /** Tells whether a number still belongs to the same record; null: no record has it. */
  keyOf(id: bigint): string | null {
    const [row] = this.#all(`SELECT ${asBlobs(["created_at"])} FROM records WHERE id = ?`, id);
    return row === undefined ? null : cleanString(text(row["created_at"]) ?? "-").slice(0, MAX_KEY);
  }

  /** Whether a server has yet to count some of the records for the statistics. */
  hasUncounted(): boolean {
    const [row] = this.#all(`SELECT max(low) AS low, (SELECT min(id) FROM records) AS first FROM
      (SELECT low FROM request_stats_progress UNION ALL SELECT low FROM usage_progress)`);
    const low = Number(row?.["low"] ?? 0);
    return row?.["first"] !== null && low > 0 && low >= Number(row?.["first"]);
  }

  close(): void {
    this.db.close();
  }

  #isAlive(instance: string): boolean {
    const nowMs = performance.now();
    if (this.#living === null || nowMs - this.#living.askedAtMs > ALIVE_MS) {
      this.#living = { ids: livingInstances(this.db, Date.now()), askedAtMs: nowMs };
    }
    return this.#living.ids.has(instance);
  }

  #all(sql: string, ...params: (bigint | number)[]): Row[] {
    const statement = prepared(this.db, sql);
    statement.setReadBigInts(true);
    return statement.all(...params);
  }
}

function crashed(row: Row): Row {
  return {
    ...row,
    outcome: encoder.encode("crashed"),
    error: row["error"] ?? encoder.encode(CRASH_MESSAGE),
  };
}

/** As `translated` reads it. */
function cleaned(value: Row[string] | undefined): string | null {
  return value instanceof Uint8Array ? cleanText(value).text : null;
}
