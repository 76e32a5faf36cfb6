/**
 * Conditions on numbers as people type them: `>1` attempts, slower than `5s`. Pure.
 */

/** Both ends included; null: no bound. */
export interface CountRange {
  readonly min: number | null;
  readonly max: number | null;
}

/** `2`, `=2`, `>1`, `>=2`, `<3`, `<=2`; undefined for anything else. */
export function parseCountRange(text: string): CountRange | undefined {
  const [, operator = "", digits = ""] = /^(>=|<=|=|>|<|) {0,3}(\d{1,6})$/.exec(text.trim()) ?? [];
  if (digits === "") return undefined;
  const count = Number(digits);
  switch (operator) {
    case ">":
      return { min: count + 1, max: null };
    case ">=":
      return { min: count, max: null };
    case "<":
      return count === 0 ? undefined : { min: null, max: count - 1 };
    case "<=":
      return { min: null, max: count };
    default:
      return { min: count, max: count };
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000 };

/** Milliseconds of `5s`, `1.5s`, `800ms`, `2m`, `1h`, `5` (seconds); undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const [, number = "", unit = ""] = /^(\d{1,9}(?:\.\d{1,3})?) {0,3}(ms|s|min|m|h|)$/.exec(text.trim()) ?? [];
  return number === "" ? undefined : Number(number) * (UNIT_MS[unit === "" ? "s" : unit] ?? 0);
}
