/**
 * The days that the page of costs shows, as parameters of URLs. Days are those of UTC. Pure.
 */
import type { CostReport, CostSpan } from "../control/admin_service.ts";
import { COST_RANGES } from "../control/cost_spans.ts";
import { parseMoment } from "../core/times.ts";
import { zoneOf } from "../core/zones.ts";
import type { PageContext } from "./page_context.ts";

export interface ReadCostSpan {
  readonly span: CostSpan;
  /** What was typed; null with a range. */
  readonly custom: { readonly since: string; readonly until: string } | null;
  readonly problem: string | null;
}

const LONGEST_VALUE = 100;
const USUAL = "30d";

/** What cannot be read leads to the usual range, and says so. */
export function readCostSpan(parameters: URLSearchParams, { m, nowMs }: PageContext): ReadCostSpan {
  const typed = (name: string) => (parameters.get(name) ?? "").trim().slice(0, LONGEST_VALUE);
  const range = COST_RANGES.find((each) => each === parameters.get("range")) ?? USUAL;
  const [since, until] = [typed("since"), typed("until")];
  if (since === "") return { span: range, custom: null, problem: null };
  const zone = zoneOf("UTC");
  const inUtc = zone === null ? {} : { zone };
  const sinceMs = parseMoment(since, { nowMs, isEnd: false, ...inUtc });
  const untilMs = until === "" ? nowMs : parseMoment(until, { nowMs, isEnd: true, ...inUtc });
  const unread = (problem: string): ReadCostSpan => ({ span: range, custom: null, problem });
  if (sinceMs === undefined) return unread(m.badTime(since));
  if (untilMs === undefined) return unread(m.badTime(until));
  if (sinceMs > untilMs) return unread(m.badOrder);
  return { span: { sinceMs, untilMs }, custom: { since, until }, problem: null };
}

/** The same days, for links to the API. */
export function costSpanQuery(
  { range, fromMs, toMs }: Pick<CostReport, "range" | "fromMs" | "toMs">,
): Record<string, string> {
  return range === "custom"
    ? { since: new Date(fromMs).toISOString(), until: new Date(toMs - 1).toISOString() }
    : { range };
}

/** The records of the same days. */
export function daysQuery({ fromMs, toMs }: Pick<CostReport, "fromMs" | "toMs">): {
  readonly since: string;
  readonly until: string;
} {
  return { since: new Date(fromMs).toISOString(), until: new Date(toMs - 1).toISOString() };
}

/** `2026-01-31` */
export function utcDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, "2026-01-31".length);
}
