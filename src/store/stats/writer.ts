/**
 * Keeps the table `request_stats` in step with `records`.
 *
 * Owns which rows have been counted. A request counts once, when its row is settled. Counts are added to the table a
 * moment later, by {@link StatsWriter.step}, because within each commit they would double a small one; a killed process
 * loses that moment's counts, never a record. Rows older than the table are counted by the same steps, newest first:
 * those above `request_stats_progress.low` have been; {@link StatsWriter.shouldCount} leaves the others to the steps.
 * Runs on the writer's connection.
 */
import { DAY_MS } from "../../core/units.ts";
import type { DatabaseSync } from "node:sqlite";
import { fromGoTime } from "../database/go_time.ts";
import { Histogram } from "./histogram.ts";
import { asBlobs, number, text } from "../database/values.ts";
import { prepared } from "../database/statements.ts";
import { inTransaction } from "../database/transaction.ts";
import { type CountedRequest, RESOLUTIONS, StatsTally, type Sums } from "./tally.ts";
import { type Row, toElapsedMs } from "../read/record_decoding.ts";

const MAX_STEP_ROWS = 256; // docs/tuning.md#store-search-and-statistics
const MAX_STEP_MS = 2;
const PRUNE_MS = 60_000;
/** Rows older than this are not looked at: 31 days, with a margin for the offsets of local times. */
const OLDEST_DAYS = 33;
/** The columns that {@link toCounted} reads. */
export const COUNTED_COLUMNS =
  `id, status, upstream_id, elapsed_time, first_token_ms, input_tokens, output_tokens,
  ${asBlobs(["created_at", "outcome"])}`;

