/**
 * Rows of `client_tokens`: the columns, and what their values mean.
 *
 * Owns how rows that people typed by hand are read. Pure. Messages never hold a token: there is none here.
 */
import type { ClientRules } from "../../core/client_rules.ts";
import { GATE_MODES, type GateMode } from "../../core/gate_mode.ts";
import { type Budget, BUDGET_PERIODS, toNano } from "../../core/money.ts";
import type { ClientToken } from "../../core/types.ts";
import { digest } from "./token_list.ts";
import { splitPatterns } from "./patterns.ts";

/** All but the row's number and the times of its making and last change, in the order of the table's columns. */
export const CLIENT_TOKEN_COLUMNS = {
  name: "text",
  sha256: "text",
  hint: "text",
  allow: "text",
  deny: "text",
  upstreams: "text",
  rpm: "integer",
  tpm: "integer",
  max_parallel: "integer",
  budget_usd: "text",
  budget_period: "text",
  gate: "text",
  expires_at: "time",
  enabled: "integer",
} as const satisfies Readonly<Record<string, "text" | "integer" | "time">>;

/** What may be changed of one, as stored; null: not set. */
export interface ClientTokenValues {
  readonly name: string | null;
  /** SHA-256 of the token in hexadecimal. */
  readonly sha256: string | null;
  readonly hint: string | null;
  readonly allow: string | null;
  readonly deny: string | null;
  /** Names or numbers, separated by commas. */
  readonly upstreams: string | null;
  readonly rpm: number | null;
  readonly tpm: number | null;
  readonly maxParallel: number | null;
  /** A decimal number of dollars. */
  readonly budgetUsd: string | null;
  readonly budgetPeriod: string | null;
  readonly gate: string | null;
  readonly expiresAtMs: number | null;
  /** null counts as 1. */
  readonly enabled: number | null;
}

export interface ClientTokenRow extends ClientTokenValues {
  readonly id: number;
  readonly createdAtMs: number | null;
}

export interface NewClientToken extends Partial<ClientTokenValues> {
  readonly name: string;
  readonly sha256: string;
  readonly hint: string;
}

/** The rules of usable rows, and what is wrong with the others. @param tokens those of the list, which go first */
export function readClientTokens(
  rows: readonly ClientTokenRow[],
  tokens: readonly ClientToken[],
): { readonly rules: ClientRules[]; readonly problems: string[] } {
  const rules: ClientRules[] = [];
  const problems: string[] = [];
  for (const { row, read } of judgeClientTokens(rows, tokens)) {
    if (typeof read === "string") {
      problems.push(`Client token ${row.id} is refused: ${read} (correct it with "token edit ${row.id}")`);
    } else rules.push(read);
  }
  return { rules, problems };
}

/** The rules of each row, or what is wrong with it, also beside the others. @param tokens those of the list, which go first */
export function judgeClientTokens(
  rows: readonly ClientTokenRow[],
  tokens: readonly ClientToken[],
): { readonly row: ClientTokenRow; readonly read: ClientRules | string }[] {
  const names = new Set(tokens.map(({ name }) => name));
  const digests = new Set(tokens.map(({ secret }) => digest(secret)));
  return rows.map((row) => {
    const read = parseClientToken(row);
    if (typeof read === "string") return { row, read };
    if (names.has(read.name)) return { row, read: "another token has its name" };
    if (digests.has(read.digest)) return { row, read: "another row has the same token" };
    names.add(read.name);
    digests.add(read.digest);
    return { row, read: Object.freeze(read) };
  });
}

/** The rules, or what is wrong with the row. */
export function parseClientToken(row: ClientTokenRow): ClientRules | string {
  const name = (row.name ?? "").trim();
  const sha256 = (row.sha256 ?? "").trim().toLowerCase();
  if (!/^[^\s,=:\p{C}]{1,64}$/u.test(name)) return "its name is not one word of at most 64 characters";
  if (!/^[0-9a-f]{64}$/.test(sha256)) return "its sha256 is not 64 hexadecimal digits";
  for (const column of ["rpm", "tpm", "maxParallel", "enabled", "expiresAtMs"] as const) {
    if (Number.isNaN(row[column])) return `its ${COLUMN_NAMES[column]} is not a number or time`;
  }
  const budget = budgetOf(row);
  if (typeof budget === "string") return budget;
  const gate = gateOf(row.gate);
  if (gate === undefined) return `its gate is none of ${GATE_MODES.join(", ")}`;
  return {
    id: row.id,
    name,
    digest: sha256,
    hint: (row.hint ?? "").trim(),
    isEnabled: row.enabled !== 0,
    expiresAtMs: row.expiresAtMs,
    allow: splitPatterns(row.allow),
    deny: splitPatterns(row.deny),
    upstreams: splitPatterns(row.upstreams),
    limits: { rpm: limitOf(row.rpm), tpm: limitOf(row.tpm), maxParallel: limitOf(row.maxParallel), budget },
    gate,
    createdAtMs: row.createdAtMs,
  };
}

const COLUMN_NAMES = {
  rpm: "rpm",
  tpm: "tpm",
  maxParallel: "max_parallel",
  enabled: "enabled",
  expiresAtMs: "expires_at",
} as const;

/** 0 and less mean no limit, as for upstreams. */
function limitOf(value: number | null): number | null {
  return value === null || value < 1 ? null : Math.floor(value);
}

/** null: it has none. A budget of 0 is one: nothing may be spent. */
function budgetOf({ budgetUsd, budgetPeriod }: ClientTokenRow): Budget | null | string {
  const amount = (budgetUsd ?? "").trim();
  if (amount === "") return null;
  const nano = toNano(Number(amount));
  if (nano === null) return "its budget_usd is not a number of dollars";
  const word = (budgetPeriod ?? "").trim().toLowerCase();
  const period = word === "" ? "month" : BUDGET_PERIODS.find((each) => each === word);
  return period === undefined
    ? `its budget_period is none of ${BUDGET_PERIODS.join(", ")}`
    : { nano, period };
}

function gateOf(value: string | null): GateMode | null | undefined {
  const word = (value ?? "").trim().toLowerCase();
  return word === "" ? null : GATE_MODES.find((mode) => mode === word);
}
