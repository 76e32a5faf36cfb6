/**
 * Columns of sums of money and tokens, by name, in the order of their tables. Pure.
 */

/** Of the statistics: sums over requests. */
export const COST_SUMS = {
  /** Of those whose cost is known, in 1e-9 US dollars. */
  cost_nano: "integer NOT NULL DEFAULT 0",
  /** Requests that were answered, and whose cost is not known. */
  unpriced: "integer NOT NULL DEFAULT 0",
  /** Input and output of requests whose provider counted nothing; not among the other sums. */
  estimated_tokens: "integer NOT NULL DEFAULT 0",
} as const;

/** Of `token_spend`: what one source (a run of a server) has charged one token on one day. */
export const SPEND_COLUMNS = {
  cost_nano: "integer NOT NULL DEFAULT 0",
  requests: "integer NOT NULL DEFAULT 0",
  tokens: "integer NOT NULL DEFAULT 0",
  /** Part of `cost_nano` that was charged without a report: of servers that died, and lost attempts. */
  estimated_nano: "integer NOT NULL DEFAULT 0",
  /** By how much requests have cost more than was left. */
  overshoot_nano: "integer NOT NULL DEFAULT 0",
} as const;
