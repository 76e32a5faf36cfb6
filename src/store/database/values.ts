/**
 * Values as SQLite gives them, read safely.
 *
 * Owns the two rules of reading: text comes as a BLOB (node:sqlite cuts TEXT at the first NUL), and a
 * column of a table that people edit by hand may hold anything. Statements read with `setReadBigInts(true)`,
 * because a number beyond 2^53 would otherwise throw.
 */
import type { SQLOutputValue } from "node:sqlite";

const decoder = new TextDecoder();

/** A select list that {@link text} can read: `CAST(name AS BLOB) AS name`. */
export function asBlobs(columns: readonly string[]): string {
  return columns.map((name) => `CAST("${name}" AS BLOB) AS "${name}"`).join(", ");
}

/** Text, or null for NULL. Invalid UTF-8 becomes U+FFFD. */
export function text(value: SQLOutputValue | undefined): string | null {
  if (value === null || value === undefined) return null;
  return value instanceof Uint8Array ? decoder.decode(value) : String(value);
}

/** A number, null for NULL, NaN for anything that is neither. */
export function number(value: SQLOutputValue | undefined): number | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "number" || typeof value === "bigint") return Number(value);
  return Number.NaN;
}
