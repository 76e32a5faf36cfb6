/**
 * The time that the overview shows, as parameters of URLs. Pure.
 */
import type { Stats, StatsRange, StatsSpan } from "../control/admin_service.ts";
import { parseMoment } from "../core/times.ts";
import type { Messages } from "./messages/en.ts";
import type { PageContext } from "./page_context.ts";

export const STATS_RANGES = ["15m", "1h", "24h", "7d", "30d"] as const satisfies readonly StatsRange[];

export interface ReadSpan {
  readonly span: StatsSpan;
  /** What was typed; null with a range up to now. */
  readonly custom: { readonly since: string; readonly until: string } | null;
  readonly problem: string | null;
}

const LONGEST_VALUE = 100;

/** What cannot be read leads to the usual range, and says so. */
export function readSpan(
  parameters: URLSearchParams,
  page: PageContext,
  usual: StatsRange = "15m",
): ReadSpan {
  const [since = "", until = ""] = ["since", "until"].map((name) =>
    (parameters.get(name) ?? "").trim().slice(0, LONGEST_VALUE)
  );
  const range = STATS_RANGES.find((each) => each === parameters.get("range")) ?? usual;
  if (since === "") return { span: range, custom: null, problem: null };
  const { m, nowMs, zone } = page;
  const sinceMs = parseMoment(since, { nowMs, isEnd: false, zone });
  const untilMs = until === "" ? nowMs : parseMoment(until, { nowMs, isEnd: true, zone });
  const problem = problemOf(m, { since, sinceMs, until, untilMs });
  if (problem !== null || sinceMs === undefined || untilMs === undefined) {
    return { span: range, custom: null, problem };
  }
  return { span: { sinceMs, untilMs }, custom: { since, until }, problem: null };
}

function problemOf(
  m: Messages,
  { since, sinceMs, until, untilMs }: {
    readonly since: string;
    readonly sinceMs: number | undefined;
    readonly until: string;
    readonly untilMs: number | undefined;
  },
): string | null {
  if (sinceMs === undefined) return m.badTime(since);
  if (untilMs === undefined) return m.badTime(until);
  return sinceMs > untilMs ? m.badOrder : null;
}

/** The records of the same time. */
export function spanQuery({ fromMs, toMs, range }: Pick<Stats, "fromMs" | "toMs" | "range">): {
  readonly since: string;
  readonly until?: string;
} {
  const since = utc(fromMs);
  return range === "custom" ? { since, until: utc(toMs - 1) } : { since };
}

/** The records of one step. */
export function stepQuery(atMs: number, stepMs: number): { readonly since: string; readonly until: string } {
  return { since: utc(atMs), until: utc(atMs + stepMs - 1) };
}

function utc(ms: number): string {
  return new Date(ms).toISOString();
}