export class StatsWriter {
  readonly #db: DatabaseSync;
  readonly #now: () => number;
  #low: number | null = null;
  #pending: StatsTally | null = null;
  #prunedAtMs = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds since the Unix epoch */
  constructor(db: DatabaseSync, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  tally(): StatsTally {
    return new StatsTally(this.#now());
  }

  /** Whether the request's row is not settled yet; call it before settling the row. */
  isUnsettled(requestId: string): boolean {
    const row = prepared(
      this.#db,
      `SELECT outcome FROM records INDEXED BY idx_records_list
        WHERE id = (SELECT id FROM records WHERE request_id = ?)`,
    ).get(requestId);
    return row === undefined || row["outcome"] === "in_flight";
  }

  /** Whether a row that is being settled counts now; else {@link step} counts it. */
  shouldCount(id: number): boolean {
    // It only ever falls, and at zero there is nothing left to ask.
    if (this.#low !== 0) this.#low = this.#readLow();
    return id > this.#low;
  }

  /** Counts a request whose row has been committed. */
  count(request: CountedRequest): void {
    this.#pending ??= this.tally();
    this.#pending.add(request);
  }

  /** Adds to the table, within the transaction of the caller. */
  write(tally: StatsTally): void {
    for (const sums of tally.sums()) this.#add(sums);
  }

  /**
   * Adds what was counted to the table. @throws what SQLite throws; then it is still to be added
   */
  flush(): void {
    const pending = this.#pending;
    if (pending === null) return;
    inTransaction(this.#db, () => this.write(pending));
    this.#pending = null;
  }

  /**
   * Flushes, counts some rows that were there before, and deletes steps that are too old; a few milliseconds.
   * @returns whether there may be more to do
   * @throws what SQLite throws, with nothing of the step done
   */
  step(): boolean {
    this.flush();
    const nowMs = this.#now();
    if (Math.abs(nowMs - this.#prunedAtMs) >= PRUNE_MS) {
      this.#prune(nowMs);
      this.#prunedAtMs = nowMs;
    }
    return this.#low !== 0 && this.#countSome(nowMs);
  }

  #countSome(nowMs: number): boolean {
    const low = this.#readLow();
    if (low === 0) {
      this.#low = 0;
      return false;
    }
    const endMs = performance.now() + MAX_STEP_MS;
    const tally = this.tally();
    let newLow = 0;
    inTransaction(this.#db, () => {
      const rows = this.#rows(
        `SELECT ${COUNTED_COLUMNS} FROM records WHERE id <= ? ORDER BY id DESC LIMIT ?`,
        low,
        MAX_STEP_ROWS,
      );
      let reached = 0;
      let isAllOld = true;
      for (const row of rows) {
        reached = Number(row["id"]) - 1;
        const counted = this.#counted(row);
        if (counted !== null) {
          tally.add(counted);
          if (nowMs - counted.createdAtMs < OLDEST_DAYS * DAY_MS) isAllOld = false;
        }
        if (performance.now() > endMs) {
          isAllOld = false;
          break;
        }
      }
      this.write(tally);
      // Ids nearly follow time: below a whole step of rows that are too old, all are.
      newLow = isAllOld ? 0 : Math.max(reached, 0);
      prepared(this.#db, "UPDATE request_stats_progress SET low = ?").run(newLow);
    });
    this.#low = newLow;
    return this.#low !== 0;
  }

  /** null: in flight, or without a time. */
  #counted(row: Row): CountedRequest | null {
    if (text(row["outcome"]) === "in_flight") return null;
    return toCounted(row, attemptsOf(this.#db, Number(row["id"])));
  }

  #add(sums: Sums): void {
    const key = [sums.stepSeconds, sums.at, sums.upstreamId];
    const [stored] = this.#rows(
      `SELECT latencies, first_tokens FROM request_stats WHERE step_seconds = ? AND at = ? AND upstream_id = ?`,
      ...key,
    );
    prepared(
      this.#db,
      `INSERT INTO request_stats(step_seconds, at, upstream_id, requests, errors, failures, input_tokens,
          output_tokens, latencies, first_tokens)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT(step_seconds, at, upstream_id) DO UPDATE SET requests = requests + excluded.requests,
          errors = errors + excluded.errors, failures = failures + excluded.failures,
          input_tokens = input_tokens + excluded.input_tokens,
          output_tokens = output_tokens + excluded.output_tokens,
          latencies = excluded.latencies, first_tokens = excluded.first_tokens`,
    ).run(
      ...key,
      sums.requests,
      sums.errors,
      sums.failures,
      sums.inputTokens,
      sums.outputTokens,
      added(stored?.["latencies"], sums.latencies),
      added(stored?.["first_tokens"], sums.firstTokens),
    );
  }

  #prune(nowMs: number): void {
    for (const { stepSeconds, keepSeconds } of RESOLUTIONS) {
      prepared(this.#db, "DELETE FROM request_stats WHERE step_seconds = ? AND at < ?").run(
        stepSeconds,
        Math.floor(nowMs / 1000) - keepSeconds - stepSeconds,
      );
    }
  }

  #readLow(): number {
    return Number(this.#rows("SELECT low FROM request_stats_progress")[0]?.["low"] ?? 0);
  }

  #rows(sql: string, ...params: (string | number)[]): Row[] {
    const statement = prepared(this.#db, sql);
    statement.setReadBigInts(true);
    return statement.all(...params);
  }
}

/** Failed ones only. */
export function attemptsOf(db: DatabaseSync, recordId: number): CountedRequest["attempts"] {
  const statement = prepared(
    db,
    "SELECT upstream_id, status, error_class FROM attempts WHERE record_id = ? AND error_class IS NOT NULL",
  );
  statement.setReadBigInts(true);
  const rows = statement.all(recordId);
  return rows.map((row) => ({
    upstreamId: Number(row["upstream_id"]),
    errorClass: String(row["error_class"]),
    status: number(row["status"]),
  }));
}

/** null: the row has no time. Needs `setReadBigInts(true)`. */
export function toCounted(row: Row, attempts: CountedRequest["attempts"]): CountedRequest | null {
  const createdAtMs = fromGoTime(text(row["created_at"]) ?? "");
  if (createdAtMs === null) return null;
  return {
    createdAtMs,
    outcome: text(row["outcome"]),
    status: number(row["status"]),
    upstreamId: number(row["upstream_id"]),
    elapsedMs: toElapsedMs(row),
    firstTokenMs: number(row["first_token_ms"]),
    usage: { inputTokens: number(row["input_tokens"]), outputTokens: number(row["output_tokens"]) },
    attempts,
  };
}

function added(stored: unknown, more: Histogram): string {
  if (typeof stored !== "string") return more.toText();
  const sum = Histogram.fromText(stored);
  sum.addAll(more);
  return sum.toText();
}
