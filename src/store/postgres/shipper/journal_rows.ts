/**
 * Rows of the journal as they are shipped.
 *
 * Owns the translation, of our rows and of the Go program's. Pure. Values stay what they are; what PostgreSQL cannot store
 * is replaced (clean_text.ts), and the record is marked as truncated then.
 */
import { cleanText } from "./clean_text.ts";
import { columnText } from "../../database/record_parts.ts";
import { fromGoTime } from "../../database/go_time.ts";
import { RECORD_COLUMNS, type RecordColumn } from "../../database/record_columns.ts";
import { asBlobs } from "../../database/values.ts";
import { decodeGoBody, maskAuthorization, type Row } from "../../read/record_decoding.ts";
import {
  ATTEMPT_COLUMNS,
  type ShippedAttempt,
  type ShippedRecord,
  type TextColumn,
  VALUE_COLUMNS,
} from "./shipped_record.ts";

/**
 * What differs between two versions of a row, as SQL: a settled request may be settled again, and a row may be edited by
 * hand. Sizes of texts are computed without reading them; hexadecimal, because a NUL would end a text.
 */
export const VERSION = [
  ...[
    "request_id",
    "created_at",
    "outcome",
    "status",
    "elapsed_time",
    "response_bytes",
    "attempts",
    "is_truncated",
    "upstream_id",
    "input_tokens",
    "output_tokens",
  ].map((name) => `hex(coalesce(${name}, '-'))`),
  ...["body", "response", "reasoning", "tool_calls", "error", "finish_reason"].map((name) =>
    `coalesce(octet_length(${name}), '-')`
  ),
  // A row under way is not touched when a part comes.
  `CASE WHEN outcome = 'in_flight' THEN
    coalesce((SELECT max(n) FROM record_parts WHERE record_id = records.id), 0) ELSE 0 END`,
].join(" || '.' || ");

/** Needs `setReadBigInts(true)`. */
export const SELECT_SHIPPED = selectShipped({ isWithBody: true });

/** The same, with NULL as body. */
export const SELECT_WITHOUT_BODY = selectShipped({ isWithBody: false });

function selectShipped({ isWithBody }: { readonly isWithBody: boolean }): string {
  const columns = (Object.keys(RECORD_COLUMNS) as RecordColumn[]).map((name) => {
    if (RECORD_COLUMNS[name] === "number") return `${columnText(name)} AS "${name}"`;
    if (name === "body" && !isWithBody) return "NULL AS body";
    return `CAST(${columnText(name)} AS BLOB) AS "${name}"`;
  });
  return `SELECT id, ${VERSION} AS version, ${columns.join(", ")} FROM records WHERE id = ?`;
}

const ATTEMPT_NAMES = Object.keys(ATTEMPT_COLUMNS) as (keyof typeof ATTEMPT_COLUMNS)[];

/** Needs `setReadBigInts(true)`. */
export const SELECT_ATTEMPTS = `SELECT ${
  ATTEMPT_NAMES.map((name) => ATTEMPT_COLUMNS[name] === "bigint" ? name : asBlobs([name])).join(", ")
} FROM attempts WHERE record_id = ? ORDER BY n`;

/** Of a row beside its texts. */
const ROW_BYTES = 512;
const ATTEMPT_BYTES = 128;

/** Of the Go program's rows, which have none: this, and the row's number. */
export const GO_PREFIX = "go-";

/** null: the row has no time, without which PostgreSQL has no place for it. */
export function toShipped(row: Row, attempts: readonly Row[]): ShippedRecord | null {
  return translated(row, attempts, GO_PREFIX)?.record ?? null;
}

export interface TranslatedRecord {
  readonly record: ShippedRecord;
  /** A text held what PostgreSQL cannot store. */
  readonly isChanged: boolean;
}

/**
 * The same, and whether something was replaced.
 *
 * @param goPrefix of the request id of a row of the Go program, before the row's number
 */
export function translated(
  row: Row,
  attempts: readonly Row[],
  goPrefix: string,
): TranslatedRecord | null {
  const reader = new ValueReader();
  const createdAt = toTimestamp(reader.text(row["created_at"]));
  if (createdAt === null) return null;
  const id = Number(row["id"]);
  const requestId = reader.text(row["request_id"]);
  const shippedAttempts = attempts.map((attempt) => toShippedAttempt(attempt, reader));
  const texts = {
    body: reader.text(row["body"]),
    response: reader.text(row["response"]),
    reasoning: reader.text(row["reasoning"]),
    tool_calls: reader.text(row["tool_calls"]),
  } satisfies Record<TextColumn, string | null>;
  const values = VALUE_COLUMNS.map((name) => {
    if (RECORD_COLUMNS[name] === "number") return integerText(row[name]);
    const text = reader.text(row[name]);
    return name === "authorization" && text !== null ? maskAuthorization(text) : text;
  });
  if (reader.isChanged) values[VALUE_COLUMNS.indexOf("is_truncated")] = "1";
  const record = {
    id,
    version: String(row["version"]),
    requestId: requestId ?? `${goPrefix}${row["id"]}`,
    createdAt,
    values,
    texts: requestId === null && texts.body !== null ? { ...texts, body: decodeGoBody(texts.body) } : texts,
    attempts: shippedAttempts,
    isSettled: values[VALUE_COLUMNS.indexOf("outcome")] !== "in_flight",
    bytes: ROW_BYTES + reader.bytes + ATTEMPT_BYTES * attempts.length,
  };
  return { record, isChanged: reader.isChanged };
}

/** Reads the values of one record, and notes whether all of them can be stored as they are. */
class ValueReader {
  isChanged = false;
  bytes = 0;

  text(value: Row[string] | undefined): string | null {
    if (!(value instanceof Uint8Array)) return null;
    this.bytes += value.length;
    const { text, isChanged } = cleanText(value);
    if (isChanged) this.isChanged = true;
    return text;
  }
}

function toShippedAttempt(row: Row, reader: ValueReader): ShippedAttempt {
  return {
    values: ATTEMPT_NAMES.map((name) => {
      if (ATTEMPT_COLUMNS[name] === "bigint") return integerText(row[name]);
      const text = reader.text(row[name]);
      return name === "started_at" ? toTimestamp(text) : text;
    }),
  };
}

/** What is no number is null. */
function integerText(value: Row[string] | undefined): string | null {
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "number" || !Number.isFinite(value)) return null;
  return String(BigInt(Math.round(value)));
}

/** To the microsecond, which is what PostgreSQL keeps; null: it is no time. */
export function toTimestamp(text: string | null): string | null {
  const ms = text === null ? null : fromGoTime(text);
  if (text === null || ms === null) return null;
  const [, fraction = ""] = /\.(\d{1,9})/.exec(text) ?? [];
  return new Date(ms).toISOString().replace("Z", `${fraction.slice(3, 6).padEnd(3, "0")}Z`);
}
