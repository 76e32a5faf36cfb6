/**
 * The list of tokens: their names, since when there are, when they were last used, and what they have used.
 *
 * Owns the columns and the members of the JSON; whether a token is masked is for the command to say.
 */
import { viewTokens } from "../control/token_view.ts";
import type { TokenView } from "../control/admin_service.ts";
import { formatTime } from "../core/times.ts";
import type { ClientToken } from "../core/types.ts";
import type { ClientTotals } from "../store/stats/usage_reader.ts";
import type { ConfigStore } from "../store/store.ts";
import { type Column, displayWidth, formatTable, type Terminal } from "./output.ts";

/** Members that were there before come first. */
export interface ListedToken extends Omit<TokenView, "createdAtMs" | "lastUsedMs" | "countedSinceMs"> {
  /** ISO 8601; null: unknown, never, since ever. */
  readonly createdAt: string | null;
  readonly lastUsedAt: string | null;
  readonly countedSince: string | null;
}

export function listedTokens(
  tokens: readonly ClientToken[],
  { config, totals, show }: {
    readonly config: ConfigStore;
    readonly totals: ClientTotals;
    readonly show: (secret: string) => string;
  },
): ListedToken[] {
  const views = viewTokens(tokens, { times: config.tokenTimes(), totals });
  return views.map(({ createdAtMs, lastUsedMs, countedSinceMs, ...view }, index) => ({
    ...view,
    token: show(tokens[index]?.secret ?? ""),
    createdAt: isoOf(createdAtMs),
    lastUsedAt: isoOf(lastUsedMs),
    countedSince: isoOf(countedSinceMs),
  }));
}

/** From the most important on; a narrow terminal gets fewer. */
const COLUMNS: readonly Column<ListedToken>[] = [
  { title: "NAME", cell: ({ name }) => name },
  { title: "TOKEN", cell: ({ token }) => token },
  { title: "LAST USED", cell: ({ lastUsedAt }) => localTime(lastUsedAt, "never") },
  { title: "REQUESTS", cell: ({ requests }) => String(requests) },
  { title: "TOKENS", cell: ({ inputTokens, outputTokens }) => String(inputTokens + outputTokens) },
  { title: "ADDED", cell: ({ createdAt }) => localTime(createdAt, "unknown") },
];
const MIN_COLUMNS = 2;

/** On a terminal, whose lines are `width` wide. */
export function printTokenTable(
  terminal: Terminal,
  { tokens, width }: { readonly tokens: readonly ListedToken[]; readonly width: number },
): void {
  let count = COLUMNS.length;
  const lines = () => formatTable(tokens, { columns: COLUMNS.slice(0, count), width: null });
  while (count > MIN_COLUMNS && lines().some((line) => displayWidth(line) > width)) count--;
  lines().forEach(terminal.print);
  const since = tokens[0]?.countedSince ?? null;
  if (since !== null) terminal.note(`requests and tokens are counted since ${localTime(since, "")}`);
}

const MINUTE_LENGTH = "2026-11-01 12:00".length;

function localTime(iso: string | null, otherwise: string): string {
  return iso === null ? otherwise : formatTime(Date.parse(iso)).slice(0, MINUTE_LENGTH);
}

function isoOf(ms: number | null): string | null {
  return ms === null || Math.abs(ms) > MAX_DATE_MS ? null : new Date(ms).toISOString();
}

/** ECMA-262, section 21.4.1.1. */
const MAX_DATE_MS = 8.64e15;
