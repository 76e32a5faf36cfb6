/**
 * A client's token that is kept as a digest, with what it may do. Plain data only.
 *
 * Tokens of the list `config_kvs.authorization` have no rules: they may do everything.
 */
import type { GateMode } from "./gate_mode.ts";
import type { Budget } from "./money.ts";

/** null: no limit. */
export interface ClientLimits {
  /** Requests in a minute. */
  readonly rpm: number | null;
  /** Tokens in a minute, of requests and replies. */
  readonly tpm: number | null;
  /** Requests at once. */
  readonly maxParallel: number | null;
  readonly budget: Budget | null;
}

export const NO_CLIENT_LIMITS: ClientLimits = { rpm: null, tpm: null, maxParallel: null, budget: null };

/** One row of `client_tokens`, validated. Immutable: a reload makes new objects. */
export interface ClientRules {
  /** Of the row; what was spent is counted by it. */
  readonly id: number;
  /** Unique among all tokens; in records, logs and metrics. */
  readonly name: string;
  /** SHA-256 of the token, 64 hexadecimal digits in lower case. */
  readonly digest: string;
  /** What people recognise it by, such as `sk-…f3aQ`. */
  readonly hint: string;
  readonly isEnabled: boolean;
  /** Wall clock; null: it does not expire. */
  readonly expiresAtMs: number | null;
  /** Globs on the model, as for upstreams; an empty `allow` allows all. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** Names or numbers of the upstreams that it may use; empty: all. */
  readonly upstreams: readonly string[];
  readonly limits: ClientLimits;
  /** How its streams are held unless a request says otherwise; null: as all others. */
  readonly gate: GateMode | null;
  readonly createdAtMs: number | null;
}
