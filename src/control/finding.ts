/**
 * Findings of the doctor: one per check.
 */

export type Level = "ok" | "warn" | "fail";

export interface Finding {
  readonly check:
    | "settings"
    | "database"
    | "replicas"
    | "journal"
    | "search"
    | "disk"
    | "prices"
    | "tokens"
    | "upstream"
    | "clock"
    | "alerts";
  /** The upstream or channel; null for a check that has only one subject. */
  readonly subject: string | null;
  readonly level: Level;
  /** What was found. */
  readonly message: string;
  /** What to do about it; null when nothing. */
  readonly advice: string | null;
}

/** The finding of a check that has no subject. */
export function found(
  check: Finding["check"],
  { level, message, advice = null }: { level: Level; message: string; advice?: string | null },
): Finding {
  return { check, subject: null, level, message, advice };
}
