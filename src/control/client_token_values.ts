/**
 * What a client's token may do: what each value may be, and how it is typed.
 *
 * Owns the bounds of every value and the reading of texts. Pure; knows no database, and no secret.
 */
import { cleanText } from "../core/clean_text.ts";
import { GATE_MODES, type GateMode } from "../core/gate_mode.ts";
import { BUDGET_PERIODS, type BudgetPeriod, parseBudget, toNano, usdText } from "../core/money.ts";
import type { ClientTokenValues } from "../store/config/client_token_row.ts";
import { invalidValue } from "./errors.ts";

/** In a minute, or at once. */
export const MAX_CLIENT_RATE = 1_000_000_000;
export const MAX_CLIENT_PATTERNS = 200;
export const MAX_CLIENT_PATTERN_LENGTH = 200;
/** Of all patterns of one kind together. */
const MAX_LIST_LENGTH = 8_192;
export const MAX_BUDGET_USD = 9_000_000;
/** The last moment that the database's form of times can hold. */
export const MAX_EXPIRY_MS = Date.UTC(9999, 11, 31);

/** What is not given stays as it is, or is not set; null and empty lists: no limit. */
export interface ClientTokenInput {
  readonly name?: string;
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  /** Names or numbers. */
  readonly upstreams?: readonly string[];
  readonly rpm?: number | null;
  readonly tpm?: number | null;
  readonly maxParallel?: number | null;
  readonly budgetUsd?: number | null;
  /** Without one a budget is for a month. */
  readonly budgetPeriod?: BudgetPeriod | null;
  readonly gate?: GateMode | null;
  /** Milliseconds since the Unix epoch. */
  readonly expiresAtMs?: number | null;
  readonly isEnabled?: boolean;
}

/** The same as it is typed; `none` or an empty text clears a value. */
export interface ClientTokenTexts {
  readonly rpm?: string | undefined;
  readonly tpm?: string | undefined;
  readonly parallel?: string | undefined;
  readonly budget?: string | undefined;
  readonly allow?: string | undefined;
  readonly deny?: string | undefined;
  readonly upstreams?: string | undefined;
  readonly gate?: string | undefined;
  readonly expires?: string | undefined;
}

/** @throws ControlError `invalid` */
export function readClientTokenTexts(texts: ClientTokenTexts, nowMs: number): ClientTokenInput {
  const { rpm, tpm, parallel, budget, allow, deny, upstreams, gate, expires } = texts;
  return {
    ...(rpm === undefined ? {} : { rpm: readRate(rpm, "rpm") }),
    ...(tpm === undefined ? {} : { tpm: readRate(tpm, "tpm") }),
    ...(parallel === undefined ? {} : { maxParallel: readRate(parallel, "parallel") }),
    ...(budget === undefined ? {} : readBudget(budget)),
    ...(allow === undefined ? {} : { allow: readList(allow) }),
    ...(deny === undefined ? {} : { deny: readList(deny) }),
    ...(upstreams === undefined ? {} : { upstreams: readList(upstreams) }),
    ...(gate === undefined ? {} : { gate: readGate(gate) }),
    ...(expires === undefined ? {} : { expiresAtMs: readExpiry(expires, nowMs) }),
  };
}

/** What to write for an input, checked. @throws ControlError `invalid` */
export function toClientTokenValues(input: ClientTokenInput): Partial<ClientTokenValues> {
  const { name, allow, deny, upstreams, rpm, tpm, maxParallel, gate, expiresAtMs, isEnabled } = input;
  return {
    ...(name === undefined ? {} : { name: name.trim() }),
    ...(allow === undefined ? {} : { allow: listText(allow, "allow") }),
    ...(deny === undefined ? {} : { deny: listText(deny, "deny") }),
    ...(upstreams === undefined ? {} : { upstreams: listText(upstreams, "upstreams") }),
    ...(rpm === undefined ? {} : { rpm: checkRate(rpm, "rpm") }),
    ...(tpm === undefined ? {} : { tpm: checkRate(tpm, "tpm") }),
    ...(maxParallel === undefined ? {} : { maxParallel: checkRate(maxParallel, "parallel") }),
    ...budgetValues(input),
    ...(gate === undefined ? {} : { gate: checkGate(gate) }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs: checkExpiry(expiresAtMs) }),
    ...(isEnabled === undefined ? {} : { enabled: isEnabled ? 1 : 0 }),
  };
}

/** Whether an input says more than a name: only a row can hold that. */
export function hasRules(input: ClientTokenInput): boolean {
  return Object.entries(input).some(([field, value]) =>
    field !== "name" && value !== undefined && value !== null && value !== true &&
    !(Array.isArray(value) && value.length === 0)
  );
}

