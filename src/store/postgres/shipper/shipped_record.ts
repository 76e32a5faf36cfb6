/**
 * A record on its way from the journal to PostgreSQL: interfaces only.
 *
 * All values are text as PostgreSQL reads it, or null; numbers as well, which may be beyond 2^53.
 */
import { RECORD_COLUMNS, type RecordColumn } from "../../database/record_columns.ts";

/** What is in `oar.record_texts`, apart from the other columns. */
export type TextColumn = "body" | "response" | "reasoning" | "tool_calls";
/** What identifies the record there. */
type KeyColumn = "request_id" | "created_at";
export type ValueColumn = Exclude<RecordColumn, TextColumn | KeyColumn>;

const APART: ReadonlySet<string> = new Set<TextColumn | KeyColumn>([
  "request_id",
  "created_at",
  "body",
  "response",
  "reasoning",
  "tool_calls",
]);

/** The columns of `oar.records` but for the key, in the order of {@link ShippedRecord.values}. */
export const VALUE_COLUMNS: readonly ValueColumn[] = (Object.keys(RECORD_COLUMNS) as RecordColumn[]).filter(
  (name): name is ValueColumn => !APART.has(name),
);

export type Texts = Readonly<Record<TextColumn, string | null>>;

/** One version of a row of the journal. */
export interface JournalVersion {
  /** The row's number in the journal. */
  readonly id: number;
  /** Another one when anything about the row is. */
  readonly version: string;
}

export interface ShippedRecord extends JournalVersion {
  readonly requestId: string;
  /** ISO 8601 in UTC, with microseconds. */
  readonly createdAt: string;
  /** In the order of {@link VALUE_COLUMNS}. */
  readonly values: readonly (string | null)[];
  /** `body` is null also where PostgreSQL has it already. */
  readonly texts: Texts;
  readonly attempts: readonly ShippedAttempt[];
  /** Nothing more will come of it. */
  readonly isSettled: boolean;
  /** Approximate size. */
  readonly bytes: number;
}

/** The columns of `oar.attempts` but for the key, in the order of {@link ShippedAttempt.values}, and their types. */
export const ATTEMPT_COLUMNS = {
  n: "bigint",
  upstream_id: "bigint",
  started_at: "timestamptz",
  duration_ms: "bigint",
  status: "bigint",
  error_class: "text",
  error: "text",
  partial: "text",
  key_n: "bigint",
  changed: "bigint",
  usage: "text",
  cost_nano: "bigint",
} as const satisfies Record<string, "bigint" | "text" | "timestamptz">;

export interface ShippedAttempt {
  readonly values: readonly (string | null)[];
}

/** The day (UTC) of a record, such as `2026-01-31`. */
export function dayOf({ createdAt }: Pick<ShippedRecord, "createdAt">): string {
  return createdAt.slice(0, 10);
}
