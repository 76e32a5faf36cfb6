/**
 * A token and its rules in a form: converts them to field values, and field values to an input. Pure.
 */
import type { TokenView } from "../control/admin_service.ts";
import { type ClientTokenInput, readClientTokenTexts } from "../control/client_token_values.ts";

/** Values as the fields hold them. */
export interface TokenForm {
  readonly name: string;
  readonly budget: string;
  readonly rpm: string;
  readonly tpm: string;
  readonly parallel: string;
  readonly allow: string;
  readonly deny: string;
  readonly upstreams: string;
  readonly gate: string;
  readonly expires: string;
}

export const EMPTY_TOKEN_FORM: TokenForm = {
  name: "",
  budget: "",
  rpm: "",
  tpm: "",
  parallel: "",
  allow: "",
  deny: "",
  upstreams: "",
  gate: "",
  expires: "",
};

const FIELDS = Object.keys(EMPTY_TOKEN_FORM) as readonly (keyof TokenForm)[];
/** Longer than any good value of a field; what is beyond it is refused with the rest. */
const MAX_FIELD_LENGTH = 50_000;

export function tokenFormOf(token: TokenView): TokenForm {
  const { name, budgetUsd, budgetPeriod, rpm, tpm, maxParallel, gate, expiresAtMs } = token;
  return {
    name,
    budget: budgetUsd === null ? "" : `${budgetUsd}/${budgetPeriod}`,
    rpm: textOf(rpm),
    tpm: textOf(tpm),
    parallel: textOf(maxParallel),
    allow: token.allow.join(", "),
    deny: token.deny.join(", "),
    upstreams: token.upstreams.join(", "),
    gate: gate ?? "",
    expires: expiresAtMs === null ? "" : new Date(expiresAtMs).toISOString().replace(".000Z", "Z"),
  };
}

function textOf(value: number | null): string {
  return value === null ? "" : String(value);
}

export function readTokenForm(fields: Readonly<Record<string, unknown>>): TokenForm {
  const text = (name: keyof TokenForm): string => {
    const value = fields[name];
    return typeof value === "string" ? value.slice(0, MAX_FIELD_LENGTH).trim() : "";
  };
  return { ...EMPTY_TOKEN_FORM, ...Object.fromEntries(FIELDS.map((name) => [name, text(name)])) };
}

/**
 * The fields that were changed.
 * @param shown what the fields showed
 * @throws ControlError `invalid`
 */
export function tokenInput(form: TokenForm, shown: TokenForm, nowMs: number): ClientTokenInput {
  const changed = FIELDS.filter((field) => field !== "name" && form[field] !== shown[field]);
  const texts = Object.fromEntries(changed.map((field) => [field, form[field]]));
  return { ...readClientTokenTexts(texts, nowMs), ...(form.name === shown.name ? {} : { name: form.name }) };
}

/** How a form names a token: one whose row is refused may have any name, or none. */
export function tokenKey({ id, name, state }: Pick<TokenView, "id" | "name" | "state">): string {
  return state === "refused" && id !== null ? String(id) : name;
}
