/**
 * Requests of clients that were refused for who sent them, or for the limits of their token: the shapes, shared by who counts and who shows them.
 */

export type RefusalReason = "no_token" | "wrong_token" | "ended_token" | "other_site";

export interface RefusedRequest {
  /** Of the client, as far as it is known. */
  readonly address: string;
  readonly reason: RefusalReason;
}

/** Limits of a token that its requests were refused for. */
export const LIMIT_REASONS = [
  "rpm",
  "tpm",
  "parallel",
  "budget",
  "budget_reserved",
  "budget_unavailable",
  "price_unknown",
] as const;
export type LimitReason = typeof LIMIT_REASONS[number];

/** Requests of a token that were refused because of one of its limits. */
export interface LimitedClient {
  /** The token's name. */
  readonly client: string;
  readonly reason: LimitReason;
  /** Requests. */
  readonly lastHour: number;
}

export interface RefusedSummary {
  /** Requests. */
  readonly lastHour: number;
  /** Time in milliseconds since the Unix epoch; null: none in the last hour. */
  readonly last: (RefusedRequest & { readonly atMs: number }) | null;
  /** The most frequent first. */
  readonly limited: readonly LimitedClient[];
}
