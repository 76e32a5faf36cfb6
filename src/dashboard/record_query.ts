/**
 * The filters of the list of records, as parameters of the page's URL.
 *
 * Owns the names of the parameters. Pure.
 */
import type { UpstreamView } from "../control/admin_service.ts";
import { toRecordFilter, upstreamIdOf } from "../control/record_conditions.ts";
import { parseCountRange, parseDuration } from "../core/bounds.ts";
import { parseMoment } from "../core/times.ts";
import type { Outcome } from "../core/types.ts";
import type { Zone } from "../core/zones.ts";
import type { RecordFilter } from "../store/store.ts";
import type { Messages } from "./messages/en.ts";

export const QUERY_NAMES = [
  "q",
  "model",
  "upstream",
  "tried",
  "failedOn",
  "attempts",
  "slowerThan",
  "failed",
  "status",
  "outcome",
  "client",
  "without",
  "since",
  "until",
] as const;
export type QueryName = typeof QUERY_NAMES[number];

/** What was typed, by parameter name; empty when absent. */
export type RecordQuery = Readonly<Record<QueryName, string>>;

export interface ReadQuery {
  readonly query: RecordQuery;
  readonly filter: RecordFilter;
  /** Messages about invalid values, which are left out of the filter. */
  readonly problems: readonly string[];
}

export interface QueryContext {
  readonly m: Messages;
  readonly nowMs: number;
  /** Of moments without a zone. */
  readonly zone: Zone;
  readonly upstreams: readonly Pick<UpstreamView, "id" | "name">[];
}

const LONGEST_VALUE = 500;
const WITHOUT = ["model", "client"] as const;

export function readQuery(parameters: URLSearchParams, context: QueryContext): ReadQuery {
  const { m, nowMs, zone, upstreams } = context;
  const query = Object.fromEntries(
    QUERY_NAMES.map((name) => [name, (parameters.get(name) ?? "").trim().slice(0, LONGEST_VALUE)]),
  ) as Record<QueryName, string>;
  const problems: string[] = [];
  const read = <Value>(
    text: string,
    parse: (text: string) => Value | undefined,
    problem: (text: string) => string,
  ): Value | undefined => {
    const value = text === "" ? undefined : parse(text);
    if (value === undefined && text !== "") problems.push(problem(text));
    return value;
  };
  const moment = (text: string, isEnd: boolean): number | undefined =>
    read(text, (each) => parseMoment(each, { nowMs, isEnd, zone }), m.badTime);
  const upstream = (text: string): string | undefined =>
    read(text, (each) => idOf(each, upstreams), m.badUpstream);
  const conditions = {
    since: moment(query.since, false),
    until: moment(query.until, true),
    status: read(query.status, statusOf, m.badStatus),
    attempts: read(query.attempts, parseCountRange, m.badAttempts),
    slowerThan: read(query.slowerThan, parseDuration, m.badDuration),
    upstream: upstream(query.upstream),
    tried: upstream(query.tried),
    failedOn: upstream(query.failedOn),
    failed: query.failed || undefined,
    outcome: Object.keys(m.outcomes).find((each) => each === query.outcome) as Outcome | undefined,
    model: query.model || undefined,
    client: query.client || undefined,
    without: WITHOUT.find((each) => each === query.without),
    q: query.q || undefined,
  };
  return { query, problems, filter: toRecordFilter(conditions, upstreams) };
}

/** An id as text; undefined when no upstream, or more than one, has the name. */
function idOf(which: string, upstreams: QueryContext["upstreams"]): string | undefined {
  try {
    return String(upstreamIdOf(which, upstreams));
  } catch {
    return undefined;
  }
}

/** `429`; `4` or `4xx` for the class. */
function statusOf(text: string): number | undefined {
  const [, digits] = /^([1-9]|[1-9]\d\d)(?:xx)?$/i.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

type Changes = Partial<Record<QueryName | "before" | "as", string>>;

/** The parameters with a `?`; empty ones are left out, and without any it is empty. */
export function queryText(query: Partial<RecordQuery>, changes: Changes = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, ...changes })) {
    if (value !== "" && value !== undefined) parameters.set(name, value);
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

/** The list's URL with this query. */
export function recordsPath(query: Partial<RecordQuery>, changes: Changes = {}): string {
  return `/admin/records${queryText(query, changes)}`;
}

/** Path of a record, from which one goes on within the same list. */
export function recordPath(id: number, query: Partial<RecordQuery>): string {
  return `/admin/records/${id}${queryText(query)}`;
}

/** The admin API's export of what the page shows; its times are absolute. */
export function exportPath(format: "csv" | "jsonl", { query, filter }: ReadQuery): string {
  const { since: _since, until: _until, outcome: _outcome, status: _status, ...rest } = query;
  const { sinceMs, untilMs, outcome, status } = filter;
  const parameters = new URLSearchParams({ format });
  const asked = {
    ...rest,
    // The API refuses what the page only reports.
    ...(filter.upstreamId === undefined ? { upstream: "" } : { upstream: String(filter.upstreamId) }),
    ...(filter.triedUpstreamId === undefined ? { tried: "" } : { tried: String(filter.triedUpstreamId) }),
    ...(filter.failedUpstreamId === undefined
      ? { failedOn: "" }
      : { failedOn: String(filter.failedUpstreamId) }),
    attempts: filter.attempts === undefined ? "" : rest.attempts,
    slowerThan: filter.slowerThanMs === undefined ? "" : rest.slowerThan,
    failed: filter.isFailure ? "yes" : "",
    outcome: outcome ?? "",
    without: filter.without ?? "",
    status: status === undefined ? "" : status < 10 ? `${status}xx` : String(status),
    since: sinceMs === undefined ? "" : isoTime(sinceMs),
    until: untilMs === undefined ? "" : isoTime(untilMs),
  };
  for (const [name, value] of Object.entries(asked)) if (value !== "") parameters.set(name, value);
  return `/admin/api/records/export?${parameters}`;
}

const MAX_ISO_MS = Date.UTC(9998, 11, 31);

function isoTime(ms: number): string {
  return new Date(Math.min(Math.max(ms, 0), MAX_ISO_MS)).toISOString();
}