function isNone(text: string): boolean {
  return ["", "none", "never"].includes(text.trim().toLowerCase());
}

function readRate(text: string, field: string): number | null {
  if (isNone(text)) return null;
  return checkRate(/^\d{1,10}$/.test(text.trim()) ? Number(text) : Number.NaN, field);
}

function checkRate(value: number | null, field: string): number | null {
  if (value === null) return null;
  if (Number.isSafeInteger(value) && value >= 1 && value <= MAX_CLIENT_RATE) return value;
  throw invalidValue(field, `must be a whole number from 1 to ${MAX_CLIENT_RATE}, or none`);
}

function readBudget(text: string): Pick<ClientTokenInput, "budgetUsd" | "budgetPeriod"> {
  if (isNone(text)) return { budgetUsd: null, budgetPeriod: null };
  const budget = parseBudget(text);
  if (budget !== null) return { budgetUsd: Number(usdText(budget.nano)), budgetPeriod: budget.period };
  throw invalidValue(
    "budget",
    `must be dollars in a ${BUDGET_PERIODS.join(", ")}, such as 20/month, or none`,
  );
}

function budgetValues(
  { budgetUsd, budgetPeriod }: ClientTokenInput,
): Partial<Pick<ClientTokenValues, "budgetUsd" | "budgetPeriod">> {
  if (budgetPeriod !== undefined && budgetPeriod !== null && !BUDGET_PERIODS.includes(budgetPeriod)) {
    throw invalidValue("budgetPeriod", `must be one of ${BUDGET_PERIODS.join(", ")}`);
  }
  const period = budgetPeriod === undefined ? {} : { budgetPeriod };
  if (budgetUsd === undefined) return period;
  if (budgetUsd === null) return { budgetUsd: null, ...period };
  const nano = budgetUsd > MAX_BUDGET_USD ? null : toNano(budgetUsd);
  if (nano === null) throw invalidValue("budgetUsd", `must be from 0 to ${MAX_BUDGET_USD} dollars, or none`);
  return { budgetUsd: usdText(nano), ...period };
}

function readList(text: string): string[] {
  return isNone(text) ? [] : text.split(",").map((part) => part.trim());
}

/** null: everything. */
function listText(given: readonly string[], field: "allow" | "deny" | "upstreams"): string | null {
  const parts = given.map((each) => each.trim());
  const isGood = (part: string) =>
    part !== "" && part.length <= MAX_CLIENT_PATTERN_LENGTH && !part.includes(",") &&
    part === cleanText(part);
  const text = parts.join(",");
  if (parts.length <= MAX_CLIENT_PATTERNS && text.length <= MAX_LIST_LENGTH && parts.every(isGood)) {
    return text === "" ? null : text;
  }
  throw invalidValue(
    field,
    `must be ${field === "upstreams" ? "names or numbers" : "globs"} separated by commas, at most ` +
      `${MAX_CLIENT_PATTERNS} of at most ${MAX_CLIENT_PATTERN_LENGTH} characters, or none`,
  );
}

function readGate(text: string): GateMode | null {
  // `none` is a mode, so another word clears it.
  const word = text.trim().toLowerCase();
  if (word === "" || word === "default") return null;
  const mode = GATE_MODES.find((each) => each === word);
  if (mode !== undefined) return mode;
  throw invalidValue("gate", `must be ${GATE_MODES.join(", ")}, or default`);
}

function checkGate(gate: GateMode | null): GateMode | null {
  return gate === null ? null : readGate(gate);
}

const DAY_MS = 86_400_000;
const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, d: DAY_MS, w: 7 * DAY_MS };
/** A date, or a moment with its zone (RFC 3339). */
const MOMENT = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2}))?$/i;

/** A date means its beginning in UTC. */
function readExpiry(text: string, nowMs: number): number | null {
  if (isNone(text)) return null;
  const word = text.trim();
  const [, count = "", unit = ""] = /^(\d{1,5})([hdw])$/.exec(word) ?? [];
  const ms = count === ""
    ? (MOMENT.test(word) ? Date.parse(word.replace(" ", "T")) : Number.NaN)
    : nowMs + Number(count) * (UNITS_MS[unit] ?? 0);
  return checkExpiry(ms);
}

function checkExpiry(ms: number | null): number | null {
  if (ms === null || (Number.isFinite(ms) && ms > 0 && ms <= MAX_EXPIRY_MS)) return ms;
  throw invalidValue(
    "expires",
    "must be a time such as 90d, 12h, 2027-01-31 or 2027-01-31T08:00:00Z, or never",
  );
}
