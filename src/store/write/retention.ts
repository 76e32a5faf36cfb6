/**
 * Deletes what is too old or too much, in steps of a few milliseconds.
 *
 * Owns what is deleted, in which order, and that the file shrinks. Runs on the writer's connection; the caller decides
 * when a step is due. Rows in flight are never touched. The search index follows by its triggers. What is left to do is
 * derived from the tables, so a restart simply continues.
 */
import type { DatabaseSync } from "node:sqlite";
import { type AgedRow, AgeScan } from "./age_scan.ts";
import { DELETE_ATTEMPTS } from "./record_statements.ts";
import { DAY_MS } from "../../core/units.ts";
import { deleteOldOwnedIds } from "../config/owned_ids.ts";
import { prepared } from "../database/statements.ts";
import { inTransaction } from "../database/transaction.ts";

/** null: no limit. */
export interface RetentionLimits {
  /** Records that are older are deleted. */
  readonly keepDays: number | null;
  /** The texts of records that are older are deleted; the rest of the record stays. */
  readonly keepBodiesDays: number | null;
  /** Limit of the database's size, see {@link Retention}. */
  readonly maxDbSizeBytes: number | null;
  /** Owned ids that were seen longer ago are deleted. Default: no limit. */
  readonly keepIdsDays?: number | null;
}

export const KEEP_EVERYTHING: RetentionLimits = {
  keepDays: null,
  keepBodiesDays: null,
  maxDbSizeBytes: null,
};

export type DeletionReason = "keep_days" | "max_db_size";

/** What one step did. After `rest` there is nothing to do for now. */
export type RetentionStep =
  | { readonly type: "deleted"; readonly reason: DeletionReason; readonly count: number }
  | { readonly type: "bodies_deleted"; readonly count: number }
  | { readonly type: "shrunk"; readonly pages: number }
  /** Rows were looked at, and all of them stay. */
  | { readonly type: "looked" }
  | { readonly type: "rest" };

export interface RetentionOptions {
  readonly limits: RetentionLimits;
  /** Size of the WAL file. */
  readonly walBytes: () => number;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/** Rows that one step changes at most; time is usually up before. */
export const MAX_STEP_ROWS = 64; // docs/tuning.md#retention
const MAX_STEP_MS = 1; // docs/tuning.md#retention
/** A fraction of a millisecond. */
const VACUUM_PAGES = 16; // docs/tuning.md#retention
/** Free pages that stay for the next records, so that the file does not shrink and grow in turns. */
const SPARE_SHARE = 1 / 32; // docs/tuning.md#retention
const MIN_SPARE_PAGES = 64;
/** The WAL is reused, not shortened; it must not use up a small limit by itself. */
const MAX_WAL_SHARE = 1 / 4; // docs/tuning.md#retention
/** Between two looks that find no owned id to delete. */
const IDS_REST_MS = 60_000;
const FULL_PASS_MS = 3_600_000; // docs/tuning.md#retention

/** `PRAGMA auto_vacuum` of databases that this program made. */
const INCREMENTAL = 2;

/** Rows in flight stay. */
export const DELETE_RECORD = "DELETE FROM records WHERE id = ? AND outcome IS NOT 'in_flight'";

const HAS_BODIES =
  `body IS NOT NULL OR response IS NOT NULL OR reasoning IS NOT NULL OR tool_calls IS NOT NULL
  OR EXISTS (SELECT 1 FROM attempts WHERE record_id = records.id AND partial IS NOT NULL)`;

const DELETE_BODIES = `UPDATE records SET body = NULL, response = NULL, reasoning = NULL, tool_calls = NULL,
  is_truncated = CASE WHEN coalesce(body, '') <> '' OR coalesce(response, '') <> ''
    OR coalesce(reasoning, '') <> '' OR coalesce(tool_calls, '') <> '' THEN 1 ELSE is_truncated END
  WHERE id = ? AND outcome IS NOT 'in_flight'`;

const DELETE_PARTIALS = "UPDATE attempts SET partial = NULL WHERE record_id = ? AND partial IS NOT NULL";

/** What is done to rows above some age. */
interface AgeJob {
  readonly scan: AgeScan;
  /** The rows among these that need it. */
  readonly select: (ids: readonly number[]) => ReadonlySet<number>;
  /** Returns whether it was done; rows in flight stay as they are. */
  readonly apply: (id: number) => boolean;
  readonly report: (count: number) => RetentionStep;
}

/**
 * The limit in bytes is for the pages in use and the WAL (which counts up to a quarter of the limit). The file
 * shrinks when it was made with `auto_vacuum`; in one that was not, free pages are used for new records.
 */
export class Retention {
  readonly #db: DatabaseSync;
  readonly #options: RetentionOptions;
  readonly #ageJobs: readonly AgeJob[];
  readonly #pageBytes: number;
  readonly #isShrinkable: boolean;
  /** Pages were freed, and the file keeps them until the next checkpoint. */
  #isCheckpointDue = false;
  /** When owned ids are looked at again. */
  #idsDueMs = 0;

