/**
 * The tokens as they are shown: masked, with what they may do, when they were added and what their names have used.
 *
 * Owns that usage belongs to the name: a token that takes the name of an earlier one goes on with its figures. Pure.
 */
import { cleanText } from "../core/clean_text.ts";
import { cutText, MAX_SHOWN_NAME_LENGTH } from "../core/cut_text.ts";
import type { ClientRules } from "../core/client_rules.ts";
import { NANO_PER_USD } from "../core/money.ts";
import { maskSecret } from "../core/secrets.ts";
import type { ClientToken } from "../core/types.ts";
import { type ClientTokenRow, judgeClientTokens } from "../store/config/client_token_row.ts";
import type { ClientTotals } from "../store/stats/usage_reader.ts";
import type { SpentByToken } from "./token_spend.ts";
import type { TokenState, TokenView } from "./admin_service.ts";

export interface TokenFigures {
  /** By token, milliseconds since the Unix epoch. */
  readonly times: ReadonlyMap<string, number>;
  readonly totals: ClientTotals;
  /** Of rows, in 1e-9 US dollars. */
  readonly spent?: SpentByToken;
  /** Wall clock. */
  readonly nowMs: number;
}

export interface AllTokens {
  readonly tokens: readonly ClientToken[];
  readonly rows: readonly ClientTokenRow[];
}

type Usage = Omit<ClientTotals["clients"][number], "client">;
type Described = Omit<TokenView, keyof Usage | "countedSinceMs">;

const UNUSED = {
  lastUsedMs: null,
  requests: 0,
  errors: 0,
  inputTokens: 0,
  outputTokens: 0,
  cachedTokens: 0,
  ...{ costNano: 0, unpriced: 0, estimatedTokens: 0 },
} as const;

const EVERYTHING = {
  isEnabled: true,
  expiresAtMs: null,
  allow: [],
  deny: [],
  upstreams: [],
  rpm: null,
  tpm: null,
  maxParallel: null,
  budgetUsd: null,
  budgetPeriod: null,
  spentUsd: null,
  gate: null,
} as const;

/** Those of the list first. */
export function viewTokens(
  { tokens, rows }: AllTokens,
  { times, totals, spent, nowMs }: TokenFigures,
): TokenView[] {
  const byClient = new Map(totals.clients.map(({ client, ...figures }) => [client, figures]));
  const listed = tokens.map(({ name, secret }): Described => ({
    ...{ id: null, name, token: maskSecret(secret), state: "active", problem: null },
    ...EVERYTHING,
    createdAtMs: times.get(secret) ?? null,
  }));
  const described = judgeClientTokens(rows, tokens).map(({ row, read }) =>
    describe(row, read, { spentNano: spent?.get(row.id) ?? null, nowMs })
  );
  return [...listed, ...described]
    .map((token) => ({
      ...token,
      ...UNUSED,
      ...byClient.get(token.name),
      countedSinceMs: totals.sinceMs,
    }));
}

function describe(
  row: ClientTokenRow,
  rules: ClientRules | string,
  { spentNano, nowMs }: { readonly spentNano: number | null; readonly nowMs: number },
): Described {
  const spentUsd = spentNano === null ? null : spentNano / NANO_PER_USD;
  if (typeof rules !== "string") {
    return { ...shownRules(rules), spentUsd, state: stateOf(rules, nowMs), problem: null };
  }
  return {
    id: row.id,
    // Whatever somebody has typed.
    name: cutText(cleanText(row.name ?? ""), MAX_SHOWN_NAME_LENGTH),
    token: cutText(cleanText(row.hint ?? ""), MAX_SHOWN_NAME_LENGTH),
    state: "refused",
    problem: rules,
    ...EVERYTHING,
    ...{ isEnabled: row.enabled !== 0, spentUsd },
    createdAtMs: row.createdAtMs,
  };
}

function shownRules(rules: ClientRules): Omit<Described, "state" | "problem" | "spentUsd"> {
  const { id, name, hint, isEnabled, expiresAtMs, allow, deny, upstreams, limits, gate, createdAtMs } = rules;
  const { rpm, tpm, maxParallel, budget } = limits;
  return {
    ...{ id, name, token: cutText(cleanText(hint), MAX_SHOWN_NAME_LENGTH), isEnabled, expiresAtMs },
    ...{ allow, deny, upstreams, rpm, tpm, maxParallel, gate, createdAtMs },
    budgetUsd: budget === null ? null : budget.nano / NANO_PER_USD,
    budgetPeriod: budget?.period ?? null,
  };
}

/** Of a row that can be read. */
export function stateOf(
  { isEnabled, expiresAtMs }: Pick<ClientRules, "isEnabled" | "expiresAtMs">,
  nowMs: number,
): TokenState {
  if (!isEnabled) return "disabled";
  return expiresAtMs !== null && expiresAtMs <= nowMs ? "expired" : "active";
}
