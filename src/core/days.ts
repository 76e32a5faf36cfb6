/**
 * Days as text, such as `2026-01-31`, in a time zone. Pure.
 */
import { zoneOf } from "./zones.ts";

const DAY_LENGTH = "2026-01-31".length;
/** The years 1 to 9999, which every text of a day can hold, in every zone: a database may hold any number as a time. */
const FIRST_MS = -62_135_596_800_000 + 7 * 86_400_000;
const LAST_MS = 253_402_300_799_999 - 7 * 86_400_000;

/** Which day a moment is on there; an unknown zone counts as UTC. What is no time is on the first day. */
export function dayIn(timeZone: string): (ms: number) => string {
  const zone = zoneOf(timeZone) ?? zoneOf("UTC");
  return (ms) => {
    const bounded = Math.min(Math.max(Number.isFinite(ms) ? ms : FIRST_MS, FIRST_MS), LAST_MS);
    return (zone?.format(bounded) ?? new Date(bounded).toISOString()).slice(0, DAY_LENGTH);
  };
}
