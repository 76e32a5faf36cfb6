/**
 * Keeps the tables `request_stats`, `usage_stats` and `client_totals` in step with `records`.
 *
 * Owns when a request is counted: once, when its row is settled. Counts are added to the tables a moment later, by
 * {@link StatsWriter.step}, because within each commit they would double a small one; a killed process loses that moment's
 * counts, never a record. Rows older than the tables are counted by the same steps (history.ts), which two tables begin at
 * different times. Runs on the writer's connection.
 */
import type { DatabaseSync } from "node:sqlite";
import { COST_SUMS } from "../database/cost_columns.ts";
import { costValuesOf } from "./counted_costs.ts";
import { Histogram } from "./histogram.ts";
import { History } from "./history.ts";
import { prepared } from "../database/statements.ts";
import { inTransaction } from "../database/transaction.ts";
import { type CountedRequest, RESOLUTIONS, StatsTally, type Sums } from "./tally.ts";
import { UsageTally } from "./usage_tally.ts";
import { UsageWriter } from "./usage_writer.ts";

const PRUNE_MS = 60_000;
const COST_NAMES = Object.keys(COST_SUMS);

/** In which tables a request is to be counted. */
export interface Counting {
  readonly isInStats: boolean;
  readonly isInUsage: boolean;
}

/** What is to be added to the tables. */
export class CountTally {
  readonly stats: StatsTally;
  readonly usage: UsageTally;

  constructor(nowMs: number) {
    this.stats = new StatsTally(nowMs);
    this.usage = new UsageTally(nowMs);
  }

  add(request: CountedRequest, { isInStats, isInUsage }: Counting): void {
    if (isInStats) this.stats.add(request);
    if (isInUsage) this.usage.add(request);
  }
}

export class StatsWriter {
  readonly #db: DatabaseSync;
  readonly #now: () => number;
  readonly #usage: UsageWriter;
  readonly #history: History;
  readonly #usageHistory: History;
  #pending: CountTally | null = null;
  #prunedAtMs = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds since the Unix epoch */
  constructor(db: DatabaseSync, now: () => number) {
    this.#db = db;
    this.#now = now;
    const usage = this.#usage = new UsageWriter(db);
    this.#history = new History(db, {
      progressTable: "request_stats_progress",
      write: (requests) => {
        const tally = new StatsTally(now());
        for (const request of requests) tally.add(request);
        this.#writeStats(tally);
      },
    });
    this.#usageHistory = new History(db, {
      progressTable: "usage_progress",
      write: (requests) => {
        const tally = new UsageTally(now());
        for (const request of requests) tally.add(request);
        usage.write(tally);
      },
      onProgress: (progress) => usage.noteProgress(progress),
    });
  }

  tally(): CountTally {
    return new CountTally(this.#now());
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

  /** Where a row that is being settled counts now; else {@link step} counts it. */
  counting(id: number): Counting {
    return { isInStats: this.#history.shouldCount(id), isInUsage: this.#usageHistory.shouldCount(id) };
  }

  /** Counts a request whose row has been committed. */
  count(request: CountedRequest, counting: Counting): void {
    this.#pending ??= this.tally();
    this.#pending.add(request, counting);
  }

  /** Adds to the tables, within the transaction of the caller. */
  write(tally: CountTally): void {
    this.#writeStats(tally.stats);
    this.#usage.write(tally.usage);
  }

  /**
   * Adds what was counted to the tables. @throws what SQLite throws; then it is still to be added
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
    return this.#history.step(nowMs) || this.#usageHistory.step(nowMs);
  }

  #writeStats(tally: StatsTally): void {
    for (const sums of tally.sums()) this.#add(sums);
  }

  #add(sums: Sums): void {
    const key = [sums.stepSeconds, sums.at, sums.upstreamId];
    const stored = prepared(
      this.#db,
      `SELECT latencies, first_tokens FROM request_stats WHERE step_seconds = ? AND at = ? AND upstream_id = ?`,
    ).get(...key);
    prepared(
      this.#db,
      `INSERT INTO request_stats(step_seconds, at, upstream_id, requests, errors, failures, input_tokens,
          output_tokens, ${COST_NAMES.join(", ")}, latencies, first_tokens)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ${COST_NAMES.map(() => "?").join(", ")}, ?, ?)
        ON CONFLICT(step_seconds, at, upstream_id) DO UPDATE SET requests = requests + excluded.requests,
          errors = errors + excluded.errors, failures = failures + excluded.failures,
          input_tokens = input_tokens + excluded.input_tokens,
          output_tokens = output_tokens + excluded.output_tokens,
          ${COST_NAMES.map((name) => `${name} = ${name} + excluded.${name}`).join(", ")},
          latencies = excluded.latencies, first_tokens = excluded.first_tokens`,
    ).run(
      ...key,
      sums.requests,
      sums.errors,
      sums.failures,
      sums.inputTokens,
      sums.outputTokens,
      ...costValuesOf(sums),
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
    this.#usage.prune(nowMs);
  }
}

function added(stored: unknown, more: Histogram): string {
  if (typeof stored !== "string") return more.toText();
  const sum = Histogram.fromText(stored);
  sum.addAll(more);
  return sum.toText();
}