  constructor(db: DatabaseSync, options: RetentionOptions) {
    this.#db = db;
    this.#options = options;
    this.#ageJobs = this.#makeAgeJobs();
    this.#pageBytes = this.#pragma("page_size");
    this.#isShrinkable = this.#pragma("auto_vacuum") === INCREMENTAL;
  }

  /**
   * A few milliseconds of work (more only for a single large record), at most {@link MAX_STEP_ROWS} rows.
   * @throws what SQLite throws, with nothing of the step done
   */
  step(): RetentionStep {
    const { keepDays, keepBodiesDays, maxDbSizeBytes, keepIdsDays = null } = this.#options.limits;
    const forgotten = this.#deleteIds(keepIdsDays);
    if (forgotten !== null) return forgotten;
    if (keepDays === null && keepBodiesDays === null && maxDbSizeBytes === null) return { type: "rest" };
    // Pages first: SQLite searches the list of free pages for each page that it frees, so it should be short.
    const done = this.#shrink() ?? this.#deleteBySize();
    if (done !== null) return done;
    for (const job of this.#ageJobs) {
      const step = this.#doSome(job);
      if (step !== null) return step;
    }
    if (this.#isCheckpointDue) this.#checkpoint();
    return { type: "rest" };
  }

  #makeAgeJobs(): AgeJob[] {
    const { limits: { keepDays, keepBodiesDays }, now } = this.#options;
    const jobs: AgeJob[] = [];
    if (keepDays !== null) {
      jobs.push({
        scan: new AgeScan(this.#db, { days: keepDays, now, fullPassMs: 0 }),
        select: (ids) => new Set(ids),
        apply: (id) => this.#delete(id),
        report: (count) => ({ type: "deleted", reason: "keep_days", count }),
      });
    }
    if (keepBodiesDays !== null) {
      jobs.push({
        scan: new AgeScan(this.#db, { days: keepBodiesDays, now, fullPassMs: FULL_PASS_MS }),
        select: (ids) => this.#withBodies(ids),
        apply: (id) => this.#deleteBodies(id),
        report: (count) => ({ type: "bodies_deleted", count }),
      });
    }
    return jobs;
  }

  #deleteIds(days: number | null): RetentionStep | null {
    const nowMs = this.#options.now();
    if (days === null || nowMs < this.#idsDueMs) return null;
    const keepMs = days * DAY_MS;
    if (deleteOldOwnedIds(this.#db, nowMs - keepMs, MAX_STEP_ROWS) > 0) return { type: "looked" };
    this.#idsDueMs = nowMs + Math.min(keepMs, IDS_REST_MS);
    return null;
  }

  /** null: the job has no row to look at. */
  #doSome({ scan, select, apply, report }: AgeJob): RetentionStep | null {
    const isTimeLeft = stepTimer();
    const rows = scan.next();
    if (rows.length === 0) return null;
    const wanted = select(rows.filter(({ age }) => age === "due").map(({ id }) => id));
    const passed: { readonly row: AgedRow; readonly isLeft: boolean }[] = [];
    let count = 0;
    const passSome = (): void => {
      for (const row of rows) {
        const isWanted = wanted.has(row.id);
        const isDone = isWanted && apply(row.id);
        passed.push({ row, isLeft: row.age === "not_yet" || (isWanted && !isDone) });
        if (isDone) count++;
        if (count === MAX_STEP_ROWS || !isTimeLeft()) return;
      }
    };
    if (wanted.size === 0) passSome();
    else inTransaction(this.#db, passSome);
    for (const { row, isLeft } of passed) scan.pass(row, { isLeft });
    return count > 0 ? report(count) : { type: "looked" };
  }

  #deleteBySize(): RetentionStep | null {
    if (!this.#isTooLarge()) return null;
    const isTimeLeft = stepTimer();
    let count = 0;
    const oldest = prepared(
      this.#db,
      `SELECT id FROM records INDEXED BY idx_records_list
        WHERE outcome IS NOT 'in_flight' ORDER BY id LIMIT ${MAX_STEP_ROWS}`,
    ).all();
    if (oldest.length === 0) return null;
    inTransaction(this.#db, () => {
      for (const { id } of oldest) {
        if (this.#delete(Number(id))) count++;
        if (!isTimeLeft() || !this.#isTooLarge()) return;
      }
    });
    return { type: "deleted", reason: "max_db_size", count };
  }

  #isTooLarge(): boolean {
    const { limits: { maxDbSizeBytes }, walBytes } = this.#options;
    if (maxDbSizeBytes === null) return false;
    const free = this.#pragma("freelist_count");
    const usedPages = this.#pragma("page_count") - free + Math.min(free, this.#sparePages());
    return usedPages * this.#pageBytes + Math.min(walBytes(), maxDbSizeBytes * MAX_WAL_SHARE) >
      maxDbSizeBytes;
  }

  #delete(id: number): boolean {
    if (this.#run(DELETE_RECORD, id) === 0) return false;
    this.#run(DELETE_ATTEMPTS, id);
    return true;
  }

  #deleteBodies(id: number): boolean {
    if (this.#run(DELETE_BODIES, id) === 0) return false;
    this.#run(DELETE_PARTIALS, id);
    return true;
  }

  #withBodies(ids: readonly number[]): Set<number> {
    if (ids.length === 0) return new Set();
    const rows = prepared(
      this.#db,
      `SELECT id FROM records WHERE id IN (SELECT value FROM json_each(?)) AND (${HAS_BODIES})`,
    ).all(JSON.stringify(ids));
    return new Set(rows.map(({ id }) => Number(id)));
  }

  /** Gives free pages at the end of the file back to the disk, after moving what is in use from there. */
  #shrink(): RetentionStep | null {
    if (!this.#isShrinkable) return null;
    const spare = this.#sparePages();
    const free = this.#pragma("freelist_count");
    if (free <= spare) return null;
    const isTimeLeft = stepTimer();
    let left = free;
    inTransaction(this.#db, () => {
      while (left > spare && isTimeLeft()) {
        // One row a page: `exec` would stop after the first.
        prepared(this.#db, `PRAGMA incremental_vacuum(${VACUUM_PAGES})`).all();
        left = this.#pragma("freelist_count");
      }
    });
    this.#isCheckpointDue = true;
    return { type: "shrunk", pages: free - left };
  }

  #sparePages(): number {
    return Math.max(MIN_SPARE_PAGES, this.#pragma("page_count") * SPARE_SHARE);
  }

  #checkpoint(): void {
    const row = prepared(this.#db, "PRAGMA wal_checkpoint(PASSIVE)").get();
    // A reader may be in the way; then it is tried again.
    this.#isCheckpointDue = row?.["busy"] !== 0 || row["log"] !== row["checkpointed"];
  }

  #run(sql: string, id: number): number {
    return Number(prepared(this.#db, sql).run(id).changes);
  }

  #pragma(name: "page_count" | "freelist_count" | "page_size" | "auto_vacuum"): number {
    return Number(prepared(this.#db, `PRAGMA ${name}`).get()?.[name]);
  }
}

function stepTimer(): () => boolean {
  const endMs = performance.now() + MAX_STEP_MS;
  return () => performance.now() < endMs;
}
