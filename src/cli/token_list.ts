/**
 * The lists of tokens: what may be printed in full, and what each may do and has used.
 *
 * Owns the columns and the members of the JSON; whether a token is masked is for the command to say.
 */
import type { TokenView } from "../control/admin_service.ts";
import { viewTokens } from "../control/token_view.ts";
import type { SpentByToken } from "../control/token_spend.ts";
import { NANO_PER_USD, usdText } from "../core/money.ts";
import { formatTime } from "../core/times.ts";
import type { ClientTotals } from "../store/stats/usage_reader.ts";
import type { ConfigStore } from "../store/store.ts";
import { type Column, displayWidth, formatTable, type Terminal } from "./output.ts";

type Times = "createdAtMs" | "lastUsedMs" | "countedSinceMs" | "expiresAtMs";

interface IsoTimes {
  /** ISO 8601; null: unknown, never, since ever. */
  readonly createdAt: string | null;
  readonly lastUsedAt: string | null;
  readonly countedSince: string | null;
}

/** One of the list, with the members that there were before there were others. */
export interface ShownToken extends IsoTimes {
  readonly name: string;
  readonly token: string;
  readonly requests: number;
  readonly errors: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens: number;
}

/** Of either kind, masked. */
export interface ListedToken extends Omit<TokenView, Times>, IsoTimes {
  /** null: never. */
  readonly expiresAt: string | null;
}

/** Those of the list, which can be printed. */
export function shownTokens(
  config: ConfigStore,
  { totals, show }: { readonly totals: ClientTotals; readonly show: (secret: string) => string },
): ShownToken[] {
  const tokens = config.listTokens();
  const views = viewTokens({ tokens, rows: [] }, { times: config.tokenTimes(), totals, nowMs: Date.now() });
  return views.map((view, index) => ({
    name: view.name,
    token: show(tokens[index]?.secret ?? ""),
    requests: view.requests,
    errors: view.errors,
    inputTokens: view.inputTokens,
    outputTokens: view.outputTokens,
    cachedTokens: view.cachedTokens,
    ...timesOf(view),
  }));
}

export function listedTokens(
  config: ConfigStore,
  { totals, spent, nowMs }: {
    readonly totals: ClientTotals;
    readonly spent: SpentByToken;
    readonly nowMs: number;
  },
): ListedToken[] {
  const all = { tokens: config.listTokens(), rows: config.listClientTokens() };
  const views = viewTokens(all, { times: config.tokenTimes(), totals, spent, nowMs });
  return views.map(({ createdAtMs, lastUsedMs, countedSinceMs, expiresAtMs, ...view }) => ({
    ...view,
    ...timesOf({ createdAtMs, lastUsedMs, countedSinceMs }),
    expiresAt: isoOf(expiresAtMs),
  }));
}

function timesOf(
  { createdAtMs, lastUsedMs, countedSinceMs }: Pick<
    TokenView,
    "createdAtMs" | "lastUsedMs" | "countedSinceMs"
  >,
): IsoTimes {
  return {
    createdAt: isoOf(createdAtMs),
    lastUsedAt: isoOf(lastUsedMs),
    countedSince: isoOf(countedSinceMs),
  };
}

/** From the most important on; a narrow terminal gets fewer. */
const COLUMNS: readonly Column<ShownToken>[] = [
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
  { tokens, width }: { readonly tokens: readonly ShownToken[]; readonly width: number },
): void {
  printFitting(terminal, { rows: tokens, columns: COLUMNS, width });
  const since = tokens[0]?.countedSince ?? null;
  if (since !== null) terminal.note(`requests and tokens are counted since ${localTime(since, "")}`);
}

const RULE_COLUMNS: readonly Column<ListedToken>[] = [
  { title: "NAME", cell: ({ name }) => name },
  { title: "TOKEN", cell: ({ token }) => token },
  { title: "STATE", cell: ({ state, problem }) => problem === null ? state : `${state}: ${problem}` },
  {
    title: "BUDGET",
    cell: ({ budgetUsd, budgetPeriod }) => budgetUsd === null ? "-" : `${budgetUsd}/${budgetPeriod}`,
  },
  {
    title: "SPENT",
    cell: ({ spentUsd }) => spentUsd === null ? "-" : usdText(Math.round(spentUsd * NANO_PER_USD)),
  },
  { title: "LIMITS", cell: limitsOf },
  { title: "EXPIRES", cell: ({ expiresAt }) => localTime(expiresAt, "never") },
  { title: "LAST USED", cell: ({ lastUsedAt }) => localTime(lastUsedAt, "never") },
  { title: "REQUESTS", cell: ({ requests }) => String(requests) },
  { title: "MODELS", cell: modelsOf },
  { title: "UPSTREAMS", cell: ({ upstreams }) => upstreams.join(",") || "all" },
  { title: "ID", cell: ({ id }) => id === null ? "list" : String(id) },
];

/** Without a terminal every column is printed. */
export function printRuleTable(terminal: Terminal, tokens: readonly ListedToken[]): void {
  printFitting(terminal, { rows: tokens, columns: RULE_COLUMNS, width: terminal.columns });
}

function limitsOf({ rpm, tpm, maxParallel }: ListedToken): string {
  const limits = [
    rpm === null ? [] : `${rpm} rpm`,
    tpm === null ? [] : `${tpm} tpm`,
    maxParallel === null ? [] : `${maxParallel} at once`,
  ].flat();
  return limits.join(", ") || "-";
}

function modelsOf({ allow, deny }: ListedToken): string {
  const allowed = allow.join(",") || "all";
  return deny.length === 0 ? allowed : `${allowed} but ${deny.join(",")}`;
}

function printFitting<Row>(
  terminal: Terminal,
  { rows, columns, width }: {
    readonly rows: readonly Row[];
    readonly columns: readonly Column<Row>[];
    /** null: any. */
    readonly width: number | null;
  },
): void {
  let count = columns.length;
  const lines = () => formatTable(rows, { columns: columns.slice(0, count), width: null });
  while (width !== null && count > MIN_COLUMNS && lines().some((line) => displayWidth(line) > width)) count--;
  lines().forEach(terminal.print);
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
