/**
 * The clients' tokens as the admin API and the page show and make them: shapes only. Times are milliseconds since the Unix
 * epoch.
 */
import type { GateMode } from "../core/gate_mode.ts";
import type { BudgetPeriod } from "../core/money.ts";
import type { ClientTokenInput } from "./client_token_values.ts";

/** `refused`: its row has a mistake. */
export const TOKEN_STATES = ["active", "disabled", "expired", "refused"] as const;
export type TokenState = typeof TOKEN_STATES[number];

export interface TokenView {
  /** Of its row; null: it is one of the list, which may do everything. */
  readonly id: number | null;
  readonly name: string;
  /** Masked. */
  readonly token: string;
  readonly state: TokenState;
  /** Why its row is refused; null: it is not. */
  readonly problem: string | null;
  readonly isEnabled: boolean;
  /** null: it does not expire. */
  readonly expiresAtMs: number | null;
  /** Globs on the model; an empty `allow` allows all. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** Names or numbers; empty: all. */
  readonly upstreams: readonly string[];
  /** null: no limit. */
  readonly rpm: number | null;
  readonly tpm: number | null;
  readonly maxParallel: number | null;
  /** In dollars. */
  readonly budgetUsd: number | null;
  readonly budgetPeriod: BudgetPeriod | null;
  /** In dollars, in the budget's period so far, or this month without one; null: not counted, as for tokens of the list. */
  readonly spentUsd: number | null;
  /** null: as all others. */
  readonly gate: GateMode | null;
  /** null: unknown, as of tokens that were added by hand or by an older version. */
  readonly createdAtMs: number | null;
  /** Of the name, whichever token had it; null: never, as far as is counted. */
  readonly lastUsedMs: number | null;
  /** Of the name, as are the tokens of models that it has used. */
  readonly requests: number;
  readonly errors: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens: number;
  /** What is known of their cost, in 1e-9 US dollars. */
  readonly costNano: number;
  /** Requests whose cost is not known. */
  readonly unpriced: number;
  /** Not among the other tokens: nobody reported them. */
  readonly estimatedTokens: number;
  /** Since when requests are counted; null: since ever. */
  readonly countedSinceMs: number | null;
}

/** With anything but a name it becomes a row, which is kept as a digest. */
export interface NewTokenInput extends ClientTokenInput {
  readonly name: string;
  /** It becomes a row in any case. */
  readonly isHashed?: boolean;
}

/** The secret is shown this once. */
export interface MadeToken {
  /** Of its row; null: it is one of the list. */
  readonly id: number | null;
  readonly name: string;
  readonly secret: string;
}

/** A token that somebody chose. */
export interface ChosenToken {
  readonly value: string;
  /** Even if it could be guessed. */
  readonly isShortAllowed: boolean;
}
