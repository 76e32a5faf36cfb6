/**
 * The questions that the reading thread answers (see ../threads/call_thread.ts).
 */
import type { SpendQuery, SpentDays } from "../../core/spend.ts";
import type { RequestStats, StatsSpan } from "../stats/reader.ts";
import type { ClientTotals, DaySpan, UsageStats } from "../stats/usage_reader.ts";
import type { StoredSummary } from "./record_summary.ts";
import type { RecordFilter, StoredAttempt, StoredRecord } from "../store.ts";

export interface SummaryQuery {
  readonly limit: number;
  readonly beforeId?: number;
  readonly filter?: RecordFilter;
}

export interface SummaryPage {
  readonly records: readonly StoredSummary[];
  /** `beforeId` of the next page; null on the last. */
  readonly nextBeforeId: number | null;
}

/** Whole records; like a {@link SummaryPage}. */
export interface WholePage {
  readonly records: readonly StoredRecord[];
  readonly nextBeforeId: number | null;
}

export interface RecordCount {
  readonly count: number;
  /** False: time was up, and there may be more. */
  readonly isComplete: boolean;
}

export interface NeighboursQuery {
  /** Row number. */
  readonly id: number;
  readonly filter?: RecordFilter;
}

/** Row numbers of the next records on both sides. */
export interface Neighbours {
  readonly newerId: number | null;
  readonly olderId: number | null;
}

export interface RecordWithAttempts {
  readonly record: StoredRecord;
  readonly attempts: readonly StoredAttempt[];
}

/** An upstream's last failed attempt. */
export interface LastFailure {
  readonly upstreamId: number;
  readonly atMs: number;
  readonly errorClass: string;
  readonly message: string;
}

/** Questions, each with one argument; @throws StoreError all of them */
export interface RecordQueries {
  summaries(query: SummaryQuery): SummaryPage;
  whole(query: SummaryQuery): WholePage;
  count(filter: RecordFilter): RecordCount;
  neighbours(query: NeighboursQuery): Neighbours;
  record(requestIdOrId: string | number): RecordWithAttempts | null;
  stats(span: StatsSpan): RequestStats;
  usage(span: StatsSpan): UsageStats;
  /** By days (UTC). */
  costs(span: DaySpan): UsageStats;
  /** The argument is not looked at. */
  clientTotals(_: null): ClientTotals;
  /** What tokens have spent. */
  spend(query: SpendQuery): SpentDays;
  lastFailures(upstreamIds: readonly number[]): readonly LastFailure[];
}

export type QueryName = keyof RecordQueries;
