/**
 * The tokens as they are shown: masked, with when they were added and what their names have used.
 *
 * Owns that usage belongs to the name: a token that takes the name of an earlier one goes on with its figures. Pure.
 */
import { maskSecret } from "../core/secrets.ts";
import type { ClientToken } from "../core/types.ts";
import type { ClientTotals } from "../store/stats/usage_reader.ts";
import type { TokenView } from "./admin_service.ts";

export interface TokenFigures {
  /** By token, milliseconds since the Unix epoch. */
  readonly times: ReadonlyMap<string, number>;
  readonly totals: ClientTotals;
}

const UNUSED = {
  lastUsedMs: null,
  requests: 0,
  errors: 0,
  inputTokens: 0,
  outputTokens: 0,
  cachedTokens: 0,
  ...{ costNano: 0, unpriced: 0, estimatedTokens: 0 },
} as const;

export function viewTokens(tokens: readonly ClientToken[], { times, totals }: TokenFigures): TokenView[] {
  const byClient = new Map(totals.clients.map(({ client, ...figures }) => [client, figures]));
  return tokens.map(({ name, secret }) => ({
    name,
    token: maskSecret(secret),
    createdAtMs: times.get(secret) ?? null,
    ...UNUSED,
    ...byClient.get(name),
    countedSinceMs: totals.sinceMs,
  }));
}
