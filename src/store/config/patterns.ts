/**
 * Lists of patterns in one column. Pure.
 */

/** The parts of a comma-separated column. */
export function splitPatterns(value: string | null): string[] {
  return (value ?? "").split(",").map((part) => part.trim()).filter((part) => part !== "");
}
