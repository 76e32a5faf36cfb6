/**
 * What the doctor says: one finding a check.
 */

export type Level = "ok" | "warn" | "fail";

export interface Finding {
  readonly check: "settings" | "database" | "disk" | "tokens" | "upstream" | "clock" | "alerts";
  /** Which upstream or channel; null where there is only one. */
  readonly subject: string | null;
  readonly level: Level;
  /** What was found. */
  readonly message: string;
  /** What to do about it; null when nothing. */
  readonly advice: string | null;
}

/** A finding about something of which there is one. */
export function found(
  check: Finding["check"],
  { level, message, advice = null }: { level: Level; message: string; advice?: string | null },
): Finding {
  return { check, subject: null, level, message, advice };
}
