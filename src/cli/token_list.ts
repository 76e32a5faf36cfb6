/**
 * The list of tokens: their names, since when there are, when they were last used, and what they have used.
 *
 * Owns the columns and the members of the JSON; whether a token is masked is for the command to say.
 */
import { viewTokens } from "../control/token_view.ts";
import type { TokenView } from "../control/admin_service.ts";
import { formatTime } from "../core/times.ts";
import type { ClientToken } from "../core/types.ts";
import type { ConfigStore, RecordReader } from "../store/store.ts";
import { formatTable, type Terminal } from "./output.ts";

/** Members that were there before come first. */
export interface ListedToken extends Omit<TokenView, "createdAtMs" | "lastUsedMs" | "countedSinceMs"> {
  /** ISO 8601; null: unknown, never, since ever. */
  readonly createdAt: string | null;
  readonly lastUsedAt: string | null;
  readonly countedSince: string | null;
}

export function listedTokens(
  tokens: readonly ClientToken[],
  { config, records, show }: {
    readonly config: ConfigStore;
    readonly records: RecordReader;
    readonly show: (secret: string) => string;
  },
): ListedToken[] {
  const views = viewTokens(tokens, { times: config.tokenTimes(), totals: records.clientTotals() });
  return views.map(({ createdAtMs, lastUsedMs, countedSinceMs, ...view }, index) => ({
    ...view,
    token: show(tokens[index]?.secret ?? ""),
    createdAt: isoOf(createdAtMs),
    lastUsedAt: isoOf(lastUsedMs),
    countedSince: isoOf(countedSinceMs),
  }));
}

/** On a terminal. */
export function printTokenTable(terminal: Terminal, tokens: readonly ListedToken[]): void {
  const columns = [
    { title: "NAME", cell: ({ name }: ListedToken) => name },
    { title: "TOKEN", cell: ({ token }: ListedToken) => token },
    { title: "ADDED", cell: ({ createdAt }: ListedToken) => localTime(createdAt, "unknown") },
    { title: "LAST USED", cell: ({ lastUsedAt }: ListedToken) => localTime(lastUsedAt, "never") },
    { title: "REQUESTS", cell: ({ requests }: ListedToken) => String(requests) },
    { title: "TOKENS", cell: (token: ListedToken) => String(token.inputTokens + token.outputTokens) },
  ];
  formatTable(tokens, { columns, width: null }).forEach(terminal.print);
  const since = tokens[0]?.countedSince ?? null;
  if (since !== null) terminal.note(`requests and tokens are counted since ${localTime(since, "")}`);
}

function localTime(iso: string | null, otherwise: string): string {
  return iso === null ? otherwise : formatTime(Date.parse(iso));
}

function isoOf(ms: number | null): string | null {
  return ms === null || Math.abs(ms) > MAX_DATE_MS ? null : new Date(ms).toISOString();
}

/** ECMA-262, section 21.4.1.1. */
const MAX_DATE_MS = 8.64e15;
