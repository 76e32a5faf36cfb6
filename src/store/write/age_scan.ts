/**
 * Finds the records that are older than some days, oldest first, a few at a time.
 *
 * Owns the walk over `idx_records_created_at` and what the times in it mean. Never writes. It walks in passes and
 * rests after each, so that there is no cost while nothing is due.
 */
import { DAY_MS } from "../../core/units.ts";
import type { DatabaseSync } from "node:sqlite";
import { fromGoTime, toGoTime } from "../database/go_time.ts";
import { prepared } from "../database/statements.ts";

export interface AgeScanOptions {
  readonly days: number;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** How often a pass begins at the oldest row again, and visits rows that earlier ones went past. */
  readonly fullPassMs: number;
}

/** A row of the walk. */
export interface AgedRow {
  readonly id: number;
  readonly createdAt: string;
  /**
   * `due`: older than the limit. `not_yet`: only its text sorts as older, because of its time zone.
   * `timeless`: its text is not a time.
   */
  readonly age: "due" | "not_yet" | "timeless";
}

/** Rows that one call of {@link AgeScan.next} gives at most. */
const SCAN_ROWS = 256; // docs/tuning.md#retention
const PASS_REST_MS = 5_000;
/** The Go program wrote local times; the farthest east is UTC+14. */
const MAX_OFFSET_MS = 14 * 3_600_000;

type Place = Pick<AgedRow, "id" | "createdAt">;

/** Sorts before every text; values that are not text sort before it, and are no times. */
const START: Place = { createdAt: "", id: Number.MIN_SAFE_INTEGER };

export class AgeScan {
  readonly #db: DatabaseSync;
  readonly #options: AgeScanOptions;
  #place = START;
  /** Where the next pass begins: the row there could not be dealt with yet. */
  #leftAt: Place | null = null;
  #passEndedAtMs = Number.NEGATIVE_INFINITY;
  #fullPassAtMs: number;

  constructor(db: DatabaseSync, options: AgeScanOptions) {
    this.#db = db;
    this.#options = options;
    this.#fullPassAtMs = options.now();
  }

  /** The rows from here on, in order; empty: the pass is over, or a new one is not due yet. */
  next(): AgedRow[] {
    const nowMs = this.#options.now();
    // The clock may be set back.
    if (Math.abs(nowMs - this.#passEndedAtMs) < PASS_REST_MS) return [];
    const limitMs = nowMs - this.#options.days * DAY_MS;
    const { createdAt, id } = this.#place;
    const rows = prepared(
      this.#db,
      `SELECT id, created_at FROM records INDEXED BY idx_records_created_at
        WHERE (created_at, id) > (?, ?) AND created_at < ? ORDER BY created_at, id LIMIT ?`,
    ).all(createdAt, id, this.#end(limitMs), SCAN_ROWS);
    if (rows.length === 0) this.#endPass(nowMs);
    return rows.map((row) => {
      const text = String(row["created_at"]);
      const timeMs = fromGoTime(text);
      const age = timeMs === null ? "timeless" : timeMs < limitMs ? "due" : "not_yet";
      return { id: Number(row["id"]), createdAt: text, age };
    });
  }

  /**
   * Marks the rows up to and including `row` as done. `isLeft`: except this one, which the next pass visits again.
   */
  pass(row: AgedRow, { isLeft }: { readonly isLeft: boolean }): void {
    if (isLeft) this.#leftAt ??= this.#place;
    this.#place = row;
  }

  /** Our own times sort as text; a row of the Go program may be due although its text sorts later. */
  #end(limitMs: number): string {
    const end = toGoTime(Math.max(limitMs, 0));
    const [row] = prepared(
      this.#db,
      "SELECT created_at FROM records WHERE request_id IS NULL ORDER BY id DESC LIMIT 1",
    ).all();
    return String(row?.["created_at"] ?? "") < end ? end : toGoTime(Math.max(limitMs, 0) + MAX_OFFSET_MS);
  }

  #endPass(nowMs: number): void {
    this.#passEndedAtMs = nowMs;
    if (Math.abs(nowMs - this.#fullPassAtMs) >= this.#options.fullPassMs) {
      this.#fullPassAtMs = nowMs;
      this.#place = START;
    } else if (this.#leftAt !== null) this.#place = this.#leftAt;
    this.#leftAt = null;
  }
}
