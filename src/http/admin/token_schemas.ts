/**
 * What a client's token may do, in the admin API: what it takes and what it answers.
 *
 * Owns their bounds there; what a value may be is checked again where it is stored.
 */
import { z } from "zod";
import {
  MAX_BUDGET_USD,
  MAX_CLIENT_PATTERN_LENGTH,
  MAX_CLIENT_PATTERNS,
  MAX_CLIENT_RATE,
  MAX_EXPIRY_MS,
} from "../../control/client_token_values.ts";
import { TOKEN_STATES } from "../../control/token_shapes.ts";
import { GATE_MODES } from "../../core/gate_mode.ts";
import { BUDGET_PERIODS } from "../../core/money.ts";

const pattern = z.string().min(1).max(MAX_CLIENT_PATTERN_LENGTH)
  .regex(/^[^,\p{C}]+$/u, "no commas, no control characters");
const patterns = z.array(pattern).max(MAX_CLIENT_PATTERNS);
const rate = z.int().min(1).max(MAX_CLIENT_RATE).nullable();

const DESCRIPTIONS = {
  allow: "globs on the model, or on the path of a request without one; empty: every model",
  deny: "globs, which go before those that are allowed",
  upstreams: "names or numbers of the upstreams that it may use; empty: all",
  rpm: "requests in a minute; null: no limit",
  tpm: "tokens in a minute, of requests and replies; null: no limit",
  maxParallel: "requests at once; null: no limit",
  budgetUsd: "US dollars in each period; null: no budget",
  budgetPeriod: "without one a budget is for a month",
  gate: "how its streams are held unless a request says otherwise; null: as all others",
  expiresAtMs: "from when on it is refused, in milliseconds since the Unix epoch; null: never",
} as const;

export const tokenName = z.string().min(1).max(64);

/** Of a new token, and of changes. */
export const tokenFields = {
  allow: patterns.describe(DESCRIPTIONS.allow),
  deny: patterns.describe(DESCRIPTIONS.deny),
  upstreams: patterns.describe(DESCRIPTIONS.upstreams),
  rpm: rate.describe(DESCRIPTIONS.rpm),
  tpm: rate.describe(DESCRIPTIONS.tpm),
  maxParallel: rate.describe(DESCRIPTIONS.maxParallel),
  budgetUsd: z.number().min(0).max(MAX_BUDGET_USD).nullable().describe(DESCRIPTIONS.budgetUsd),
  budgetPeriod: z.enum(BUDGET_PERIODS).nullable().describe(DESCRIPTIONS.budgetPeriod),
  gate: z.enum(GATE_MODES).nullable().describe(DESCRIPTIONS.gate),
  expiresAtMs: z.int().min(1).max(MAX_EXPIRY_MS).nullable().describe(DESCRIPTIONS.expiresAtMs),
  isEnabled: z.boolean(),
};

/** As they are answered. */
export const shownRules = {
  id: z.number().nullable().describe("of its row; null: it is one of the list, which may do everything"),
  state: z.enum(TOKEN_STATES).describe("refused: its row has a mistake"),
  problem: z.string().nullable().describe("why its row is refused; null: it is not"),
  isEnabled: z.boolean(),
  expiresAtMs: z.number().nullable().describe(DESCRIPTIONS.expiresAtMs),
  allow: z.array(z.string()).describe(DESCRIPTIONS.allow),
  deny: z.array(z.string()).describe(DESCRIPTIONS.deny),
  upstreams: z.array(z.string()).describe(DESCRIPTIONS.upstreams),
  rpm: z.number().nullable().describe(DESCRIPTIONS.rpm),
  tpm: z.number().nullable().describe(DESCRIPTIONS.tpm),
  maxParallel: z.number().nullable().describe(DESCRIPTIONS.maxParallel),
  budgetUsd: z.number().nullable().describe(DESCRIPTIONS.budgetUsd),
  budgetPeriod: z.enum(BUDGET_PERIODS).nullable(),
  spentUsd: z.number().nullable().describe(
    "in the budget's period so far, or this month without one; null: not counted, as for one of the list",
  ),
  gate: z.enum(GATE_MODES).nullable().describe(DESCRIPTIONS.gate),
};
