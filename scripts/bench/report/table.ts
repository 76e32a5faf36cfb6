/**
 * Tables of text.
 */

/** Left-aligned in the first columns, right-aligned in the others. */
export function textTable(rows: readonly (readonly string[])[], leftColumns = 1): string {
  const count = Math.max(0, ...rows.map((cells) => cells.length));
  const widths = Array.from(
    { length: count },
    (_, at) => Math.max(...rows.map((cells) => (cells[at] ?? "").length)),
  );
  return rows.map((cells) =>
    cells.map((cell, at) => at < leftColumns ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))
      .join("  ").trimEnd()
  ).join("\n");
}

/** A number with that many decimal places and thousands apart; `-` for none. */
export function number(value: number | undefined, digits: number): string {
  if (value === undefined || Number.isNaN(value)) return "-";
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
