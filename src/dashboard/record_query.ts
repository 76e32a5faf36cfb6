/**
 * The filters of the list of records, as parameters of the page's URL.
 *
 * Owns the names of the parameters. Pure.
 */
import { parseMoment } from "../core/times.ts";
import type { Outcome } from "../core/types.ts";
import type { RecordFilter } from "../store/store.ts";
import type { Messages } from "./messages/en.ts";

/** What was typed, by parameter name; empty when absent. */
export type RecordQuery = Readonly<Record<QueryName, string>>;
export type QueryName = "q" | "model" | "upstream" | "status" | "outcome" | "client" | "since" | "until";

export const QUERY_NAMES: readonly QueryName[] = [
  "q",
  "model",
  "upstream",
  "status",
  "outcome",
  "client",
  "since",
  "until",
];

export interface ReadQuery {
  readonly query: RecordQuery;
  readonly filter: RecordFilter;
  /** Messages about invalid values, which are left out of the filter. */
  readonly problems: readonly string[];
}

const LONGEST_VALUE = 500;

export function readQuery(
  parameters: URLSearchParams,
  { m, nowMs }: { readonly m: Messages; readonly nowMs: number },
): ReadQuery {
  const query = Object.fromEntries(
    QUERY_NAMES.map((name) => [name, (parameters.get(name) ?? "").trim().slice(0, LONGEST_VALUE)]),
  ) as Record<QueryName, string>;
  const problems: string[] = [];
  const moment = (text: string, isEnd: boolean): number | undefined => {
    const ms = text === "" ? undefined : parseMoment(text, { nowMs, isEnd });
    if (ms === undefined && text !== "") problems.push(m.badTime(text));
    return ms;
  };
  const sinceMs = moment(query.since, false);
  const untilMs = moment(query.until, true);
  const status = statusOf(query.status);
  if (status === undefined && query.status !== "") problems.push(m.badStatus(query.status));
  const upstreamId = /^\d{1,15}$/.test(query.upstream) ? Number(query.upstream) : undefined;
  const outcome = Object.keys(m.outcomes).find((each) => each === query.outcome) as Outcome | undefined;
  return {
    query,
    problems,
    filter: {
      ...(sinceMs === undefined ? {} : { sinceMs }),
      ...(untilMs === undefined ? {} : { untilMs }),
      ...(query.model === "" ? {} : { model: query.model }),
      ...(upstreamId === undefined ? {} : { upstreamId }),
      ...(status === undefined ? {} : { status }),
      ...(outcome === undefined ? {} : { outcome }),
      ...(query.client === "" ? {} : { client: query.client }),
      ...(query.q === "" ? {} : { text: query.q }),
    },
  };
}

/** `429`; `4` or `4xx` for the class. */
function statusOf(text: string): number | undefined {
  const [, digits] = /^([1-9]|[1-9]\d\d)(?:xx)?$/i.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** The list's URL with this query; empty parameters are left out. */
export function recordsPath(
  query: RecordQuery,
  changes: Partial<Record<QueryName | "before", string>> = {},
): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, ...changes })) {
    if (value !== "" && value !== undefined) parameters.set(name, value);
  }
  const text = parameters.toString();
  return text === "" ? "/admin/records" : `/admin/records?${text}`;
}
