/**
 * Computes the costs of stored records again, page by page.
 *
 * Owns what is read and written for that; what things cost comes in. Each page is a short transaction of its own, so a server
 * that writes records waits for no more than one.
 */
import type { DatabaseSync } from "node:sqlite";
import type { Usage } from "../../core/usage.ts";
import { usageOf } from "../../core/usage.ts";
import { fromGoTime } from "../database/go_time.ts";
import { prepared } from "../database/statements.ts";
import { inTransaction } from "../database/transaction.ts";
import { number, text } from "../database/values.ts";
import { type Row, toUsage } from "../read/record_decoding.ts";
import { filterCondition } from "../read/record_filter.ts";
import type { RecordFilter } from "../store.ts";

export interface RecostAttempt {
  readonly n: number;
  readonly upstreamId: number | null;
  /** null: nothing was reported, or its reply is the client's. */
  readonly usage: Usage | null;
  readonly costNano: number | null;
}

/** What the cost of a record depends on. */
export interface RecostRecord {
  readonly id: number;
  readonly createdAtMs: number;
  readonly method: string | null;
  readonly path: string | null;
  readonly model: string | null;
  readonly responseModel: string | null;
  readonly status: number | null;
  readonly upstreamId: number | null;
  /** null: nothing is known of it. */
  readonly usage: Usage | null;
  readonly costNano: number | null;
  /** In order. */
  readonly attempts: readonly RecostAttempt[];
}

export interface NewCosts {
  readonly costNano: number | null;
  /** Of the attempts, in their order. */
  readonly attempts: readonly (number | null)[];
}

/** An upstream of the table, deleted or not, as far as prices depend on it. */
export interface PricedUpstream {
  readonly id: number;
  readonly endpoint: string;
  readonly priceFactor: number;
  readonly modelMap: string | null;
}

export interface RecostPage {
  /** Of the last record that was looked at; null: there were none. */
  readonly lastId: number | null;
  readonly records: number;
  readonly changed: number;
  /** Sums of the known costs, and how many were not known. */
  readonly beforeNano: number;
  readonly afterNano: number;
  readonly unknownBefore: number;
  readonly unknownAfter: number;
}

const COLUMNS = `id, CAST(created_at AS BLOB) AS created_at, method, path, CAST(model AS BLOB) AS model,
  CAST(response_model AS BLOB) AS response_model, status, upstream_id, input_tokens, output_tokens,
  cached_tokens, reasoning_tokens, CAST(usage_details AS BLOB) AS usage_details, cost_nano`;
const PAGE = 200;
/** How many of the newest records the doctor looks at. */
const RECENT = 1_000;
const HAS_USAGE = "(input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR usage_details IS NOT NULL)";

export class Recost {
  readonly #db: () => DatabaseSync;

  constructor(db: () => DatabaseSync) {
    this.#db = db;
  }

  upstreams(): PricedUpstream[] {
    const rows = prepared(
      this.#db(),
      "SELECT id, CAST(endpoint AS BLOB) AS endpoint, price_factor, model_map FROM openai_upstreams",
    ).all();
    return rows.map((row) => {
      const factor = text(row["price_factor"])?.trim() ?? "";
      return {
        id: Number(row["id"]),
        endpoint: text(row["endpoint"]) ?? "",
        priceFactor: factor === "" ? 1 : Number(factor),
        modelMap: text(row["model_map"]),
      };
    });
  }

  /** The newest records that report what they used, and were no errors. */
  recent(): RecostRecord[] {
    const db = this.#db();
    const rows = prepared(
      db,
      `SELECT ${COLUMNS} FROM (SELECT * FROM records ORDER BY id DESC LIMIT ${RECENT})
        WHERE outcome = 'complete' AND status < 400 AND ${HAS_USAGE}`,
    ).all();
    return rows.map((row) => recordOf(db, row));
  }

  /** Writes the new costs of the next records that match, oldest first. @throws what SQLite throws */
  page(
    { afterId, filter }: { readonly afterId: number; readonly filter: RecordFilter },
    costsOf: (record: RecostRecord) => NewCosts,
  ): RecostPage {
    const db = this.#db();
    return inTransaction(db, () => {
      const page = { lastId: null as number | null, records: 0, changed: 0, beforeNano: 0, afterNano: 0 };
      let unknownBefore = 0;
      let unknownAfter = 0;
      for (const record of readPage(db, afterId, filter)) {
        const costs = costsOf(record);
        page.lastId = record.id;
        page.records++;
        page.beforeNano += record.costNano ?? 0;
        page.afterNano += costs.costNano ?? 0;
        if (record.costNano === null) unknownBefore++;
        if (costs.costNano === null) unknownAfter++;
        if (write(db, record, costs)) page.changed++;
      }
      return { ...page, unknownBefore, unknownAfter };
    });
  }
}

function readPage(db: DatabaseSync, afterId: number, filter: RecordFilter): RecostRecord[] {
  const { sql, params } = filterCondition(filter);
  const rows = prepared(
    db,
    `SELECT ${COLUMNS} FROM records r WHERE id > ? AND coalesce(outcome, '') NOT IN ('in_flight', 'crashed') AND ${sql}
      ORDER BY id LIMIT ${PAGE}`,
  ).all(afterId, ...params);
  return rows.map((row) => recordOf(db, row));
}

function recordOf(db: DatabaseSync, row: Row): RecostRecord {
  const id = Number(row["id"]);
  const createdAt = text(row["created_at"]);
  const usage = toUsage(row);
  const isEmpty = [
    usage.inputTokens,
    usage.outputTokens,
    usage.cachedTokens,
    usage.reasoningTokens,
    usage.details,
  ]
    .every((value) => value === null || value === undefined);
  return {
    id,
    createdAtMs: (createdAt === null ? null : fromGoTime(createdAt)) ?? 0,
    method: text(row["method"]),
    path: text(row["path"]),
    model: text(row["model"]),
    responseModel: text(row["response_model"]),
    status: number(row["status"]),
    upstreamId: number(row["upstream_id"]),
    usage: isEmpty ? null : usage,
    costNano: number(row["cost_nano"]),
    attempts: readAttempts(db, id),
  };
}

function readAttempts(db: DatabaseSync, recordId: number): RecostAttempt[] {
  const rows = prepared(
    db,
    "SELECT n, upstream_id, CAST(usage AS BLOB) AS usage, cost_nano FROM attempts WHERE record_id = ? ORDER BY n",
  ).all(recordId);
  return rows.map((row) => ({
    n: Number(row["n"]),
    upstreamId: number(row["upstream_id"]),
    usage: usageOf(text(row["usage"])),
    costNano: number(row["cost_nano"]),
  }));
}

/** Whether anything has changed. */
function write(db: DatabaseSync, record: RecostRecord, { costNano, attempts }: NewCosts): boolean {
  let isChanged = costNano !== record.costNano;
  if (isChanged) prepared(db, "UPDATE records SET cost_nano = ? WHERE id = ?").run(costNano, record.id);
  record.attempts.forEach(({ n, costNano: before }, place) => {
    const after = attempts[place] ?? null;
    if (after === before) return;
    isChanged = true;
    prepared(db, "UPDATE attempts SET cost_nano = ? WHERE record_id = ? AND n = ?").run(after, record.id, n);
  });
  return isChanged;
}
