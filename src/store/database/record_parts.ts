/**
 * What came of a reply under way after its row was written: the table `record_parts`, joined when it is read.
 *
 * Owns how the parts are joined. A row that is written whole has none; that of a process that died gets them
 * (instances.ts).
 */

export type PartedColumn = "response" | "reasoning";

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

/** A column of `records` as a select list has it: parts joined, where there can be some. */
export function columnText(name: string): string {
  return name === "response" || name === "reasoning" ? wholeText(name) : `"${name}"`;
}

export const DELETE_PARTS = "DELETE FROM record_parts WHERE record_id = ?";

export const DELETE_PARTS_OF_REQUEST =
  "DELETE FROM record_parts WHERE record_id = (SELECT id FROM records WHERE request_id = ?)";
