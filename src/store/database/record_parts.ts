/**
 * What came of a reply under way after its row was written: the table `record_parts`, joined when it is read.
 *
 * Owns how the parts are joined. Part 0 is the one that is replaced: calls of tools may grow in several places. A row that is written whole has none; that of a process that died gets them
 * (instances.ts). The row itself is not touched meanwhile: SQLite would write all of it again, with a request that may be large.
 */
import { RECORD_COLUMNS, type RecordColumn } from "./record_columns.ts";

/** Each part has what is new in them. */
const TEXT_COLUMNS = ["response", "reasoning"] as const satisfies readonly RecordColumn[];
export type PartedColumn = typeof TEXT_COLUMNS[number];

/** Part 0 has it whole. */
const CALLS_COLUMN = "tool_calls" as const satisfies RecordColumn;

/** The last part has their values. */
export const STATE_COLUMNS = [
  "elapsed_time",
  "first_byte_ms",
  "first_token_ms",
  "response_model",
  "finish_reason",
  "input_tokens",
  "output_tokens",
  "cached_tokens",
  "reasoning_tokens",
  "response_bytes",
  "is_truncated",
] as const satisfies readonly RecordColumn[];
export type StateColumn = typeof STATE_COLUMNS[number];

/** The columns of `record_parts` with their types, besides its key. */
export const PART_COLUMNS: Readonly<Record<string, string>> = Object.fromEntries(
  [...TEXT_COLUMNS, CALLS_COLUMN, ...STATE_COLUMNS].map((
    name,
  ) => [name, RECORD_COLUMNS[name] === "text" ? "text" : "integer"]),
);

/** The text of a column of `records` with its parts, as SQL; the table must not be aliased. */
export function wholeText(column: PartedColumn): string {
  return `CASE WHEN outcome = 'in_flight' AND EXISTS (SELECT 1 FROM record_parts WHERE record_id = records.id)
    THEN coalesce(${column}, '') || coalesce((SELECT group_concat(part, '') FROM
      (SELECT p.${column} AS part FROM record_parts p WHERE p.record_id = records.id ORDER BY p.n)), '')
    ELSE ${column} END`;
}

/** The size of {@link wholeText} in bytes, as SQL; computed without reading the text. */
export function wholeSize(column: PartedColumn): string {
  return `coalesce(octet_length(${column}), 0) + CASE WHEN outcome = 'in_flight' THEN coalesce(
    (SELECT sum(octet_length(p.${column})) FROM record_parts p WHERE p.record_id = records.id), 0) ELSE 0 END`;
}

/** The value of a column of `records` by its last part, as SQL; the table must not be aliased. */
function lastState(column: StateColumn): string {
  return `CASE WHEN outcome = 'in_flight' THEN coalesce((SELECT p.${column} FROM record_parts p
    WHERE p.record_id = records.id ORDER BY p.n DESC LIMIT 1), ${column}) ELSE ${column} END`;
}

const CALLS = `CASE WHEN outcome = 'in_flight' THEN coalesce((SELECT p.${CALLS_COLUMN} FROM record_parts p
  WHERE p.record_id = records.id AND p.n = 0), ${CALLS_COLUMN}) ELSE ${CALLS_COLUMN} END`;

/** A column of `records` as SQL: parts joined, where there can be some. */
export function columnText(name: string): string {
  if (isOneOf(TEXT_COLUMNS, name)) return wholeText(name);
  if (name === CALLS_COLUMN) return CALLS;
  return isOneOf(STATE_COLUMNS, name) ? lastState(name) : `"${name}"`;
}

/** The same for several, as a select list. */
export function columnTexts(names: readonly string[]): string {
  return names.map((name) => `${columnText(name)} AS "${name}"`).join(", ");
}

/** Puts the parts into the row, as the list of an UPDATE. */
export const JOIN_PARTS = [...TEXT_COLUMNS, CALLS_COLUMN, ...STATE_COLUMNS].map((name) =>
  `${name} = ${columnText(name)}`
)
  .join(
    ", ",
  );

function isOneOf<Name extends string>(names: readonly Name[], name: string): name is Name {
  return names.some((each) => each === name);
}

export const DELETE_PARTS = "DELETE FROM record_parts WHERE record_id = ?";

export const DELETE_PARTS_OF_REQUEST =
  "DELETE FROM record_parts WHERE record_id = (SELECT id FROM records WHERE request_id = ?)";
