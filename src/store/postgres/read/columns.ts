/**
 * Select lists whose rows look like those of SQLite, so that one decoding serves both (../../read/record_decoding.ts).
 *
 * Owns their SQL. Times come in the text form of ../../database/go_time.ts; integers as floating point, because a number
 * beyond 2^53 in one column must not keep the row from being read. Records are `r`, their texts `t`.
 */
import { RECORD_COLUMNS, type RecordColumn } from "../../database/record_columns.ts";

/** Columns of `oar.record_texts`. */
const TEXTS: ReadonlySet<string> = new Set(["body", "response", "reasoning", "tool_calls"]);

/** Exact, of one length, and so in the order of time; PostgreSQL reads it as well. */
export function timeText(column: string): string {
  return `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00'`;
}

/** Of rows that are edited by hand: null for what no client can read, such as infinity. */
export function safeTimeText(column: string): string {
  return `CASE WHEN ${column} BETWEEN '0001-01-01Z' AND '9999-12-31Z' THEN ${timeText(column)} END`;
}

export function numbers(names: readonly string[], alias: string): string {
  return names.map((name) => `${alias}.${name}::float8 AS ${name}`).join(", ");
}

export function columnOf(name: string): string {
  return `${TEXTS.has(name) ? "t" : "r"}."${name}"`;
}

/** What `toStoredRecord` reads. */
export const RECORD_LIST = ["r.id::float8 AS id", ...Object.keys(RECORD_COLUMNS).map(listed)].join(", ");

function listed(name: string): string {
  if (name === "created_at") return `${timeText("r.created_at")} AS created_at`;
  return RECORD_COLUMNS[name as RecordColumn] === "number" ? numbers([name], "r") : columnOf(name);
}

/** What `toSearchSource` reads. @param length of each text, in characters */
export function searchList(length: number): string {
  const texts = [...TEXTS].map((name) => `left(t.${name}, ${length}) AS ${name}`);
  return ["r.request_id", ...texts].join(", ");
}

/** Bytes of a record's texts, computed without reading them. */
export const TEXT_BYTES = `(${
  [...TEXTS].map((name) => `coalesce(octet_length(t.${name}), 0)`).join(" + ")
})::float8`;

/** @param bounds of the texts' `created_at`: a join does not hand on those of the records */
export function recordsWithTexts(bounds: readonly string[]): string {
  return `oar.records r LEFT JOIN oar.record_texts t ON ${TEXTS_OF_RECORD.concat(bounds).join(" AND ")}`;
}

export const TEXTS_OF_RECORD: readonly string[] = ["t.created_at = r.created_at", "t.record_id = r.id"];
